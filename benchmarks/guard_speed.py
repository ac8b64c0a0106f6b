"""How long the guard takes a statement, beside sqlglot's bare parse, qualify, generate and parse again.

    python benchmarks/guard_speed.py [corpus.jsonl ...]

Each line of a corpus has ``sql``, ``dialect`` and ``policy``, perhaps ``kind``; ``policies.json`` is beside the file or
in the folder above, by dialect and by name. Without arguments: the statements of tests/fixtures/sql. Both sides take
the same statements in turn; of `ROUNDS` times of each the least counts, so that other work on the machine does not.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlglot import Dialect, exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit" / "mcp_server" / "sql"))
import sqlguard
from shop import LIMITS, cases, grants, shop

from mcp_server.sql import check

ROUNDS = 3


@dataclass
class Task:
    """One statement: `guard` and `bare` work on it once."""

    kind: str
    sql: str
    dialect: str
    guard: Callable[[], object]
    tables: dict[str, dict[str, str]]

    def bare(self) -> None:
        """What sqlglot takes without a guard: parse, qualify, generate, and parse what was generated."""
        grammar = Dialect.get_or_raise(self.dialect)
        (tree,) = grammar.parse(self.sql)
        whole = qualify(tree, dialect=grammar, schema=self.tables, validate_qualify_columns=False)
        grammar.parse(grammar.generate(whole))


def of_fixtures() -> list[Task]:
    """The fixtures' statements; those that are refused are of a kind of their own."""
    found = []
    for case in cases("*.sql"):
        schema, grant = shop(case.dialect), grants(case.dialect)[case.grant]
        found.append(
            Task(
                "refused" if case.refused else case.grant,
                case.sql,
                case.dialect,
                lambda s=case.sql, a=schema, g=grant: check(s, source_schema=a, grant=g, limits=LIMITS),
                {table.name: {c.name: c.type for c in table.columns} for table in schema.tables},
            )
        )
    return found


def of_corpus(path: Path) -> list[Task]:
    """The statements of one file of a corpus."""
    where = next(p for p in (path.parent / "policies.json", path.parent.parent / "policies.json") if p.exists())
    policies: dict[str, dict[str, Any]] = json.loads(where.read_text(encoding="utf-8"))
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        policy = policies.get(row["dialect"], {}).get(row["policy"])
        if policy is not None:
            found.append(
                Task(
                    row.get("kind", path.stem),
                    row["sql"],
                    row["dialect"],
                    lambda s=row["sql"], d=row["dialect"], p=policy: sqlguard.guard(s, d, p),
                    {name: dict(told["columns"]) for name, told in policy["tables"].items()},
                )
            )
    return found


def is_analytic(task: Task) -> bool:
    """Whether it is what an analyst writes: two joins or more, a window, or a WITH."""
    try:
        (tree,) = Dialect.get_or_raise(task.dialect).parse(task.sql)
    except (SqlglotError, ValueError):
        return False
    if tree is None:
        return False
    return len(list(tree.find_all(exp.Join))) >= 2 or tree.find(exp.Window, exp.With) is not None


def milliseconds(work: Callable[[], object]) -> tuple[float, bool]:
    """How long it took, and whether it came to its end."""
    began = time.perf_counter()
    try:
        work()
    except Exception:  # noqa: BLE001 # a refusal, or whatever sqlglot says of a statement that it cannot read
        return (time.perf_counter() - began) * 1000, False
    return (time.perf_counter() - began) * 1000, True


def line(name: str, figures: list[float], bare: list[float]) -> str:
    """One row of the table; `bare` has only those statements that both sides bring to their end."""
    ordered = sorted(figures)

    def quantile(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    told = [f"{quantile(q):9.2f}" for q in (0.5, 0.95, 0.99)] + [f"{ordered[-1]:9.2f}"]
    other = f"{statistics.median(bare):9.2f}" if bare else f"{'–':>9}"
    return f"{name:28}{len(figures):6}{''.join(told)}{other}"


def main() -> None:
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    paths = [Path(argument) for argument in sys.argv[1:]]
    tasks = [task for path in paths for task in of_corpus(path)] if paths else of_fixtures()
    for task in tasks[:50]:
        milliseconds(task.guard)
    groups: dict[str, list[tuple[float, float | None]]] = {}
    for task in tasks:
        ours, bare, both = 1e9, 1e9, True
        for _ in range(ROUNDS):
            took, passed = milliseconds(task.guard)
            other, read = milliseconds(task.bare)
            ours, bare, both = min(ours, took), min(bare, other), both and passed and read
        names = ["all", task.kind]
        if task.kind not in ("attack", "refused") and is_analytic(task):
            names.append(f"{task.kind}, analytic")
        for name in names:
            groups.setdefault(name, []).append((ours, bare if both else None))
    print(f"{'milliseconds':28}{'n':>6}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}{'bare p50':>9}{'ratio':>9}")
    for name in sorted(groups):
        pairs = [(ours, bare) for ours, bare in groups[name] if bare is not None]
        row = line(name, [ours for ours, _ in groups[name]], [bare for _, bare in pairs])
        ratio = f"{statistics.median([a / b for a, b in pairs]):9.2f}" if pairs else f"{'–':>9}"
        print(row + ratio)
    print("bare and ratio (the median of the guard's time over the bare loop's): statements that neither side refuses")


main()
