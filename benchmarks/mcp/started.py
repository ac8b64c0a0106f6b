"""Starts the servers that the benchmarks talk to, each with a home of its own, and finds a free port for them."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from mcp import Client, StdioServerParameters

HERE = Path(__file__).parent
FOR_EVER = (
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 4000000000) select count(*) as n from r"
)
"""A statement for SQLite that does not end."""


def fresh_home() -> dict[str, str]:
    """An environment whose home folder is new and empty."""
    home = tempfile.mkdtemp(prefix="awaitsql-bench-")
    return {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "PYTHONPATH")} | {"HOME": home}


def small_file() -> str:
    """A SQLite file with one row."""
    path = Path(tempfile.mkdtemp(prefix="awaitsql-bench-")) / "small.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x INTEGER)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.commit()
    connection.close()
    return str(path)


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def awaitsql(*arguments: str) -> list[str]:
    """The command of this environment."""
    return [sys.executable, "-m", "mcp_server", *arguments]


@asynccontextmanager
async def over_stdio(command: list[str], env: dict[str, str] | None = None) -> AsyncIterator[Client]:
    """A client of a server that it starts itself, with `env` beside a fresh home."""
    server = StdioServerParameters(command=command[0], args=command[1:], env=fresh_home() | (env or {}))
    async with Client(server, read_timeout_seconds=120) as client:
        yield client


@asynccontextmanager
async def over_http(command: list[str], port: int, env: dict[str, str] | None = None) -> AsyncIterator[Client]:
    """A client of a server that listens on `port`, started and stopped here."""
    process = subprocess.Popen(
        command, env=fresh_home() | (env or {}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            await asyncio.sleep(0.1)
        async with Client(f"http://127.0.0.1:{port}/mcp", read_timeout_seconds=120) as client:
            yield client
    finally:
        process.terminate()
        process.wait(20)
