"""What a worker tells of itself with each beat, and what others read of it. Knows no broker."""

from __future__ import annotations

import importlib.metadata
import json
import os
import socket
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from executor.settings import RECORD_VERSION, ExecutorSettings


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker that was heard of in the last seconds.

    Attributes:
        name: that it holds leases under.
        queue: the one it serves; that of statements has no name.
        host: of the machine.
        pid: of the process, on that machine.
        version: of the product it runs.
        record: the newest version of job records that it can read.
        slots: jobs it runs at once.
        busy: jobs it runs now.
        leaves: whether it takes no more.
        sources: by name, the fingerprint of each source as it is configured there.
        clock_ahead_s: how far its clock is ahead of the broker's, with what the way there takes.
        heard_s: seconds since it was heard of.
    """

    name: str
    queue: str
    host: str
    pid: int
    version: str
    record: int
    slots: int
    busy: int
    leaves: bool
    sources: dict[str, str]
    clock_ahead_s: float
    heard_s: float


def told_of(settings: ExecutorSettings, *, slots: int, busy: int, leaves: bool, ttl_s: float) -> str:
    """What this process, a worker with those slots, tells of itself (JSON); `ttl_s` is what it is believed for."""
    return json.dumps(
        {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": _product(),
            "record": RECORD_VERSION,
            "slots": slots,
            "busy": busy,
            "leaves": leaves,
            "sources": settings.source_fingerprints(),
            "clock": time.time(),
            "ttl_s": ttl_s,
        }
    )


def worker_seen(name: str, about: str, *, queue: str, until: float, now: float) -> WorkerSeen:
    """From what it told, believed until `until`; both times are the broker's, in Unix seconds."""
    told: dict[str, Any] = json.loads(about)
    heard_at = until - told["ttl_s"]
    return WorkerSeen(
        name=name,
        queue=queue,
        host=told["host"],
        pid=told["pid"],
        version=told["version"],
        record=told["record"],
        slots=told["slots"],
        busy=told["busy"],
        leaves=told["leaves"],
        sources=told["sources"],
        clock_ahead_s=told["clock"] - heard_at,
        heard_s=now - heard_at,
    )


@cache
def _product() -> str:
    return importlib.metadata.version("awaitsql")
