"""A real server over HTTP, on a small SQLite shop, with everything it needs in one folder."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[1]


@contextmanager
def http_server(home: Path, *more: str) -> Iterator[str]:
    """The address of `awaitsql serve --transport http`, with `more` arguments; its log is ``home/log``."""
    file = home / "shop.sqlite"
    with sqlite3.connect(file) as made:
        made.execute("create table customers (id integer primary key, name text not null)")
        made.execute("create table orders (id integer primary key, customer_id integer, total real, note text)")
        made.execute("insert into customers values (1, 'Ada'), (2, 'Grace')")
        made.executemany("insert into orders values (?, 1, ?, ?)", [(n, n * 1.5, "x" * 500) for n in range(1, 121)])
    made.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    command = [sys.executable, "-m", "mcp_server", "serve", "--transport", "http", "--port", str(port), *more]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen([*command, "--db", str(file)], cwd=ROOT, env=env, stderr=log, stdout=log)
        try:
            origin = f"http://127.0.0.1:{port}"
            end = time.monotonic() + 30
            while not _is_healthy(origin):
                assert server.poll() is None, (home / "log").read_text()
                assert time.monotonic() < end, (home / "log").read_text()
                time.sleep(0.05)
            yield origin
        finally:
            server.terminate()
            server.wait(15)


def _is_healthy(origin: str) -> bool:
    try:
        return httpx2.get(f"{origin}/healthz", timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False
