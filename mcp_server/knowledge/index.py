"""The search index of one source schema as one caller sees it: asked words -> tables, best first.

A full-text index such as SQLite's FTS5 gives one figure a document. What finds *all* tables of a question
needs more: which field a word is in, what share of a table's name was asked for, what the tables around it answer. So
the postings are plain dictionaries, built in memory from the schema that `visible` left, for nobody else: words, their
rarity and the ways to take names apart come from nothing that is not granted.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from executor import SourceProfile, SourceSchema, Table
from mcp_server.knowledge.expansion import Expansion
from mcp_server.knowledge.groups import groups
from mcp_server.knowledge.keys import Joins, TableKey
from mcp_server.knowledge.words import ASKING_WORDS, FUNCTION_WORDS, Splitter, parts, stem, vocabulary


@dataclass(frozen=True, slots=True)
class Weights:
    """What a match counts, by where it is, and how tables lift each other."""

    name: float = 1.6
    name_of_several: float = 0.8
    """In a name of several words, as a share of `name`."""
    column: float = 1.0
    column_of_several: float = 0.9
    comment: float = 1.1
    said: float = 1.4
    """For all words of a glossary's phrase together."""
    value: float = 0.6
    schema: float = 0.6
    whole_name: float = 3.0
    """For a table whose name was asked for in full; less by the square of the share that was."""
    group: float = 1.5
    """How much what a table's group answers counts beside what the table itself does."""
    length: float = 0.2
    """How much a larger group must answer more, 0 to 1."""
    asking: float = 0.2
    """What ``order``, ``number`` and the like count in a sentence; a keyword of its own counts in full."""
    neighbour: float = 0.5
    """What a table takes over of its best neighbour by a key."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a glossary says of some tables.

    Attributes:
        phrases: names that people have for them or for what is in them.
        text: what they mean, in sentences.
        tables: which ones.
    """

    phrases: tuple[str, ...]
    text: str
    tables: frozenset[TableKey]


_Key = TypeVar("_Key", str, int)

WEIGHTS = Weights()
_KEYWORD_WORDS = 3
"""Words of the longest keyword that is no sentence."""
_CONSIDERED = 200
"""Of so many tables, the best by their own words, the surroundings are looked at."""
_NAMED_TOGETHER = 3
"""Tables of a group that count for having been asked for by name."""
_SATURATION = 1.2
_LENGTH = 0.5
"""The usual constants of BM25 for comments, which are sentences; names are not long enough to need them."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """What each table counts for one asked word, by position, and how much the word says between groups."""

    matches: Mapping[int, float]
    rarity: float


class SchemaIndex:
    """The words of a schema's tables.

    Args:
        schema: only what the caller may see.
        profile: only of what the caller may see.
        said: likewise.
    """

    def __init__(
        self,
        schema: SourceSchema,
        profile: SourceProfile | None = None,
        said: Sequence[Said] = (),
        *,
        weights: Weights = WEIGHTS,
    ) -> None:
        self.schema = schema
        self.profile = profile
        self.joins = Joins(schema, profile)
        self._weights = weights
        self._at = {(t.schema, t.name): i for i, t in enumerate(schema.tables)}
        self._said: dict[TableKey, list[Said]] = defaultdict(list)
        for one in said:
            for key in one.tables:
                self._said[key].append(one)
        names = [n for t in schema.tables for n in (t.name, *(c.name for c in t.columns))]
        self._splitter = Splitter(vocabulary(names))
        self._names = [frozenset(self._splitter.stems(t.name)) for t in schema.tables]
        self._postings = self._posted()
        self._named: dict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(self._names):
            for word in name:
                self._named[word].append(i)
        self._expansion = Expansion(self._splitter.seen)
        self._near = [tuple(self._at[key] for key in self.joins.neighbours((t.schema, t.name))) for t in schema.tables]
        self._group_of: list[int] = []
        self._members: list[list[int]] = []
        self._set_groups()

    def ranked(self, keywords: Sequence[str], *, limit: int) -> list[Table]:
        """The `limit` tables that fit `keywords` (words, phrases or whole questions) best, the best first.

        Fewer where fewer have to do with them, by their own words or those of the tables they belong with.
        """
        scores = self._scores(self._asked(keywords))
        best = heapq.nsmallest(limit, ((-score, i) for i, score in scores.items()))
        return [self.schema.tables[i] for _, i in best]

    def _asked(self, keywords: Sequence[str]) -> dict[str, float]:
        """The words to look up and what each counts: two glued ones as one and apart, those of one stem once."""
        found: dict[str, float] = {}
        for keyword in keywords:
            words = parts(keyword)
            asking = 1.0 if len(words) <= _KEYWORD_WORDS else self._weights.asking
            for word in words:
                if word not in FUNCTION_WORDS:
                    _raise(found, word, asking if word in ASKING_WORDS else 1.0)
            for pair in (one + other for one, other in pairwise(words)):
                if pair in self._expansion:
                    _raise(found, pair, 1.0)
        for word in [word for word in found if word not in self._expansion]:
            for part in self._splitter.words(word):
                _raise(found, part, found[word])
        by_stem: dict[str, str] = {}
        for word in found:
            by_stem.setdefault(stem(word), word)
        return {word: found[word] for word in by_stem.values()}

    def _scores(self, asked: Mapping[str, float]) -> dict[int, float]:
        """The scores of the tables that could be among the best, by position."""
        own: dict[int, float] = {}
        stems: dict[str, float] = {}
        answered: list[_Answered] = []
        for word, counts in asked.items():
            meant = self._expansion.of(word)
            for found, sureness in meant.items():
                _raise(stems, found, sureness * counts)
            matches = self._matches(meant)
            if not matches:
                continue
            rarity = counts * _rarity(len(matches), len(self._names))
            for i, weight in matches.items():
                own[i] = own.get(i, 0.0) + rarity * weight
            groups_having = len({self._group_of[i] for i in matches})
            answered.append(_Answered(matches, counts * _rarity(groups_having, len(self._members))))
        named = self._named_scores(stems)
        for i, score in named.items():
            own[i] = own.get(i, 0.0) + score
        return self._lifted(own, answered, named)

    def _matches(self, meant: Mapping[str, float]) -> Mapping[int, float]:
        """What each table counts for one asked word: its best match among the stems that the word may mean."""
        if len(meant) == 1 and 1.0 in meant.values():
            return self._postings[next(iter(meant))]
        matches: dict[int, float] = {}
        for found, sureness in meant.items():
            for i, weight in self._postings[found].items():
                if matches.get(i, 0.0) < weight * sureness:
                    matches[i] = weight * sureness
        return matches

    def _named_scores(self, stems: Mapping[str, float]) -> dict[int, float]:
        """What tables score for the share of their names that was asked for."""
        shares: dict[int, float] = {}
        for word, sureness in stems.items():
            for i in self._named.get(word, ()):
                shares[i] = shares.get(i, 0.0) + sureness / len(self._names[i])
        return {i: self._weights.whole_name * share * share for i, share in shares.items()}

    def _lifted(
        self, own: Mapping[int, float], answered: Sequence[_Answered], named: Mapping[int, float]
    ) -> dict[int, float]:
        """The scores of the best tables and of those around them, with what groups and neighbours add."""
        weights = self._weights
        lifts: dict[int, float] = {}
        best = heapq.nlargest(_CONSIDERED, own, key=own.__getitem__)
        for group in {self._group_of[i] for i in best}:
            members = self._members[group]
            lift = weights.group * self._group_score(members, answered, named) / self._length[group]
            for i in members:
                _raise(lifts, i, lift)
        scores: dict[int, float] = {}
        for i, lift in lifts.items():
            best_near = max((own[n] for n in self._near[i] if n in own), default=0.0)
            scores[i] = own.get(i, 0.0) + weights.neighbour * best_near + lift
        return scores

    def _group_score(self, members: Sequence[int], answered: Sequence[_Answered], named: Mapping[int, float]) -> float:
        """What the tables of a group say together: each asked word counts once, for the table that says it best."""
        said = sum(one.rarity * max([one.matches.get(i, 0.0) for i in members]) for one in answered)
        return said + sum(heapq.nlargest(_NAMED_TOGETHER, (named[i] for i in members if i in named)))

    def _posted(self) -> dict[str, dict[int, float]]:
        """Each stem with the tables that have it and the most that it counts there."""
        weights = self._weights
        stems = self._splitter.stems
        comments = [_counted(stems(self._sentences(table))) for table in self.schema.tables]
        usual = sum(sum(c.values()) for c in comments) / max(1, sum(1 for c in comments if c))
        values = self._values()
        posted: dict[str, dict[int, float]] = defaultdict(dict)
        for i, table in enumerate(self.schema.tables):
            found: dict[str, float] = dict.fromkeys(stems(table.schema), weights.schema)
            for word, count in comments[i].items():
                length = 1 - _LENGTH + _LENGTH * sum(comments[i].values()) / usual
                _raise(found, word, weights.comment * count * (_SATURATION + 1) / (count + _SATURATION * length))
            key = (table.schema, table.name)
            for word in stems(" ".join(values.get(key, ()))):
                _raise(found, word, weights.value)
            for phrase in (phrase for one in self._said.get(key, ()) for phrase in one.phrases):
                words = stems(phrase)
                for word in words:
                    _raise(found, word, weights.said / len(words))
            for column in table.columns:
                words = stems(column.name)
                for word in words:
                    _raise(found, word, weights.column * (1.0 if len(words) == 1 else weights.column_of_several))
            several = len(self._names[i]) > 1
            for word in self._names[i]:
                _raise(found, word, weights.name * (weights.name_of_several if several else 1.0))
            for word, weight in found.items():
                posted[word][i] = weight
        return dict(posted)

    def _sentences(self, table: Table) -> str:
        """What the schema and the glossary say of the table and its columns in sentences."""
        notes = (one.text for one in self._said.get((table.schema, table.name), ()))
        return " ".join([table.comment, *(column.comment for column in table.columns), *notes])

    def _values(self) -> dict[TableKey, list[str]]:
        """The enum values of each profiled table."""
        if self.profile is None:
            return {}
        return {(t.schema, t.name): [v for c in t.columns for v in c.values] for t in self.profile.tables}

    def _set_groups(self) -> None:
        seen: dict[int, int] = {}
        for members in groups(self.schema, self.joins):
            group = seen.get(id(members))
            if group is None:
                group = seen[id(members)] = len(self._members)
                self._members.append(members)
            self._group_of.append(group)
        sizes = [sum(len(self.schema.tables[i].columns) + 3 for i in members) for members in self._members]
        usual = sum(sizes) / max(1, len(sizes))
        length = self._weights.length
        self._length = [1 - length + length * size / usual for size in sizes]


def _rarity(having: int, of: int) -> float:
    """How much a word says that `having` of `of` have: BM25's inverse document frequency."""
    return math.log(1 + (of - having + 0.5) / (having + 0.5))


def _counted(words: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return counts


def _raise(found: dict[_Key, float], key: _Key, weight: float) -> None:
    if found.get(key, 0.0) < weight:
        found[key] = weight
