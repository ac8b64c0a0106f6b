"""What the span of a request says of the answer: which job, and the stable code of a failure. Knows no tool.

The protocol's library makes the span of each message, and reads the client's trace context from ``_meta``. Without
tracing both are no-ops of OpenTelemetry's API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace


def tell_answer(content: Mapping[str, Any] | None) -> None:
    """Adds to the current span what `content`, an answer as a client gets it, says of its job and its error."""
    span = trace.get_current_span()
    if content is None or not span.is_recording():
        return
    if isinstance(content.get("job_id"), str):
        span.set_attribute("awaitsql.job.id", content["job_id"])
    error = content.get("error")
    if isinstance(error, Mapping):
        tell_code(str(error["code"]))


def tell_code(code: str) -> None:
    """Adds the stable code of a failure to the current span."""
    trace.get_current_span().set_attribute("awaitsql.error.code", code)
