"""The shapes of answers that only HTTP has. For the description of the interface, and for whoever reads it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mcp_server.views import ErrorView, JobLine


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class JobList(_Shape):
    """Jobs, the newest first."""

    jobs: list[JobLine]


class SourceLine(_Shape):
    """One source, as the caller sees it."""

    name: str
    kind: str
    dialect: str
    description: str | None = None
    tables: int = Field(description="How many.")
    ready: bool
    error: ErrorView | None = Field(default=None, description="Why it is not ready.")


class SourceList(_Shape):
    """The sources that exist for the caller."""

    sources: list[SourceLine]


class TableList(_Shape):
    """Tables of a source: without names a line each, with names their columns, keys and comments."""

    source: str
    dialect: str
    tables: list[dict[str, Any]]
    more_tables: int | None = Field(default=None, description="How many more there are.")
    not_shown: list[dict[str, Any]] | None = Field(default=None, description="Others that match, a line each.")
    without_such_columns: list[str] | None = Field(default=None, description="Named, but with no column asked for.")
    unknown: list[ErrorView] | None = Field(default=None, description="Names that stand for nothing.")
    more_unknown: int | None = Field(default=None, description="How many more such names there are.")
    next_step: str | None = None


class ExportLink(_Shape):
    """Where a whole result can be fetched, by whoever has this address, for a while."""

    job_id: str
    url: str = Field(description="Below this server's address. Needs no sign-in.")
    format: str
    rows: int
    bytes: int
    expires_at: str = Field(description="ISO 8601, UTC.")
    warnings: list[str] = Field(default_factory=list)
    next_step: str
