"""Spans of jobs, in the words of OpenTelemetry. Where no endpoint is configured nothing of it is imported, or done."""

from __future__ import annotations

from executor.settings import TracingSettings
from executor.tracing.traces import NO_SPAN, NO_TRACES, Span, Traces

__all__ = ["NO_SPAN", "NO_TRACES", "Span", "Traces", "traces_of"]


def traces_of(settings: TracingSettings) -> Traces:
    """What makes the spans of this process; they go where its edge has said (`executor.tracing.export`)."""
    if not settings.otlp_endpoint:
        return NO_TRACES
    from executor.tracing.spans import RecordedTraces  # noqa: PLC0415 - costs a process that traces nothing nothing

    return RecordedTraces(settings)
