"""ClickHouse's plans as estimates: the steps of EXPLAIN PLAN, and the rows that EXPLAIN ESTIMATE expects to be read."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from executor.adapters.base import Estimate
from executor.adapters.plans import PlanNode, estimate

_ONE_ROW = 1.0


def estimate_of(plan: str, reads: list[tuple[str, float]]) -> Estimate:
    """What a plan tells.

    ClickHouse guesses only how many rows of a table its keys leave to be read. The cost is those rows and, for each
    join, every pair of what it joins where it has no condition, else the larger side.

    Args:
        plan: EXPLAIN PLAN's JSON, with descriptions and actions.
        reads: EXPLAIN ESTIMATE's tables, and the rows to be read of each over all its places in the plan.
    """
    (told,) = json.loads(plan)
    places = Counter(_tables(told["Plan"]))
    rows = {table: most / max(1, places[table]) for table, most in reads}
    root = _step(told["Plan"], rows)
    return estimate(root, cost=max(_ONE_ROW, _touched(root)))


def _step(told: dict[str, Any], rows: dict[str, float]) -> PlanNode:
    name, about = str(told.get("Node Type", "")), str(told.get("Description", ""))
    children = tuple(_step(child, rows) for child in told.get("Plans") or ())
    given = [1.0 if child.rows is None else child.rows for child in children]
    if not children:
        most = rows.get(about, _ONE_ROW)
    elif name == "Join":
        crosses = str(told.get("Type", "")).upper() in ("CROSS", "COMMA")
        most = given[0] * given[-1] if crosses else max(given)
    elif name == "Limit":
        most = min(max(given), float(told.get("Limit") or max(given)))
    elif name in ("Union", "IntersectOrExcept"):
        most = sum(given)
    else:
        most = max(given)
    return PlanNode(f"{name} {about}".strip(), most, children)


def _touched(node: PlanNode) -> float:
    """The rows of tables and joins; steps that only pass them on count nothing."""
    own = node.rows or 0.0 if not node.children or node.words.startswith("Join") else 0.0
    return own + sum(map(_touched, node.children))


def _tables(told: dict[str, Any]) -> list[str]:
    children = told.get("Plans") or ()
    if not children:
        return [str(told.get("Description", ""))]
    return [table for child in children for table in _tables(child)]
