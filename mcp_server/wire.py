"""From the nouns to the shapes on the wire (`mcp_server.views`), within budgets. Knows no broker and no protocol."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from executor import ExecutorError, Job, JobKind, JobState, ResultPage
from mcp_server.bounds import (
    CELL_CHARS,
    COLUMN_LIST_CHARS,
    columns_that_fit,
    cut_json,
    json_length,
    preview,
    summarise,
    that_fit,
)
from mcp_server.cautions import cautions_said
from mcp_server.errors import WORDS_CHARS
from mcp_server.line import in_line, shared_words
from mcp_server.next_steps import next_step_of, step_with_rows, warnings_of
from mcp_server.stops import stop_in_words
from mcp_server.views import (
    AskView,
    ColumnView,
    ErrorView,
    JobLine,
    JobView,
    PageView,
    PolicyView,
    ProgressView,
    TruncatedView,
)

SQL_CHARS = 500
"""The most characters of a statement in a tool's answer; the resource ``job://{id}`` shows it whole."""

FRAME_CHARS = 12_000
"""The most characters of a job's view beside its rows, whatever the job."""

LEAST_FRAME_CHARS = 2_500
"""The most characters of one of several views beside its rows, where their share of `FRAME_CHARS` is less than this."""

LINE_SQL_CHARS = 102
"""The most characters of a statement in a list of jobs, its quotes included."""

LINES_CHARS = 24_000
"""The most characters of a list of jobs."""

_QUESTION_CHARS = 500
_POLICY_CHARS = 1_000
_PLAN_CHARS = 6_000
_WARNINGS_CHARS = 2_000

BEYOND_PREVIEW_CHARS = 1_400
"""What everything but the rows may take for a result of up to eight columns; the summary is given what is left."""

SUMMARY_FROM_ROWS = 11
"""A result of fewer rows is its own summary."""


def iso(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC, to the second."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def job_view(
    job: Job, *, max_chars: int, sql_chars: int = SQL_CHARS, warnings: Sequence[str] = (), share: int = 1
) -> JobView:
    """The view of `job` with at most `max_chars` characters of rows, and `FRAME_CHARS` beside them.

    Args:
        job: as the executor gave it.
        max_chars: of the preview as JSON; 0 shows no rows.
        sql_chars: longer statements are cut.
        warnings: said before the view's own.
        share: how many views stand side by side; all but the rows is cut to a share of what one would have.
    """
    policy, unsaid = _policy(job, max(_POLICY_CHARS // share, 100))
    said = [*warnings, *_written(job).get("warnings", ()), *warnings_of(job)]
    if unsaid:
        said.append(f"{unsaid} more tables are seen by you only in part.")
    view = JobView(
        job_id=job.id,
        state=job.state,
        stage=_stage(job),
        progress=ProgressView(
            rows=job.rows,
            bytes=job.bytes,
            elapsed_s=round(max(0.0, (job.finished_at or job.seen_at or job.submitted_at) - job.submitted_at), 2),
            estimate=job.notes.get("estimate"),
        ),
        asks=_asks(job),
        source=job.source,
        sql=_cut(job.shown_sql or _written(job).get("sql"), max(sql_chars // share, 120)) or None,
        question=_cut(job.notes.get("question"), max(_QUESTION_CHARS // share, 120)),
        assumptions=that_fit(
            [cut_json(words, 400) for words in _written(job).get("assumptions", ())], max(_WARNINGS_CHARS // share, 410)
        )
        or None,
        model=_model(job),
        conversation=_conversation(job),
        policy=policy or None,
        plan=_plan(job, max(_PLAN_CHARS // share, 200)),
        workers_alive=0 if job.workers_alive == 0 and not job.is_finished else None,
        warnings=said,
        shared=shared_words(job),
        next_step=next_step_of(job),
        error=None if job.error is None else _error_view(job.error, max(WORDS_CHARS // share, 300)),
    )
    if job.state is JobState.SUCCEEDED:
        view = _with_result(view, job, max_chars=max_chars, share=share)
    shown = that_fit([cut_json(words, 400) for words in view.warnings], max(_WARNINGS_CHARS // share, 410))
    return view if shown == view.warnings else view.model_copy(update={"warnings": shown})


def _cut(text: str | None, limit: int) -> str | None:
    return None if text is None else cut_json(text, limit)


def _written(job: Job) -> dict[str, Any]:
    """What the worker of a question told of what the model wrote."""
    return job.notes.get("generated") or {}


def _model(job: Job) -> str | None:
    told = _written(job)
    if not told:
        return None
    return f"{told['model']}, {told['tokens_in'] + told['tokens_out']:,} tokens, prompt {told['prompt_version']}"


def _conversation(job: Job) -> str | None:
    return _written(job).get("conversation") or None


def _asks(job: Job) -> AskView | None:
    request = job.input_request
    if request is None:
        return None
    return AskView(
        message=cut_json(request.message, WORDS_CHARS),
        answer=dict(request.schema),
        only_a_person=True if request.by == "human" else None,
        until=iso(job.input_deadline_at),
    )


def _plan(job: Job, limit: int) -> list[str] | None:
    plan: list[str] | None = job.notes.get("plan")
    if plan is None:
        return None
    shown = that_fit([cut_json(line, 300) for line in plan], limit - 12)
    return shown if len(shown) == len(plan) else [*shown, "…"]


def _policy(job: Job, limit: int) -> tuple[list[PolicyView], int]:
    """What the policy does to the tables, as far as it fits, and to how many more it does something."""
    touched = [touch for touch in job.proof if touch.filtered or touch.masked]
    told: list[dict[str, Any]] = []
    for touch in touched:
        masked = that_fit(touch.masked, limit // 2)
        if len(masked) < len(touch.masked):
            masked.append("…")
        one: dict[str, Any] = {"table": cut_json(touch.table, max(limit // 4, 60))}
        told.append(one | ({"rows": "filtered"} if touch.filtered else {}) | ({"masked": masked} if masked else {}))
    shown = that_fit(told, limit)
    return [PolicyView(**one) for one in shown], len(touched) - len(shown)


def _with_result(view: JobView, job: Job, *, max_chars: int, share: int) -> JobView:
    if job.kind is JobKind.DRY_RUN:
        return view.model_copy(update={"next_step": "Nothing was run. Call query without dry_run to have the rows."})
    if job.summary is None:
        return view.model_copy(update={"rows": [], "row_count": job.rows, "next_step": "No rows to fetch."})
    columns = columns_that_fit(job.summary.columns, max_chars=max(COLUMN_LIST_CHARS // share, 200))
    shown = preview(job.preview, max_chars=max_chars, columns=len(columns))
    warnings = list(view.warnings)
    total = job.summary.row_count
    if len(columns) < len(job.summary.columns):
        warnings.append(
            f"Only the first {len(columns)} of {len(job.summary.columns)} columns are shown; "
            "get_rows(columns=[…]) reads the others, or select fewer."
        )
    if shown.cut_cells:
        warnings.append(
            f"{shown.cut_cells} long cells were cut to {CELL_CHARS} characters; "
            "get_rows(job_id, cell_chars=20000) shows more of them."
        )
    warnings += cautions_said(job, job.summary)
    truncated = job.summary.truncated
    whole = len(shown.rows) == total and len(columns) == len(job.summary.columns)
    full = view.model_copy(
        update={
            "columns": [ColumnView(**c) for c in columns],
            "rows": shown.rows,
            "row_count": total,
            "truncated": None if truncated is None else TruncatedView(reason=truncated.reason, limit=truncated.limit),
            "result_uri": f"job://{job.id}/rows",
            "warnings": warnings,
            "next_step": step_with_rows(job, shown=len(shown.rows), whole=whole),
            "expires_at": iso(job.expires_at),
        }
    )
    if total < SUMMARY_FROM_ROWS:
        return full
    beyond = json_length(full.content()) - json_length(shown.rows)
    room = BEYOND_PREVIEW_CHARS - beyond + 80 * max(0, len(columns) - 8)
    chars = min(max(room, 150), 2_500) if share == 1 else min(room, 2_500 // share)
    summary = summarise(job.summary.columns, job.summary.stats, max_chars=chars)
    return full.model_copy(update={"summary": summary or None})


def job_line(job: Job, *, sql_chars: int = LINE_SQL_CHARS) -> JobLine:
    """`job` as one line of a list."""
    return JobLine(
        job_id=job.id,
        state=job.state,
        source=job.source,
        sql=cut_json(" ".join(job.shown_sql[: 10 * sql_chars].split()), sql_chars),
        question=_cut(job.notes.get("question"), sql_chars),
        submitted_at=iso(job.submitted_at) or "",
        row_count=job.summary.row_count if job.summary is not None else None,
        error=None if job.error is None else str(job.error.code),
    )


def job_lines(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """A line for each of `jobs` in at most `LINES_CHARS`: SQL is cut shorter before the oldest are left out."""
    for sql_chars in (LINE_SQL_CHARS, LINE_SQL_CHARS // 3):
        lines = [job_line(job, sql_chars=sql_chars).content() for job in jobs]
        if json_length(lines) <= LINES_CHARS:
            return lines
    return that_fit(lines, LINES_CHARS)


def page_view(page: ResultPage, *, job_id: str, shown: list[list[Any]], warnings: Sequence[str] = ()) -> PageView:
    """The view of `page` with its cells as `shown` (the same rows, long cells cut)."""
    if not page.rows and not page.complete:
        next_step = f'get_job(job_id="{job_id}", wait_seconds=30): the job still runs, no rows from here on yet.'
    elif page.next_cursor is not None:
        next_step = f'get_rows(job_id="{job_id}", cursor="{page.next_cursor}")'
        next_step += " reads on." if page.complete else " reads on; the job still runs and more rows may come."
    else:
        next_step = "These are the last rows; nothing more to fetch."
    return PageView(
        job_id=job_id,
        columns=[ColumnView(**c) for c in columns_that_fit(page.columns)],
        rows=shown,
        offset=page.offset,
        next_cursor=page.next_cursor,
        complete=page.complete,
        warnings=list(warnings),
        next_step=next_step,
    )


def _error_view(error: ExecutorError, limit: int) -> ErrorView:
    """Without its next step, which is the view's own."""
    return ErrorView(
        code=str(error.code),
        message=cut_json(error.message, limit),
        hint=cut_json(error.hint, limit) if error.hint else None,
        position=error.position,
    )


def _stage(job: Job) -> str | None:
    if job.state is JobState.QUEUED:
        return in_line(job)
    if job.is_finished:
        return stop_in_words(job)
    return "cancelling" if job.cancel_requested_at is not None else job.stage or None
