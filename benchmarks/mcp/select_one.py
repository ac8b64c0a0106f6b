"""`select 1` in one MCP call, over stdio and HTTP, beside a tool that does nothing on the same transport."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from started import HERE, awaitsql, free_port, over_http, over_stdio, small_file

CALLS = 300


async def p50(call: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Milliseconds: the median and the 95th of 100 of `CALLS` calls, after some to warm up."""
    for _ in range(30):
        await call()
    took = []
    for _ in range(CALLS):
        began = time.perf_counter()
        await call()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), statistics.quantiles(took, n=20)[18]


async def main() -> None:
    file = small_file()
    noop = [sys.executable, str(HERE / "noop_server.py")]
    print(f"{'':8}{'no-op tool p50 / p95 ms':>28}{'select 1 p50 / p95 ms':>26}{'difference of p50':>20}")
    for transport in ("stdio", "http"):
        port, other = free_port(), free_port()
        serve = awaitsql("serve", "--transport", transport, "--db", file)
        peers = over_stdio(noop) if transport == "stdio" else over_http([*noop, str(other)], other)
        ours = over_stdio(serve) if transport == "stdio" else over_http([*serve, "--port", str(port)], port)
        async with peers as client:
            base = await p50(lambda client=client: client.call_tool("noop", {}))
        async with ours as client:

            async def select(client: object = client) -> None:
                answer = await client.call_tool("query", {"sql": "select 1 as one", "fresh": True})
                assert answer.structured_content["rows"] == [[1]], answer.structured_content

            mine = await p50(select)
        told = [f"{a:.1f} / {b:.1f}" for a, b in (base, mine)]
        print(f"{transport:8}{told[0]:>28}{told[1]:>26}{mine[0] - base[0]:>17.1f} ms")


asyncio.run(main())
