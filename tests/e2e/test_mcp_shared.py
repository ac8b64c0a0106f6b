"""Rows that are there already, as assistants of several callers meet them over HTTP: shared, fresh, and not shared."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from own_tokens import own_token
from served import HttpServer, free_port

CONFIG = """
[executor]
state_dir = "{home}/state"
[executor.sources.shop]
kind = "sqlite"
path = "{home}/shop.sqlite"

[mcp_server]
port = {port}
[mcp_server.auth]
resource = "http://127.0.0.1:{port}/mcp"
tokens = true

[[mcp_server.policies.shop]]
roles = ["analyst"]
share = "equal_grant"
[mcp_server.policies.shop.protect.orders]
rows = "tenant = :principal.tenant"
"""
SQL = "select count(*) as n, min(tenant) as tenant from orders"


@dataclass(frozen=True)
class Served:
    """A server that runs, its folder, and its callers' tokens: Ann and Bea are of one tenant, Cid of another."""

    url: str
    home: Path
    tokens: dict[str, str]

    @asynccontextmanager
    async def client(self, name: str) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {self.tokens[name]}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(self.url, http_client=http)) as client,
        ):
            yield client

    def order(self, tenant: int) -> None:
        """One more order of the tenant."""
        with sqlite3.connect(self.home / "shop.sqlite") as made:
            made.execute("insert into orders (tenant) values (?)", (tenant,))
        made.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with sqlite3.connect(home / "shop.sqlite") as made:
        made.execute("create table orders (id integer primary key, tenant integer)")
        made.executemany("insert into orders (tenant) values (?)", [(n % 3,) for n in range(30)])
    made.close()
    port = free_port()
    config = home / "awaitsql.toml"
    config.write_text(CONFIG.format(home=home, port=port))
    with HttpServer(home, ["--config", str(config)], port) as server:
        tenants = {"ann": 1, "bea": 1, "cid": 2}
        tokens = {name: own_token(config, name, roles=("analyst",), tenant=tenant) for name, tenant in tenants.items()}
        yield Served(server.url, home, tokens)


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    told = (await client.call_tool(tool, arguments)).structured_content
    assert told is not None
    return told


async def test_callers_with_equal_rights_share_rows_and_no_handles_and_others_share_nothing(served):
    async with served.client("ann") as ann, served.client("bea") as bea, served.client("cid") as cid:
        hers = await call(ann, "query", sql=SQL)
        theirs = await call(bea, "query", sql=SQL)
        others = await call(cid, "query", sql=SQL)
        through = {
            name: [
                (await call(client, "get_job", job_id=hers["job_id"])),
                (await call(client, "get_rows", job_id=hers["job_id"])),
                (await call(client, "cancel_job", job_id=hers["job_id"])),
            ]
            for name, client in (("bea", bea), ("cid", cid))
        }
        paged = await call(bea, "get_rows", job_id=theirs["job_id"])
        whole = await call(bea, "get_job", job_id=theirs["job_id"])
        listed = {name: await call(client, "list_jobs") for name, client in (("bea", bea), ("cid", cid))}

    assert (hers["rows"], theirs["rows"], others["rows"]) == ([[10, 1]], [[10, 1]], [[10, 2]])
    assert theirs["shared"].startswith("rows are ")
    assert "shared" not in others
    assert paged["rows"] == [[10, 1]]
    assert hers["job_id"] not in json.dumps([theirs, paged, whole, listed, others])
    assert "ann" not in json.dumps([theirs, paged, whole, listed["bea"]]).split('"')
    assert {answer["error"]["code"] for answers in through.values() for answer in answers} == {"job_not_found"}
    assert {name: [job["job_id"] for job in told["jobs"]] for name, told in listed.items()} == {
        "bea": [theirs["job_id"]],
        "cid": [others["job_id"]],
    }


async def test_the_same_question_again_is_answered_by_the_rows_that_are_there_unless_fresh_ones_are_asked_for(served):
    sql = SQL.replace("count(*)", "count(id)")
    async with served.client("ann") as ann:
        first = await call(ann, "query", sql=sql)
        again = await call(ann, "query", sql=f"{sql} -- the same, written otherwise")
        fresh = await call(ann, "query", sql=sql, fresh=True)
        after = await call(ann, "query", sql=sql)
        served.order(tenant=1)
        changed = await call(ann, "query", sql=sql)
        paged = await call(ann, "get_rows", job_id=again["job_id"])

    views = [first, again, fresh, after, changed]
    assert [view["rows"] for view in [*views, paged]] == [[[10, 1]]] * 4 + [[[11, 1]], [[10, 1]]]
    assert ["shared" in view for view in views] == [False, True, False, True, False]
    age = re.fullmatch(r"rows are (\d+) s old, of an equal statement; fresh=true runs it again", again["shared"])
    assert age is not None
    assert int(age[1]) < 60
    assert len({view["job_id"] for view in views}) == 5
