"""How long a source takes to be profiled: one of very many tables, read the first time and again, and the demo shop.

    python benchmarks/profiles.py [--tables 5000] [--columns 15] [--rows 100] [--no-demo]

The bars: the demo shop within 15 s, and 5,000 tables at all, with their progress to be seen. Needs no service: the
tables stand in a SQLite file, and broker and worker are the embedded ones.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from schema_search import ENDS, NOUNS, made

from mcp_server.commands.demo_source import demo_databases
from mcp_server.machine import running_machine
from mcp_server.settings import load_settings

_LONGEST_S = 3_600.0


def built(file: Path, *, tables: int, columns: int, rows: int) -> Path:
    """A SQLite file of the tables that `schema_search` looks through, with rows in them; the same each time."""
    chance = random.Random(13)
    texts = [f"{noun} {end}" for noun in NOUNS for end in ENDS]
    with closing(sqlite3.connect(file)) as to:
        for table in made(tables, columns).tables:
            names = list(dict.fromkeys(column.name for column in table.columns))
            quoted = ", ".join(f'"{name}"' for name in names)
            to.execute(f'CREATE TABLE "{table.name}" ({quoted})')
            lines = [(n, *(chance.choice(texts[: 5 << (i % 8)]) for i in range(len(names) - 1))) for n in range(rows)]
            to.executemany(f'INSERT INTO "{table.name}" VALUES ({", ".join("?" * len(names))})', lines)
        to.commit()
    return file


async def measured(what: str, databases: tuple[str, ...], state: Path) -> None:
    """Profiles the one source of `databases` twice and prints how long each took."""
    environ = {"AWAITSQL_EXECUTOR__STATE_DIR": str(state), "AWAITSQL_EXECUTOR__PROFILE__TIMEOUT_S": str(_LONGEST_S)}
    settings = load_settings(config=None, databases=databases, environ=environ)
    [source] = settings.executor.sources
    async with running_machine(settings, workers=1) as machine:
        executor = machine.executor
        began = time.monotonic()
        schema = await executor.source_schema(source, wait_s=120)
        told = [f"schema {time.monotonic() - began:.1f} s"]
        tables = machine.policies.shared_tables(schema)
        for name in ("profile", "again, unchanged"):
            job = await executor.profile(source, tables)
            seen: set[int] = set()
            async for now in executor.watch(job.id, owner=job.owner, timeout_s=_LONGEST_S):
                job = now
                seen.add((now.notes.get("tables") or {}).get("done", 0))
            assert job.error is None, job.error
            told.append(f"{name} {(job.finished_at or 0) - (job.started_at or 0):.1f} s ({len(seen)} steps seen)")
        profile = await executor.source_profile(source, tables=tables)
        known = sum(bool(table.columns) for table in profile.tables)
        assert profile.complete
        print(f"{what}: {', '.join(told)}; {known:,} of {len(schema.tables):,} tables, {len(profile.inferred)} keys")


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--tables", type=int, default=5_000)
    read.add_argument("--columns", type=int, default=15)
    read.add_argument("--rows", type=int, default=100)
    read.add_argument("--no-demo", action="store_true")
    asked = read.parse_args()
    with tempfile.TemporaryDirectory() as home:
        state = Path(home)
        if not asked.no_demo:
            asyncio.run(measured("demo shop", demo_databases(state / "built"), state / "demo"))
        file = built(state / "large.sqlite", tables=asked.tables, columns=asked.columns, rows=asked.rows)
        asyncio.run(measured(f"{asked.tables:,} tables", (str(file),), state / "large"))


if __name__ == "__main__":
    main()
