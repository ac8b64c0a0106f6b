"""The trace of a job, from a client's span to the statement on PostgreSQL, as a collector is sent it by OTLP."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import psutil
import psycopg
import pytest
from collector import Collector, Seen, collecting
from databases import Database, postgres_shop
from mcp import Client, MCPError
from model_double import in_turn, model_server, sql
from raw_wire import STATELESS, HttpWire, call
from served import HttpServer, until

CANARY = "canary7f3a91"
FOR_EVER = (
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 2000000000 + {n}) select count(*) from r"
)
"""Runs until somebody stops it; another text for each `n`."""


@dataclass
class TracedServer(HttpServer):
    endpoint: str = ""

    def environment(self) -> dict[str, str]:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        return super().environment() | told

    def workers(self) -> list[psutil.Process]:
        assert self._process is not None
        children = psutil.Process(self._process.pid).children()
        return [child for child in children if "executor.worker" in child.cmdline()]


@dataclass(frozen=True)
class Traced:
    """A server whose spans go to a collector, over a PostgreSQL of ours; its model knows one answer."""

    server: TracedServer
    collector: Collector
    shop: Database

    def running(self, trace_id: str) -> list[str]:
        """The statements of a trace that the database runs now, as it shows them."""
        with psycopg.connect(self.shop.config.url) as connection:
            told = connection.execute(
                "select query from pg_stat_activity where state = 'active' and position(%s::text in query) > 0"
                " and pid <> pg_backend_pid()",
                (trace_id,),
            )
            return [query for (query,) in told]

    @property
    def customers(self) -> str:
        return self.shop.table("customers")


@contextmanager
def postgres_at(request: pytest.FixtureRequest) -> Iterator[Database]:
    with postgres_shop(os.environ.get("TEST_POSTGRES_URL") or request.getfixturevalue("postgres_url")) as shop:
        yield shop


@pytest.fixture(scope="module")
def traced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    home = tmp_path_factory.mktemp("home")
    with (
        postgres_at(request) as shop,
        collecting() as collector,
        model_server(
            in_turn(sql(f"SELECT count(*) AS others FROM {shop.table('customers')} WHERE name <> '{CANARY}'"))
        ) as (
            _,
            model_url,
        ),
    ):
        config = home / "awaitsql.toml"
        config.write_text(
            "[executor]\nbeat_s = 0.5\nlease_s = 3\nclaim_timeout_s = 1\n"
            f'[executor.sources.shop]\nkind = "postgres"\nurl = "{shop.config.url}"\nschemas = ["{shop.schema}"]\n'
            f'[mcp_server.ask]\nmodel = "scripted"\nbase_url = "{model_url}"\n'
        )
        with TracedServer(home, ["--config", str(config)], endpoint=collector.endpoint) as server:
            yield Traced(server, collector, shop)
    assert not any(CANARY.encode() in body for body in collector.bodies), "no span holds a literal, a row, a question"


@dataclass(frozen=True)
class Caller:
    """A client's own span, which it tells the server of."""

    trace_id: str
    span_id: str

    @property
    def meta(self) -> dict[str, str]:
        return {"traceparent": f"00-{self.trace_id}-{self.span_id}-01", "tracestate": "vendor=v1"}


@pytest.fixture
def caller() -> Caller:
    return Caller(secrets.token_hex(16), secrets.token_hex(8))


async def query(traced: Traced, text: str, *, meta: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """The view, or the refusal, that the tool answers with."""
    async with Client(traced.server.url, read_timeout_seconds=60) as client:
        result = await client.call_tool("query", {"sql": text, **more}, meta=meta)
    assert result.structured_content is not None
    return result.structured_content


async def cancelled(traced: Traced, job_id: str) -> None:
    async with Client(traced.server.url) as client:
        await client.call_tool("cancel_job", {"job_id": job_id})


def follows(child: Seen, parent: Seen) -> None:
    """`child` was made within `parent`, and after it had begun."""
    assert (child.trace_id, child.parent_id) == (parent.trace_id, parent.span_id)
    assert child.starts >= parent.starts


async def test_one_trace_leads_from_the_clients_span_to_the_statement(traced: Traced, caller: Caller) -> None:
    text = f"select count(*) as n from {traced.customers} where name <> '{CANARY}'"
    view = await query(traced, text, meta=caller.meta)

    statement = traced.collector.one(caller.trace_id, "SELECT")
    request = traced.collector.one(caller.trace_id, "tools/call query")
    sent = traced.collector.one(caller.trace_id, "send statements")
    attempt = traced.collector.one(caller.trace_id, "process statements")
    assert request.parent_id == caller.span_id
    follows(sent, request)
    follows(attempt, sent)
    follows(statement, attempt)
    assert {span.trace_state for span in (request, sent, attempt, statement)} == {"vendor=v1"}
    assert [request.kind, sent.kind, attempt.kind, statement.kind] == ["server", "producer", "consumer", "client"]
    assert [request.role, sent.role, attempt.role, statement.role] == ["server", "server", "worker", "worker"]
    assert {span.told.get("awaitsql.job.id") for span in (request, sent, attempt)} == {view["job_id"]}
    assert request.told["mcp.method.name"] == "tools/call"
    assert (sent.told["messaging.operation.type"], attempt.told["messaging.operation.type"]) == ("send", "process")
    assert attempt.told["messaging.message.id"] == f"{view['job_id']}.1"
    assert attempt.told["awaitsql.job.state"] == "succeeded"
    assert statement.told["db.system.name"] == "postgresql"
    assert statement.told["db.operation.name"] == "SELECT"
    assert statement.told["db.collection.name"] == traced.customers
    assert statement.name == statement.told["db.query.summary"] == f"SELECT {traced.customers}"
    assert statement.told["db.response.returned_rows"] == 1
    assert "db.query.text" not in statement.told
    assert not any(span.is_error for span in traced.collector.of(caller.trace_id))


async def test_plain_http_is_traced_by_its_header(traced: Traced, caller: Caller) -> None:
    answer = httpx2.post(
        f"{traced.server.origin}/v1/jobs",
        json={"sql": f"select max(id) from {traced.customers}", "wait_seconds": 20},
        headers=caller.meta,
        timeout=30,
    )
    assert answer.status_code == 200

    request = traced.collector.one(caller.trace_id, "POST /v1/jobs")
    assert (request.parent_id, request.kind) == (caller.span_id, "server")
    assert request.told["http.route"] == "/v1/jobs"
    assert request.told["http.response.status_code"] == 200
    sent = traced.collector.one(caller.trace_id, "send statements")
    follows(sent, request)
    follows(traced.collector.one(caller.trace_id, "process statements"), sent)


async def test_a_message_without_a_context_is_of_its_requests_trace(traced: Traced, caller: Caller) -> None:
    with HttpWire(traced.server.url, STATELESS, headers=caller.meta) as wire:
        view = call(wire, "query", sql=f"select max(name) from {traced.customers}", wait_seconds=20)
    assert view["state"] == "succeeded"

    request = traced.collector.one(caller.trace_id, "tools/call query")
    assert request.parent_id == caller.span_id
    follows(traced.collector.one(caller.trace_id, "send statements"), request)


async def test_the_database_shows_which_trace_and_job_a_statement_is_of(traced: Traced, caller: Caller) -> None:
    view = await query(traced, FOR_EVER.format(n=1), meta=caller.meta, wait_seconds=0)
    until(lambda: bool(traced.running(caller.trace_id)), within_s=20)
    [shown] = traced.running(caller.trace_id)
    await cancelled(traced, view["job_id"])

    statement = traced.collector.one(caller.trace_id, "SELECT")
    told = re.findall(r"/\*.*?\*/", shown)
    assert told == [
        f"/*application='awaitsql',job_id='{view['job_id']}',"
        f"traceparent='00-{caller.trace_id}-{statement.span_id}-01'*/"
    ]
    assert statement.told["error.type"] == "cancelled"
    attempt = traced.collector.one(caller.trace_id, "process statements")
    assert attempt.told["awaitsql.job.state"] == "cancelled"
    assert not attempt.is_error, "somebody wanted it so"


async def test_the_attempt_after_a_killed_worker_is_of_the_same_trace(traced: Traced, caller: Caller) -> None:
    view = await query(traced, FOR_EVER.format(n=2), meta=caller.meta, wait_seconds=0)
    until(lambda: bool(traced.running(caller.trace_id)), within_s=20)
    [before] = traced.running(caller.trace_id)
    for worker in traced.server.workers():
        worker.kill()
    until(lambda: any(shown != before for shown in traced.running(caller.trace_id)), within_s=30)
    await cancelled(traced, view["job_id"])

    attempt = traced.collector.one(caller.trace_id, "process statements")
    assert attempt.told["awaitsql.job.attempt"] == 2
    follows(attempt, traced.collector.one(caller.trace_id, "send statements"))
    follows(traced.collector.one(caller.trace_id, "SELECT"), attempt)


async def test_a_statement_that_fails_is_an_error_with_its_code_and_none_of_its_words(
    traced: Traced, caller: Caller
) -> None:
    text = f"select cast('{CANARY}' || name as integer) from {traced.customers}"
    view = await query(traced, text, meta=caller.meta)
    assert view["error"]["code"] == "statement_failed"
    async with Client(traced.server.url) as client:
        with pytest.raises(MCPError):
            await client.read_resource(f"schema://{CANARY}", meta=caller.meta)

    statement = traced.collector.one(caller.trace_id, "SELECT")
    attempt = traced.collector.one(caller.trace_id, "process statements")
    request = traced.collector.one(caller.trace_id, "tools/call query")
    assert statement.is_error
    assert attempt.is_error
    assert statement.told["error.type"] == attempt.told["error.type"] == "statement_failed"
    assert attempt.told["awaitsql.job.state"] == "failed"
    assert request.told["awaitsql.error.code"] == "statement_failed"
    assert traced.collector.one(caller.trace_id, "resources/read").is_error


async def test_a_statement_that_is_refused_is_an_error_of_the_request_and_never_runs(
    traced: Traced, caller: Caller
) -> None:
    refused = await query(traced, f"select '{CANARY}' from no_such_table", meta=caller.meta)
    assert refused["error"]["code"] == "unknown_table"
    other = Caller(secrets.token_hex(16), caller.span_id)
    answer = httpx2.post(
        f"{traced.server.origin}/v1/jobs",
        json={"sql": f"delete from {traced.customers} where name = '{CANARY}'"},
        headers=other.meta,
    )
    assert answer.status_code == 422

    request = traced.collector.one(caller.trace_id, "tools/call query")
    assert (request.is_error, request.told["error.type"]) == (True, "tool_error")
    assert request.told["awaitsql.error.code"] == "unknown_table"
    over_http = traced.collector.one(other.trace_id, "POST /v1/jobs")
    assert (over_http.told["awaitsql.error.code"], over_http.is_error) == ("not_read_only", False)
    for trace_id in (caller.trace_id, other.trace_id):
        assert not [span.name for span in traced.collector.of(trace_id) if "statements" in span.name]


async def test_jobs_that_share_a_run_link_to_it(traced: Traced, caller: Caller) -> None:
    text = f"select min(id), '{CANARY}' from {traced.customers}"
    first = await query(traced, text, meta=caller.meta)
    stored = await query(traced, text)
    slow = Caller(secrets.token_hex(16), secrets.token_hex(8))
    leader = await query(traced, FOR_EVER.format(n=3), meta=slow.meta, wait_seconds=0)
    joined = await query(traced, FOR_EVER.format(n=3), wait_seconds=0)
    again = await query(traced, text, idempotency_key="k", fresh=True, meta=slow.meta)
    repeated = await query(traced, text, idempotency_key="k", fresh=True, meta=caller.meta)
    await cancelled(traced, joined["job_id"])
    await cancelled(traced, leader["job_id"])
    assert len({view["job_id"] for view in (first, stored, leader, joined, again)}) == 5
    assert repeated["job_id"] == again["job_id"]

    for view, how, run in ((stored, "stored", first), (joined, "joined", leader)):
        link = traced.collector.job(view["job_id"], "send statements")
        ran = traced.collector.job(run["job_id"], "send statements")
        assert link.links == [(ran.trace_id, ran.span_id)]
        assert link.trace_id != ran.trace_id
        assert link.told["awaitsql.job.shared"] == how
    made = traced.collector.one(slow.trace_id, "send statements", awaitsql_job_id=again["job_id"])
    found = traced.collector.one(caller.trace_id, "send statements", awaitsql_job_id=again["job_id"])
    assert found.links == [(made.trace_id, made.span_id)]


async def test_the_statements_of_a_question_are_of_its_trace(traced: Traced, caller: Caller) -> None:
    async with Client(traced.server.url, read_timeout_seconds=60) as client:
        asked = {"question": f"How many are not {CANARY}?", "wait_seconds": 40}
        result = await client.call_tool("ask", asked, meta=caller.meta)
    assert result.structured_content is not None
    assert result.structured_content["state"] == "succeeded"

    asked_for = traced.collector.one(caller.trace_id, "send generate")
    worked_on = traced.collector.one(caller.trace_id, "process generate")
    child = traced.collector.one(caller.trace_id, "send statements")
    attempt = traced.collector.one(caller.trace_id, "process statements")
    follows(asked_for, traced.collector.one(caller.trace_id, "tools/call ask"))
    follows(worked_on, asked_for)
    follows(child, worked_on)
    called = traced.collector.one(caller.trace_id, "chat ")
    assert (called.role, called.told["gen_ai.request.model"]) == ("questions", "scripted")
    assert called.told["gen_ai.usage.output_tokens"] > 0
    assert worked_on.starts < called.starts < called.ends < child.starts
    follows(attempt, child)
    follows(traced.collector.one(caller.trace_id, "SELECT"), attempt)
    assert [worked_on.role, child.role, attempt.role] == ["questions", "questions", "worker"]
    assert child.told["awaitsql.job.parent_id"] == asked_for.told["awaitsql.job.id"]


async def test_a_context_that_is_none_begins_a_trace_of_our_own(traced: Traced) -> None:
    for told in ("00-" + "0" * 32 + "-" + "1" * 16 + "-01", "'; drop table x; --", "00-abc-01"):
        view = await query(traced, f"select id from {traced.customers}", fresh=True, meta={"traceparent": told})
        sent = traced.collector.job(view["job_id"], "send statements")
        request = traced.collector.one(sent.trace_id, "tools/call query")
        assert request.parent_id == ""


async def test_what_is_read_for_all_callers_is_a_trace_of_its_own(traced: Traced) -> None:
    def looks() -> list[Seen]:
        kinds = ("introspect", "profile")
        spans = [span for span in traced.collector.spans if span.name == "send statements"]
        return [span for span in spans if span.told["awaitsql.job.kind"] in kinds]

    await query(traced, "select 1 as n")
    until(lambda: bool(looks()), within_s=20)
    assert {span.parent_id for span in looks()} == {""}
