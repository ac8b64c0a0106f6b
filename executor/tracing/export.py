"""Where the spans of a process go: set up at its edge, flushed there within a bound. Loads the SDK only where asked.

Spans wait in memory for a thread that sends them; more than it holds are dropped, and an endpoint that is away or slow
costs a job nothing. What an exception said is taken off before: it may quote values of a statement.
"""

from __future__ import annotations

import logging
import secrets
import threading
from typing import TYPE_CHECKING, Self

from executor.settings import TracingSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

log = logging.getLogger(__name__)

FLUSH_S = 1.5
"""How long a process that ends waits for its last spans to be sent."""

_PATH = "/v1/traces"


class TraceExport:
    """The way of this process's spans. A context manager; set up once a process."""

    def __init__(self, settings: TracingSettings, *, role: str) -> None:
        """`role` is what the process does: ``server``, ``worker`` or ``questions``."""
        self._provider = _provider(settings, role) if settings.otlp_endpoint else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Sends what waits, for at most `FLUSH_S` seconds; later spans are dropped. Called again it does nothing."""
        provider, self._provider = self._provider, None
        if provider is not None:
            closing = threading.Thread(target=provider.shutdown, name="awaitsql-spans", daemon=True)
            closing.start()
            closing.join(FLUSH_S)


def _provider(settings: TracingSettings, role: str) -> TracerProvider | None:
    try:
        from opentelemetry import trace  # noqa: PLC0415 - a process that traces nothing loads none of it
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415 - as above

        from executor.tracing.wordless import WordlessExporter  # noqa: PLC0415 - as above
    except ImportError:
        log.warning("traces_not_exported", extra={"hint": 'The SDK is missing: pip install "awaitsql[otel]".'})
        return None
    own = {"service.name": "awaitsql", "service.instance.id": secrets.token_hex(8), "awaitsql.role": role}
    # what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say comes before our own
    resource = Resource.create().merge(Resource(own)).merge(OTELResourceDetector().detect())
    provider = TracerProvider(
        resource=resource,
        sampler=ParentBased(TraceIdRatioBased(settings.sample_ratio)),
        shutdown_on_exit=False,  # that would wait for half a minute
    )
    exporter = WordlessExporter(endpoint=settings.otlp_endpoint.rstrip("/") + _PATH)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider
