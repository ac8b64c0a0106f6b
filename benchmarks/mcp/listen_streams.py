"""What open ``subscriptions/listen`` streams cost one server: memory and processor time at rest, and how soon all hear.

Every stream follows the same running job, which is the worst case: its end makes every one of them look.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time

import psutil
from started import FOR_EVER, awaitsql, free_port, fresh_home, small_file

STREAMS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
REST_S = 10
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
}


async def posted(
    port: int, method: str, params: dict[str, object]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request whose answer is still to be read."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        f"Mcp-Method: {method}\r\n" + (f"Mcp-Name: {params['name']}\r\n" if "name" in params else "")
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    return reader, writer


async def answer(port: int, method: str, params: dict[str, object]) -> dict[str, object]:
    """The result of a request."""
    reader, writer = await posted(port, method, params)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    message = json.loads(await reader.readexactly(length))
    writer.close()
    return message["result"]


async def heard(reader: asyncio.StreamReader, word: bytes) -> None:
    """Read on until a line has `word` in it."""
    while word not in await reader.readline():
        pass


async def main() -> None:
    port = free_port()
    serve = awaitsql("serve", "--transport", "http", "--port", str(port), "--db", small_file())
    server = subprocess.Popen(serve, env=fresh_home(), stderr=subprocess.DEVNULL)
    try:
        task: dict[str, object] = {}
        while "taskId" not in task:
            await asyncio.sleep(0.2)
            with contextlib.suppress(OSError):
                asked = {"name": "query", "arguments": {"sql": FOR_EVER, "wait_seconds": 0}}
                task = await answer(port, "tools/call", asked)
        process = psutil.Process(server.pid)

        def used() -> tuple[float, float]:
            times = process.cpu_times()
            return process.memory_info().rss / 1e6, times.user + times.system

        await asyncio.sleep(3)
        rss, cpu = used()
        await asyncio.sleep(REST_S)
        print(f"no stream:      {rss:6.0f} MB, {(used()[1] - cpu) / REST_S * 100:5.1f} % of a core at rest")

        listen = {"notifications": {"taskIds": [task["taskId"]]}}
        began = time.perf_counter()
        streams = [await posted(port, "subscriptions/listen", listen) for _ in range(STREAMS)]
        await asyncio.gather(*(heard(reader, b"notifications/tasks") for reader, _ in streams))
        took = time.perf_counter() - began
        await asyncio.sleep(3)
        rss, cpu = used()
        await asyncio.sleep(REST_S)
        print(f"{STREAMS} streams:   {rss:6.0f} MB, {(used()[1] - cpu) / REST_S * 100:5.1f} % of a core at rest")
        print(f"opened and told of the task in {took:.2f} s ({took / STREAMS * 1000:.2f} ms a stream)")

        began = time.perf_counter()
        await answer(port, "tasks/cancel", {"taskId": task["taskId"]})
        ends = [asyncio.create_task(heard(reader, b'"cancelled"')) for reader, _ in streams]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        first = time.perf_counter() - began
        await asyncio.gather(*ends)
        print(f"cancel: the first stream heard after {first:.2f} s, the last after {time.perf_counter() - began:.2f} s")
        for _, writer in streams:
            writer.close()
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    if os.sysconf("SC_OPEN_MAX") < STREAMS + 100:
        sys.exit(f"raise the limit of open files: ulimit -n {2 * STREAMS + 500}")
    asyncio.run(main())
