"""What EXPLAIN FORMAT=JSON says of a statement's cost: rows that every table is expected to give, loops counted.

Formats: https://mariadb.com/kb/en/explain-format-json/ and
https://dev.mysql.com/doc/refman/8.4/en/explain-output.html. MariaDB before 10.7 writes neighbours as members of one
name, so members are kept as pairs.
"""

from __future__ import annotations

import json
from typing import Any

from executor.adapters.base import Estimate
from executor.adapters.plans import PlanNode, lines

_Pairs = list[tuple[str, Any]]
_ONCE = 1.0
_LEAST_LOOPS = 1e-9


def estimate_of(plan: str) -> Estimate:
    """The estimate of a plan. Neither server says how many rows the result has: `Estimate.rows` is None."""
    told: Any = json.loads(plan, object_pairs_hook=_Members)
    reading = _Reading()
    steps = reading.below(told, _ONCE)[1]
    root = PlanNode("query", None, tuple(steps))
    return Estimate(cost=max(reading.cost, _ONCE), rows=None, plan=tuple(line[2:] for line in lines(root)[1:]))


class _Members(_Pairs):
    """An object of the plan: its members in order, several of one name among them."""

    def get(self, name: str) -> Any:
        """The first member of that name, or None."""
        return next((value for key, value in self if key == name), None)


class _Reading:
    """A walk over one plan. `cost` is the rows touched so far."""

    def __init__(self) -> None:
        self.cost = 0.0

    def below(self, node: Any, loops: float) -> tuple[float, list[PlanNode]]:
        """Reads what is in `node`, done `loops` times; gives how often what follows it is done, and its steps.

        Tables beside each other are nested loops, the first one outermost.
        """
        steps: list[PlanNode] = []
        if isinstance(node, _Members):
            for name, value in node:
                if name == "table" and isinstance(value, _Members):
                    loops, step = self._table(value, loops)
                    steps.append(step)
                elif name == "query_block":  # what follows it is not done once for each of its rows
                    steps += self.below(value, loops)[1]
                elif name in _SEPARATE:
                    steps += self._separate(value, loops)
                else:
                    loops, found = self.below(value, loops)
                    steps += found
        elif isinstance(node, list):
            for value in node:
                loops, found = self.below(value, loops)
                steps += found
        return loops, steps

    def _table(self, table: _Members, loops: float) -> tuple[float, PlanNode]:
        rows = _number(table.get("rows_examined_per_scan"), table.get("rows"))
        given = 1.0 if rows is None else rows
        if rows is not None:
            self.cost += loops * rows
        filtered = _number(table.get("filtered"))
        below: list[PlanNode] = []
        for name, value in table:
            if name.startswith("materialized"):  # once a statement, however often it is read
                below += self.below(value, _ONCE)[1]
            elif name in _SEPARATE:
                below += self._separate(value, loops * given)
        key = table.get("key")
        words = f"{table.get('table_name') or table.get('message') or 'rows'}"
        access = table.get("access_type")
        if access:
            words += f" ({access}{f' {key}' if key else ''})"
        after = loops * max(given * (100.0 if filtered is None else filtered) / 100.0, _LEAST_LOOPS)
        return after, PlanNode(words, rows, tuple(below))

    def _separate(self, node: Any, loops: float) -> list[PlanNode]:
        """Queries that stand for themselves: once each, or for every row outside if they depend on it."""
        steps: list[PlanNode] = []
        parts: list[Any] = list(node) if isinstance(node, list) and not isinstance(node, _Members) else [node]
        for part in parts:
            depends = isinstance(part, _Members) and (part.get("dependent") or part.get("expression_cache") is not None)
            steps += self.below(part, max(loops, _ONCE) if depends else _ONCE)[1]
        return steps


_SEPARATE = frozenset(
    {
        "subqueries",
        "select_list_subqueries",
        "attached_subqueries",
        "having_subqueries",
        "order_by_subqueries",
        "group_by_subqueries",
        "optimized_away_subqueries",
        "query_specifications",
    }
)
"""Members that hold queries beside the one they stand in."""


def _number(*told: Any) -> float | None:
    """The first of them that is there; MySQL writes some as text."""
    for value in told:
        if isinstance(value, (int, float, str)):
            try:
                return float(value)
            except ValueError:
                continue
    return None
