"""Words of names and questions: split, taken apart where they are glued, stemmed, without those that say nothing.

``customerOrderTotal``, ``CUSTOMER_ORDER_TOTAL`` and ``customerordertotal`` are the same three words. Knows no tables.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import resources
from threading import Lock

import snowballstemmer

_NO_SPACES = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_RUN = re.compile(rf"[{_NO_SPACES}]+|[^\W\d_{_NO_SPACES}]+|\d+")
"""Letters of a script that parts words with spaces, signs of one that does not, or digits."""

_WITHOUT_SPACES = re.compile(f"[{_NO_SPACES}]")
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
_ACCENT = re.compile("[\u0300-\u036f]")

_LONGEST_GLUED = 60
"""Characters of the longest text that is taken apart; longer ones are no names."""

_LONGEST_WORD = 20
_LONGEST_ABBREVIATION = 5
_USUAL_COST = 10.0
"""What a word costs that is no English but usual in names: ``cust``, ``addr``."""
_UNKNOWN_COST = 12.0
_UNKNOWN_COST_PER_LETTER = 3.5
"""What a piece that is no word costs: more than any word that people write (ln of how rare it is)."""

_COMMON_COST = 9.8
"""``cat`` costs less, ``qty`` and ``dept`` cost more."""

_FUNCTION_WORDS = """
    a an the of in on at to for from by with within and or is are was were be been being am do does did done have has
    had having what which when where who whom whose how many much that this these those there their them they it its as
    than more most less least fewer fewest each every all any some both either neither only also just if then so not no
    without but can could would should will shall may might must about into over under between among per across during
    after before above below up down out off us our we i my me you your he him his she her s please
"""
_ASKING_WORDS = """
    show list find give get fetch return tell display provide state name names named call called number count total sum
    average avg mean maximum max minimum min different distinct unique other another same such order ordered sort
    sorted ascending descending alphabetical alphabetically result results whether percentage percent ratio calculate
    mention identify determine respectively greater higher lower exactly
"""

FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that name no table or column."""

ASKING_WORDS = frozenset(_ASKING_WORDS.split())
"""Words that sentences ask with, and that name tables and columns at times."""

_stemmer = snowballstemmer.stemmer("english")
_stemming = Lock()
"""The stemmer keeps the word that it is at in itself: two threads at once would mix theirs."""


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The stem of a lower-case English word: ``countries`` and ``country`` have the same."""
    if len(word) <= 3 and not word.endswith("s"):
        return word  # qty is no form of qti
    with _stemming:
        return _stemmer.stemWord(word)


def parts(text: str) -> list[str]:
    """The words of a name or a sentence as they are written in it, in lower case; nothing is taken apart.

    Accents are left out. Chinese, Japanese and Korean come as pairs of signs, as nothing there parts words.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", text)))
    found: list[str] = []
    for run in _RUN.findall(text):
        if run.isascii():
            found += [word.lower() for word in _CAMEL.findall(run)] if run.isalpha() else [run]
        elif _WITHOUT_SPACES.match(run):
            found += [run[at : at + 2] for at in range(max(1, len(run) - 1))]
        else:
            found.append(run.casefold())
    return found


@cache
def _word_costs() -> Mapping[str, float]:
    """Some 80,000 English words and how rare each is: -ln of its share. Read from symspellpy's list, once."""
    listed = (resources.files("symspellpy") / "frequency_dictionary_en_82_765.txt").read_text("utf-8-sig")
    counts = {word: int(count) for word, count in (line.split() for line in listed.splitlines())}
    total = sum(counts.values())
    return {word: math.log(total / count) for word, count in counts.items() if len(word) > 1 or word == "a"}


def is_english(word: str) -> bool:
    """Whether a lower-case word is one that people write, rather than two words in one."""
    return word in _word_costs()


def is_common(word: str) -> bool:
    """Whether a lower-case word is so common that it stands for itself, and abbreviates no other."""
    return _word_costs().get(word, math.inf) <= _COMMON_COST


@cache
def lexicon() -> Sequence[str]:
    """The lines of ``lexicon.txt`` without its comments."""
    text = (resources.files("mcp_server.knowledge") / "lexicon.txt").read_text("utf-8")
    return [line for line in (whole.partition("#")[0].strip() for whole in text.splitlines()) if line]


@cache
def usual_words() -> frozenset[str]:
    """Words of the lexicon that no dictionary has: the abbreviations that names are full of."""
    words = {word for line in lexicon() for word in line.replace(">", " ").split()}
    return frozenset(word for word in words if len(word) <= _LONGEST_ABBREVIATION and not is_english(word))


class Splitter:
    """Takes names apart into stems, with the words that the names of one schema are made of.

    symspellpy's own segmentation knows one vocabulary a process and takes seconds to read its list; here each schema
    has its own, so that a word of a table that is not granted never shapes how another table's name is read.

    Args:
        vocabulary: words that stand alone in the schema's names, with how often.

    Attributes:
        seen: all words that `stems` has taken stems of.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        total = sum(vocabulary.values()) + 1
        # a word that stands alone once or twice may itself be two words in one
        self._own = dict.fromkeys(usual_words(), _USUAL_COST)
        self._own |= {word: math.log(total / n) for word, n in vocabulary.items() if n >= 3 and len(word) >= 3}
        self._known: dict[str, tuple[str, ...]] = {}
        self.seen: set[str] = set()

    def words(self, word: str) -> tuple[str, ...]:
        """The words that one lower-case word of a name is made of; itself where it is one."""
        known = self._known.get(word)
        if known is None:
            known = self._known[word] = self._taken_apart(word)
        return known

    def stems(self, text: str) -> list[str]:
        """The stems of all words in a name or a sentence, in order."""
        words = [word for part in parts(text) for word in self.words(part)]
        self.seen.update(words)
        return [stem(word) for word in words]

    def _taken_apart(self, word: str) -> tuple[str, ...]:
        if not 6 <= len(word) <= _LONGEST_GLUED or not word.isascii() or word.isdecimal() or is_english(word):
            return (word,)
        english = _word_costs()
        best: list[tuple[float, tuple[str, ...]]] = [(0.0, ())]
        for end in range(1, len(word) + 1):
            choices: list[tuple[float, tuple[str, ...]]] = []
            for start in range(max(0, end - _LONGEST_WORD), end):
                piece = word[start:end]
                cost = min(
                    english.get(piece, math.inf),
                    self._own.get(piece, math.inf),
                    _UNKNOWN_COST + _UNKNOWN_COST_PER_LETTER * len(piece),
                )
                choices.append((best[start][0] + cost, (*best[start][1], piece)))
            best.append(min(choices))
        cost, pieces = best[-1]
        if cost > _UNKNOWN_COST * len(pieces) or any(len(piece) < 2 for piece in pieces):
            return (word,)
        return pieces


def vocabulary(names: Iterable[str]) -> dict[str, int]:
    """How many of `names` each word stands alone in."""
    counts: dict[str, int] = {}
    for name in names:
        for word in set(parts(name)):
            counts[word] = counts.get(word, 0) + 1
    return counts
