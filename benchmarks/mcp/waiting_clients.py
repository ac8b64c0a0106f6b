"""What 200 clients that wait cost everybody else on one server: `list_sources` beside them, and without them.

    python benchmarks/mcp/waiting_clients.py [--clients 200] [--calls 200]

Each client has a connection of its own and waits in `get_job` for the same endless query. The bar: 3 times the 99th of
100 of an idle server.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from contextlib import AsyncExitStack

from mcp import Client
from started import FOR_EVER, awaitsql, free_port, over_http, small_file

_WARM_UP = 20
_WAIT_S = 45


async def timed(client: Client, calls: int) -> tuple[float, float]:
    """Milliseconds of `list_sources`: the median and the 99th of 100, after some to warm up."""
    took = []
    for n in range(_WARM_UP + calls):
        began = time.perf_counter()
        await client.call_tool("list_sources", {})
        if n >= _WARM_UP:
            took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.005)
    return statistics.median(took), statistics.quantiles(took, n=100)[98]


async def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--clients", type=int, default=200)
    asked.add_argument("--calls", type=int, default=200)
    told = asked.parse_args()
    port = free_port()
    serve = awaitsql("serve", "--transport", "http", "--port", str(port), "--db", small_file())
    async with over_http(serve, port) as client, AsyncExitStack() as stack:
        idle = await timed(client, told.calls)
        # the job is there in the measure without waiters, too: what it takes of the processor is not the waiters'
        job = (await client.call_tool("query", {"sql": FOR_EVER, "wait_seconds": 0})).structured_content["job_id"]
        running = await timed(client, told.calls)
        url = f"http://127.0.0.1:{port}/mcp"
        others = [await stack.enter_async_context(Client(url, read_timeout_seconds=120)) for _ in range(told.clients)]

        async def wait(other: Client) -> None:
            while True:
                await other.call_tool("get_job", {"job_id": job, "wait_seconds": _WAIT_S})

        waiting = [asyncio.create_task(wait(other)) for other in others]
        await asyncio.sleep(3)  # all of them are in their wait by then
        beside = await timed(client, told.calls)
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await client.call_tool("cancel_job", {"job_id": job})

    print(f"{'list_sources':36}{'p50 ms':>8}{'p99 ms':>8}{'p99 to idle':>13}")
    for name, (middle, late) in (
        ("idle", idle),
        ("beside one endless query", running),
        (f"beside {told.clients} that wait for it", beside),
    ):
        print(f"{name:36}{middle:8.1f}{late:8.1f}{late / idle[1]:11.1f} x")


asyncio.run(main())
