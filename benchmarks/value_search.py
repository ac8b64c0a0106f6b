"""How often the value that a question means is among the first ten that a search of values finds.

    python benchmarks/value_search.py QUESTIONS_JSONL DB_ROOT [--misses]

QUESTIONS_JSONL has a question a line (question, evidence, db, dialect, gold_sql); DB_ROOT has ``<db>/<db>.sqlite``.
Every database is profiled by a real worker and indexed as the server does it. Looked for are the string literals that
the gold SQL compares a column with (=, <>, IN), where a column of the database holds them; each is searched as it is,
in upper case, with a letter missing, and by the whole question (with its evidence, and without). Found means a hit of
the same text, letters' case aside; "in its column" that the hit is in a column of the name that the SQL compares.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from executor import Executor, ExecutorSettings, WorkerFleet, open_broker, signing_keys
from mcp_server.knowledge.value_files import ValueFiles

FIRST = 10


def literals(sql: str) -> Iterator[tuple[str, str]]:
    """Column and text of each comparison of a column with a text."""
    tree = sqlglot.parse_one(sql, dialect="sqlite")
    for node in tree.find_all(exp.EQ, exp.NEQ, exp.In):
        column = node.this if isinstance(node.this, exp.Column) else node.args.get("expression")
        others = node.expressions if isinstance(node, exp.In) else [node.this, node.expression]
        if not isinstance(column, exp.Column):
            continue
        for other in others:
            if isinstance(other, exp.Literal) and other.is_string:
                yield column.name.lower(), other.this


def is_held(connection: sqlite3.Connection, column: str, text: str) -> bool:
    """Whether a column of that name holds the text: a gold answer may ask for what is not there."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        names = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        for name in names:
            if (
                name.lower() == column
                and connection.execute(
                    f'SELECT 1 FROM "{table}" WHERE "{name}" = ? AND typeof("{name}") = \'text\' LIMIT 1',
                    (text,),
                ).fetchone()
            ):
                return True
    return False


async def measured(questions: list[dict[str, Any]], root: Path, *, misses: bool) -> None:
    names = sorted({q["db"] for q in questions})
    found: dict[str, list[int]] = defaultdict(list)
    in_column: dict[str, list[int]] = defaultdict(list)
    took: list[float] = []
    with tempfile.TemporaryDirectory() as home:
        sources = {f"db_{n}": {"kind": "sqlite", "path": root / n / f"{n}.sqlite"} for n in names}
        settings = ExecutorSettings.model_validate({"state_dir": home, "sources": sources})
        keys = signing_keys(settings)
        with open_broker(settings) as url, WorkerFleet(settings, url, 1):
            async with Executor(settings, url, keys) as executor:
                files = ValueFiles(executor)
                for name in names:
                    source = f"db_{name}"
                    schema = await executor.source_schema(source, wait_s=60)
                    tables = {(t.schema, t.name) for t in schema.tables}
                    job = await executor.profile(source, tables)
                    await executor.wait(job.id, owner=job.owner, timeout_s=900)
                    profile = await executor.source_profile(source, tables=tables)
                    index = await files.index(profile, wait_s=600)
                    assert index is not None
                    columns = list(index.columns)
                    with closing(sqlite3.connect(sources[source]["path"])) as connection:
                        wanted = {
                            (q["question"], q.get("evidence") or "", column, text)
                            for q in questions
                            if q["db"] == name
                            for column, text in literals(q["gold_sql"][0])
                            if text.strip() and is_held(connection, column, text)
                        }
                    for question, evidence, column, text in sorted(wanted):
                        ways = {
                            "as it is": text,
                            "upper case": text.upper(),
                            "a letter missing": text[:2] + text[3:] if len(text) > 4 else text.lower(),
                            "question and evidence": f"{question} {evidence}",
                            "question alone": question,
                        }
                        for way, asked in ways.items():
                            began = time.perf_counter()
                            hits = index.search(asked, columns, limit=FIRST)
                            took.append(time.perf_counter() - began)
                            same = [hit for hit in hits if hit.value.lower() == text.lower()]
                            found[way].append(bool(same))
                            in_column[way].append(any(hit.column[2].lower() == column for hit in same))
                            if misses and not same:
                                print(f"  {name} [{way}] {column} = {text!r}: {asked[:150]!r}")
                                print("      ", [hit.value[:30] for hit in hits])
    for way, told in found.items():
        right, here = sum(told) / len(told), sum(in_column[way]) / len(told)
        print(f"{way:24} found {right:.3f}  in its column {here:.3f}  of {len(told)}")
    took.sort()
    print(f"a search takes {1000 * took[len(took) // 2]:.1f} ms p50, {1000 * took[int(len(took) * 0.95)]:.1f} ms p95")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("questions", type=Path)
    asked.add_argument("db_root", type=Path)
    asked.add_argument("--misses", action="store_true")
    told = asked.parse_args()
    questions = [json.loads(line) for line in told.questions.read_text(encoding="utf8").splitlines() if line.strip()]
    sqlite = [q for q in questions if q.get("dialect", "sqlite") == "sqlite"]
    asyncio.run(measured(sqlite, told.db_root, misses=told.misses))


if __name__ == "__main__":
    main()
