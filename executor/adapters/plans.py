"""Plans as trees, whatever database they came from: what touching every node costs, and a few lines to show of them.

Knows no database; each adapter reads its own plan into `PlanNode`s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from executor.adapters.base import Estimate

_LINES = 40
_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class PlanNode:
    """One step of a plan.

    Attributes:
        words: what the database calls it, and on what.
        rows: how many rows it is expected to give; None where the database does not say.
        children: the steps it reads from.
    """

    words: str
    rows: float | None
    children: tuple[PlanNode, ...] = ()


def estimate(root: PlanNode, *, cost: float | None = None) -> Estimate:
    """What the plan below `root` tells. Without a `cost` of the database's own, it is the rows that all steps give."""
    touched = sum(_given(node) for _, node in _walk(root)) if cost is None else cost
    return Estimate(cost=touched, rows=root.rows if root.rows is not None else _given(root), plan=lines(root))


def lines(root: PlanNode) -> tuple[str, ...]:
    """The plan as indented lines, bounded."""
    told: list[str] = []
    for depth, node in _walk(root):
        if len(told) == _LINES - 1:
            told.append("…")
            break
        rows = "" if node.rows is None else f" (about {node.rows:,.0f} rows)"
        told.append(f"{'  ' * depth}{node.words}{rows}"[:_CHARACTERS])
    return tuple(told)


def _given(node: PlanNode) -> float:
    """The rows a step gives. One that does not say (a cross product) gives every pair of its children's."""
    if node.rows is not None:
        return node.rows
    product = 1.0
    for child in node.children:
        product *= max(1.0, _given(child))
    return product


def _walk(root: PlanNode) -> Iterator[tuple[int, PlanNode]]:
    waiting = [(0, root)]
    while waiting:
        depth, node = waiting.pop()
        yield depth, node
        waiting.extend((depth + 1, child) for child in reversed(node.children))
