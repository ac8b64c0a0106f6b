"""What speaks against a result though it came without an error. Looks at the stored summary; asks no database."""

from __future__ import annotations

from executor import Job


def doubts_about(job: Job) -> list[str]:
    """Why the rows of `job` may not be the answer, in words that are for the model as well as for the one who asked."""
    summary = job.summary
    if summary is None:
        return []
    if summary.row_count == 0:
        return ["There are no rows: a filter may be wrong, or spell a value differently than the data."]
    found: list[str] = []
    for column, stats in zip(summary.columns, summary.stats, strict=False):
        if stats.get("nulls") == summary.row_count:
            found.append(f"Column {column.name} is NULL in every row.")
    if summary.truncated is not None:
        found.append(f"The result was cut at {summary.truncated.reason} = {summary.truncated.limit:,}.")
    return found
