"""Which words of a schema an asked word may mean: itself, its kin, its abbreviation, what the lexicon says."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from mcp_server.knowledge.lexicon import related
from mcp_server.knowledge.words import is_common, is_english, stem

KIN = 0.6
"""Weight of a word that begins like the asked one: ``orchestral`` for ``orchestra``."""
SHARED_BEGINNING = 0.6
"""The least share of the longer word that kin have in common, from its beginning."""
ABBREVIATED = 0.6
RELATED = 0.5
MISSPELT = 0.5

_CLOSE = 0.85
_VOWELS = frozenset("aeiou")


class Expansion:
    """The stems of one schema, looked up by asked words.

    Args:
        words: all that the schema's tables are found by, unstemmed.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._by_beginning: dict[str, list[tuple[str, str]]] = {}
        self._stems: set[str] = set()
        for word in sorted(words, key=len):
            # of the words with one stem the shortest is looked at
            if stem(word) not in self._stems and len(word) >= 2 and not word.isdecimal():
                self._by_beginning.setdefault(word[0], []).append((word, stem(word)))
            self._stems.add(stem(word))
        self._known: dict[str, Mapping[str, float]] = {}

    def of(self, word: str) -> Mapping[str, float]:
        """The stems that a lower-case `word` may mean, and how surely, up to 1."""
        known = self._known.get(word)
        if known is None:
            if len(self._known) > 20_000:
                self._known.clear()
            known = self._known[word] = self._looked_up(word)
        return known

    def __contains__(self, word: str) -> bool:
        return stem(word) in self._stems

    def _looked_up(self, word: str) -> dict[str, float]:
        asked = stem(word)
        found: dict[str, float] = {}
        alike = self._by_beginning.get(word[:1], ())
        for other, other_stem in alike:
            if _are_kin(asked, other_stem):
                found[other_stem] = KIN
            elif abbreviates(other, word) or abbreviates(word, other):
                found[other_stem] = ABBREVIATED
        for other in related().get(asked, ()):
            if other in self._stems:
                found[other] = max(found.get(other, 0.0), RELATED)
        if asked in self._stems:
            found[asked] = 1.0
        if not found and len(word) >= 5 and not is_english(word):
            near = {other: other_stem for other, other_stem in alike if other[:2] == word[:2]}
            found |= {near[other]: MISSPELT for other in difflib.get_close_matches(word, near, n=2, cutoff=_CLOSE)}
        return found


def _are_kin(one: str, other: str) -> bool:
    short, long = (one, other) if len(one) < len(other) else (other, one)
    return len(short) >= 4 and long.startswith(short) and len(short) / len(long) >= SHARED_BEGINNING


def abbreviates(short: str, word: str) -> bool:
    """Whether `short` (``cust``, ``qty``, ``dept``) is how a name would abbreviate `word`.

    It begins like the word and goes on with letters of it, in order and without vowels.
    """
    if not 2 <= len(short) <= 5 or len(short) >= len(word) - 1 or short[0] != word[0] or is_common(short):
        return False
    beginning = next((i for i, pair in enumerate(zip(short, word, strict=False)) if len(set(pair)) > 1), len(short))
    if beginning == len(short):
        return beginning >= 3
    rest = iter(word[beginning:])
    return all(letter not in _VOWELS and letter in rest for letter in short[beginning:])
