"""The trace context that goes with a job."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from executor.settings import TracingSettings
from executor.tracing.spans import RecordedSpan, RecordedTraces


def context_with(state: TraceState) -> str:
    span = NonRecordingSpan(SpanContext(0xA1, 0xB2, True, TraceFlags(1), state))
    return RecordedSpan(span, comments=True).context


def test_a_state_of_kilobytes_is_left_behind_and_the_trace_goes_on() -> None:
    flood = context_with(TraceState([(f"k{n}", "v" * 250) for n in range(32)]))
    traces = RecordedTraces(TracingSettings(otlp_endpoint="http://127.0.0.1:1"))
    with traces.attempt(flood, "J", "1", source="shop", queue=""):
        attempt = trace.get_current_span().get_span_context()

    assert len(flood) == 55
    assert attempt.trace_id == 0xA1
    assert context_with(TraceState([("vendor", "told")])).endswith(" vendor=told")
