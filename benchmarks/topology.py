"""The services of docker-compose.yml, each on a host of its own, beside one `awaitsql serve` that does it all.

    python benchmarks/topology.py [--calls 200] [--jobs 1500] [--write]

A statement that the database answers at once, called in turns through each door; the bar: p50 at most 1.5 times that of
one process tree over the same PostgreSQL. A second tree keeps its results in the same object store, to tell what that
adds. Then many callers at once, and the processor time that each process spends on a job: it hardly depends on what
else the machine does, as jobs a second do, and tells what saturates first. Last, how long statements of some kinds take
over the demo shop; `--write` keeps them for `simulate_queue.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE.parent / "tests" / "topology")]

import httpx2  # noqa: E402
import psutil  # noqa: E402
import redis  # noqa: E402
from hosts import has_namespaces  # noqa: E402
from mcp import Client  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402
from served import HttpServer  # noqa: E402
from stores import town  # noqa: E402
from town import DOOR, Town  # noqa: E402

CONFIG = ("--config", "/etc/awaitsql/awaitsql.toml")
AT_ONCE = 16
KINDS = (
    # how many of a hundred, and what; literals differ, so that none is answered by another's rows
    (50, "SELECT * FROM orders WHERE id = {n}"),
    (20, "SELECT * FROM orders WHERE customer_id = {n} % 500 ORDER BY ordered_on DESC LIMIT 50"),
    (15, "SELECT city, count(*), sum(amount) FROM orders JOIN customers c ON c.id = customer_id WHERE orders.id <> {n}"
         " GROUP BY city"),
    (10, "SELECT customer_id, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY amount) FROM orders WHERE id <> {n}"
         " GROUP BY customer_id"),
    (5, "SELECT count(*) FROM orders a JOIN orders b ON a.ordered_on = b.ordered_on AND a.amount < b.amount"
        " WHERE a.id <> {n}"),
)  # fmt: skip

Call = Callable[[], Awaitable[None]]
numbers = itertools.count(1)


@asynccontextmanager
async def by_http(origin: str, headers: dict[str, str]) -> Any:
    """A statement through ``/v1``: its rows in the answer."""
    async with httpx2.AsyncClient(base_url=origin, headers=headers, timeout=60) as client:

        async def call() -> None:
            number = next(numbers)
            asked = {"sql": f"SELECT {number} AS n", "source": "shop", "wait_seconds": 30, "fresh": True}
            told = (await client.post("/v1/jobs", json=asked)).json()
            assert told.get("rows") == [[number]], told

        yield call


@asynccontextmanager
async def by_mcp(origin: str, headers: dict[str, str]) -> Any:
    """The same through the tool `query`."""
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(f"{origin}/mcp", http_client=http)) as client,
    ):

        async def call() -> None:
            number = next(numbers)
            asked = {"sql": f"SELECT {number} AS n", "source": "shop", "fresh": True}
            told = (await client.call_tool("query", asked)).structured_content
            assert told is not None
            assert told.get("rows") == [[number]], told

        yield call


@contextmanager
def single(place: Town, *, own_store: bool) -> Iterator[HttpServer]:
    """One process tree with a broker of its own, over the town's PostgreSQL, by its role that only reads.

    Its results are in a folder of its own, or in the town's object store.
    """
    home = Path(tempfile.mkdtemp(prefix="awaitsql-bench-"))
    secrets = place.hosts.root("worker-1") / "run/secrets"
    store = "" if own_store else (
        f'[executor.object_store]\nurl = "s3://awaitsql/alone"\n'
        f'options = {{ endpoint = "http://{place.hosts.addresses["s3"]}:8333", region = "us-east-1", '
        f'access_key_id = "awaitsql", secret_access_key = {{ file = "{secrets}/s3_secret_key" }} }}\n'
    )  # fmt: skip
    (home / "awaitsql.toml").write_text(
        f'{store}[executor.sources.shop]\nkind = "postgres"\n'
        f'url = "postgresql://reader@{place.hosts.addresses["postgres"]}:5432/shop"\n'
        f'password = {{ file = "{secrets}/reader_password" }}\n'
    )
    with HttpServer(home, ["--config", str(home / "awaitsql.toml"), "--workers", "1"]) as server:
        yield server


async def in_turns(calls: dict[str, Call], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each call, one after the other, after some to warm up."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-30, rounds):
        for name, call in calls.items():
            began = time.perf_counter()
            await call()
            if number >= 0:
                took[name].append((time.perf_counter() - began) * 1000)
    return took


def spent(place: Town) -> dict[str, float]:
    """Seconds of processor time of each service until now, with what its children have used."""
    told = {}
    for name in place.running():
        process = psutil.Process(place.pid(name))
        used = process.cpu_times()
        seconds = used.user + used.system + used.children_user + used.children_system
        for child in process.children(recursive=True):
            with child.oneshot():
                seconds += child.cpu_times().user + child.cpu_times().system
        told[name] = seconds
    return told


def broker_bytes(place: Town) -> int:
    """What Valkey's data takes."""
    password = (place.hosts.root("server-1") / "run/secrets/valkey_password").read_text()
    address = place.hosts.addresses["valkey"]
    with redis.Redis(host=address, username="awaitsql", password=password, decode_responses=True) as broker:
        return broker.info("memory")["used_memory_dataset"]


def history_bytes(place: Town) -> int:
    """What the history takes on PostgreSQL's disk, indexes too, once it has all that was told."""
    with place.database("awaitsql") as connection:

        def size() -> int:
            return connection.execute("SELECT pg_database_size('awaitsql')").fetchone()[0]

        known = -1
        while known != (known := size()):
            time.sleep(2.0)
        return known


async def under_load(place: Town, call: Call, jobs: int) -> None:
    """Prints the processor time of a job, process by process."""
    left = iter(range(jobs))

    async def caller() -> None:
        for _ in left:
            await call()

    told, kept, before, began = history_bytes(place), broker_bytes(place), spent(place), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    took, after = time.perf_counter() - began, spent(place)
    print(f"\n{jobs} jobs of {AT_ONCE} callers at once: {jobs / took:.0f} a second; ms of processor time a job:")
    each = {name: (after[name] - before[name]) * 1000 / jobs for name in before}
    for name, of in (
        ("the servers", ("server-1", "server-2")),
        ("the workers", ("worker-1", "worker-2")),
        ("the broker", ("valkey",)),
        ("PostgreSQL, source and history", ("postgres",)),
        ("the proxy", ("proxy",)),
        ("the object store", ("s3",)),
    ):
        ms = sum(each[one] for one in of)
        print(f"  {name:34}{ms:7.2f}   a core's worth at {1000 / ms if ms else float('inf'):8.0f} jobs/s")
    print(f"  {'memory of the broker':34}{(broker_bytes(place) - kept) / jobs:7.0f} bytes a job, for result_ttl_s")
    print(f"  {'disk of the history':34}{(history_bytes(place) - told) / jobs:7.0f} bytes a job, for keep_days")


def statement_times(place: Town, rounds: int = 10) -> list[float]:
    """Seconds of a hundred statements, as often as `KINDS` says, `rounds` times."""
    took = []
    with place.database() as connection:
        for number in range(rounds):
            for share, sql in KINDS:
                for _ in range(share):
                    began = time.perf_counter()
                    connection.execute(sql.format(n=number + next(numbers) % 20_000)).fetchall()
                    took.append(round(time.perf_counter() - began, 6))
    return took


async def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--calls", type=int, default=200)
    asked.add_argument("--jobs", type=int, default=1500)
    asked.add_argument("--write", action="store_true")
    given = asked.parse_args()
    settings = {
        "AWAITSQL_EXECUTOR__PRINCIPAL_MAX_RUNNING": str(AT_ONCE),
        "AWAITSQL_EXECUTOR__SOURCES__SHOP__MAX_RUNNING": str(AT_ONCE),
        "AWAITSQL_MCP_SERVER__AUTH__CALLS_PER_MINUTE": "1000000",
        "AWAITSQL_MCP_SERVER__AUTH__BURST": "100000",
    }
    asking = {"AWAITSQL_MCP_SERVER__ASK__MODEL": "none", "AWAITSQL_MCP_SERVER__ASK__BASE_URL": "http://{gateway}:9"}
    print("hosts:", "network namespaces" if has_namespaces() else "addresses of loopback", f"on {os.cpu_count()} cores")
    with (
        town(namespaces=has_namespaces(), asking=asking, settings=settings) as place,
        single(place, own_store=True) as alone,
        single(place, own_store=False) as alone_with_store,
    ):
        told = place.run("server-1", ["awaitsql", "token", "create", "ada", "--json", *CONFIG])
        token = json.loads(told.stdout)["token"]
        headers = {"Authorization": f"Bearer {token}", "Host": DOOR.removeprefix("http://")}
        doors = {
            name: f"http://{place.hosts.addresses[host]}:{port}"
            for name, host, port in (("server", "server-1", 8765), ("proxy and server", "proxy", 8080))
        }
        async with AsyncExitStack() as stack:
            calls: dict[str, Call] = {}
            for how, opened in (("HTTP", by_http), ("MCP", by_mcp)):
                calls[f"{how}, one process tree"] = await stack.enter_async_context(opened(alone.origin, {}))
                door = opened(alone_with_store.origin, {})
                calls[f"{how}, the same with the store"] = await stack.enter_async_context(door)
                for name, origin in doors.items():
                    calls[f"{how}, {name}"] = await stack.enter_async_context(opened(origin, headers))
            took = await in_turns(calls, given.calls)
            print(f"\n{'':32}{'p50 ms':>8}{'p95 ms':>8}{'ratio of p50':>14}   (bar 1.5)")
            for name, each in took.items():
                base = statistics.median(took[f"{name.partition(',')[0]}, one process tree"])
                middle, late = statistics.median(each), statistics.quantiles(each, n=20)[18]
                print(f"{name:32}{middle:8.2f}{late:8.2f}{middle / base:14.2f}")
            for how in ("HTTP", "MCP"):
                print(f"\nthrough the proxy, {how}:", end="")
                await under_load(place, calls[f"{how}, proxy and server"], given.jobs)
        times = statement_times(place)
    print(
        f"\n{len(times)} statements of {len(KINDS)} kinds: mean {statistics.fmean(times) * 1000:.1f} ms, "
        f"p50 {statistics.median(times) * 1000:.1f} ms, p99 {statistics.quantiles(times, n=100)[98] * 1000:.1f} ms"
    )
    if given.write:
        kept = {"measured": "topology.py --write, over the demo shop of docker-compose.yml", "seconds": times}
        (HERE / "statement_times.json").write_text(json.dumps(kept) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
