"""How long the search over a large schema takes to be made and to answer. Needs no service.

    python benchmarks/schema_search.py [--tables 5000] [--columns 15] [--searches 200]

The bar: an index of 5,000 tables within 60 s, a search within 30 ms (p50). The schema is one database schema with names
in four spellings, comments, and two keys a table into the whole, so that nothing keeps its tables apart.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import time

from executor import Column, ForeignKey, SourceSchema, Table
from mcp_server.knowledge.known import Known

_NOUNS = """
    customer order invoice payment product supplier shipment warehouse employee department project task contract
    account ledger budget asset vehicle driver route station sensor reading alarm patient visit doctor drug claim
    policy agent branch region country city address campaign lead ticket comment message user role session event
    course student teacher grade exam room building lease tenant meter tariff plan device license feature release
"""
_ENDS = "id code name type status date amount quantity price total number description start end rate share"
NOUNS, ENDS = _NOUNS.split(), _ENDS.split()


def named(words: list[str], spelling: int) -> str:
    """The words as one name, spelt in one of four ways."""
    if spelling == 1:
        return words[0] + "".join(word.title() for word in words[1:])
    return {0: "_".join(words), 2: "".join(words), 3: "_".join(words).upper()}[spelling]


def made(tables: int, columns: int) -> SourceSchema:
    """A schema of so many tables; the same each time."""
    chance = random.Random(7)
    names = [named([*chance.sample(NOUNS, chance.randint(1, 3)), str(i)], i % 4) for i in range(tables)]
    return SourceSchema(
        "large",
        "postgres",
        "public",
        tuple(
            Table(
                "public",
                name,
                columns=(
                    Column("id", "integer"),
                    *(
                        Column(
                            named([chance.choice(NOUNS), chance.choice(ENDS)], i % 4),
                            "text",
                            comment=" ".join(chance.sample(NOUNS, 4)) if n % 3 == 0 else "",
                        )
                        for n in range(columns - 1)
                    ),
                ),
                primary_key=("id",),
                foreign_keys=tuple(
                    ForeignKey((f"key_{k}",), "public", chance.choice(names), ("id",)) for k in range(2)
                ),
                comment=" ".join(chance.sample(NOUNS, 8)),
            )
            for i, name in enumerate(names)
        ),
    )


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__)
    read.add_argument("--tables", type=int, default=5_000)
    read.add_argument("--columns", type=int, default=15)
    read.add_argument("--searches", type=int, default=200)
    asked = read.parse_args()
    schema = made(asked.tables, asked.columns)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    known = Known(schema)
    built_s = time.process_time() - began
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    chance = random.Random(11)
    times: list[float] = []
    for _ in range(asked.searches):
        words = chance.sample(NOUNS, 4)
        question = f"What is the total {words[0]} amount per {words[1]} of each {words[2]} with an open {words[3]}?"
        began = time.process_time()
        found = known.find([question])
        times.append((time.process_time() - began) * 1e3)
        assert found.tables
    times.sort()
    print(f"{asked.tables} tables of {asked.columns} columns: index {built_s:.1f} s, {grown_mb:.0f} MB more")
    print(f"search p50 {statistics.median(times):.1f} ms, p99 {times[int(len(times) * 0.99)]:.1f} ms")


if __name__ == "__main__":
    main()
