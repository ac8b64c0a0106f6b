"""From starting the command in an empty home to the first rows over stdio, beside an MCP server that does nothing."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from started import HERE, awaitsql, over_stdio, small_file

RUNS = 5


async def seconds(command: list[str], tool: str, arguments: dict[str, str]) -> float:
    """From nothing to the answer of one call."""
    began = time.perf_counter()
    async with over_stdio(command) as client:
        answer = await client.call_tool(tool, arguments)
        took = time.perf_counter() - began
        assert not answer.is_error, answer
    return took


async def main() -> None:
    file = small_file()
    noop, ours = [], []
    for _ in range(RUNS):
        noop.append(await seconds([sys.executable, str(HERE / "noop_server.py")], "noop", {}))
        command = awaitsql("serve", "--transport", "stdio", "--db", file)
        ours.append(await seconds(command, "query", {"sql": "select x from t"}))
    a, b = statistics.median(noop), statistics.median(ours)
    print(f"no-op server: {a:.2f} s    awaitsql with broker, worker and schema: {b:.2f} s    ratio {b / a:.2f}")


asyncio.run(main())
