"""Whether the time of a refusal tells a table that does not exist from one that exists and is not granted.

    python benchmarks/unknown_or_not_granted.py [seconds]

`PAIRS` pairs, one after the other in turn, or as many as fit into `seconds` (20) a row: the same statement, and names
that are as like the granted ones as each other. The bar: medians within 10 %, and texts that differ in the name alone.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
import time

from executor import Column, Limits, SourceSchema, Table
from mcp_server.policy import Compare, Grant, TableGrant
from mcp_server.sql import StatementRefused, check

PAIRS = 2_000
SHAPES = ("SELECT id, total FROM {t} WHERE id = 7", "SELECT o.id FROM table_00000 o JOIN {t} x ON x.id = o.id")
_SUGGESTED = re.compile(r"mean \w+\?")
LIMITS = Limits(max_rows=100)


def names_of(count: int) -> tuple[list[str], str, str]:
    """Names of `count` tables; of them the one that is not granted, and one that does not exist.

    The two are neighbours, so that what is like the one in name is as like the other; and the first ones, as a search
    through all tables would find the one soonest and the other never.
    """
    every = [f"table_{n:05}" for n in range(count + 1)]
    absent = every.pop(2)
    return every, every[2], absent


def schema_of(dialect: str, names: list[str], *, elsewhere: str = "") -> SourceSchema:
    """A table for each name; `elsewhere` is one that is in another schema."""
    columns = tuple(Column(name, "integer") for name in ("id", "tenant_id", "total", "status"))
    return SourceSchema(
        source="bench",
        dialect=dialect,
        default_schema="main",
        tables=tuple(Table("other" if name == elsewhere else "main", name, columns=columns) for name in names),
    )


def grants_of(names: list[str], hidden: str) -> dict[str, Grant]:
    """Grants that do not give `hidden`: by a list of tables, and by a rule for all others of one schema."""
    rule = TableGrant(rows=Compare("tenant_id", "=", 1))
    listed = tuple((("main", name), rule) for name in names if name != hidden)
    return {
        "list of all but one": Grant(schemas=("main",), tables=listed),
        "list of two": Grant(schemas=("main",), tables=listed[:2]),
        "others": Grant(schemas=("main",), tables=listed[:2], others=TableGrant()),
    }


def refusal(sql: str, schema: SourceSchema, grant: Grant) -> tuple[float, str]:
    """Microseconds, and all that is told."""
    began = time.perf_counter()
    try:
        check(sql, source_schema=schema, grant=grant, limits=LIMITS)
    except StatementRefused as refused:
        return (time.perf_counter() - began) * 1e6, str(refused.as_dict())
    raise AssertionError(f"not refused: {sql}")


def compared(schema: SourceSchema, grant: Grant, hidden: str, absent: str) -> tuple[float, float, int, bool]:
    """The medians for the absent and the hidden name, the number of pairs, and whether all texts were alike."""
    chance = random.Random(3)
    times: dict[str, list[float]] = {hidden: [], absent: []}
    alike = True
    end = time.perf_counter() + SECONDS
    turn = 0
    while turn < PAIRS + 10 and time.perf_counter() < end:
        shape = SHAPES[turn % 2]
        order = [hidden, absent]
        chance.shuffle(order)
        texts = {}
        for table in order:
            took, texts[table] = refusal(shape.format(t=table), schema, grant)
            if turn >= 10:
                times[table].append(took)
        # Which granted table is suggested is told by the name that was asked for, and by nothing else.
        plain = [_SUGGESTED.sub("mean T?", texts[table].replace(table, "T")) for table in (hidden, absent)]
        alike = alike and plain[0] == plain[1]
        turn += 1
    return statistics.median(times[absent]), statistics.median(times[hidden]), len(times[absent]), alike


def main() -> None:
    print(
        f"{'dialect':10}{'tables':>7}  {'grant':22}{'pairs':>6}{'unknown us':>12}{'not granted':>12}{'ratio':>8}  texts"
    )
    worst = 1.0
    for dialect in ("postgres", "sqlite"):
        for count in (10, 200, 2_000):
            names, hidden, absent = names_of(count)
            for name, grant in grants_of(names, hidden).items():
                # A rule for all others gives every table of the schema: the one that it does not give is elsewhere.
                aside = name == "others"
                schema = schema_of(dialect, names, elsewhere=hidden if aside else "")
                asked = [f"other.{table}" if aside else table for table in (hidden, absent)]
                unknown, denied, pairs, alike = compared(schema, grant, *asked)
                ratio = denied / unknown
                worst = max(worst, ratio, 1 / ratio)
                print(
                    f"{dialect:10}{count:7}  {name:22}{pairs:6}{unknown:12.0f}{denied:12.0f}{ratio:8.3f}  "
                    f"{'alike' if alike else 'DIFFER'}",
                    flush=True,
                )
    print(f"worst ratio {worst:.3f}; bar 1.1")


SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
main()
