"""What a client sees, second by second, when the worker and then the broker are killed (-9) under its query."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

import psutil
from mcp import Client
from started import awaitsql, over_stdio, small_file

SLOW = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 25000000) SELECT COUNT(*) AS n FROM r"


def victim(word: str) -> int:
    """The process whose command line holds `word`."""
    for process in psutil.Process().children(recursive=True):
        command = process.cmdline()
        if any(word in part for part in command) and not command[0].endswith("sh"):
            return process.pid
    raise LookupError(word)


async def watch(client: Client, view: dict[str, Any], began: float) -> dict[str, Any]:
    """Polls to the end, printing what changed."""
    last = ""
    while True:
        now = f"{view['state']}{', ' + view['stage'] if view.get('stage') else ''}"
        if view.get("error"):
            now += f", {view['error']['code']}"
        if now != last:
            print(f"  {time.perf_counter() - began:5.2f} s  {now}")
            last = now
        if view["state"] not in ("queued", "running"):
            return view
        await asyncio.sleep(0.05)
        answer = (await client.call_tool("get_job", {"job_id": view["job_id"]})).structured_content
        if "state" in answer:
            view = answer
        else:
            print(f"  {time.perf_counter() - began:5.2f} s  get_job answers {answer['error']['code']}")


async def main() -> None:
    async with over_stdio(awaitsql("serve", "--transport", "stdio", "--db", small_file())) as client:
        for word in ("executor.worker", "valkey-server"):
            view = (await client.call_tool("query", {"sql": SLOW, "wait_seconds": 1.5})).structured_content
            print(f"kill -9 of {word} under a running query:")
            began = time.perf_counter()
            os.kill(victim(word), signal.SIGKILL)
            view = await watch(client, view, began)
            print(f"  rows: {view.get('rows')}")


asyncio.run(main())
