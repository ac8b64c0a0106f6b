"""docker-compose.yml for real: its servers, workers, proxy, broker, database and store, each on a host of its own.

What one does for another, and what becomes of jobs when one of them is killed, cut off or replaced.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from hosts import has_namespaces
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from model_double import ModelDouble, model_server, sql
from stores import start_valkey, town
from task_client import CreatedTask, Tasks, call, ended
from town import DOOR, Town, until

CONFIG = ("--config", "/etc/awaitsql/awaitsql.toml")
PAIRS = "SELECT count(*) AS n FROM orders AS a CROSS JOIN orders AS b WHERE a.id + b.id <> {mark}"
"""For hours, as `mark` says that nobody else's statement is meant."""
SOME_PAIRS = PAIRS + " AND a.id <= 800"
"""For some seconds; as many as orders with such an id, times all orders."""
FOUND = [[800 * 20_000]]


@dataclass(frozen=True)
class Place:
    """The town, a caller's token, and the model behind its questions."""

    town: Town
    token: str
    double: ModelDouble

    def web(self, host: str) -> httpx2.Client:
        """Plain HTTP to a server, or through the proxy."""
        port = 8080 if host == "proxy" else 8765
        headers = {"Authorization": f"Bearer {self.token}", "Host": DOOR.removeprefix("http://")}
        base_url = f"http://{self.town.hosts.addresses[host]}:{port}"
        return httpx2.Client(base_url=base_url, headers=headers, timeout=60)

    @asynccontextmanager
    async def assistant(self, host: str) -> AsyncIterator[Client]:
        """MCP with a server, or through the proxy."""
        with self.web(host) as told:
            url, headers = str(told.base_url.join("/mcp")), dict(told.headers)
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http), extensions=[Tasks()]) as client,
        ):
            yield client

    def submit(self, host: str, statement: str, **more: Any) -> str:
        """The handle of a job that a server took."""
        with self.web(host) as web:
            answer = web.post("/v1/jobs", json={"sql": statement, "source": "shop", "wait_seconds": 0, **more})
            assert answer.status_code in {200, 202}, answer.text
            return answer.json()["job_id"]

    def view(self, host: str, job_id: str, *, wait_s: float = 0) -> dict[str, Any]:
        """What a server says of a job, after waiting for its end for so long."""
        with self.web(host) as web:
            answer = web.get(f"/v1/jobs/{job_id}", params={"wait_seconds": wait_s})
            assert answer.status_code == 200, answer.text
            return answer.json()

    def succeeded(self, host: str, job_id: str) -> list[list[Any]]:
        """The rows of a job, once it has succeeded."""
        view = self.view(host, job_id, wait_s=40)
        assert view["state"] == "succeeded", view
        return view["rows"]

    def cancel(self, host: str, job_id: str) -> None:
        """Tells a server to cancel the job, which every server takes."""
        with self.web(host) as web:
            assert web.delete(f"/v1/jobs/{job_id}").status_code in {200, 202}

    def workers(self) -> int:
        """How many there are, as a server sees it."""
        with self.web("server-2") as web:
            return web.get("/readyz").json().get("workers", 0)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    counted = replace(sql("SELECT count(*) AS n FROM customers"), delay_s=1.0)
    with (
        model_server(lambda _text: counted, host="0.0.0.0") as (double, base_url),
        town(
            namespaces=has_namespaces(),
            asking={
                "AWAITSQL_MCP_SERVER__ASK__MODEL": "scripted",
                "AWAITSQL_MCP_SERVER__ASK__BASE_URL": base_url.replace("0.0.0.0", "{gateway}"),
            },
            spare=("worker-3",),
        ) as made,
    ):
        told = made.run("server-1", ["awaitsql", "token", "create", "ada", "--json", *CONFIG])
        assert told.returncode == 0, told.stderr
        yield Place(made, json.loads(told.stdout)["token"], double)


def test_each_service_of_ours_is_well_by_its_own_health_check(place: Place) -> None:
    ours = ("server-1", "server-2", "worker-1", "worker-2", "generate", "proxy")
    assert [name for name in ours if not place.town.is_well(name)] == []
    assert place.workers() == 2


def test_prometheus_reads_each_server_with_a_token_of_its_own_and_each_worker(place: Place) -> None:
    scope = ["--scope", "awaitsql:metrics"]
    made = place.town.run("server-2", ["awaitsql", "token", "create", "prometheus", *scope, "--json", *CONFIG])
    assert made.returncode == 0, made.stderr
    token = json.loads(made.stdout)["token"]
    for host in ("server-1", "server-2", "worker-1", "worker-2", "generate"):
        target = f"{place.town.hosts.addresses[host]}:{8765 if host.startswith('server') else 9464}"
        page = httpx2.get(f"http://{target}/metrics", headers={"Authorization": f"Bearer {token}"})
        assert page.status_code == 200, (host, page.text)
        assert "awaitsql_" in page.text
    with place.web("proxy") as web:
        assert web.get("/metrics").status_code == 404


async def test_what_an_assistant_is_answered_through_the_proxy_is_paged_on_from_either_server(place: Place) -> None:
    async with place.assistant("proxy") as client:
        answer = await client.call_tool("query", {"sql": "SELECT id FROM orders ORDER BY id", "source": "shop"})
    told = answer.structured_content
    assert told is not None
    assert told["row_count"] == 20_000
    path, cursor, seen = f"/v1/jobs/{told['job_id']}/rows", None, []
    for host in ("server-1", "server-2", "server-1"):
        with place.web(host) as web:
            page = web.get(path, params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        seen += page["rows"]
        cursor = page["next_cursor"]
    assert seen == [[n] for n in range(1, 10)]


async def test_a_task_of_one_server_is_followed_at_the_other_to_its_end(place: Place) -> None:
    async with place.assistant("server-1") as client:
        task = await call(client, "query", sql=SOME_PAIRS.format(mark=81_001), source="shop", wait_seconds=0)
    assert isinstance(task, CreatedTask)
    async with place.assistant("server-2") as client:
        told = await ended(client, task.taskId)
    assert told["status"] == "completed"
    assert told["result"]["structuredContent"]["rows"] == FOUND


def test_a_cancel_at_one_server_stops_the_statement_of_the_others_job(place: Place) -> None:
    job = place.submit("server-1", PAIRS.format(mark=81_002))
    place.town.worker_of("81002")
    place.cancel("server-2", job)
    assert place.view("server-1", job, wait_s=20)["state"] == "cancelled"
    assert place.town.statements("81002") == []


def test_events_come_through_the_proxy_while_the_job_runs(place: Place) -> None:
    job = place.submit("proxy", PAIRS.format(mark=81_003))
    place.town.worker_of("81003")
    with place.web("proxy") as web, web.stream("GET", f"/v1/jobs/{job}/events") as stream:
        lines = (line for line in stream.iter_lines() if line.startswith("event:"))
        assert next(lines) == "event: progress"
        assert place.town.statements("81003") != []
        place.cancel("server-2", job)
        assert [line for line in lines if line != "event: progress"] == ["event: end"]


def test_when_a_server_is_killed_the_proxy_goes_to_the_other_and_the_job_goes_on(place: Place) -> None:
    job = place.submit("proxy", PAIRS.format(mark=81_004))
    place.town.worker_of("81004")
    for host in ("server-1", "server-2"):  # one of them has the caller
        place.town.until_well("server-1", "server-2")
        place.town.kill(host)
        assert place.view("proxy", job)["state"] == "running"
        place.town.start(host)
    place.cancel("proxy", job)
    assert place.view("server-1", job, wait_s=20)["state"] == "cancelled"


def test_when_a_worker_is_killed_another_runs_its_job(place: Place) -> None:
    job = place.submit("server-1", SOME_PAIRS.format(mark=81_005))
    killed = place.town.worker_of("81005")
    place.town.kill(killed)
    place.town.until_well("server-2")  # it was killed just now
    assert place.succeeded("server-2", job) == FOUND
    until(lambda: place.town.statements("81005") == [], within_s=10, what="the killed worker's statement has stopped")
    place.town.start(killed)
    until(lambda: place.workers() == 2, within_s=20, what="the worker is back")


def test_when_the_broker_is_killed_jobs_go_on_from_its_log(place: Place) -> None:
    jobs = [place.submit("server-1", SOME_PAIRS.format(mark=mark)) for mark in (81_006, 81_007)]
    place.town.worker_of("81006")
    place.town.kill("valkey")
    start_valkey(place.town)
    place.town.until_valkey()
    until(lambda: place.workers() == 2, within_s=20, what="the workers are back")
    assert [place.succeeded("server-2", job) for job in jobs] == [FOUND, FOUND]


def test_when_a_worker_of_questions_is_killed_the_next_one_goes_on(place: Place) -> None:
    with place.web("server-1") as web:
        taken = web.post("/v1/jobs", json={"question": "How many customers?", "source": "shop", "wait_seconds": 0})
    assert taken.status_code == 202, taken.text
    assert place.double.hangs.wait(20)
    place.town.kill("generate")
    place.town.start("generate")
    assert place.succeeded("server-2", taken.json()["job_id"]) == [[500]]


def test_a_worker_that_is_cut_off_loses_its_job_and_its_statement_and_comes_back(place: Place) -> None:
    job = place.submit("server-1", SOME_PAIRS.format(mark=81_008))
    lost = place.town.worker_of("81008")
    orphans = set(place.town.statements("81008"))
    place.town.cut(lost)
    try:
        assert place.succeeded("server-2", job) == FOUND
        until(
            lambda: orphans.isdisjoint(place.town.statements("81008")),
            within_s=10,
            what="the statement of the worker that was cut off has stopped",
        )
    finally:
        place.town.mend(lost)
    until(lambda: place.workers() == 2, within_s=20, what="the worker is back")
    assert place.succeeded("server-1", job) == FOUND


def test_a_worker_that_is_told_to_go_ends_its_job_first_and_a_new_one_takes_its_place(place: Place) -> None:
    job = place.submit("server-1", SOME_PAIRS.format(mark=81_009))
    leaving = place.town.worker_of("81009")
    place.town.start("worker-3")
    place.town.stop(leaving, within_s=60)
    assert place.view("server-2", job)["rows"] == FOUND
    until(lambda: place.workers() == 2, within_s=20, what="the new worker is there")
    assert place.succeeded("server-2", place.submit("server-1", "SELECT count(*) AS n FROM customers")) == [[500]]


def test_after_all_of_it_each_job_has_ended_once_and_no_statement_runs(place: Place) -> None:
    until(lambda: place.town.statements("") == [], within_s=10, what="no statement runs")

    def endings() -> dict[str, list[str]]:
        with place.town.database("awaitsql") as connection:
            told = connection.execute("SELECT job_id, content FROM awaitsql_audit WHERE job_id <> '' ORDER BY seq")
            moves: dict[str, list[str]] = {}
            for job_id, content in told:
                moves.setdefault(job_id, []).append(json.loads(content)["what"])
        over = {"succeeded", "failed", "cancelled"}
        return {job_id: [move for move in each if move in over] for job_id, each in moves.items()}

    until(lambda: all(endings().values()), within_s=20, what="the history has every job's end")
    ends = endings()
    assert len(ends) >= 11
    assert {job_id: each for job_id, each in ends.items() if len(each) != 1} == {}
    verified = place.town.run("server-2", ["awaitsql", "audit", "verify", *CONFIG])
    assert verified.returncode == 0, verified.stdout + verified.stderr
