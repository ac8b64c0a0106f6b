"""What SQLite's query plan says of a statement's cost: it has no numbers, so they come from the tables' sizes.

Format of the plan: https://www.sqlite.org/eqp.html. Loops beside each other are nested, the first one outermost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from executor.adapters.base import Estimate
from executor.adapters.plans import PlanNode, lines

_LOOP = re.compile(r"(SCAN|SEARCH) (\S+)(?: .*?USING .*?(?:INDEX|PRIMARY KEY).*?(\(.*\)))?")
_ONE_KEY = re.compile(r"INTEGER PRIMARY KEY \(rowid=\?\)")
_FOUND_BY_KEY = 10.0
"""Rows that an index is expected to give for one value, where nothing is known."""

_FOUND_BY_RANGE = 0.25
"""The share of a table that an index is expected to give for a range."""

PlanRow = tuple[int, int, str]
"""Id, id of the parent, words: columns 1, 2 and 4 of EXPLAIN QUERY PLAN."""


def estimate_of(rows: Sequence[PlanRow], size_of: Callable[[str], float]) -> Estimate:
    """The estimate of a plan.

    Args:
        rows: the plan.
        size_of: how many rows the table has that is known in the statement by that name.
    """
    children: dict[int, list[PlanRow]] = {}
    for row in rows:
        children.setdefault(row[1], []).append(row)
    cost, _ = _level(children, 0, 1.0, size_of)
    tree = PlanNode("query", None, tuple(_node(children, row) for row in children.get(0, ())))
    return Estimate(cost=cost, rows=None, plan=tuple(line[2:] for line in lines(tree)[1:]))


def _level(
    children: dict[int, list[PlanRow]], parent: int, times: float, size_of: Callable[[str], float]
) -> tuple[float, float]:
    """The rows touched by the steps below `parent`, done `times` times, and how often its innermost loop turns."""
    cost, turns = 0.0, 1.0
    for id_, _, words in children.get(parent, ()):
        rows = _rows(words, size_of)
        if rows is not None:
            turns *= max(1.0, rows)
            cost += times * turns
        below = times * turns if words.startswith("CORRELATED") else times
        cost += _level(children, id_, below, size_of)[0]
    return cost, turns


def _rows(words: str, size_of: Callable[[str], float]) -> float | None:
    loop = _LOOP.match(words)
    if loop is None or words.startswith("SCAN CONSTANT ROW"):
        return None
    kind, name, key = loop.groups()
    if kind == "SCAN":
        return size_of(name)
    if _ONE_KEY.search(words):
        return 1.0
    if key is not None and "=" in key and ">" not in key and "<" not in key:
        return min(_FOUND_BY_KEY, size_of(name))
    return size_of(name) * _FOUND_BY_RANGE


def _node(children: dict[int, list[PlanRow]], row: PlanRow) -> PlanNode:
    return PlanNode(row[2], None, tuple(_node(children, child) for child in children.get(row[0], ())))
