"""A million rows of eight columns from PostgreSQL over MCP: seconds, memory, what reaches the model.

TEST_POSTGRES_URL names the server. The peer, in the same run: psycopg `fetchall` and `json.dumps` of the same rows.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import time

import psutil
import psycopg
from started import awaitsql, over_stdio

SQL = (
    "select g as id, now() + g * interval '1 second' as t, g * 1.5 as amount, g % 100 as bucket, 'name ' || g as name, "
    "md5(g::text) as h, 'city ' || g % 50 as city, g % 2 = 0 as even from generate_series(1, 1000000) g"
)


def peer(url: str, answer: multiprocessing.SimpleQueue) -> None:
    """What a tool that fetches everything does: seconds, growth of its memory in MB, characters of JSON."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    with psycopg.connect(url) as connection:
        text = json.dumps(connection.execute(SQL).fetchall(), default=str)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer.put((took, (after - before) / 1024, len(text)))


def tree_bytes() -> int:
    """Proportional set size of every child process."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


async def main() -> None:
    url = os.environ["TEST_POSTGRES_URL"]
    answer: multiprocessing.SimpleQueue = multiprocessing.SimpleQueue()
    process = multiprocessing.Process(target=peer, args=(url, answer))
    process.start()
    process.join()
    took, memory, size = answer.get()
    print(f"psycopg fetchall + json: {took:.1f} s, +{memory:.0f} MB, {size:,} characters")
    async with over_stdio(awaitsql("serve", "--transport", "stdio", "--db", url)) as client:
        await client.call_tool("query", {"sql": "select 1"})
        before = peak = tree_bytes()
        began = time.perf_counter()
        view = (await client.call_tool("query", {"sql": SQL, "wait_seconds": 0})).structured_content
        while view["state"] in ("queued", "running"):
            peak = max(peak, tree_bytes())
            await asyncio.sleep(0.05)
            view = (await client.call_tool("get_job", {"job_id": view["job_id"]})).structured_content
        mine = time.perf_counter() - began
        rows, whole = len(json.dumps(view["rows"])), len(json.dumps(view))
        print(
            f"awaitsql: {view['state']}, {view['row_count']:,} rows, {mine:.1f} s, all processes +"
            f"{(peak - before) / 1e6:.0f} MB, {whole:,} characters to the model ({whole - rows:,} beyond the preview)"
        )
        print(f"ratios: time {mine / took:.2f}, characters 1 : {size / whole:,.0f}")


if __name__ == "__main__":
    asyncio.run(main())
