"""The shapes on the wire, built from the nouns and never the nouns themselves. Pure: knows no broker and no protocol.

`JobView` is one model for every tool that returns a job. It is documented at the resource ``schema://jobview`` and
not as an output schema on each tool, which would take kilobytes of every client's context.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

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
from mcp_server.errors import WORDS_CHARS, error_content
from mcp_server.line import in_line, shared_words
from mcp_server.stops import stop_in_words

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


SERVER_LEAVES = "This server is being stopped and did not wait. The job goes on: ask for it again in a few seconds."
"""Told to whoever waited for a job that has not ended."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProgressView(_Shape):
    """How far a job is: rows and bytes so far, seconds since it was submitted."""

    rows: int = 0
    bytes: int = 0
    elapsed_s: float = 0.0
    estimate: dict[str, Any] | None = Field(default=None, description="What the database expects, where it says.")


class ColumnView(_Shape):
    """A column's name as the database gave it and a short type."""

    name: str
    type: str


class TruncatedView(_Shape):
    """Why not all rows were kept: ``max_rows`` or ``max_bytes``, and the limit."""

    reason: str
    limit: int


class PolicyView(_Shape):
    """What the policy does to one table for this caller. Columns that do not exist for them are not told of."""

    table: str
    rows: str | None = Field(default=None, description="filtered: some rows do not exist for you.")
    masked: list[str] | None = Field(default=None, description="Columns that read as something else.")


class AskView(_Shape):
    """What a waiting job must be told before it goes on."""

    message: str
    answer: dict[str, Any] = Field(description="JSON schema of the answer.")
    only_a_person: bool | None = Field(default=None, description="true: a tool call cannot say yes to it.")
    until: str | None = Field(default=None, description="Then it fails with input_timeout (ISO 8601, UTC).")


class ErrorView(_Shape):
    """What went wrong, for a model: a code that never changes, words that may, where in the SQL, what to do."""

    code: str
    message: str
    hint: str | None = None
    position: int | None = Field(default=None, description="1-based character of the SQL as it ran.")
    next_step: str | None = None


class JobView(_Shape):
    """One job as every tool shows it. Fields with nothing to say are left out."""

    job_id: str = Field(description="The handle. Copy it whole.")
    state: JobState
    stage: str | None = Field(default=None, description="What it is doing, or its place in the queue.")
    progress: ProgressView | None = None
    asks: AskView | None = Field(default=None, description="Of a waiting job.")
    source: str
    sql: str | None = Field(default=None, description="As it ran, long ones cut; whole in the resource job://{id}.")
    question: str | None = None
    assumptions: list[str] | None = Field(default=None, description="Of the model that wrote the SQL.")
    model: str | None = Field(default=None, description="That wrote the SQL, with its tokens.")
    conversation: str | None = Field(default=None, description="Pass it to ask for a follow-up.")
    policy: list[PolicyView] | None = Field(default=None, description="Tables that you see only in part.")
    plan: list[str] | None = Field(default=None, description="Of a dry run, in the database's own words.")
    columns: list[ColumnView] | None = None
    rows: list[list[Any]] | None = Field(
        default=None, description="The first rows, arrays of cells in the columns' order; long cells are cut."
    )
    row_count: int | None = Field(default=None, description="Of the whole stored result.")
    truncated: TruncatedView | None = Field(default=None, description="null: the result is whole.")
    summary: dict[str, dict[str, Any]] | None = Field(
        default=None, description="Per column, over all stored rows: nulls, min, max, distinct, top [value, count]."
    )
    result_uri: str | None = Field(default=None, description="The resource with the rows.")
    download_urls: dict[str, str] | None = Field(
        default=None, description="Told over /v1: the whole result as a file, by format. The tool export makes one."
    )
    workers_alive: int | None = Field(default=None, description="Told when it is 0: nobody is there to run the job.")
    warnings: list[str] = Field(
        default_factory=list,
        description="What may mislead, some with a code first: cartesian_product, fan_out_join, limit_tie, "
        "limit_without_order, unfiltered_enum, no_rows, all_null, truncated.",
    )
    next_step: str | None = Field(default=None, description="The very next call, with its arguments.")
    shared: str | None = Field(default=None, description="Said where an equal statement's run brought the rows.")
    expires_at: str | None = Field(default=None, description="Until when the rows are kept (ISO 8601, UTC).")
    error: ErrorView | None = None

    @property
    def is_error(self) -> bool:
        """Whether a tool's result with this view is an error: the job failed."""
        return self.state is JobState.FAILED

    def content(self) -> dict[str, Any]:
        """JSON-ready, without the fields that say nothing; a succeeded job always says `rows` and `truncated`."""
        told = self.model_dump(mode="json", exclude_none=True)
        if self.state is JobState.SUCCEEDED and self.plan is None:
            told.setdefault("truncated", None)
        return told


class JobLine(_Shape):
    """One job in a list: enough to find a lost handle."""

    job_id: str
    state: JobState
    source: str
    sql: str
    question: str | None = None
    submitted_at: str
    row_count: int | None = None
    error: str | None = Field(default=None, description="The error's code.")

    def content(self) -> dict[str, Any]:
        """JSON-ready, without the fields that say nothing."""
        return self.model_dump(mode="json", exclude_none=True)


class PageView(_Shape):
    """A slice of a result's rows; `next_cursor` is missing at the end."""

    job_id: str
    columns: list[ColumnView]
    rows: list[list[Any]]
    offset: int
    next_cursor: str | None = None
    complete: bool = Field(description="false: the job still runs, and more rows may come.")
    warnings: list[str] = Field(default_factory=list)
    next_step: str

    def content(self) -> dict[str, Any]:
        """JSON-ready, without the fields that say nothing."""
        return self.model_dump(mode="json", exclude_none=True)


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
    said = [*warnings, *_written(job).get("warnings", ()), *_warnings(job)]
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
        next_step=_next_step_unfinished(job),
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
            "next_step": _next_step_succeeded(job, shown=len(shown.rows), whole=whole),
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


def _warnings(job: Job) -> list[str]:
    said = [str(job.notes["expensive"])] if job.notes.get("expensive") else []
    if not job.is_finished and job.workers_alive == 0:
        queue = " --queue generate" if job.kind is JobKind.ASK else ""
        said.append(f"No worker is running, so nothing will start. Someone must run: awaitsql worker{queue}")
    if job.notes.get("waits_for") and not job.is_finished:
        missing = (
            "runs an older version" if job.notes["waits_for"] == "record" else "has not read its configuration again"
        )
        said.append(f"A worker that {missing} left the job to another. If it stays queued, whoever runs them must act.")
    if job.notes.get("server_leaves"):
        said.append(SERVER_LEAVES)
    if job.stage == "storing":
        said.append(
            "The place where results are kept is slow just now, not the database. Whoever runs the workers should look "
            "at its disk or object store."
        )
    if job.notes.get("slow_store"):
        said.append(
            f"{job.notes['slow_store']:g} s of the time went into storing the rows: the place where results are kept "
            "is slow."
        )
    if job.notes.get("broker_memory"):
        said.append(
            f"The job broker's memory is {job.notes['broker_memory']} % full; when it is full, no job is taken. "
            "Whoever runs it should raise [executor] embedded_memory_mb or its maxmemory, or lower result_ttl_s."
        )
    return said


def _next_step_unfinished(job: Job) -> str | None:
    if job.notes.get("confirmation") is not None and job.state is JobState.FAILED:
        return _next_step_unconfirmed(job)
    if job.state is JobState.FAILED:
        return None if job.error is None else str(error_content(job.error)["next_step"])
    if job.state is JobState.CANCELLED:
        return "It was cancelled; call query again only if its rows are wanted after all."
    if job.state is JobState.WAITING:
        return _next_step_waiting(job)
    call = f'get_job(job_id="{job.id}", wait_seconds=30)'
    if job.rows:
        call += f' or, for the rows so far, get_rows(job_id="{job.id}")'
    return f"{call}. The job goes on by itself: do not submit it again."


def _next_step_waiting(job: Job) -> str:
    if job.input_request is not None and job.input_request.by == "human":
        return (
            f"Ask the user to answer it in a terminal: awaitsql jobs answer {job.id}. "
            f'Without: cancel_job(job_id="{job.id}").'
        )
    return (
        f'Ask the user what asks.message says, then answer_job(job_id="{job.id}", answer="…") with their words, or '
        "JSON by asks.answer where it asks several things. Do not submit it again."
    )


def _next_step_unconfirmed(job: Job) -> str:
    if job.notes.get("confirm_by") == "human":
        return "Make it cheaper, or ask the user to run it with awaitsql query: only a person can confirm it."
    return (
        "Ask the user whether it is worth that. If so, call query with the same sql and source and "
        f'confirm="{job.notes["confirmation"]}" within ten minutes.'
    )


def _next_step_succeeded(job: Job, *, shown: int, whole: bool) -> str:
    total = job.summary.row_count if job.summary is not None else job.rows
    if whole:
        return "All rows are here; nothing more to fetch."
    return f'{shown} of {total} rows are here; get_rows(job_id="{job.id}") pages through all of them.'
