"""Spans as the rest of the executor sees them; these record nothing: what a process has that traces nothing.

Knows no OpenTelemetry. A trace context travels as one text, ``traceparent`` and, after a space, ``tracestate``, both as
the W3C writes them; an empty text is none. Source: https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from executor.jobs import Job, JobKind
from executor.sources import SourceConfig


class Span:
    """A span that is not recorded: what is told to it is forgotten."""

    @property
    def context(self) -> str:
        """What makes spans elsewhere children of this one."""
        return ""

    def comment(self, job_id: str) -> str:
        """What a statement of the job ends in, so that whoever sees it on a server finds this span; or nothing."""
        return ""

    def tell(self, name: str, value: str | int | bool) -> None:
        """Keeps one attribute."""

    def fail(self, code: str) -> None:
        """Says that it failed, by a stable code; never by a message, which may quote values."""

    def became(self, job: Job, *, job_id: str) -> None:
        """Says which job a submit under `job_id` came to, with a link to the run that it shares with others."""


class Traces:
    """Makes the spans of one process. A context manager each, which gives the span."""

    def submit(self, kind: JobKind, source: str, queue: str, *, parent_id: str) -> AbstractContextManager[Span]:
        """A job on its way into the queue; its context is the parent of every attempt at the job."""
        return _NOTHING

    def attempt(
        self,
        context: str,
        job_id: str,
        attempt: str,
        *,
        source: str,
        queue: str,
    ) -> AbstractContextManager[Span]:
        """One attempt at a job in a worker, a child of the submit's span with `context`."""
        return _NOTHING

    def statement(
        self,
        source: str,
        config: SourceConfig | None,
        *,
        operation: str,
        tables: Sequence[str],
        text: Callable[[], str],
        code_of: Callable[[Exception], str],
    ) -> AbstractContextManager[Span]:
        """One statement on a database, from its start to its last row.

        Args:
            source: the source's name.
            config: of the source; None for stored results.
            operation: ``SELECT`` or ``EXPLAIN``.
            tables: what it reads, as ``schema.name``.
            text: the SQL as callers may read it; asked for only where it is to be recorded.
            code_of: the stable code of what it failed with.
        """
        return _NOTHING


NO_SPAN = Span()
NO_TRACES = Traces()
_NOTHING = nullcontext(NO_SPAN)
