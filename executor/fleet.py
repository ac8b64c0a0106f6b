"""Worker processes as children: started, watched, started again when they die, stopped with their parent.

A child gets its settings through a pipe that stays open; when the parent dies, however it dies, the pipe closes and
the child goes. A child's output goes to a log file, never to the parent's standard output, which may be a protocol.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from executor.connections import connect_sync
from executor.settings import ExecutorSettings
from executor.store import WorkerStore

log = logging.getLogger(__name__)

_LOG_KEPT_BYTES = 5_000_000
_STOP_S = 6.0
_SPAWN_AGAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Program:
    """What the children run.

    Attributes:
        module: started with ``python -m``; reads one JSON line from standard input and lives until that ends.
        log: the name of their log file, without its ending.
        more: told to them beside the executor's settings; JSON-ready.
        hidden: variables of our environment that they are not given.
    """

    module: str
    log: str
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])
    hidden: frozenset[str] = frozenset()


STATEMENTS = Program("executor.worker", "worker")
"""Workers that run statements."""


class WorkerFleet:
    """`workers` worker processes of one configuration, of one `program`. A context manager; starts them on entering."""

    def __init__(
        self,
        settings: ExecutorSettings,
        broker_url: str,
        workers: int,
        *,
        log_level: str = "INFO",
        program: Program = STATEMENTS,
    ) -> None:
        self._program = program
        self._settings = settings
        self._broker_url = broker_url
        self._count = workers
        self._log_level = log_level
        self._store = WorkerStore(settings, connect_sync(broker_url))
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._metrics_ports: dict[str, int | None] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="awaitsql-fleet", daemon=True)

    @property
    def log_file(self) -> Path:
        """Where the workers write their log."""
        return self._settings.home / f"{self._program.log}.log"

    def pids(self) -> list[int]:
        """The process ids of the children alive."""
        with self._lock:
            return [c.pid for c in self._children.values() if c.poll() is None]

    def pid_of(self, worker: str) -> int | None:
        """The process id of the worker that holds leases under that name, while it is alive."""
        with self._lock:
            child = self._children.get(worker)
        return child.pid if child is not None and child.poll() is None else None

    def reload(self, settings: ExecutorSettings, program: Program) -> None:
        """The children go on under these settings, and those that are started later begin with them."""
        with self._lock:
            self._settings, self._program = settings, program
            children = [(child, self._metrics_ports[worker]) for worker, child in self._children.items()]
        for child, port in children:
            if child.stdin is not None:
                # one that has just died is started again, with what it missed
                with suppress(OSError, ValueError):
                    child.stdin.write(json.dumps(self._told("", port)).encode() + b"\n")
                    child.stdin.flush()

    def _told(self, worker: str, port: int | None) -> dict[str, Any]:
        return {
            "settings": self._settings.model_copy(update={"metrics_port": port}).model_dump(mode="json"),
            "broker_url": self._broker_url,
            "worker": worker,
            "log_level": self._log_level,
            "more": self._program.more,
        }

    def __enter__(self) -> WorkerFleet:
        if self._count:
            self._settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.log_file.exists() and self.log_file.stat().st_size > _LOG_KEPT_BYTES:
                self.log_file.replace(self.log_file.with_suffix(".log.1"))
            for _ in range(self._count):
                self._spawn()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        with self._lock:
            for child in self._children.values():
                if child.stdin is not None:
                    child.stdin.close()
            until = time.monotonic() + _STOP_S
            for child in self._children.values():
                try:
                    child.wait(timeout=max(until - time.monotonic(), 0.1))
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()
            self._children.clear()

    def _spawn(self) -> None:
        worker = f"fleet:{secrets.token_hex(6)}"
        port = self._free_metrics_port()
        with self.log_file.open("ab") as output:
            child = subprocess.Popen(  # noqa: S603 - a module of ours
                # -P: whatever lies in the current folder is not ours to import
                [sys.executable, "-P", "-m", self._program.module],
                env={name: value for name, value in os.environ.items() if name not in self._program.hidden},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                # Ctrl-C at a terminal reaches the whole foreground group: the parent decides what it means
                start_new_session=True,
            )
        if child.stdin is None:
            raise RuntimeError("a pipe was asked for")
        with self._lock:
            # together: a reload comes before it and is told here, or after it and finds the child
            child.stdin.write(json.dumps(self._told(worker, port)).encode() + b"\n")
            child.stdin.flush()
            self._children[worker] = child
            self._metrics_ports[worker] = port

    def _free_metrics_port(self) -> int | None:
        """Each child has one of its own, and one that is started in another's place that one's."""
        first = self._settings.metrics_port
        if first is None:
            return None
        with self._lock:
            taken = {self._metrics_ports[worker] for worker in self._children}
        return next(port for port in count(first) if port not in taken)

    def _watch(self) -> None:
        backoff_s = 0.1
        started_at = time.monotonic()
        while not self._stop.wait(0.1):
            with self._lock:
                dead = [(worker, child) for worker, child in self._children.items() if child.poll() is not None]
                for worker, _ in dead:
                    del self._children[worker]
                    del self._metrics_ports[worker]
            for worker, child in dead:
                log.warning("worker_died", extra={"worker": worker, "exit_code": child.returncode})
                if child.stdin is not None:
                    child.stdin.close()
                self._say_goodbye(worker)
                # a worker that dies at once would be started without end
                backoff_s = min(backoff_s * 2, 10.0) if time.monotonic() - started_at < 10 else 0.1
                if self._stop.wait(backoff_s):
                    return
                started_at = time.monotonic()
                self._spawn_again()
            while not self._stop.is_set() and len(self._children) < self._count:
                # a spawn failed before: no descriptors, no room for the log
                if self._stop.wait(_SPAWN_AGAIN_S):
                    return
                self._spawn_again()

    def _spawn_again(self) -> None:
        try:
            self._spawn()
        except OSError as error:
            log.warning("worker_not_started", extra={"error": str(error)})

    def _say_goodbye(self, worker: str) -> None:
        try:
            self._store.depart(worker, lost=True)
        except (RedisError, OSError) as error:
            # the reaper sees the lease run out instead
            log.warning("departure_untold", extra={"worker": worker, "error": type(error).__name__})
