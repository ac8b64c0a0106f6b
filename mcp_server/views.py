"""The shapes on the wire. `mcp_server.wire` builds them from the nouns; they know none.

`JobView` is one model for every tool that returns a job. It is documented at the resource ``schema://jobview`` and
not as an output schema on each tool, which would take kilobytes of every client's context.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from executor import JobState


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
