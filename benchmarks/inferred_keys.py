"""How many foreign keys that a schema declares are found without it: precision and recall.

    python benchmarks/inferred_keys.py DB_ROOT [--misses]

DB_ROOT holds SQLite files, ``<db>/<db>.sqlite`` or any ``*.sqlite`` below it. Each is profiled by a real worker; then
the keys are inferred from a schema without its foreign keys. Declared keys of one column count; what names a table or
column that is not there does not. A key is right if it goes from the same column to the same column; one that goes to a
column which the declared key's target itself points to, with the same values, is counted as wrong all the same.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from executor import Executor, ExecutorSettings, SourceSchema, WorkerFleet, open_broker, signing_keys
from executor.adapters import make_adapter
from executor.profiling.keys import infer_keys
from executor.profiling.lookups import Lookups
from executor.profiling.reading import Reading
from executor.running import RunningJob

Pair = tuple[str, str, str, str]


def declared(schema: SourceSchema) -> set[Pair]:
    """The keys of one column that the schema declares, in lower case."""
    there = {(t.name.lower(), c.name.lower()) for t in schema.tables for c in t.columns}
    found: set[Pair] = set()
    for table in schema.tables:
        for key in table.foreign_keys:
            if len(key.columns) == 1 and len(key.ref_columns) == 1:
                pair = (table.name.lower(), key.columns[0].lower(), key.ref_table.lower(), key.ref_columns[0].lower())
                if {pair[:2], pair[2:]} <= there:
                    found.add(pair)
    return found


async def measured(files: list[Path], *, misses: bool) -> None:
    names = {re.sub(r"\W", "_", f"db_{file.stem}".lower()): file for file in files}
    right = inferred_all = declared_all = 0
    with tempfile.TemporaryDirectory() as home:
        settings = ExecutorSettings.model_validate(
            {"state_dir": home, "sources": {n: {"kind": "sqlite", "path": f} for n, f in names.items()}}
        )
        keys = signing_keys(settings)
        with open_broker(settings) as url, WorkerFleet(settings, url, 1):
            async with Executor(settings, url, keys) as executor:
                for name in names:
                    schema = await executor.source_schema(name, wait_s=60)
                    every = {(t.schema, t.name) for t in schema.tables}
                    began = time.monotonic()
                    job = await executor.profile(name, every)
                    await executor.wait(job.id, owner=job.owner, timeout_s=600)
                    took = time.monotonic() - began
                    profile = await executor.source_profile(name, tables=every)
                    profiles = {(t.schema, t.name): t for t in profile.tables}
                    adapter = make_adapter(name, settings.sources[name])
                    reading = Reading(
                        adapter,
                        RunningJob("benchmark", "1", name),
                        lambda _job: None,
                        timeout_s=10,
                        ends_at=time.monotonic() + 600,
                    )
                    looking = Lookups(reading, schema.dialect, profiles, settings.profile)
                    bare = replace(schema, tables=tuple(replace(t, foreign_keys=()) for t in schema.tables))
                    found = {
                        (
                            one.table.lower(),
                            one.key.columns[0].lower(),
                            one.key.ref_table.lower(),
                            one.key.ref_columns[0].lower(),
                        ): one.evidence
                        for one in infer_keys(bare, profiles, looking.share)
                    }
                    adapter.close()
                    want = declared(schema)
                    hits = len(want & set(found))
                    right, inferred_all, declared_all = (
                        right + hits,
                        inferred_all + len(found),
                        declared_all + len(want),
                    )
                    print(f"{name:35} declared {len(want):3} inferred {len(found):3} right {hits:3}  {took:5.1f} s")
                    if misses:
                        for pair in sorted(want - set(found)):
                            print("    missed  ", "{}.{} -> {}.{}".format(*pair))
                        for pair in sorted(set(found) - want):
                            print("    wrong   ", "{}.{} -> {}.{}".format(*pair), "|", found[pair])
    print(f"precision {right / max(inferred_all, 1):.3f}  recall {right / max(declared_all, 1):.3f}")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("db_root", type=Path)
    asked.add_argument("--misses", action="store_true")
    told = asked.parse_args()
    files = sorted(told.db_root.rglob("*.sqlite"))
    asyncio.run(measured(files, misses=told.misses))


if __name__ == "__main__":
    main()
