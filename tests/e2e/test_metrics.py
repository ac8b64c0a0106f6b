"""``/metrics`` of a real server and its real worker: what callers did, in exact numbers, and what it must not tell."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psutil
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from monitoring import DASHBOARD, RULES, expressions_of_dashboard, expressions_of_rules, metrics_named, metrics_recorded
from own_tokens import own_token
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families
from served import HttpServer, free_port, until

from executor import new_job_id
from mcp_server.auth.scopes import METRICS

CONFIG = """
[executor]
state_dir = "{home}/state"
metrics_port = {metrics_port}
[executor.profile]
automatic = false
[executor.sources.shop]
kind = "sqlite"
path = "{home}/shop.sqlite"
[executor.sources.hurried]
kind = "sqlite"
path = "{home}/shop.sqlite"
[mcp_server]
port = {port}
[mcp_server.auth]
tokens = true
[[mcp_server.policies.shop]]
roles = ["analyst"]
[mcp_server.policies.shop.protect.orders]
rows = "tenant = :principal.tenant"
[[mcp_server.policies.hurried]]
roles = ["analyst"]
timeout_s = 1
"""
COUNTING = "with recursive r(n) as (select 1 union all select n + 1 from r where n < {}) select count(*) as n from r"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@dataclass
class Scraped:
    """One moment of the server and its worker, as Prometheus reads both."""

    server: Samples
    worker: Samples

    def __getitem__(self, name: str) -> float:
        return self.of(name)

    def of(self, name: str, **labels: str) -> float:
        key = (f"awaitsql_{name}", frozenset(labels.items()))
        return self.server.get(key, 0.0) + self.worker.get(key, 0.0)


@dataclass
class Served:
    """A server that callers sign in to, and one worker; Ada has tenant 41 for an attribute."""

    server: HttpServer
    worker: str
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, name: str | None) -> httpx2.Client:
        headers = {} if name is None else {"Authorization": f"Bearer {self.tokens[name]}"}
        return httpx2.Client(base_url=self.server.origin, headers=headers, timeout=60)

    def text(self) -> tuple[str, str]:
        with self.client("prometheus") as client:
            told = client.get("/metrics").raise_for_status()
        assert told.headers["content-type"].startswith("text/plain; version=")
        return told.text, httpx2.get(f"{self.worker}/metrics").raise_for_status().text

    def scrape(self) -> Scraped:
        return Scraped(*map(samples_of, self.text()))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with sqlite3.connect(home / "shop.sqlite") as made:
        made.execute("create table orders (id integer primary key, tenant integer, note text)")
        made.executemany("insert into orders values (?, ?, 'canarynote')", [(n, 41) for n in range(1, 31)])
    made.close()
    port, metrics_port = free_port(), free_port()
    config = home / "awaitsql.toml"
    config.write_text(CONFIG.format(home=home, port=port, metrics_port=metrics_port))
    with HttpServer(home, ["--config", str(config)], port) as server:
        found = Served(server, f"http://127.0.0.1:{metrics_port}")
        found.tokens["canaryada"] = own_token(config, "canaryada", roles=("analyst",), tenant=41)
        found.tokens["prometheus"] = own_token(config, "prometheus", scopes=(METRICS,))
        with found.client("canaryada") as ada:  # schemas are known and drivers loaded from here on
            for source in ("shop", "hurried"):
                until(lambda s=source: is_answered(ada, s), within_s=90)
        yield found
    assert b"Traceback" not in (home / "log").read_bytes()


def is_answered(client: httpx2.Client, source: str) -> bool:
    asked = {"sql": "select 1 as one", "source": source, "wait_seconds": 45}
    return client.post("/v1/jobs", json=asked).json().get("state") in {"succeeded", "failed"}


def submit(client: httpx2.Client, sql: str, *, state: str = "", **more: Any) -> dict[str, Any]:
    told = client.post("/v1/jobs", json={"sql": sql, "source": "shop", "wait_seconds": 45 if state else 0, **more})
    view = told.json()
    assert not state or view["state"] == state, view
    return view


def until_running(client: httpx2.Client, job_id: str) -> None:
    until(lambda: client.get(f"/v1/jobs/{job_id}").json()["state"] == "running", within_s=60)


async def test_what_callers_do_moves_the_numbers_that_tell_of_it_and_no_others(served: Served) -> None:
    before = served.scrape()
    with served.client("canaryada") as ada:
        submit(ada, "select id from orders", state="succeeded")
        assert submit(ada, "select id from orders", state="succeeded")["sql"]  # rows that are there
        assert submit(ada, "delete from orders")["code"] == "not_read_only"
        assert submit(ada, "select nothing from orders")["code"] == "unknown_column"
        assert ada.get(f"/v1/jobs/{new_job_id()}").status_code == 404
        late = submit(ada, COUNTING.format(400_000_000), state="failed", source="hurried")
        assert late["error"]["code"] == "statement_timeout"
        leads = submit(ada, COUNTING.format(400_000_001))["job_id"]
        until_running(ada, leads)
        joins = submit(ada, COUNTING.format(400_000_001))["job_id"]
        for job_id in (joins, leads):
            assert ada.delete(f"/v1/jobs/{job_id}").status_code in {200, 202}
            until(lambda i=job_id: ada.get(f"/v1/jobs/{i}").json()["state"] == "cancelled", within_s=60)
    headers = {"Authorization": f"Bearer {served.tokens['canaryada']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(served.server.url, http_client=http)) as client,
    ):
        told = await client.call_tool("query", {"sql": "select 2 as two", "source": "shop"})
        assert (told.structured_content or {})["state"] == "succeeded"
        assert (await client.call_tool("query", {"sql": "select 1", "source": "nowhere"})).is_error
    after = served.scrape()

    def moved(name: str, **labels: str) -> float:
        return after.of(name, **labels) - before.of(name, **labels)

    told_of = {key: moved(key[0], **dict(key[1:])) for key in MOVED}
    assert told_of == MOVED
    # a column that is not there has the schema read once more
    read_again = moved("run_seconds_count", kind="introspect", state="succeeded")
    assert moved("wait_seconds_count", wait="worker", source="shop") == 3 + read_again
    # the one that ran out of its second spent it in the database, but for what it took to come there
    waits = {name: moved("wait_seconds_sum", wait=name, source="hurried") for name in ("connection", "database")}
    assert waits["database"] > waits["connection"]
    assert 0.9 < sum(waits.values()) < 5
    assert 0.9 < moved("run_seconds_sum", kind="query", state="failed") < 5


MOVED: dict[Any, float] = {
    ("jobs_submitted_total", ("kind", "query"), ("how", "run")): 4,
    ("jobs_submitted_total", ("kind", "query"), ("how", "stored")): 1,
    ("jobs_submitted_total", ("kind", "query"), ("how", "joined")): 1,
    ("jobs_ended_total", ("kind", "query"), ("state", "succeeded"), ("code", "")): 3,
    ("jobs_ended_total", ("kind", "query"), ("state", "cancelled"), ("code", "")): 2,
    ("jobs_ended_total", ("kind", "query"), ("state", "failed"), ("code", "statement_timeout")): 1,
    ("jobs_ended_total", ("kind", "query"), ("state", "failed"), ("code", "worker_lost")): 0,
    ("run_seconds_count", ("kind", "query"), ("state", "succeeded")): 2,
    ("run_seconds_count", ("kind", "query"), ("state", "cancelled")): 1,
    ("run_seconds_count", ("kind", "query"), ("state", "failed")): 1,
    ("refusals_total", ("code", "not_read_only")): 1,
    ("refusals_total", ("code", "unknown_column")): 1,
    ("refusals_total", ("code", "unknown_source")): 1,
    ("refusals_total", ("code", "many_statements")): 0,
    ("call_errors_total", ("code", "job_not_found")): 1,
    ("calls_total", ("face", "mcp"), ("call", "query"), ("outcome", "answered")): 1,
    ("calls_total", ("face", "mcp"), ("call", "query"), ("outcome", "refused")): 1,
    ("calls_total", ("face", "http"), ("call", "submit_job"), ("outcome", "answered")): 5,
    ("calls_total", ("face", "http"), ("call", "submit_job"), ("outcome", "refused")): 2,
    ("call_seconds_count", ("face", "http"), ("call", "submit_job")): 7,
    ("wait_seconds_count", ("wait", "worker"), ("source", "hurried")): 1,
    ("wait_seconds_count", ("wait", "connection"), ("source", "hurried")): 1,
    ("wait_seconds_count", ("wait", "connection"), ("source", "shop")): 3,
    ("wait_seconds_count", ("wait", "database"), ("source", "hurried")): 1,
    ("wait_seconds_count", ("wait", "database"), ("source", "shop")): 3,
    ("result_rows_count", ("source", "shop")): 2,
    ("result_rows_sum", ("source", "shop")): 31,
    ("result_bytes_sum", ("source", "shop")): 31 * 8,
    ("leases_lost_total", ("queue", "statements")): 0,
}
"""What that comes to, in all metrics that tell of it."""


def test_the_configuration_as_it_stands_is_told(served: Served) -> None:
    until(lambda: served.scrape()["history_events_pending"] == 0, within_s=60)
    now = served.scrape()

    assert now["broker_up"] == 1
    assert now["broker_memory_limit_bytes"] == 256 * 1024 * 1024
    assert 100_000 < now["broker_memory_bytes"] < now["broker_memory_limit_bytes"]
    assert now.of("workers_alive", queue="statements") == 1
    assert now.of("slots", queue="statements") == now["worker_slots"] == 8
    assert now.of("slots_busy", queue="statements") == now["worker_slots_busy"] == 0
    assert now.of("workers_alive", queue="generate") == 0
    assert now["history_lag_seconds"] == 0


def test_a_job_that_runs_holds_a_slot_and_those_behind_its_caller_wait_in_line(served: Served) -> None:
    with served.client("canaryada") as ada:
        handles = [submit(ada, COUNTING.format(500_000_000 + n))["job_id"] for n in range(4)]  # three at once, a caller
        for handle in handles[:3]:
            until_running(ada, handle)
        until(lambda: served.scrape().of("queue_age_seconds", queue="statements") > 0.1, within_s=60)
        busy = served.scrape()
        for handle in reversed(handles):
            ada.delete(f"/v1/jobs/{handle}")
        until(lambda: served.scrape().of("slots_busy", queue="statements") == 0, within_s=60)

    assert busy.of("slots_busy", queue="statements") == busy["worker_slots_busy"] == 3
    assert busy.of("queue_jobs", queue="statements") == 1
    assert served.scrape().of("queue_jobs", queue="statements") == 0
    assert served.scrape().of("queue_age_seconds", queue="statements") == 0


def test_only_a_token_made_for_it_reads_the_servers_metrics_and_it_reads_nothing_else(served: Served) -> None:
    with served.client(None) as nobody, served.client("canaryada") as ada, served.client("prometheus") as prometheus:
        assert nobody.get("/metrics").status_code == 401
        refused = ada.get("/metrics")
        assert (refused.status_code, refused.json()["code"]) == (403, "insufficient_scope")
        assert 'scope="awaitsql:metrics"' in refused.headers["www-authenticate"]
        assert prometheus.get("/metrics").status_code == 200
        assert prometheus.get("/metrics", headers={"Host": "server-1:8765"}).status_code == 200
        assert prometheus.get("/v1/jobs").status_code == 403


def test_nothing_of_callers_their_statements_or_their_rows_is_told(served: Served) -> None:
    with served.client("canaryada") as ada:
        submit(ada, "select note as canaryalias from orders where note = 'canaryliteral'", state="succeeded")
        submit(ada, "select canarycolumn from orders")
        submit(ada, "select 1 as one", source="canarysource")
        ada.get("/v1/jobs/canaryhandle")
        ada.get("/v1/canarypath")
    server, worker = served.text()

    assert "canary" not in server + worker
    assert "analyst" not in server + worker
    assert "41" not in {value for _, labels in samples_of(server + worker) for _, value in labels}
    assert "orders" not in server + worker


def test_both_formats_of_prometheus_are_spoken(served: Served) -> None:
    with served.client("prometheus") as client:
        told = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    names = {family.name for family in open_metrics_families(told.text)}

    assert told.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {"awaitsql_build", "awaitsql_jobs_ended", "awaitsql_broker_up"} <= names


def test_every_metric_of_the_alert_rules_and_the_dashboard_is_one_that_a_scrape_has(served: Served) -> None:
    now = served.scrape()
    there = {name for name, _ in [*now.server, *now.worker]} | {"up"} | metrics_recorded(RULES)  # up: Prometheus' own
    asked = [*expressions_of_rules(RULES), *expressions_of_dashboard(DASHBOARD)]

    assert len(asked) > 20
    assert {name for expression in asked for name in metrics_named(expression)} <= there


def test_while_the_broker_is_away_the_process_is_still_told_of(served: Served) -> None:
    [broker] = [p for p in psutil.Process(served.server.pid).children(recursive=True) if "valkey" in p.name()]
    broker.suspend()
    try:
        away = served.scrape()
    finally:
        broker.resume()

    assert away["broker_up"] == 0
    assert ("process_resident_memory_bytes", frozenset()) in away.server
    assert not any(name.startswith(("awaitsql_queue", "awaitsql_jobs", "awaitsql_workers")) for name, _ in away.server)
    until(lambda: served.scrape()["broker_up"] == 1, within_s=60)
