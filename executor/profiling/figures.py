"""From rows to what is said of a column. Knows no database and no job.

Distinct values of a sample stand for those of the table by the estimator that `executor.results.samples` describes.
"""

# pyarrow ships no types: its arrays and kernels are unknown to the checker.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from executor.profiles import ColumnProfile
from executor.results.cells import as_text, plain

MOST_VALUES = 30
"""Different values of a column that are told one by one."""

EXAMPLES = 5
SHOWN_CHARS = 80
"""Characters of a value in a profile."""

_SORTED = 100_000
"""Different values among which the least and the greatest text are looked for."""

_MACHINE_MADE = re.compile(
    r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12,}|[0-9a-fA-F]{24,}"
)


@dataclass(frozen=True, slots=True)
class Counted:
    """Different values of one column as text, the most frequent first, and the rows with each; no nulls.

    `whole` is False where there are or may be more.
    """

    values: Sequence[str]
    rows: Sequence[int]
    whole: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """One column: what is said of it, and its values where it is text."""

    profile: ColumnProfile
    text: Counted | None


def figures(name: str, column: pa.ChunkedArray, *, rows: int, total: int | None, is_plain: bool) -> Figures:
    """The figures of one column.

    Args:
        name: the column's.
        column: its values in the rows read.
        rows: how many were read.
        total: how many the table has, if it is known.
        is_plain: whether the values are its own, and not only whether there are any.
    """
    sampled = total is None or total > rows
    null_share = round(column.null_count / rows, 4) if rows else None
    profile = ColumnProfile(name, null_share=null_share, approximate=sampled)
    kind = column.type
    if not is_plain or pa.types.is_null(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return Figures(profile, None)
    values = plain(column.combine_chunks()).drop_null()
    counts = values.value_counts()
    numbers = counts.field("counts")
    order = pc.sort_indices(numbers, sort_keys=[("", "descending")]) if len(numbers) else pa.array([], pa.int64())
    different = counts.field("values").take(order)
    often = numbers.take(order)
    distinct, once = len(different), pc.sum(pc.equal(numbers, 1)).as_py() or 0
    least, greatest = _ends(different)
    few = distinct <= MOST_VALUES
    shown = _shown(different.slice(0, MOST_VALUES if few else EXAMPLES))
    profile = replace(
        profile,
        distinct=_estimated(distinct, once, len(values), rows, total) if sampled else distinct,
        least=least,
        greatest=greatest,
        values=shown if few else (),
        examples=() if few else shown,
    )
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_encoded_text(column)
    text = Counted(as_text(different).to_pylist(), often.to_pylist(), whole=not sampled) if is_text else None
    return Figures(profile, text)


def with_counted(profile: ColumnProfile, counted: Counted) -> ColumnProfile:
    """The profile of a sampled column after its different values were counted in the whole table."""
    few = counted.whole and len(counted.values) <= MOST_VALUES
    shown = tuple(value[:SHOWN_CHARS] for value in counted.values[: MOST_VALUES if few else EXAMPLES])
    return replace(
        profile,
        distinct=len(counted.values) if counted.whole else profile.distinct,
        values=shown if few else (),
        examples=() if few else shown,
    )


def is_worth_listing(text: Counted, *, most_chars: int) -> bool:
    """Whether anybody would look for the values: most are short enough, and they are not keys that machines made."""
    some = text.values[:200]
    if not some:
        return False
    made = sum(_MACHINE_MADE.fullmatch(value) is not None for value in some)
    short = sum(0 < len(value) <= most_chars for value in some)
    return made * 2 < len(some) and short > 0


def shown_ends(least: pa.ChunkedArray, greatest: pa.ChunkedArray) -> tuple[str | None, str | None]:
    """The one value of each as text."""
    one, other = (as_text(end.combine_chunks()).to_pylist()[0][:SHOWN_CHARS] for end in (least, greatest))
    return one, other


def _is_encoded_text(column: pa.ChunkedArray) -> bool:
    kind = column.type
    return (pa.types.is_dictionary(kind) and pa.types.is_string(kind.value_type)) or pa.types.is_string_view(kind)


def _shown(values: pa.Array) -> tuple[str, ...]:
    return tuple(value[:SHOWN_CHARS] for value in as_text(values).to_pylist())


def _ends(different: pa.Array) -> tuple[str | None, str | None]:
    if not len(different) or (len(different) > _SORTED and pa.types.is_string(different.type)):
        return None, None
    try:
        ends = pc.min_max(different)
        both = pa.array([ends["min"].as_py(), ends["max"].as_py()], different.type)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, ValueError):
        return None, None
    least, greatest = (None if end is None else end[:SHOWN_CHARS] for end in as_text(both).to_pylist())
    return least, greatest


def _estimated(distinct: int, once: int, values: int, rows: int, total: int | None) -> int:
    """Duj1: n distinct values in r of N rows, f of them once, make r·n / (r - f + f·r/N)."""
    if not values or total is None or not rows:
        return distinct
    of_table = max(values, round(total * values / rows))
    return min(of_table, round(values * distinct / (values - once + once * values / of_table)))
