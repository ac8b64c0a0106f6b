"""Callers who sign in to a real server over HTTP: who gets in, what each may do, and what is whose."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from issuer import Issuer, issuer_for
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from own_tokens import own_token
from served import ROOT, HttpServer, free_port

from mcp_server.auth.scopes import METRICS

SLOW = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 400000000) select count(*) as n from r"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


@dataclass(frozen=True)
class Served:
    """A server that runs, whom it trusts, and where it keeps its state."""

    origin: str
    issuer: Issuer
    config: Path
    env: dict[str, str]

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    def awaitsql(self, *arguments: str) -> str:
        """What a command of the same configuration prints."""
        command = [sys.executable, "-m", "mcp_server", *arguments, "--config", str(self.config)]
        return subprocess.run(command, cwd=ROOT, env=self.env, check=True, capture_output=True, text=True).stdout

    def own_token(self, name: str, *arguments: str) -> dict[str, Any]:
        return json.loads(self.awaitsql("token", "create", name, *arguments, "--json"))

    @asynccontextmanager
    async def client(self, token: str) -> AsyncIterator[Client]:
        async with (
            httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http,
            Client(streamable_http_client(self.url, http_client=http)) as client,
        ):
            yield client

    def post(self, token: str | None, message: dict[str, Any], **headers: str) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body of one bare request."""
        told = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
        if token is not None:
            told["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url, json.dumps(message).encode(), told)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), json.loads(error.read() or b"null")


@contextmanager
def serving(home: Path, *, more: str = "") -> Iterator[Served]:
    file = home / "shop.sqlite"
    with sqlite3.connect(file) as made:
        made.execute("create table orders (id integer primary key, tenant integer, total real)")
        made.executemany("insert into orders values (?, ?, ?)", [(n, n % 3, n * 1.5) for n in range(1, 31)])
    made.close()
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    with issuer_for(f"{origin}/mcp") as issuer:
        config = home / "awaitsql.toml"
        config.write_text(
            f"""
            [executor]
            state_dir = "{home}/state"
            [executor.sources.shop]
            kind = "sqlite"
            path = "{file}"
            [mcp_server]
            port = {port}
            [mcp_server.auth]
            resource = "{origin}/mcp"
            {more}
            [[mcp_server.auth.issuers]]
            issuer = "{issuer.url}"
            attributes = {{ tenant = "tenant_id" }}
            [[mcp_server.policies.shop]]
            roles = ["analyst"]
            [mcp_server.policies.shop.protect.orders]
            rows = "tenant = :principal.tenant"
            """
        )
        with HttpServer(home, ["--config", str(config)], port) as server:
            yield Served(origin, issuer, config, server.environment())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("home")) as running:
        yield running


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    told = (await client.call_tool(tool, arguments)).structured_content
    assert told is not None
    return told


async def test_without_a_token_the_answer_says_where_to_sign_in(served: Served) -> None:
    status, headers, body = served.post(None, INITIALIZE)
    challenge = headers["www-authenticate"]
    at = f"{served.origin}/.well-known/oauth-protected-resource/mcp"
    with urllib.request.urlopen(at) as answer:
        metadata = json.load(answer)

    assert status == 401
    assert challenge.startswith("Bearer ")
    assert f'resource_metadata="{at}"' in challenge
    assert "awaitsql:read" in challenge
    assert metadata["resource"] == served.url
    assert metadata["authorization_servers"] == [served.issuer.url]
    assert "shop" not in json.dumps([body, metadata])


async def test_a_wrong_token_is_told_apart_from_none(served: Served) -> None:
    expired = served.issuer.forged({"iss": served.issuer.url, "aud": served.url, "sub": "ada", "exp": 1})
    told = [served.post(token, INITIALIZE) for token in (expired, "nonsense", "awaitsql_0_x")]

    assert [status for status, *_ in told] == [401, 401, 401]
    assert all('error="invalid_token"' in headers["www-authenticate"] for _, headers, _ in told)
    assert "expired" in told[0][1]["www-authenticate"]


async def test_each_caller_reads_what_the_policy_gives_their_claims(served: Served) -> None:
    sql = "select distinct tenant from orders"
    carl = served.own_token("carl", "--role", "analyst", "--attribute", "tenant=0")["token"]
    told = []
    for token in (served.issuer.token("ada"), served.issuer.token("bob"), carl):
        async with served.client(token) as client:
            told.append((await call(client, "query", sql=sql))["rows"])
    async with served.client(served.issuer.token("eve")) as client:
        nothing = await call(client, "list_sources")

    assert told == [[[1]], [[2]], [[0]]]
    assert nothing["sources"] == []


async def test_another_callers_job_reads_as_unknown_through_every_door(served: Served) -> None:
    async with served.client(served.issuer.token("ada")) as ada, served.client(served.issuer.token("bob")) as bob:
        job_id = (await call(ada, "query", sql="select count(*) as n from orders"))["job_id"]
        guessed = job_id[:-1] + ("A" if job_id[-1] != "A" else "B")
        stolen = [
            await call(bob, "get_job", job_id=job_id),
            await call(bob, "get_rows", job_id=job_id),
            await call(bob, "cancel_job", job_id=job_id),
            await call(bob, "query_result", sql="select * from r1", job_ids=[job_id]),
            await call(bob, "export", job_id=job_id),
        ]
        wrong = await call(bob, "get_job", job_id=guessed)
        with pytest.raises(MCPError):
            await bob.read_resource(f"job://{job_id}")
        listed = await call(bob, "list_jobs")
        own = await call(ada, "get_job", job_id=job_id)

    assert [told["error"]["code"] for told in stolen] == ["job_not_found"] * 5
    assert wrong["error"]["code"] in ("invalid_handle", "job_not_found")
    assert job_id not in json.dumps(listed)
    assert own["rows"] == [[10]]


async def test_a_token_without_the_scope_may_read_and_not_query(served: Served) -> None:
    reader = own_token(served.config, "ada", roles=("analyst",), scopes=("awaitsql:read",), tenant=1)
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "query", "arguments": {"sql": "select 1"}},
    }
    status, headers, body = served.post(reader, message)
    async with served.client(reader) as client:
        sources = await call(client, "list_sources")

    assert (status, body["error"]) == (403, "insufficient_scope")
    assert 'scope="awaitsql:query"' in headers["www-authenticate"]
    assert [source["name"] for source in sources["sources"]] == ["shop"]


async def test_a_revoked_token_is_out_at_the_next_request(served: Served) -> None:
    told = served.own_token("dora", "--role", "analyst", "--attribute", "tenant=1")
    before, *_ = served.post(told["token"], INITIALIZE)
    served.awaitsql("token", "revoke", told["id"])
    after, *_ = served.post(told["token"], INITIALIZE)
    listed = json.loads(served.awaitsql("token", "list", "--json"))["tokens"]

    assert (before, after) == (200, 401)
    assert [token["state"] for token in listed if token["id"] == told["id"]] == ["revoked"]
    assert told["token"] not in json.dumps(listed)


async def test_a_subscription_ends_in_good_order_with_the_token_it_was_opened_with(served: Served) -> None:
    expires = int(time.time()) + 4
    claims = {"iss": served.issuer.url, "aud": served.url, "sub": "ada", "exp": expires, "scope": "awaitsql:read"}
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"notifications": {"toolsListChanged": True}, "_meta": meta}
    listen = {"jsonrpc": "2.0", "id": "all ears", "method": "subscriptions/listen", "params": params}
    told = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}

    status, _, stream = served.post(served.issuer.forged(claims), listen, **told)

    assert status == 200, stream
    frames = [json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: ")]
    assert [frame.get("method", "the result") for frame in frames] == [
        "notifications/subscriptions/acknowledged",
        "the result",
    ]
    assert frames[-1]["id"] == "all ears"
    assert time.time() >= expires


async def test_a_session_is_of_the_caller_who_opened_it(served: Served) -> None:
    _, headers, _ = served.post(served.issuer.token("ada"), INITIALIZE)
    session = headers["mcp-session-id"]
    message = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    own, *_ = served.post(served.issuer.token("ada"), message, **{"Mcp-Session-Id": session})
    stolen, *_ = served.post(served.issuer.token("bob"), message, **{"Mcp-Session-Id": session})

    assert (own, stolen) == (200, 404)


async def test_whoever_calls_too_often_waits_and_nobody_else(tmp_path: Path) -> None:
    with serving(tmp_path, more="calls_per_minute = 6\nburst = 3") as served:
        ada, bob = served.issuer.token("ada"), served.issuer.token("bob")
        told = [served.post(ada, INITIALIZE) for _ in range(4)]
        other, *_ = served.post(bob, INITIALIZE)
        served.post(None, INITIALIZE)
        served.post("nonsense", INITIALIZE)
        counter = own_token(served.config, "prometheus", scopes=(METRICS,))
        metrics = ask(served, "/metrics", counter).text

    assert [status for status, *_ in told] == [200, 200, 200, 429]
    assert 1 <= int(told[3][1]["retry-after"]) <= 11
    assert told[3][2]["error"] == "rate_limited"
    assert other == 200
    assert 'awaitsql_refusals_total{code="rate_limited"} 1.0' in metrics
    assert 'awaitsql_refusals_total{code="sign_in_required"} 2.0' in metrics


def ask(served: Served, path: str, token: str | None, **more: Any) -> httpx2.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    method = more.pop("method", "GET")
    return httpx2.request(method, served.origin + path, headers=headers, timeout=60, **more)


async def test_over_v1_each_caller_has_their_own_jobs_and_rows(served: Served) -> None:
    ada, bob = served.issuer.token("ada"), served.issuer.token("bob")
    body = {"sql": "select distinct tenant from orders", "wait_seconds": 30}
    taken = [ask(served, "/v1/jobs", token, method="POST", json=body) for token in (ada, bob)]
    handle = taken[0].json()["job_id"]
    stolen = [
        ask(served, f"/v1/jobs/{handle}{rest}", bob, method=method)
        for method, rest in (("GET", ""), ("GET", "/rows"), ("GET", "/events"), ("DELETE", ""), ("POST", "/export"))
    ]
    link = ask(served, f"/v1/jobs/{handle}/export", ada, method="POST").json()["url"]

    assert [answer.json()["rows"] for answer in taken] == [[[1]], [[2]]]
    assert [(answer.status_code, answer.json()["code"]) for answer in stolen] == [(404, "job_not_found")] * 5
    assert handle not in ask(served, "/v1/jobs", bob).text
    assert ask(served, link, None).text == '"tenant"\n1\n'


async def test_over_v1_who_may_not_ask_is_told_so_as_a_problem(served: Served) -> None:
    anybody = ask(served, "/v1/jobs", None)
    nonsense = ask(served, "/v1/jobs", "nonsense")
    reader = own_token(served.config, "rea", scopes=("awaitsql:read",))
    posted = ask(served, "/v1/jobs", reader, method="POST", json={"sql": "select 1"})
    described = ask(served, "/v1/openapi.json", None)

    assert [(told.status_code, told.json()["code"]) for told in (anybody, nonsense, posted)] == [
        (401, "sign_in_required"),
        (401, "sign_in_required"),
        (403, "insufficient_scope"),
    ]
    assert {told.headers["content-type"] for told in (anybody, nonsense, posted)} == {"application/problem+json"}
    assert "resource_metadata" in anybody.headers["www-authenticate"]
    assert 'scope="awaitsql:query"' in posted.headers["www-authenticate"]
    assert ask(served, "/v1/jobs", reader).status_code == 200
    assert described.json()["paths"]["/v1/jobs"]["post"]["security"] == [{"bearer": ["awaitsql:query"]}]


async def test_only_who_may_export_is_given_links(served: Served) -> None:
    scopes = ("awaitsql:read", "awaitsql:query")
    asks = own_token(served.config, "ida", roles=("analyst",), scopes=scopes, tenant=1)
    takes = own_token(served.config, "ida", roles=("analyst",), tenant=1)
    body = {"sql": "select count(*) as n from orders", "wait_seconds": 30}
    without = ask(served, "/v1/jobs", asks, method="POST", json=body).json()
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "export", "arguments": {"job_id": without["job_id"]}},
    }
    status, headers, _ = served.post(asks, message)
    view = ask(served, "/v1/jobs", takes, method="POST", json=body).json()
    async with served.client(takes) as client:
        told = await call(client, "export", job_id=view["job_id"])

    assert without["rows"] == view["rows"] == [[10]]
    assert "download_urls" not in without
    assert status == 403
    assert 'scope="awaitsql:export"' in headers["www-authenticate"]
    assert ask(served, view["download_urls"]["csv"], None).text == '"n"\n10\n'
    assert told["url"].startswith(f"{served.origin}/v1/exports/")
    assert httpx2.get(told["url"]).text == '"n"\n10\n'
