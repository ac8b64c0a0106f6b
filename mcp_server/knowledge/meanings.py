"""A glossary held to a source's tables, and what of it one caller may read. Knows no protocol.

A figure or a condition is read by whoever could run it: its SQL goes past the guard under the caller's grant. A note is
read by whoever sees its table and column. And no entry is told whose words name a table or a column that is hidden from
the caller.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from executor import Limits, SourceSchema, Table
from mcp_server.bounds import json_length
from mcp_server.knowledge.glossary import Filter, Glossary, Metric, TableNote, Term, read_glossary
from mcp_server.knowledge.words import FUNCTION_WORDS, parts, stem
from mcp_server.policy import Grant, TableGrant
from mcp_server.sql import StatementRefused, check
from mcp_server.tables import matching, shown_name, visible

GLOSSARY_CHARS = 4_000
"""The most characters of a glossary in one answer."""

_WHOLE = Grant(others=TableGrant(), version="glossary")
_KEPT = 256
_WORD = re.compile(r"\w+", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """One entry that a caller may read.

    Attributes:
        kind: ``term``, ``metric``, ``filter`` or ``note``.
        told: JSON-ready, as an answer shows it.
        tables: what it is about, by schema and name; none: the whole source.
        phrases: its name and its synonyms.
        text: a note's, in sentences.
    """

    kind: str
    told: dict[str, Any]
    tables: frozenset[tuple[str, str]]
    phrases: tuple[str, ...]
    text: str = ""


class Meanings:
    """The glossary of one source."""

    def __init__(self, glossary: Glossary) -> None:
        self._glossary = glossary
        self._lock = Lock()
        self._problems: tuple[SourceSchema, list[str]] | None = None
        self._seen: OrderedDict[tuple[int, str], tuple[SourceSchema, tuple[Meaning, ...]]] = OrderedDict()

    def problems(self, schema: SourceSchema) -> list[str]:
        """What the glossary names and the source has not, one line an entry."""
        kept = self._problems
        if kept is None or kept[0] is not schema:
            kept = self._problems = (schema, self._found_wrong(schema))
        return kept[1]

    def _found_wrong(self, schema: SourceSchema) -> list[str]:
        told: list[str] = []
        for term in self._glossary.terms:
            told += [f"term {term.name}: {_no_table(name)}" for name in term.tables if not matching(name, schema)]
        for entry in (*self._glossary.metrics, *self._glossary.filters):
            wrong = _refused(entry.statement, schema, _WHOLE)
            if wrong is not None:
                kind = "metric" if isinstance(entry, Metric) else "filter"
                told.append(f"{kind} {entry.name}: {wrong.message} {wrong.hint}".strip())
        for name, note in self._glossary.tables.items():
            tables = matching(name, schema)
            if not tables:
                told.append(f"tables: {_no_table(name)}")
                continue
            columns = {column.name.lower() for table in tables for column in table.columns}
            told += [f"table {name}: there is no column {c}" for c in note.columns if c.lower() not in columns]
        return told

    def seen(self, schema: SourceSchema, grant: Grant) -> tuple[Meaning, ...]:
        """The entries that fit the source and that `grant` lets its caller read."""
        key = (id(schema), grant.hash())
        with self._lock:
            kept = self._seen.get(key)
            if kept is not None and kept[0] is schema:
                return kept[1]
            found = tuple(_seen(self._glossary, schema, grant))
            self._seen[key] = (schema, found)
            while len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
            return found


def about(
    meanings: Sequence[Meaning],
    *,
    tables: Iterable[tuple[str, str]],
    keywords: Sequence[str] = (),
    max_chars: int = GLOSSARY_CHARS,
) -> list[dict[str, Any]]:
    """The entries about `tables` or named in `keywords`, those that are named first, as many as fit."""
    wanted = set(tables)
    asked = {stem for text in keywords for stem in _stems(text)}
    named = [m for m in meanings if any(stem in asked for phrase in m.phrases for stem in _stems(phrase))]
    told = {id(m): m for m in named}
    told |= {id(m): m for m in meanings if not m.tables or m.tables & wanted}
    lines: list[dict[str, Any]] = []
    used = 2
    for meaning in told.values():
        used += json_length(meaning.told) + 2
        if used > max_chars:
            break
        lines.append(meaning.told)
    return lines


class Glossaries:
    """The glossaries of all sources, by source."""

    def __init__(self, glossaries: Mapping[str, Glossary] | None = None) -> None:
        self._of = {source: Meanings(glossary) for source, glossary in (glossaries or {}).items()}

    @classmethod
    def read(cls, paths: Mapping[str, Path]) -> Glossaries:
        """Those of the files. Raises as `read_glossary`."""
        return cls({source: read_glossary(path) for source, path in paths.items()})

    def become(self, other: Glossaries) -> None:
        """From now on those of `other` are the ones that count, wherever this object is in use."""
        vars(self).update(vars(other))

    def of(self, source: str) -> Meanings | None:
        """The source's own, where it has one."""
        return self._of.get(source)


def _seen(glossary: Glossary, schema: SourceSchema, grant: Grant) -> Iterable[Meaning]:
    shown = visible(schema, grant)
    hidden = _hidden(schema, shown)
    found = [
        *(_term(term, shown) for term in glossary.terms),
        *(_computed(entry, schema, grant) for entry in (*glossary.metrics, *glossary.filters)),
        *(_note(name, note, shown) for name, note in glossary.tables.items()),
    ]
    for meaning in found:
        if meaning is not None and not _names(str(meaning.told).lower(), hidden):
            yield meaning


def _names(text: str, hidden: set[str]) -> bool:
    """Whether one of `hidden` stands in the text, as a word or, where it is no word, anywhere."""
    return bool(hidden & set(_words(text))) or any(name in text for name in hidden if not name.isidentifier())


def _hidden(schema: SourceSchema, shown: SourceSchema) -> set[str]:
    """The words that only hidden tables and columns are named with."""
    if schema is shown:
        return set()

    def names(tables: Iterable[Table]) -> set[str]:
        return {n.lower() for t in tables for n in (t.name, *(column.name for column in t.columns))}

    return names(schema.tables) - names(shown.tables)


def _term(term: Term, shown: SourceSchema) -> Meaning | None:
    tables = [matching(name, shown) for name in term.tables]
    if not all(tables):
        return None
    told: dict[str, Any] = {"term": term.name, "means": term.means}
    return _meaning("term", told, term.name, term.synonyms, (table for some in tables for table in some))


def _computed(entry: Metric | Filter, schema: SourceSchema, grant: Grant) -> Meaning | None:
    try:
        statement = check(entry.statement, source_schema=schema, grant=grant, limits=Limits())
    except StatementRefused:
        return None
    read = {f"{table.schema}.{table.name}": table for table in schema.tables}
    kind = "metric" if isinstance(entry, Metric) else "filter"
    told: dict[str, Any] = {kind: entry.name, "sql": entry.sql}
    told |= {"from": entry.source} if isinstance(entry, Metric) else {"table": entry.table}
    told |= {"means": entry.means} if entry.means else {}
    tables = (read[name] for name in statement.tables if name in read)
    return _meaning(kind, told, entry.name, entry.synonyms, tables)


def _note(name: str, note: TableNote, shown: SourceSchema) -> Meaning | None:
    tables = matching(name, shown)
    if not tables:
        return None
    there = {column.name.lower() for table in tables for column in table.columns}
    columns = {name: column for name, column in note.columns.items() if name.lower() in there}
    told: dict[str, Any] = {"table": shown_name(tables[0], shown) if len(tables) == 1 else name}
    told |= {"note": note.note} if note.note else {}
    noted = {
        name: column.note + (f" Also called {', '.join(column.synonyms)}." if column.synonyms else "")
        for name, column in columns.items()
    }
    told |= {"columns": {name: text.strip() for name, text in noted.items() if text}} if any(noted.values()) else {}
    synonyms = [word for column in columns.values() for word in column.synonyms]
    text = " ".join([note.note, *(column.note for column in columns.values())]).strip()
    return _meaning("note", told, name, note.synonyms, tables, also=synonyms, text=text)


def _meaning(
    kind: str,
    told: dict[str, Any],
    name: str,
    synonyms: Sequence[str],
    tables: Iterable[Table],
    *,
    also: Sequence[str] = (),
    text: str = "",
) -> Meaning:
    if synonyms:
        told["synonyms"] = list(synonyms)
    keys = frozenset((table.schema, table.name) for table in tables)
    return Meaning(kind, told, keys, (name, *synonyms, *also), text)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _stems(text: str) -> list[str]:
    """Of the words that say something."""
    return [stem(word) for word in parts(text) if len(word) > 2 and word not in FUNCTION_WORDS]


def _refused(sql: str, schema: SourceSchema, grant: Grant) -> StatementRefused | None:
    try:
        check(sql, source_schema=schema, grant=grant, limits=Limits())
    except StatementRefused as refused:
        return refused
    return None


def _no_table(name: str) -> str:
    return f"there is no table {name}"
