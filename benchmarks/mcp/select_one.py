"""`select 1` in one MCP call, over stdio and HTTP, beside a tool that does nothing and other servers for SQL.

    TEST_POSTGRES_URL=postgresql://... python benchmarks/mcp/select_one.py [--calls 300]

All stand on the same PostgreSQL and are called in turns, so that the machine's moods meet each alike. The bars: 6 ms
more than the tool that does nothing on the same transport, and 3 times DBHub's time. A peer that cannot be had here is
left out, with the reason.

Beside them, as the limit of any server that runs its queries as Celery jobs: a bare Celery loop with the same database
call (`executor/submit.py`) and no MCP at all. A call can take no less than that and the tool that does nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from mcp import Client
from peers import NotHad, Peer, dbhub, first_text, mcp_alchemy
from started import HERE, awaitsql, free_port, over_http, over_stdio, small_file

sys.path.append(str(Path(__file__).parents[1] / "executor"))
from submit import bare, settings_of

_WARM_UP = 30

Call = Callable[[], Awaitable[None]]


async def in_turns(calls: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call, `rounds` times one after the other, after some to warm up."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for n in range(_WARM_UP + rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            await call()
            if n >= _WARM_UP:
                took[name].append((time.perf_counter() - began) * 1000)
    return took


def ours(client: Client, *, varied: bool = False) -> Call:
    """`select 1`, run anew; or another number each time, which the guard has not read before."""
    numbers = itertools.count(1)

    async def call() -> None:
        number = next(numbers) if varied else 1
        answer = await client.call_tool("query", {"sql": f"select {number} as one", "fresh": True})
        assert answer.structured_content["rows"] == [[number]], answer.structured_content

    return call


def theirs(client: Client, peer: Peer) -> Call:
    """`select 1`."""

    async def call() -> None:
        answer = await client.call_tool(peer.tool, {peer.argument: "select 1 as one"})
        assert not answer.is_error, first_text(answer)
        assert "1" in first_text(answer), first_text(answer)

    return call


def nothing(client: Client) -> Call:
    """The tool that does nothing."""

    async def call() -> None:
        await client.call_tool("noop", {})

    return call


def peers_on(url: str) -> list[Peer]:
    """Those that can be had."""
    found = []
    for peer in (dbhub, mcp_alchemy):
        try:
            found.append(peer(url))
        except NotHad as reason:
            print(f"{peer.__name__} left out: {reason}")
    return found


async def measure(transport: str, url: str, peers: list[Peer], rounds: int) -> None:
    noop = [sys.executable, str(HERE / "noop_server.py")]

    async with AsyncExitStack() as stack:

        async def opened(stdio: list[str], http: Callable[[int], list[str]], env: dict[str, str]) -> Client:
            port = free_port()
            started = over_stdio(stdio, env) if transport == "stdio" else over_http(http(port), port, env)
            return await stack.enter_async_context(started)

        calls = {"no-op": nothing(await opened(noop, lambda port: [*noop, str(port)], {}))}
        for name, db in (("awaitsql", url), ("awaitsql, SQLite", small_file())):
            serve = awaitsql("serve", "--db", db, "--transport", transport)
            client = await opened(serve, lambda port, serve=serve: [*serve, "--port", str(port)], {})
            calls[name] = ours(client)
            calls[f"{name}, varied"] = ours(client, varied=True)
        for peer in peers:
            if transport == "stdio" or peer.http is not None:
                calls[peer.name] = theirs(await opened(peer.stdio, peer.http or (lambda _port: []), peer.env), peer)
        loop = await stack.enter_async_context(bare(settings_of({"kind": "postgres", "url": url})))

        async def celery() -> None:
            assert await loop() == [[1]]

        calls["bare Celery loop, no MCP"] = celery
        took = await in_turns(calls, rounds)

    base = statistics.median(took["no-op"])
    for name, each in took.items():
        middle, late = statistics.median(each), statistics.quantiles(each, n=20)[18]
        print(f"{transport:6}{name:26}{middle:8.1f}{late:8.1f}{middle - base:+10.1f}", end="")
        others = [f"{middle / statistics.median(took[p.name]):.1f} x {p.name}" for p in peers if p.name in took]
        print("   " + ", ".join(others) if name == "awaitsql" else "")
    floor = base + statistics.median(took["bare Celery loop, no MCP"])
    others = [f"{floor / statistics.median(took[p.name]):.1f} x {p.name}" for p in peers if p.name in took]
    print(f"{transport:6}{'no-op and bare loop':26}{floor:8.1f}{'':8}{floor - base:+10.1f}   {', '.join(others)}")


async def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--calls", type=int, default=300)
    rounds = asked.parse_args().calls
    url = os.environ["TEST_POSTGRES_URL"]
    peers = peers_on(url)
    print(f"{'':32}{'p50 ms':>8}{'p95 ms':>8}{'to no-op':>10}")
    for transport in ("stdio", "http"):
        await measure(transport, url, peers, rounds)


asyncio.run(main())
