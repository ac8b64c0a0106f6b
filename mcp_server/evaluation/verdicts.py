"""When an answer counts as right: its rows against those of the gold. Pure; runs nothing.

*exact*: the same columns in any order, names ignored; the same rows as often; in the gold's order where it has one,
ties free. *relaxed*: exact, or with further columns, or with rows more or less often than the gold has them, or with
numbers that agree to two places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

from mcp_server.evaluation.cells import has_fraction, rounded
from mcp_server.evaluation.golds import Boundary, Gold, Row, Rows

_MOST_MAPPINGS = 5_000
"""Ways tried to match columns whose values are alike."""

_MOST_PERMUTED = 6
"""Columns of an answer that are tried in every order where a tie crosses the LIMIT; of more, their own order only."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer is worth.

    Attributes:
        exact: see the module.
        relaxed: see the module.
        bird_ex: as BIRD's own scorer says: the same set of rows, columns in the gold's order.
        why: ``exact``; else the nearest thing: ``row_order``, ``extra_columns``, ``duplicates``, ``rounding2``,
            ``rounding1``, ``rounding0``, ``columns`` (too few), ``row_count`` or ``values``.
    """

    exact: bool = False
    relaxed: bool = False
    bird_ex: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Rules:
    """How strictly two results are compared."""

    superset: bool = False
    as_set: bool = False
    in_order: bool = True


_NEARLY = (
    ("row_order", _Rules(in_order=False)),
    ("extra_columns", _Rules(superset=True)),
    ("duplicates", _Rules(superset=True, as_set=True)),
)


def verdict(golds: Sequence[Gold], answer: Rows) -> Verdict:
    """The best that `answer` is worth against any of `golds`, of which there must be one."""
    best = Verdict()
    for gold in golds:
        is_bird = best.bird_ex or set(gold.rows) == set(answer.rows)
        if _matches(gold, answer, _Rules()):
            return Verdict(exact=True, relaxed=True, bird_ex=is_bird, why="exact")
        best = replace(best, bird_ex=is_bird)
        if not best.relaxed:
            why = _nearly(gold, answer)
            relaxed = why in {"extra_columns", "duplicates", "rounding2"}
            best = replace(best, relaxed=relaxed, why=why or best.why)
    if best.why:
        return best
    first = golds[0]
    if first.width > answer.width:
        return replace(best, why="columns")
    return replace(best, why="row_count" if len(first.rows) != len(answer.rows) else "values")


def _nearly(gold: Gold, answer: Rows) -> str:
    for why, rules in _NEARLY:
        if _matches(gold, answer, rules):
            return why
    if not any(has_fraction(cell) for row in (*gold.rows, *answer.rows) for cell in row):
        return ""
    for places in (2, 1, 0):
        coarse = Gold(gold.width, _rounded(gold.rows, places), ordered=gold.ordered)
        if _matches(coarse, Rows(answer.width, _rounded(answer.rows, places)), _Rules(superset=True)):
            return f"rounding{places}"
    return ""


def _rounded(rows: list[Row], places: int) -> list[Row]:
    return [tuple(rounded(cell, places) for cell in row) for row in rows]


def _matches(gold: Gold, answer: Rows, rules: _Rules) -> bool:
    if answer.width < gold.width or (answer.width > gold.width and not rules.superset):
        return False
    if _is_same(gold, answer, rules):
        return True
    return gold.boundary is not None and _fits_boundary(gold, gold.boundary, answer, rules)


def _is_same(gold: Gold, answer: Rows, rules: _Rules) -> bool:
    if not rules.as_set and len(gold.rows) != len(answer.rows):
        return False
    if not gold.rows or not answer.rows:
        return not gold.rows and not answer.rows
    ordered = gold.ordered and rules.in_order and not rules.as_set
    for mapping in _mappings(gold, answer, as_set=rules.as_set):
        picked = [tuple(row[k] for k in mapping) for row in answer.rows]
        if rules.as_set:
            same = set(picked) == set(gold.rows)
        elif ordered:
            same = _is_in_order(gold.rows, picked, gold.keys)
        else:
            same = Counter(picked) == Counter(gold.rows)
        if same:
            return True
    return False


def _mappings(gold: Gold, answer: Rows, *, as_set: bool) -> Iterator[list[int]]:
    """The ways to read the gold's columns in the answer's: those whose values agree, the least free column first."""

    def values(rows: list[Row], column: int) -> Any:
        found = (row[column] for row in rows)
        return frozenset(found) if as_set else Counter(found)

    theirs = [values(answer.rows, k) for k in range(answer.width)]
    free = [
        [k for k in range(answer.width) if theirs[k] == ours]
        for ours in (values(gold.rows, j) for j in range(gold.width))
    ]
    order = sorted(range(gold.width), key=lambda j: len(free[j]))
    left = _MOST_MAPPINGS

    def tried(depth: int, chosen: dict[int, int]) -> Iterator[list[int]]:
        nonlocal left
        if left <= 0:
            return
        if depth == gold.width:
            left -= 1
            yield [chosen[j] for j in range(gold.width)]
            return
        column = order[depth]
        for k in sorted(free[column], key=lambda k: k != column):
            if k not in chosen.values():
                yield from tried(depth + 1, {**chosen, column: k})

    if all(free):
        yield from tried(0, {})


def _is_in_order(gold: list[Row], picked: list[Row], keys: list[Row] | None) -> bool:
    """Whether the rows are the gold's in its order, each tie compared as a bag."""
    if keys is None:
        return gold == picked
    start = 0
    while start < len(gold):
        end = start
        while end < len(gold) and keys[end] == keys[start]:
            end += 1
        if Counter(gold[start:end]) != Counter(picked[start:end]):
            return False
        start = end
    return True


def _fits_boundary(gold: Gold, boundary: Boundary, answer: Rows, rules: _Rules) -> bool:
    """Whether the answer has all rows before the tie at the LIMIT, and any of the tie in the places that are left."""
    if len(answer.rows) != boundary.limit:
        return False
    required = boundary.required.total()
    columns = range(answer.width)
    few = answer.width <= _MOST_PERMUTED
    for mapping in permutations(columns, gold.width) if few else [tuple(range(gold.width))]:
        picked = [tuple(row[k] for k in mapping) for row in answer.rows]
        if rules.in_order:
            head, tail = picked[:required], Counter(picked[required:])
            keys = None if gold.keys is None else gold.keys[:required]
            same = Counter(head) == boundary.required and _is_in_order(gold.rows[:required], head, keys)
        else:
            tail = Counter(picked) - boundary.required
            same = not boundary.required - Counter(picked)
        if same and not tail - boundary.optional:
            return True
    return False
