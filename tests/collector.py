"""An OpenTelemetry collector for tests: takes spans by OTLP over HTTP, as protobuf, and keeps them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from served import until


@dataclass(frozen=True)
class Seen:
    """One span as it came."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    trace_state: str
    is_error: bool
    told: dict[str, Any]
    links: list[tuple[str, str]]
    role: str
    scope: str
    starts: int
    ends: int


@dataclass
class Collector:
    """What came by now."""

    endpoint: str = ""
    spans: list[Seen] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            role = _told(resource.resource.attributes).get("awaitsql.role", "")
            for scope in resource.scope_spans:
                self.spans += [_seen(span, role, scope.scope.name) for span in scope.spans]
        self.bodies.append(body)

    def of(self, trace_id: str) -> list[Seen]:
        """The spans of a trace."""
        return [span for span in list(self.spans) if span.trace_id == trace_id]

    def one(self, trace_id: str, name: str, *, within_s: float = 20, **told: Any) -> Seen:
        """The trace's one span of that name with these attributes (``_`` for ``.``), waited for."""
        found: list[Seen] = []

        def has_come() -> bool:
            found[:] = [
                span
                for span in self.of(trace_id)
                if span.name.startswith(name)
                and all(span.told.get(key.replace("_", ".")) == value for key, value in told.items())
            ]
            return bool(found)

        until(has_come, within_s=within_s)
        assert len(found) == 1, [span.name for span in found]
        return found[0]

    def job(self, job_id: str, name: str, *, within_s: float = 20) -> Seen:
        """The job's one span of that name, in whichever trace, waited for."""
        found: list[Seen] = []

        def has_come() -> bool:
            found[:] = [
                span
                for span in list(self.spans)
                if span.name.startswith(name) and span.told.get("awaitsql.job.id") == job_id
            ]
            return bool(found)

        until(has_come, within_s=within_s)
        assert len(found) == 1, [span.name for span in found]
        return found[0]


def _seen(span: ProtoSpan, role: str, scope: str) -> Seen:
    return Seen(
        name=span.name,
        kind=ProtoSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        trace_state=span.trace_state,
        is_error=span.status.code == 2,
        told=_told(span.attributes),
        links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
        role=role,
        scope=scope,
        starts=span.start_time_unix_nano,
        ends=span.end_time_unix_nano,
    )


def _told(attributes: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector at a free port of this machine."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            collector.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        collector.endpoint = f"http://127.0.0.1:{server.server_port}"
        yield collector
        server.shutdown()
        thread.join()
