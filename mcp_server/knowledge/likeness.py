"""How like a text, or a part of a question, a stored value is. Pure; knows no index and no source."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

QUESTION_WORDS = 7
"""A text with more words is taken for a question: values are looked for in it, not it in values."""

_LONGEST_SPAN = 8
_WORD = re.compile(r"\w+")
_QUOTED = re.compile(r"\"([^\"]{1,120})\"|(?<!\w)'([^']{1,120})'(?!\w)|“([^”]{1,120})”|‘([^’]{1,120})’")
_MARK = re.compile(r"[\u0300-\u036f]")

_NOTHING = """
    a an the of in on at to for from by with and or is are was were be been do does did has have had having
    what which when where who whom whose how many much that this these those there their they them it its as
    than more most less least each every all any no not if then refers refer please list give show find name
    names number count total average percentage difference between among state calculate tell me us i you we
    he she his her
"""
_SAY_NOTHING = frozenset(_NOTHING.split())


def normal(text: str) -> str:
    """The text as it is compared: words in lower case without marks on letters, one space between them."""
    plain = _MARK.sub("", unicodedata.normalize("NFKD", text))
    return " ".join(_WORD.findall(plain.casefold()))


def stem(word: str) -> str:
    """A word without what English adds to it; crude, and the same for what is asked and what is stored."""
    for end, least in (("ies", 5), ("ing", 6), ("ed", 5), ("es", 5), ("s", 4), ("ly", 5)):
        if len(word) >= least and word.endswith(end):
            return word[: -len(end)] + ("y" if end == "ies" else "")
    return word


def trigrams(text: str) -> set[str]:
    """All runs of three characters of a normal text, with its ends marked."""
    padded = f" {text} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


@dataclass(frozen=True)
class Asked:
    """A text that somebody looks for, or a question that may hold values."""

    text: str

    @cached_property
    def normal(self) -> str:
        """See `normal`."""
        return normal(self.text)

    @cached_property
    def words(self) -> list[str]:
        """Its words, in order."""
        return self.normal.split()

    @property
    def is_question(self) -> bool:
        """Whether values are looked for in it."""
        return len(self.words) > QUESTION_WORDS

    @cached_property
    def quoted(self) -> list[str]:
        """What stands between quotes in it, normal; signs alone as they are."""
        found = [next(filter(None, groups)) for groups in _QUOTED.findall(self.text)]
        return [plain for text in found if (plain := normal(text) or text.strip())]

    @cached_property
    def spans(self) -> dict[str, int]:
        """Every run of up to eight words, and where it begins."""
        words = self.words
        found: dict[str, int] = {}
        for size in range(1, min(_LONGEST_SPAN, len(words)) + 1):
            for begin in range(len(words) - size + 1):
                found.setdefault(" ".join(words[begin : begin + size]), begin)
        return found

    @cached_property
    def telling(self) -> list[str]:
        """Its words that could be part of a value, each once."""
        return [w for w in dict.fromkeys(self.words) if w not in _SAY_NOTHING and (len(w) > 1 or w.isdigit())]

    @cached_property
    def as_written(self) -> list[str]:
        """Its telling words with the marks on their letters, for a database that compares them."""
        telling = set(self.telling)
        return [w for w in dict.fromkeys(_WORD.findall(self.text)) if telling.intersection(normal(w).split())]

    @cached_property
    def proper(self) -> set[str]:
        """Normal words that are written with a capital or a digit in it."""
        return {normal(w) for w in _WORD.findall(self.text) if not w.islower()}

    @cached_property
    def stems(self) -> set[str]:
        """The stems of its telling words."""
        return {stem(w) for w in self.telling}

    @cached_property
    def grams(self) -> set[str]:
        """See `trigrams`."""
        return trigrams(self.normal)

    def likeness(self, value: str, name_stems: Iterable[str] = ()) -> float:
        """How well a value fits: above 3 where it is there letter for letter.

        Args:
            value: as it is stored.
            name_stems: stems of the names of its table and column.
        """
        plain = normal(value)
        if not plain:
            asked_for = value.strip() == self.text.strip() or value.strip() in self.quoted
            return 3.0 if asked_for else 0.0
        named = 0.1 * min(3, len(self.stems & set(name_stems)))
        if value == self.text:
            return 4.0 + named
        if plain == self.normal:
            return 3.5 + named
        return (self._in_question(value, plain) if self.is_question else self._as_whole(plain)) + named

    def _as_whole(self, plain: str) -> float:
        theirs = trigrams(plain)
        dice = 2 * len(self.grams & theirs) / (len(self.grams) + len(theirs))
        squeezed = plain.replace(" ", "") == self.normal.replace(" ", "")
        stems = {stem(w) for w in plain.split()}
        mine = self.stems or set(self.words)
        both = len(mine & stems) / max(1, len(mine | stems))
        within = 0.3 if f" {self.normal} " in f" {plain} " or f" {plain} " in f" {self.normal} " else 0.0
        return (1.5 if squeezed else 0.0) + dice + both + within

    def _in_question(self, value: str, plain: str) -> float:
        words = plain.split()
        if plain in self.quoted:
            return 3.0 + 0.05 * len(words)
        if plain in self.spans:
            if all(word in _SAY_NOTHING for word in words):
                return 0.3
            exact_case = 0.3 if value in self.text else 0.0
            proper = 0.4 if self.proper.intersection(words) else 0.0
            short = 0.6 if len(plain) < 3 else 0.0
            return 1.4 + 0.3 * min(len(words), 6) + exact_case + proper - short
        stems = [stem(w) for w in words if w not in _SAY_NOTHING] or words
        there = sum(s in self.stems for s in stems) / len(stems)
        best = max((_dice(plain, quoted) for quoted in self.quoted), default=0.0)
        return max(best * 2.2, there * (1.2 + 0.2 * min(len(stems), 5)) if there == 1 else there * 1.1)


def _dice(one: str, other: str) -> float:
    mine, theirs = trigrams(one), trigrams(other)
    return 2 * len(mine & theirs) / (len(mine) + len(theirs))
