"""Foreign keys that nobody declared, by names, types and values. Pure: the values are looked up by whoever asks.

A guess begins with a name: the column is called as the key it points to, or as its table, or as both, with or without
a word before it (``winner_id``). It counts when the values bear it out. Between small whole numbers values prove
little, since 1, 2, 3 are in every such key; between texts and large numbers they prove much.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from executor.profiles import ColumnProfile, InferredKey, TableProfile
from executor.source_schema import Column, ForeignKey, SourceSchema, Table

MOST_CANDIDATES = 6
"""Keys that are looked into for one column."""

_MOST_ENTRIES = 40
"""Tables with a key of one name beyond which that name says nothing."""

_LEAST_FOUND = 0.9
"""Which share of a column's values must be found in a key."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_KEY_WORDS = frozenset(
    {"id", "code", "key", "no", "num", "nr", "number", "uid", "uuid", "guid", "ref", "fk", "pk", "iata", "sk"}
)
_NOISE = frozenset(
    {"tbl", "table", "dim", "fact", "ref", "the", "of", "in", "all", "data", "list", "info", "details", "t"}
)
_SAID_OF_ALL = frozenset(
    {
        "name",
        "title",
        "description",
        "type",
        "date",
        "time",
        "year",
        "status",
        "comment",
        "note",
        "text",
        "value",
        "rank",
    }
    | {"email", "phone", "address", "street", "gender", "sex", "age", "amount", "price", "total", "count", "position"}
    | {"label", "kind", "category", "color", "colour", "level", "url", "latitude", "longitude", "first", "last", "full"}
)
"""Words of columns that many tables have without meaning the same."""

_ADVISORY = frozenset({"sqlite", "mysql"})
"""Dialects that compare a text with a number as numbers, so that a declared type forbids nothing."""

_NUMBER = re.compile(r"int|serial|num|dec|^real$|double|float|^oid$|bit")
_TEXT = re.compile(r"char|text|string|clob|uuid|uniqueidentifier|enum|^name$")
_FLOAT = re.compile(r"real|double|float|money")
_TIME = re.compile(r"date|time|year|interval")

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Guess:
    """One column that may point to one key.

    Attributes:
        child: the table that points.
        column: its column.
        parent: the table of the key.
        key: its column.
        names: how much the names say for it, 0 to 1.
        words: the same for a reader.
    """

    child: Table
    column: Column
    parent: Table
    key: Column
    names: float
    words: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A column of a table whose values are there once."""

    table: Table
    column: Column
    declared: bool
    table_words: Words
    words: Words
    facts: ColumnProfile | None
    rows: int | None
    is_key: bool = True
    """False of a column whose values are there once, in a table with another key: only its own name leads to it."""


Found = Callable[[Guess], float | None]
"""Which share of the column's values is in the key; None where that cannot be told."""


def words_of(name: str) -> Words:
    """The words that a name is made of, in lower case and singular: ``StuIDs`` is stu, id."""
    return tuple(_singular(word.lower()) for word in _WORD.findall(name))


def infer_keys(
    schema: SourceSchema, profiles: Mapping[tuple[str, str], TableProfile], found: Found
) -> Iterator[InferredKey]:
    """The keys between the profiled tables that the schema does not declare, the tables in the schema's order."""
    tables = [t for t in schema.tables if (t.schema, t.name) in profiles]
    entries = _Entries(tables, profiles, is_advisory=schema.dialect in _ADVISORY)
    for table in tables:
        if table.kind == "view":
            continue  # its columns point where its tables' do
        profile = profiles[table.schema, table.name]
        facts = {column.name: column for column in profile.columns}
        declared = {name for key in table.foreign_keys for name in key.columns}
        for column in table.columns:
            if column.name in declared:
                continue
            best = _best(table, column, facts.get(column.name), entries, found)
            if best is not None:
                yield best


class _Entries:
    """The keys of all tables, found by the words of their names and of their tables' names."""

    def __init__(
        self, tables: Sequence[Table], profiles: Mapping[tuple[str, str], TableProfile], *, is_advisory: bool
    ) -> None:
        self.is_advisory = is_advisory
        self.declared: list[_Entry] = []
        self._by_name: dict[str, list[_Entry]] = defaultdict(list)
        self._by_word: dict[str, list[_Entry]] = defaultdict(list)
        self.own: dict[tuple[str, str], set[str]] = defaultdict(set)
        for table in tables:
            if table.kind == "view":
                continue
            for entry in _entries_of(table, profiles[table.schema, table.name]):
                self._by_name["".join(entry.words)].append(entry)
                if not entry.is_key:
                    continue
                self.own[table.schema, table.name].add(entry.column.name)
                if entry.declared:
                    self.declared.append(entry)
                for word in set(entry.table_words):
                    self._by_word[word].append(entry)
                self._by_word["".join(entry.table_words)].append(entry)
                noun = entry.table_words[-1]
                for begin in range(1, len(noun) - 3):
                    self._by_word[noun[begin:]].append(entry)

    def near(self, words: Words) -> list[_Entry]:
        """Entries that share their own name, or a word of their table's, with these words."""
        found: dict[int, _Entry] = {}
        for begin in range(len(words)):
            for entry in self._by_name.get("".join(words[begin:]), ()):
                found[id(entry)] = entry
            for end in range(begin + 1, min(len(words), begin + 3) + 1):
                for entry in self._by_word.get("".join(words[begin:end]), ()):
                    found[id(entry)] = entry
        return list(found.values()) if len(found) <= _MOST_ENTRIES * len(words) else []


def _entries_of(table: Table, profile: TableProfile) -> Iterator[_Entry]:
    facts = {column.name: column for column in profile.columns}
    table_words = tuple(w for w in words_of(table.name) if w not in _NOISE) or words_of(table.name)
    for column in table.columns:
        declared = table.primary_key == (column.name,)
        told = facts.get(column.name)
        words = words_of(column.name)
        if declared or (not table.primary_key and _is_once(told, profile) and _names_a_key(column.name, table_words)):
            yield _Entry(table, column, declared, table_words, words, told, profile.row_count)
        elif words and not set(words) & _SAID_OF_ALL and words != ("id",) and _is_once(told, profile):
            yield _Entry(table, column, declared, table_words, words, told, profile.row_count, is_key=False)


def _is_once(facts: ColumnProfile | None, profile: TableProfile) -> bool:
    if facts is None or facts.distinct is None or not profile.rows_read or facts.null_share:
        return False
    return facts.distinct >= (profile.row_count or profile.rows_read) * 0.999


def _names_a_key(name: str, table_words: Words) -> bool:
    words = words_of(name)
    return bool(words) and (words[-1] in _KEY_WORDS or "".join(words) == "".join(table_words))


def _best(
    table: Table, column: Column, facts: ColumnProfile | None, entries: _Entries, found: Found
) -> InferredKey | None:
    words = words_of(column.name)
    if not words or (facts is not None and facts.null_share == 1 and facts.distinct == 0):
        return None
    is_own_key = column.name in entries.own[table.schema, table.name]
    guesses: list[tuple[float, _Entry, str]] = []
    near = entries.near(words)
    for entry in near:
        if entry.table is table or not _comparable(column, facts, entry, is_advisory=entries.is_advisory):
            continue
        score, told = _names(words, table, entry, entries)
        if is_own_key and not _may_be_one_to_one(table, facts, entry, score):
            continue
        if score > 0:
            guesses.append((score, entry, told))
    if not guesses and not is_own_key and words[-1] in _KEY_WORDS:
        guesses = _strangers(table, column, facts, entries)
    guesses.sort(key=lambda guess: (-guess[0], not guess[1].declared, -(guess[1].rows or 0), guess[1].table.name))
    chosen: tuple[float, Guess, float | None] | None = None
    for score, entry, told in guesses[:MOST_CANDIDATES]:
        guess = Guess(table, column, entry.table, entry.column, score, told)
        share = found(guess)
        total = _total(score, share, facts, entry)
        if total >= 1 and (chosen is None or total > chosen[0]):
            chosen = (total, guess, share)
    if chosen is None:
        return None
    _, guess, share = chosen
    values = "values not compared" if share is None else f"{share:.0%} of its values found there"
    key = ForeignKey((column.name,), guess.parent.schema, guess.parent.name, (guess.key.name,))
    return InferredKey(table.schema, table.name, key, f"{guess.words}; {values}")


def _strangers(
    table: Table, column: Column, facts: ColumnProfile | None, entries: _Entries
) -> list[tuple[float, _Entry, str]]:
    """Keys that a column (``winner_id``) may mean though its name says only that it is a key: the values must tell."""
    if facts is None or facts.least is None or len(entries.declared) > _MOST_ENTRIES:
        return []
    return [
        (0.4, entry, f"a key without a table of its name, like {entry.table.name}.{entry.column.name}")
        for entry in entries.declared
        if entry.table is not table
        and entry.words[-1:] == words_of(column.name)[-1:]
        and _comparable(column, facts, entry, is_advisory=False)
    ]


def _total(score: float, share: float | None, facts: ColumnProfile | None, entry: _Entry) -> float:
    """At least 1 where names and values together are enough."""
    if share is None:
        return score + 0.2
    if share < _LEAST_FOUND:
        return 0.0
    return score + _weight(facts, entry) * share


def _weight(facts: ColumnProfile | None, entry: _Entry) -> float:
    """What it says that the values are there: little for a handful of small numbers, much for many texts."""
    distinct = (facts.distinct if facts is not None else None) or 0
    if distinct == 0:
        return 0.15
    if entry.rows is not None and _greatest(entry.facts) <= max(entry.rows * 2, 30):
        return 0.25 if distinct >= 3 else 0.2
    return 0.6 if distinct >= 3 else 0.45


def _greatest(facts: ColumnProfile | None) -> float:
    """The largest value, as a number; infinite where it is none."""
    try:
        return float(facts.greatest) if facts is not None and facts.greatest is not None else 0.0
    except ValueError:
        return float("inf")


def _names(words: Words, table: Table, entry: _Entry, entries: _Entries) -> tuple[float, str]:
    """How much the names say, and in words what they have in common."""
    own, target, key = "".join(words), "".join(entry.table_words), "".join(entry.words)
    shown = f"{entry.table.name}.{entry.column.name}"
    general = set(entry.words) <= _KEY_WORDS
    if not entry.is_key:
        return (0.55, f"same name as {shown}") if own == key and table.name != entry.table.name else (0.0, "")
    if general:
        # a key called "id": the column must name its table
        for tail in {target + key, target} if key else {target}:
            if own == tail:
                return 0.95, f"named as {shown}"
            if own.endswith(tail) and len(tail) > 2:
                return 0.8, f"its name ends in that of {shown}"
        return _by_table(words, entry, shown)
    if own == key:
        names_table = bool(set(entry.words) & set(entry.table_words)) or _abbreviates(entry.words, entry.table_words)
        is_key_word = bool(set(entry.words) & _KEY_WORDS)
        if names_table:
            return (0.95 if is_key_word else 0.85), f"same name as {shown}"
        return (0.8 if is_key_word else 0.55), f"same name as {shown}"
    if own.endswith(key) and len(entry.words) >= 1 and (len(entry.words) > 1 or len(key) > 3):
        return 0.8, f"its name ends in that of {shown}"
    if own in (target + key, target):
        return 0.85, f"named as {shown}"
    return _by_table(words, entry, shown)


def _by_table(words: Words, entry: _Entry, shown: str) -> tuple[float, str]:
    """A column that has the words of the table in its name, or ends as the key does."""
    bare = [w for w in words if w not in _KEY_WORDS]
    shared = [w for w in bare if w in entry.table_words]
    if len(bare) == 1 and len(bare[0]) > 2 and _is_head(bare[0], entry.table_words[-1]):
        return 0.78, f"named after table {entry.table.name}"
    if shared and "".join(entry.table_words) in "".join(bare):
        return 0.7, f"named after table {entry.table.name}"
    if shared and len(shared[-1]) > 2 and (shared[-1] == bare[-1] or len(shared) > 1):
        return 0.5, f"shares a word with table {entry.table.name}"
    return 0.0, ""


def _is_head(word: str, noun: str) -> bool:
    """Whether a word is the noun, or what the noun is a kind of (``hero`` of superhero)."""
    return word == noun or (len(word) > 3 and noun.endswith(word))


def _abbreviates(words: Words, table_words: Words) -> bool:
    """Whether a word of a key is the beginning of its table's name (``stu`` in student), or its initials."""
    initials = "".join(w[0] for w in table_words)
    joined = "".join(table_words)
    bare = [w for w in words if w not in _KEY_WORDS]
    return any((len(w) >= 2 and joined.startswith(w)) or w == initials for w in bare)


def _may_be_one_to_one(table: Table, facts: ColumnProfile | None, entry: _Entry, score: float) -> bool:
    """A key that is a key elsewhere, too, points from the table that is named after neither to the other."""
    bare = [w for w in entry.words if w not in _KEY_WORDS]
    if score < 0.8 or not bare or "".join(bare) == "".join(words_of(table.name)):
        return False
    if not (set(bare) & set(entry.table_words) or _abbreviates(entry.words, entry.table_words)):
        return False
    distinct = facts.distinct if facts is not None else None
    return distinct is None or entry.rows is None or distinct <= entry.rows


def _comparable(column: Column, facts: ColumnProfile | None, entry: _Entry, *, is_advisory: bool) -> bool:
    """Whether values of one type may be in the other, and the least and greatest lie within the key's."""
    mine, theirs = _family(column.type), _family(entry.column.type)
    if mine == "other" or theirs == "other":
        return False
    if mine != theirs and "any" not in (mine, theirs):
        return is_advisory
    if facts is None or entry.facts is None or mine != "number":
        return True
    try:
        least, greatest = float(facts.least or ""), float(facts.greatest or "")
        low, high = float(entry.facts.least or ""), float(entry.facts.greatest or "")
    except ValueError:
        return True
    if entry.facts.approximate or facts.approximate:
        return greatest >= low
    return high >= least and (least >= low or greatest <= high)


def _family(kind: str) -> str:
    kind = kind.lower()
    if not kind:
        return "any"
    if _TIME.search(kind):
        return "other"
    if _TEXT.search(kind):
        return "text"
    if _NUMBER.search(kind) or _FLOAT.search(kind):
        return "number"
    return "other"


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if len(word) > 2 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
