"""The right answer to a question, and how free another answer is to differ from it: ties in its order and at its LIMIT.

A gold SQL that sorts is run a second time with its sort keys as further columns and without its LIMIT. What is then
known of ties is part of the gold: rows of one tie may come in any order, and where a tie crosses the LIMIT any of its
rows may fill the last places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import takewhile

from mcp_server.evaluation.cells import Cell
from mcp_server.sql import sorting_of

Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """A whole result: how many columns, and its rows as they are compared."""

    width: int
    rows: list[Row]


class NotRun(Exception):
    """A statement brought no rows.

    Attributes:
        code: the guard's or the executor's, stable.
        message: for a reader.
        is_refusal: whether the guard said no, so that nothing ran.
    """

    def __init__(self, code: str, message: str, *, is_refusal: bool) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.is_refusal = is_refusal


Execute = Callable[[str], Awaitable[Rows]]
"""Runs one SQL text; raises `NotRun`."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """A tie that crosses the LIMIT.

    Attributes:
        required: the rows before the tie.
        optional: the rows of the tie, more than there is room for.
        limit: rows of the result.
    """

    required: Counter[Row]
    optional: Counter[Row]
    limit: int


@dataclass(frozen=True, slots=True)
class Gold:
    """A right answer.

    Attributes:
        width: columns.
        rows: in its order.
        ordered: whether that order is asked for.
        keys: each row's sort keys, so that ties are known; None where they are not.
        boundary: see `Boundary`.
    """

    width: int
    rows: list[Row]
    ordered: bool = False
    keys: list[Row] | None = None
    boundary: Boundary | None = None


async def gold_of(sql: str, execute: Execute, *, dialect: str) -> Gold:
    """The gold that `sql` stands for.

    Raises:
        NotRun: it brought no rows. Where only the run with its sort keys brings none, ties are not known.
    """
    found = await execute(sql)
    sorting = sorting_of(sql, dialect)
    if sorting is None:
        return Gold(found.width, found.rows)
    plain = Gold(found.width, found.rows, ordered=True)
    if sorting.with_keys is None or not found.rows:
        return plain
    try:
        shown = await execute(sorting.with_keys)
    except NotRun:
        return plain
    if shown.width != found.width + sorting.keys:
        return plain
    return _with_ties(plain, shown.rows, limited=sorting.limited)


def _with_ties(gold: Gold, shown: list[Row], *, limited: bool) -> Gold:
    width, count = gold.width, len(gold.rows)
    rows, keys = [row[:width] for row in shown], [row[width:] for row in shown]
    same = Counter(rows[:count]) == Counter(gold.rows)
    if not same and not limited:
        return gold
    boundary = None
    if limited and len(rows) > count and keys[count] == keys[count - 1]:
        edge = keys[count - 1]
        before = sum(1 for _ in takewhile(lambda key: key != edge, keys[:count]))
        tied = (row for row, key in zip(rows, keys, strict=True) if key == edge)
        boundary = Boundary(Counter(rows[:before]), Counter(tied), count)
    return Gold(width, rows[:count] if same else gold.rows, ordered=True, keys=keys[:count], boundary=boundary)
