"""What every independent client does with the product, in any language's client that has a "call a tool". Stands alone.

Runs in the clients' own environments, where nothing of the product is installed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Call = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Calls a tool with arguments: its structured content."""


def counting(rows: int) -> str:
    """A statement that counts so many rows."""
    return f"with recursive r(n) as (select 1 union all select n + 1 from r where n < {rows}) select max(n) as n from r"


async def ended(call: Call, job_id: str) -> str:
    """The state of the job at its end."""
    while True:
        job = await call("get_job", {"job_id": job_id, "wait_seconds": 10})
        if job["state"] not in ("queued", "running"):
            return job["state"]


async def loop(call: Call) -> dict[str, Any]:
    """A query to its handle, its end and its rows, and another to its cancel: what was seen."""
    finite = await call("query", {"sql": counting(2_000_000), "wait_seconds": 0, "fresh": True})
    seen: dict[str, Any] = {"handle": finite["state"] in ("queued", "running")}
    seen["ended"] = await ended(call, finite["job_id"])
    seen["rows"] = (await call("get_rows", {"job_id": finite["job_id"]}))["rows"]
    endless = await call("query", {"sql": counting(4_000_000_000), "wait_seconds": 0.5})
    seen["goes on"] = endless["state"] in ("queued", "running")
    await call("cancel_job", {"job_id": endless["job_id"]})
    seen["cancelled"] = await ended(call, endless["job_id"])
    return seen
