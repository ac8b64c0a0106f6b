"""The MCP face of a real server over standard input and output, as a desktop client starts it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
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


def parameters(file: Path) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_server", "serve", "--transport", "stdio", "--db", str(file)],
        env={"PATH": os.environ["PATH"], "HOME": str(file.parent)},
        cwd=ROOT,
    )


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.structured_content
    assert result.structured_content is not None
    return result.structured_content


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_rows_a_handle_and_a_cancelled_call_over_one_connection(file: Path, mode: str) -> None:
    async with Client(parameters(file), read_timeout_seconds=60, mode=mode) as client:
        [source] = (await call(client, "list_sources"))["sources"]
        assert source["ready"]
        assert (await call(client, "query", sql="select count(*) as n from orders"))["rows"] == [[120]]

        with anyio.move_on_after(1) as scope:
            await client.call_tool("query", {"sql": SLOW, "wait_seconds": 40})
        assert scope.cancelled_caught
        [job] = (await call(client, "list_jobs", limit=1))["jobs"]
        assert (await call(client, "get_job", job_id=job["job_id"], wait_seconds=10))["state"] == "cancelled"


async def test_a_client_that_leaves_in_the_middle_of_a_query_stops_it(file: Path) -> None:
    async with Client(parameters(file), read_timeout_seconds=60) as client:
        with anyio.move_on_after(0.1):
            await client.call_tool("query", {"sql": SLOW, "wait_seconds": 40})
    async with Client(parameters(file), read_timeout_seconds=60) as client:
        for job in (await call(client, "list_jobs"))["jobs"]:
            assert (await call(client, "get_job", job_id=job["job_id"], wait_seconds=10))["state"] == "cancelled"


def test_nothing_but_the_protocol_is_written_to_standard_output(file: Path) -> None:
    asked = parameters(file)
    server = subprocess.Popen(
        [asked.command, *asked.args],
        env={**(asked.env or {})},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    with server:
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        send = [
            {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
            {"jsonrpc": "2.0", "method": "notifications/initialized"},
            {
                "jsonrpc": "2.0",
                "id": 2,
                "method": "tools/call",
                "params": {"name": "query", "arguments": {"sql": "select 1 as one"}},
            },
        ]
        for message in send:
            server.stdin.write(json.dumps(message) + "\n")
            server.stdin.flush()
        read = [json.loads(server.stdout.readline())]
        while read[-1].get("id") != 2:
            read.append(json.loads(server.stdout.readline()))
        began = time.monotonic()
        server.stdin.close()
        rest = server.stdout.read()
        server.wait(15)
        assert time.monotonic() - began < 15
    assert read[-1]["result"]["structuredContent"]["rows"] == [[1]]
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest.splitlines())
    assert server.returncode == 0
