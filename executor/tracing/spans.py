"""Spans that are recorded, named after OpenTelemetry's conventions for messaging and databases.

Uses the API only, as a library does: where spans go is decided at the edge of the process (`executor.tracing.export`).
Attributes hold names, numbers and codes; SQL and questions stand in none, unless the settings ask for SQL.
Source: https://opentelemetry.io/docs/specs/semconv/ (messaging and database spans, 1.45)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from executor.errors import ExecutorError
from executor.jobs import Job, JobKind
from executor.settings import TracingSettings
from executor.sources import SourceConfig
from executor.tracing.comments import sql_comment
from executor.tracing.traces import Span, Traces

_W3C = TraceContextTextMapPropagator()
_CONTEXT_CHARS = 600
"""A longer context is not ours: 55 characters of traceparent, and 512 of tracestate."""

_SUMMARY_CHARS = 255
_STATEMENTS = "statements"
"""The queue that has no name."""

_SYSTEMS = {
    "postgres": "postgresql",
    "mssql": "microsoft.sql_server",
    "bigquery": "gcp.bigquery",
}
"""The convention's word for a kind, where it is not the kind's own."""

_RESULTS_SYSTEM = "duckdb"

_FOR_ALL = frozenset({JobKind.INTROSPECT, JobKind.PROBE, JobKind.PROFILE})
"""Jobs that serve every caller: each is a trace of its own, and not of the one who happened to need it first."""


class RecordedSpan(Span):
    """A span of OpenTelemetry's. Thread-safe, as that is."""

    def __init__(self, span: trace.Span, *, comments: bool) -> None:
        self._span = span
        self._comments = comments

    @property
    def context(self) -> str:
        """See `Span.context`."""
        carrier = self._carrier()
        told = " ".join(carrier[name] for name in ("traceparent", "tracestate") if name in carrier)
        # a caller's state may have many times that: it is kept with the job, and nobody needs it for the trace
        return told if len(told) <= _CONTEXT_CHARS else carrier["traceparent"]

    def comment(self, job_id: str) -> str:
        """See `Span.comment`."""
        return sql_comment(job_id, self._carrier().get("traceparent", "")) if self._comments else ""

    def tell(self, name: str, value: str | int | bool) -> None:
        """See `Span.tell`."""
        self._span.set_attribute(name, value)

    def fail(self, code: str) -> None:
        """See `Span.fail`."""
        self._span.set_attribute("error.type", code)
        self._span.set_status(Status(StatusCode.ERROR))

    def became(self, job: Job, *, job_id: str) -> None:
        """See `Span.became`."""
        self.tell("awaitsql.job.id", job.id)
        self.tell("messaging.message.conversation_id", job.id)
        if "shared" in job.notes:
            self.tell("awaitsql.job.shared", job.notes["shared"])
        # of another submit with the same idempotency key; of the run whose rows the job has
        for context in (job.trace if job.id != job_id else "", job.run_trace):
            linked = trace.get_current_span(_context_of(context)).get_span_context()
            if linked.is_valid:
                self._span.add_link(linked)

    def _carrier(self) -> dict[str, str]:
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(self._span))
        return carrier


class RecordedTraces(Traces):
    """Spans of one process."""

    def __init__(self, settings: TracingSettings) -> None:
        self._tracer = trace.get_tracer("awaitsql")
        self._settings = settings

    @contextmanager
    def submit(self, kind: JobKind, source: str, queue: str, *, parent_id: str) -> Generator[Span]:
        """See `Traces.submit`."""
        attributes = _message("send", queue) | {"awaitsql.job.kind": str(kind), "awaitsql.source": source}
        if parent_id:
            attributes["awaitsql.job.parent_id"] = parent_id
        within = Context() if kind in _FOR_ALL else None
        asking = trace.get_current_span().get_span_context()
        links = [Link(asking)] if kind in _FOR_ALL and asking.is_valid else []
        with self._span(f"send {queue or _STATEMENTS}", SpanKind.PRODUCER, attributes, within, links) as span:
            try:
                yield span
            except ExecutorError as error:
                span.fail(str(error.code))
                raise
            except Exception as error:
                span.fail(type(error).__name__)
                raise

    @contextmanager
    def attempt(self, context: str, job_id: str, attempt: str, *, source: str, queue: str) -> Generator[Span]:
        """See `Traces.attempt`."""
        attributes = _message("process", queue) | {
            "messaging.message.id": f"{job_id}.{attempt}",
            "messaging.message.conversation_id": job_id,
            "awaitsql.job.id": job_id,
            "awaitsql.job.attempt": int(attempt),
            "awaitsql.source": source,
        }
        name = f"process {queue or _STATEMENTS}"
        with self._span(name, SpanKind.CONSUMER, attributes, _context_of(context)) as span:
            yield span

    @contextmanager
    def statement(
        self,
        source: str,
        config: SourceConfig | None,
        *,
        operation: str,
        tables: Sequence[str],
        text: Callable[[], str],
        code_of: Callable[[Exception], str],
    ) -> Generator[Span]:
        """See `Traces.statement`."""
        summary = " ".join([operation, *tables])[:_SUMMARY_CHARS]
        attributes: dict[str, Any] = {
            "db.system.name": _RESULTS_SYSTEM if config is None else _SYSTEMS.get(config.kind, config.kind),
            "db.operation.name": operation,
            "db.query.summary": summary,
            "awaitsql.source": source,
            **_place(config),
        }
        if len(tables) == 1:
            attributes["db.collection.name"] = tables[0]
        if self._settings.sql_text:
            attributes["db.query.text"] = text()
        with self._span(summary, SpanKind.CLIENT, attributes) as span:
            try:
                yield span
            except Exception as error:
                span.fail(code_of(error))
                raise

    @contextmanager
    def _span(
        self,
        name: str,
        kind: SpanKind,
        attributes: dict[str, Any],
        within: Context | None = None,
        links: Sequence[Link] = (),
    ) -> Generator[RecordedSpan]:
        with self._tracer.start_as_current_span(
            name,
            context=within,
            kind=kind,
            attributes=attributes,
            links=links,
            # what an exception says may quote values
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield RecordedSpan(span, comments=self._settings.sql_comment)


def _context_of(text: str) -> Context:
    """The context that `text` carries; an empty one where it is none: whoever reaches the broker can write one."""
    if len(text) > _CONTEXT_CHARS:
        return Context()
    traceparent, _, tracestate = text.partition(" ")
    return _W3C.extract({"traceparent": traceparent, "tracestate": tracestate}, Context())


def _message(operation: str, queue: str) -> dict[str, Any]:
    return {
        "messaging.system": "celery",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": queue or _STATEMENTS,
    }


def _place(config: SourceConfig | None) -> dict[str, Any]:
    """Where the database is, as far as a URL says so: its user is left out."""
    url = getattr(config, "url", None)
    if not isinstance(url, str):
        return {}
    try:
        parts = urlsplit(url)
        told = {"server.address": parts.hostname, "server.port": parts.port, "db.namespace": parts.path.strip("/")}
    except ValueError:  # several hosts
        return {}
    return {name: value for name, value in told.items() if value}
