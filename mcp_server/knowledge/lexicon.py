"""Words that people use for one another when they name tables and ask about them. The list is ``lexicon.txt``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from mcp_server.knowledge.words import lexicon, stem


@cache
def related() -> Mapping[str, frozenset[str]]:
    """The stems that an asked stem may stand for, by the asked one.

    A line of the list is words any of which may stand for any other; or, with ``>``, asked words and what they may
    stand for, which does not hold the other way round.
    """
    found: dict[str, set[str]] = {}
    for line in lexicon():
        asked, arrow, meant = line.partition(">")
        words = [stem(word) for word in asked.split()]
        targets = [stem(word) for word in meant.split()] if arrow else words
        for word in words:
            found.setdefault(word, set()).update(target for target in targets if target != word)
    return {word: frozenset(targets) for word, targets in found.items()}
