"""What a ten-second query of one caller costs another: `select 1` in one MCP call beside it, and without it.

    TEST_POSTGRES_URL=postgresql://... python benchmarks/mcp/slow_query.py [--calls 100]

The guard lets nothing sleep, so the slow query counts until its ten seconds are over (it ends in
``statement_timeout``) and takes a processor of the database's machine meanwhile: have one to spare. The bar: the median
does not move.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time

from mcp import Client
from started import awaitsql, free_port, over_http

_WARM_UP = 30
_SLOW = "select count(*) as n from generate_series(1, 1000000) a, generate_series(1, 1000000) b"
_SLOW_S = 10


async def timed(client: Client, calls: int, until: asyncio.Task[object] | None = None) -> list[float]:
    """Milliseconds of each `select 1`, up to `calls` of them; none that ended after `until` did."""
    took: list[float] = []
    while len(took) < calls:
        began = time.perf_counter()
        answer = await client.call_tool("query", {"sql": "select 1 as one", "fresh": True})
        assert answer.structured_content["rows"] == [[1]], answer.structured_content
        if until is not None and until.done():
            break
        took.append((time.perf_counter() - began) * 1000)
    return took


async def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--calls", type=int, default=100)
    calls = asked.parse_args().calls
    port = free_port()
    serve = awaitsql("serve", "--transport", "http", "--port", str(port), "--db", os.environ["TEST_POSTGRES_URL"])
    limit = {"AWAITSQL_EXECUTOR__LIMITS__STATEMENT_TIMEOUT_S": str(_SLOW_S)}
    async with (
        over_http(serve, port, limit) as client,
        Client(f"http://127.0.0.1:{port}/mcp", read_timeout_seconds=120) as other,
    ):
        await timed(client, _WARM_UP)
        alone, beside = [], []
        for _ in range(2):
            alone += await timed(client, calls)
            slow = asyncio.create_task(other.call_tool("query", {"sql": _SLOW, "wait_seconds": 40, "fresh": True}))
            await asyncio.sleep(0.5)
            beside += await timed(client, calls, slow)
            error = (await slow).structured_content["error"]
            assert error["code"] == "statement_timeout", error

    print(f"{'select 1':24}{'p50 ms':>8}{'p95 ms':>8}{'calls':>7}")
    for name, took in (("alone", alone), ("beside a 10 s query", beside)):
        print(f"{name:24}{statistics.median(took):8.1f}{statistics.quantiles(took, n=20)[18]:8.1f}{len(took):7}")
    print(f"ratio of the medians: {statistics.median(beside) / statistics.median(alone):.2f}")


asyncio.run(main())
