"""What traces cost: a span where they are off, and a trivial job without them, with them, and with a silent endpoint.

Each way has a broker and a worker of its own; the three are taken in turns, so that the machine's moods meet all.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import threading
import time
import timeit
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from submit import latency, ours, settings_of

from executor import ExecutorSettings, TraceExport, TracingSettings
from executor.jobs import JobKind
from executor.tracing import NO_TRACES

SPANS = 1_000_000


class Collector(BaseHTTPRequestHandler):
    """Takes spans and forgets them."""

    def do_POST(self) -> None:
        """One export."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def settings_with(source: dict[str, object], endpoint: str) -> ExecutorSettings:
    tracing = TracingSettings(otlp_endpoint=endpoint)
    # no shared rows: each call is a run
    return settings_of(source).model_copy(update={"tracing": tracing, "cache_ttl_s": 0.0})


def span_off() -> None:
    with NO_TRACES.submit(JobKind.QUERY, "db", "", parent_id="") as span:
        span.tell("awaitsql.job.id", "x")


async def main() -> None:
    took = timeit.timeit(span_off, number=SPANS, timer=time.process_time) / SPANS
    print(f"a span where traces are off: {took * 1e9:.0f} ns of processor time")
    small = Path(tempfile.mkdtemp(prefix="aq")) / "small.sqlite"
    small.touch()
    source: dict[str, object] = {"kind": "sqlite", "path": str(small)}
    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    silent = socket.create_server(("127.0.0.1", 0))
    endpoints = {
        "off": "",
        "on": f"http://127.0.0.1:{collector.server_port}",
        "silent": f"http://127.0.0.1:{silent.getsockname()[1]}",
    }
    # this process submits for all three, and can have one way for its spans: the collector's
    with TraceExport(TracingSettings(otlp_endpoint=endpoints["on"]), role="server"):
        async with AsyncExitStack() as stack:
            calls = {
                name: await stack.enter_async_context(ours(settings_with(source, endpoint)))
                for name, endpoint in endpoints.items()
            }
            p50 = await latency(calls)
    for name, told in p50.items():
        print(f"{name}: submit to rows p50 {told:.2f} ms, {told - p50['off']:+.2f} ms")
    collector.shutdown()
    silent.close()


if __name__ == "__main__":
    asyncio.run(main())
