"""A server over HTTP that is asked to stop: what its callers hear, and that no job is lost by it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from served import HttpServer, make_orders, until

SLOW = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 400000000) select count(*) as n from r"


@pytest.fixture(params=[3])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HttpServer]:
    config = tmp_path / "awaitsql.toml"
    orders = make_orders(tmp_path / "orders.sqlite")
    config.write_text(
        f'[executor]\nstate_dir = "{tmp_path / "state"}"\n[executor.sources.orders]\nkind = "sqlite"\n'
        f'path = "{orders}"\n[mcp_server]\nunready_s = {request.param}\n'
    )
    with HttpServer(tmp_path, ["--config", str(config)]) as started:
        yield started


def test_a_server_asked_to_stop_answers_its_callers_and_loses_no_job_asked_again_it_hurries(
    server: HttpServer,
) -> None:
    heard: dict[str, Any] = {}

    def listen(http: httpx2.Client, job_id: str) -> None:
        with http.stream("GET", f"/v1/jobs/{job_id}/events") as stream:
            lines = stream.iter_lines()
            heard["first"] = next(lines)
            heard["events"] = list(lines)

    async def ask_mcp() -> dict[str, Any]:
        async with Client(server.url) as client:
            result = await client.call_tool("query", {"sql": SLOW + " limit 3", "wait_seconds": 40})
        assert result.structured_content is not None
        return result.structured_content

    with httpx2.Client(base_url=server.origin, timeout=60) as http, ThreadPoolExecutor() as threads:
        job = http.post("/v1/jobs", json={"sql": SLOW}).json()
        listening = threads.submit(listen, http, job["job_id"])
        waiting = threads.submit(http.post, "/v1/jobs", json={"sql": SLOW + " limit 2", "wait_seconds": 40})
        calling = threads.submit(anyio.run, ask_mcp)
        until(lambda: len(http.get("/v1/jobs").json()["jobs"]) == 3 and "first" in heard, within_s=20)
        assert http.get("/readyz").status_code == 200

        began = time.monotonic()
        server.signal(signal.SIGTERM)
        until(lambda: http.get("/readyz").status_code == 503, within_s=1.5)
        unready, alive = http.get("/readyz"), http.get("/healthz")
        told, called = waiting.result(20).json(), calling.result(20)
        listening.result(20)
        answered_s = time.monotonic() - began
        server.wait()

    assert (unready.json(), alive.status_code) == ({"status": "leaving"}, 200)
    for view in (told, called):
        assert view["state"] in ("queued", "running")
        assert view["job_id"] in view["next_step"]
        assert any("being stopped" in warning for warning in view["warnings"])
    assert "event: leaving" in heard["events"]
    goodbye = json.loads(heard["events"][heard["events"].index("event: leaving") + 1].removeprefix("data: "))
    assert goodbye["job_id"] == job["job_id"]
    assert answered_s < 10

    server.start()
    with httpx2.Client(base_url=server.origin, timeout=60) as http:
        for view in (job, told, called):
            assert http.get(f"/v1/jobs/{view['job_id']}").json()["state"] in ("queued", "running")
            assert http.delete(f"/v1/jobs/{view['job_id']}").status_code in (200, 202)
        server.signal(signal.SIGTERM)
        until(lambda: http.get("/readyz").status_code == 503, within_s=1.5)
        server.signal(signal.SIGTERM)
        with pytest.raises(httpx2.ConnectError):
            # the second signal: long before unready_s is over
            until(lambda: http.get("/readyz").status_code == 200, within_s=5)
        server.wait()


@pytest.mark.parametrize("server", [0], indirect=True)
def test_a_download_under_way_is_finished(server: HttpServer) -> None:
    rows = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 400000) select n, 'x' || n from r"
    with httpx2.Client(base_url=server.origin, timeout=60) as http:
        job = http.post("/v1/jobs", json={"sql": rows, "wait_seconds": 40}).json()
        assert job["state"] == "succeeded"
        link = http.post(f"/v1/jobs/{job['job_id']}/export", params={"format": "csv"}).json()
        with http.stream("GET", link["url"]) as download:
            parts = download.iter_bytes()
            first = next(parts)
            server.signal(signal.SIGTERM)
            whole = first + b"".join(parts)
        server.wait()
    assert whole.count(b"\n") == 400_001
