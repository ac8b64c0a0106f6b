"""An index of the distinct values of a source's columns, in one SQLite file that is written once. Knows no policy.

Texts are indexed by their words (FTS5, porter) and by their trigrams, for other spellings; each text once, however many
columns hold it. A search looks only among the columns it is given, before anything is ranked or cut.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mcp_server.knowledge.likeness import Asked, normal, stem, trigrams

SEARCH_S = 2.0
"""A search ends after this with what it found until then."""

_CANDIDATES = 300
_WORDS_AT_MOST = 24
_TRIGRAMS_AT_MOST = 60
_STEPS = 20_000

ColumnName = tuple[str, str, str]
"""Schema, table, column."""

_TABLES = """
CREATE TABLE columns (id INTEGER PRIMARY KEY, schema TEXT, name TEXT, col TEXT);
CREATE TABLE texts (id INTEGER PRIMARY KEY, plain TEXT UNIQUE);
CREATE TABLE held (text_id INTEGER, column_id INTEGER, value TEXT, rows INTEGER);
CREATE VIRTUAL TABLE by_word USING fts5(plain, content='', tokenize='porter unicode61', detail=none);
CREATE VIRTUAL TABLE by_trigram USING fts5(plain, content='', tokenize='trigram', detail=none);
"""


@dataclass(frozen=True, slots=True)
class ValueHit:
    """A stored value: where it is, in how many of the rows read, and how well it fits (see `Asked.likeness`)."""

    column: ColumnName
    value: str
    rows: int
    score: float


class IndexWriter:
    """Writes a new index to `path`, an empty file. A context manager; the file is whole after `finish`."""

    def __init__(self, path: Path) -> None:
        self._made = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._made.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES + "BEGIN;")
        self._ids: dict[ColumnName, int] = {}

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._made.close()

    def finish(self) -> None:
        """Makes what searches need; nothing can be added any more."""
        for sql in (
            "CREATE INDEX held_text ON held (text_id)",
            "INSERT INTO by_word (rowid, plain) SELECT id, plain FROM texts",
            "INSERT INTO by_trigram (rowid, plain) SELECT id, plain FROM texts",
            "COMMIT",
        ):
            self._made.execute(sql)

    def add(self, column: ColumnName, values: Iterable[tuple[str, int]]) -> None:
        """Adds values of a column, and in how many rows each is."""
        number = self._ids.get(column)
        if number is None:
            number = self._ids[column] = len(self._ids) + 1
            self._made.execute("INSERT INTO columns VALUES (?, ?, ?, ?)", (number, *column))
        told = [(normal(value) or value.strip(), value, rows) for value, rows in values]
        self._made.executemany("INSERT OR IGNORE INTO texts (plain) VALUES (?)", [(plain,) for plain, *_ in told])
        self._made.executemany(
            "INSERT INTO held SELECT id, ?, ?, ? FROM texts WHERE plain = ?",
            [(number, value, rows, plain) for plain, value, rows in told],
        )


class ValueIndex:
    """One index, opened to be read. Each search has a connection of its own: any thread may search."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._open()) as opened:
            self.columns: dict[ColumnName, int] = {
                (schema, name, col): number
                for number, schema, name, col in opened.execute("SELECT id, schema, name, col FROM columns")
            }

    def search(self, text: str, columns: Sequence[ColumnName], *, limit: int) -> list[ValueHit]:
        """The values of `columns` that fit `text` best, the best first; see `ranked`."""
        wanted = {self.columns[column]: column for column in columns if column in self.columns}
        asked = Asked(text)
        if not wanted or not (asked.normal or text.strip()):
            return []
        with closing(self._open()) as opened:
            until = time.monotonic() + SEARCH_S
            opened.set_progress_handler(lambda: int(time.monotonic() > until), _STEPS)
            opened.execute("CREATE TEMP TABLE wanted (id INTEGER PRIMARY KEY)")
            opened.executemany("INSERT INTO wanted VALUES (?)", [(number,) for number in wanted])
            found: set[int] = set()
            for sql, arguments in _queries(asked):
                try:
                    found.update(number for (number, *_) in opened.execute(sql, arguments))
                except sqlite3.OperationalError:  # its time is over
                    break
            opened.set_progress_handler(None, 0)
            names = {number: _stems_of(column) for number, column in wanted.items()}
            hits: list[ValueHit] = []
            numbers = list(found)
            for begin in range(0, len(numbers), 500):
                some = numbers[begin : begin + 500]
                marks = ",".join("?" * len(some))
                rows = opened.execute(
                    "SELECT column_id, value, rows FROM held JOIN wanted ON wanted.id = column_id"  # noqa: S608
                    f" WHERE text_id IN ({marks})",
                    some,
                )
                hits += [
                    ValueHit(wanted[number], value, count, asked.likeness(value, names[number]))
                    for number, value, count in rows
                ]
        return ranked(hits, limit=limit)

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._path}?mode=ro&immutable=1", uri=True, check_same_thread=False)


def ranked(hits: Iterable[ValueHit], *, limit: int) -> list[ValueHit]:
    """The best hits; of texts that are not what was asked for, at most three columns each."""
    seen: dict[str, int] = {}
    chosen: list[ValueHit] = []
    for hit in sorted(hits, key=lambda hit: (-hit.score, len(hit.value), -hit.rows, hit.value, hit.column)):
        plain = normal(hit.value)
        seen[plain] = seen.get(plain, 0) + 1
        if hit.score > 0 and (seen[plain] <= 3 or hit.score >= 3.5):
            chosen.append(hit)
            if len(chosen) >= limit:
                break
    return chosen


def _queries(asked: Asked) -> Iterable[tuple[str, list[str]]]:
    """Statements whose first column is the number of a text, the surest first."""
    spans = list(asked.spans) if asked.is_question else [asked.normal]
    exact = list(dict.fromkeys([asked.normal or asked.text.strip(), *asked.quoted, *spans]))[:600]
    yield (
        "SELECT t.id FROM texts t WHERE t.plain IN (SELECT value FROM json_each(?)) AND EXISTS"
        " (SELECT 1 FROM held JOIN wanted ON wanted.id = column_id WHERE text_id = t.id)",
        [json.dumps(exact)],
    )
    words = (asked.telling or asked.words)[:_WORDS_AT_MOST]
    if not asked.is_question and len(words) > 1:
        yield _matching("by_word", " AND ".join(map(_quoted, words)))
    for span in asked.quoted:
        yield _matching("by_word", " AND ".join(map(_quoted, span.split())))
    if words:
        yield _matching("by_word", " OR ".join(map(_quoted, words)))
    for text in asked.quoted if asked.is_question else [asked.normal]:
        grams = [gram for gram in _inner(text) if len(gram) == 3][:_TRIGRAMS_AT_MOST]
        if grams:
            yield _matching("by_trigram", " OR ".join(map(_quoted, grams)))


def _matching(table: str, match: str) -> tuple[str, list[str]]:
    return (
        f"SELECT DISTINCT f.rowid, f.rank FROM {table} f JOIN held ON held.text_id = f.rowid"  # noqa: S608 - two names
        f" JOIN wanted ON wanted.id = held.column_id WHERE {table} MATCH ? ORDER BY f.rank LIMIT {_CANDIDATES}",
        [match],
    )


def _inner(text: str) -> list[str]:
    return [text[i : i + 3] for i in range(len(text) - 2)] or sorted(trigrams(text))


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _stems_of(column: ColumnName) -> set[str]:
    return {stem(word) for name in column[1:] for word in normal(name.replace("_", " ")).split()}
