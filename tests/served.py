"""A server over HTTP as a user starts it, in a home of its own; it can be stopped and started again there."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def until(condition: Callable[[], bool], *, within_s: float) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.05)


def make_orders(file: Path) -> Path:
    """A SQLite file with 120 orders."""
    made = sqlite3.connect(file)
    made.execute("create table orders (id integer primary key, total real)")
    made.executemany("insert into orders values (?, ?)", [(n, n * 1.5) for n in range(1, 121)])
    made.commit()
    made.close()
    return file


def make_shop(file: Path) -> Path:
    """A SQLite file with two customers and 120 orders that have long notes."""
    made = sqlite3.connect(file)
    made.execute("create table customers (id integer primary key, name text not null)")
    made.execute("create table orders (id integer primary key, customer_id integer, total real, note text)")
    made.execute("insert into customers values (1, 'Ada'), (2, 'Grace')")
    made.executemany("insert into orders values (?, 1, ?, ?)", [(n, n * 1.5, "x" * 500) for n in range(1, 121)])
    made.commit()
    made.close()
    return file


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class HttpServer:
    """``awaitsql serve`` over the configuration `arguments` name, at a free port of this machine."""

    home: Path
    arguments: list[str]
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> HttpServer:
        if not self.port:
            self.port = free_port()
        command = [sys.executable, "-m", "mcp_server", "serve", "--transport", "http", "--port", str(self.port)]
        with (self.home / "log").open("ab") as log:
            started = subprocess.Popen(
                [*command, *self.arguments], cwd=ROOT, env=self.environment(), stderr=log, stdout=log
            )
        self._process = started
        try:
            until(lambda: self._is_ready() or started.poll() is not None, within_s=30)
            assert started.poll() is None, (self.home / "log").read_text()
        except AssertionError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> None:
        """Until it has ended by itself."""
        assert self._process is not None
        assert self._process.wait(20) == 0, (self.home / "log").read_text()
        self._process = None

    def __enter__(self) -> HttpServer:
        return self.start()

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        # the path: workers do not look for modules where the server was started
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "PYTHONPATH": str(ROOT)}

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.origin}/readyz", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False
