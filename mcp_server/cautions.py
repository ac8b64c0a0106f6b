"""What may mislead in the rows of a finished job, each as ``code: text``. Pure; the text's own part is the guard's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from executor import Caution, Job, ResultSummary
from mcp_server.bounds import cut_text

_MOST_NAMED = 5
"""Columns of nothing but NULL that are named; of more, their number."""


def cautions_said(job: Job, summary: ResultSummary) -> list[str]:
    """The cautions that hold for the job's rows: those of its statement, then those that its summary shows."""
    return [f"{code}: {text}" for code, text in _told(job, summary)]


def _told(job: Job, summary: ResultSummary) -> Iterator[tuple[str, str]]:
    for caution in job.cautions:
        if _holds(caution, job, summary):
            yield caution.code, caution.text
    if summary.row_count == 0:
        yield (
            "no_rows",
            "No row matches. That may be the answer; or a condition is too narrow, or compares with a value that is "
            "spelt otherwise in the data.",
        )
    empty = _all_null(job, summary)
    if empty:
        named = ", ".join(cut_text(name, 60) for name in empty[:_MOST_NAMED])
        more = f" and {len(empty) - _MOST_NAMED} more" if len(empty) > _MOST_NAMED else ""
        yield (
            "all_null",
            f"Nothing but NULL in {named}{more}: it is not filled, a join found no partner, or there was nothing to "
            "aggregate.",
        )
    if summary.truncated is not None:
        cut = summary.truncated
        yield (
            "truncated",
            f"The result was cut at {cut.reason} = {cut.limit:,}: counts and sums over these rows are not those of "
            "the whole. Aggregate in SQL instead.",
        )


def _holds(caution: Caution, job: Job, summary: ResultSummary) -> bool:
    if summary.row_count < caution.rows:
        return False
    return not caution.tied or _ends_in_a_tie(caution.tied, job.preview, summary)


def _ends_in_a_tie(keys: Sequence[int | str], rows: Sequence[Sequence[Any]], summary: ResultSummary) -> bool:
    """Whether the last two rows are equal in `keys`. Of a result that is not here whole, it is not known."""
    if len(rows) != summary.row_count or len(rows) < 2:
        return False
    names = [column.name.lower() for column in summary.columns]
    for key in keys:
        if isinstance(key, str) and names.count(key.lower()) != 1:
            return False
        place = names.index(key.lower()) if isinstance(key, str) else key
        if place >= len(names) or rows[-1][place] != rows[-2][place]:
            return False
    return True


def _all_null(job: Job, summary: ResultSummary) -> list[str]:
    """The columns that are NULL in every row, but for those the policy masks. One row says so only as a whole."""
    masked = {name.lower() for touch in job.proof for name in touch.masked}
    count = summary.row_count
    if count == 0 or len(summary.stats) < len(summary.columns):
        return []
    found = [
        column.name
        for column, stat in zip(summary.columns, summary.stats, strict=False)
        if stat.get("nulls") == count and column.name.lower() not in masked
    ]
    return found if count > 1 or len(found) == len(summary.columns) else []
