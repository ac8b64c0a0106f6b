"""The MCP face of a real server over standard input and output, as a desktop client starts it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parents[2]
SLOW = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 400000000) select count(*) as n from r"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = sqlite3.connect(tmp_path / "shop.sqlite")
    made.execute("create table orders (id integer primary key, total real)")
    made.executemany("insert into orders values (?, ?)", [(n, n * 1.5) for n in range(1, 121)])
    made.commit()
    made.close()
    return tmp_path / "shop.sqlite"


def parameters(file: Path, *more: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_server", "serve", "--transport", "stdio", "--db", str(file), *more],
        env={"PATH": os.environ["PATH"], "HOME": str(file.parent)},
        cwd=ROOT,
    )


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.structured_content
    assert result.structured_content is not None
    return result.structured_content


async def test_rows_a_handle_and_a_cancelled_call_over_one_connection(file: Path) -> None:
    beside = parameters(file, "--workers", "0")  # the first one's worker is enough for both
    async with (
        Client(parameters(file), read_timeout_seconds=60, mode="auto") as stateless,
        Client(beside, read_timeout_seconds=60, mode="legacy") as greeted,
    ):
        for client in (stateless, greeted):
            [source] = (await call(client, "list_sources"))["sources"]
            assert source["ready"]
            assert (await call(client, "query", sql="select count(*) as n from orders"))["rows"] == [[120]]

            with anyio.move_on_after(1) as scope:
                await client.call_tool("query", {"sql": SLOW, "wait_seconds": 40})
            assert scope.cancelled_caught
            [job] = (await call(client, "list_jobs", limit=1))["jobs"]
            assert (await call(client, "get_job", job_id=job["job_id"], wait_seconds=10))["state"] == "cancelled"


@contextmanager
def started(file: Path) -> Iterator[subprocess.Popen[str]]:
    """A server with raw pipes, greeted."""
    asked = parameters(file)
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    with subprocess.Popen(
        [asked.command, *asked.args],
        env=asked.env,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            send(server, {"id": 1, "method": "initialize", "params": hello})
            send(server, {"method": "notifications/initialized"})
            assert answer(server, 1)["serverInfo"]["name"] == "awaitsql"
            yield server
        finally:
            server.kill()


def send(server: subprocess.Popen[str], message: dict[str, Any]) -> None:
    assert server.stdin is not None
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    server.stdin.flush()


def send_call(server: subprocess.Popen[str], number: int, tool: str, **arguments: Any) -> None:
    send(server, {"id": number, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})


def answer(server: subprocess.Popen[str], number: int) -> dict[str, Any]:
    """The result with that id; every line before it must be of the protocol."""
    assert server.stdout is not None
    for line in server.stdout:
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0"
        if message.get("id") == number:
            return message["result"]
    raise AssertionError("the server closed its output")


def leave(server: subprocess.Popen[str]) -> str:
    """Close the server's input; what it wrote after that, when it has ended."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.close()
    rest = server.stdout.read()
    assert server.wait(15) == 0
    return rest


def test_a_client_that_leaves_in_the_middle_of_a_query_stops_it_and_reads_nothing_but_the_protocol(file: Path) -> None:
    with started(file) as server:
        send_call(server, 2, "query", sql="select 1 as one")
        assert answer(server, 2)["structuredContent"]["rows"] == [[1]]
        send_call(server, 3, "query", sql=SLOW, wait_seconds=40)
        number, states = 4, [""]
        end = time.monotonic() + 20
        while states[0] != "running":
            assert time.monotonic() < end
            send_call(server, number, "list_jobs")
            states = [job["state"] for job in answer(server, number)["structuredContent"]["jobs"]]
            number += 1
        began = time.monotonic()
        rest = leave(server)
        assert time.monotonic() - began < 10
    for line in rest.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
    with started(file) as server:
        send_call(server, 2, "list_jobs")
        states = [job["state"] for job in answer(server, 2)["structuredContent"]["jobs"]]
        assert states == ["cancelled", "succeeded"]
