"""Which verified queries help with a question: found by words and by tables, and only what the caller could run."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from executor import Limits, SourceSchema
from mcp_server.bounds import cut_json, json_length
from mcp_server.knowledge.verified import VerifiedQuery
from mcp_server.policy import Grant
from mcp_server.sql import StatementRefused, check

MOST_SHOWN = 3
SQL_CHARS = 1_500
"""A longer statement is no example."""

EXAMPLES_CHARS = 12_000
"""All together, as JSON."""

_MOST_TRIED = 12
"""Found ones that are taken past the guard until `MOST_SHOWN` got through."""

_WORD = re.compile(r"[^\W_]+")
_TABLE_WEIGHT = 1.0


def best(
    queries: Sequence[VerifiedQuery], keywords: Sequence[str], *, tables: Collection[str] = ()
) -> list[VerifiedQuery]:
    """Those of `queries` that have words of `keywords` or read some of `tables`, the likest first.

    Words are weighed by BM25 over the question and the names in the SQL; each table in common counts on top.

    Args:
        queries: to look through.
        keywords: texts: words, or a question.
        tables: ``schema.table`` of those that the question is taken to be about.
    """
    words = list(dict.fromkeys(word.lower() for text in keywords for word in _WORD.findall(text)))[:60]
    scores = dict.fromkeys(range(len(queries)), 0.0)
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute("CREATE VIRTUAL TABLE q USING fts5(question, sql, tokenize = 'porter unicode61')")
        rows = ((number, q.question, " ".join(_WORD.findall(q.sql))) for number, q in enumerate(queries))
        index.executemany("INSERT INTO q(rowid, question, sql) VALUES (?, ?, ?)", rows)
        asked = " OR ".join(f'"{word}"' for word in words)
        if asked:
            told = index.execute("SELECT rowid, bm25(q, 3.0, 1.0) FROM q WHERE q MATCH ?", (asked,))
            scores |= {number: -score for number, score in told}
    wanted = set(tables)
    for number, query in enumerate(queries):
        common = wanted & set(query.tables)
        if common and (scores[number] or not words):
            scores[number] += _TABLE_WEIGHT * len(common) / len(wanted | set(query.tables))
    found = sorted((number for number, score in scores.items() if score > 0), key=lambda number: -scores[number])
    return [queries[number] for number in found]


def examples(
    queries: Sequence[VerifiedQuery],
    keywords: Sequence[str],
    *,
    schema: SourceSchema,
    grant: Grant,
    tables: Collection[str] = (),
) -> list[dict[str, Any]]:
    """At most `MOST_SHOWN` for an answer: question, SQL, by whom and when it was verified.

    One whose columns are something else by now, or that `grant` would not let run, does not exist here.
    """
    verified = [q for q in queries if q.state == "verified" and len(q.sql) <= SQL_CHARS]
    shown: list[dict[str, Any]] = []
    for query in best(verified, keywords, tables=tables)[:_MOST_TRIED]:
        if not query.changes(schema) and _may_run(query, schema, grant):
            example = {
                "question": cut_json(query.question, 1_000),
                "sql": query.sql,
                "verified_by": query.reviewed_by,
                "verified_at": _day(query.reviewed_at),
            }
            if json_length([*shown, example]) <= EXAMPLES_CHARS:
                shown.append(example)
        if len(shown) == MOST_SHOWN:
            break
    return shown


def _may_run(query: VerifiedQuery, schema: SourceSchema, grant: Grant) -> bool:
    try:
        check(query.sql, source_schema=schema, grant=grant, limits=Limits())
    except StatementRefused:
        return False
    return True


def _day(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
