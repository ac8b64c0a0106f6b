"""Serves a worker's own registry over HTTP, at an address of its own. The only HTTP in this package.

Nobody signs in here, so it is on loopback unless the settings say otherwise; it tells numbers and names of sources.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

log = logging.getLogger(__name__)


@contextmanager
def serving_metrics(registry: CollectorRegistry, host: str, port: int | None) -> Generator[None]:
    """``http://host:port/metrics`` while inside; nothing without a port.

    Where the port is taken the worker works on without: a log record tells of it, and Prometheus of a target down.
    """
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        log.error("metrics_not_served", extra={"host": host, "port": port, "error": str(error)})  # noqa: TRY400 - no bug
        yield
        return
    log.info("metrics_served", extra={"host": host, "port": port})
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=1)
