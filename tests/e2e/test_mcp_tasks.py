"""Tasks over a real machine: the same job by another handle. Each test over HTTP and over standard input and output."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from mcp import Client, MCPError, StdioServerParameters
from mcp_types import CallToolResult
from served import ROOT, HttpServer, make_orders
from task_client import CreatedTask, Heard, Tasks, call, ended, listening, tasks

from mcp_server.app import build_server
from mcp_server.machine import running_machine
from mcp_server.principal import LOCAL
from mcp_server.settings import load_settings

FOR_EVER = (
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 4000000000) select count(*) as n from r"
)
A_WHILE = "with recursive r(n) as (select 1 union all select n + 1 from r where n < {n}) select count(*) as n from r"
UNKNOWN = "00000-00000-00000-00000-0"

Connect = Callable[..., AbstractAsyncContextManager[Client]]

pytestmark = pytest.mark.asyncio(loop_scope="module")  # a connection over pipes outlasts a test


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    home = tmp_path_factory.mktemp("home")
    with HttpServer(home, ["--db", str(make_orders(home / "shop.sqlite"))]) as server:
        yield server


def over_pipes(home: Path) -> StdioServerParameters:
    command = ["-m", "mcp_server", "serve", "--transport", "stdio", "--db", str(home / "shop.sqlite")]
    return StdioServerParameters(command=sys.executable, args=command, env=HttpServer(home, []).environment(), cwd=ROOT)


@asynccontextmanager
async def held(connecting: Client) -> AsyncIterator[Client]:
    """The client, connected by a task of its own: whoever begins to hold it need not be the task that lets it go."""
    connected: asyncio.Future[Client] = asyncio.Future()
    let_go = asyncio.Event()

    async def hold() -> None:
        async with connecting as client:
            connected.set_result(client)
            await let_go.wait()

    holding = asyncio.create_task(hold())
    await asyncio.wait([holding, connected], return_when=asyncio.FIRST_COMPLETED)
    if holding.done():
        await holding
    yield await connected
    let_go.set()
    await holding


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def over_stdio(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Path, Client]]:
    """A home, and a client there that declares tasks, of a server over standard input and output."""
    home = tmp_path_factory.mktemp("home")
    make_orders(home / "shop.sqlite")
    async with held(Client(over_pipes(home), read_timeout_seconds=60, extensions=[Tasks()])) as client:
        yield home, client


@pytest.fixture(params=["http", "stdio"])
def connect(request: pytest.FixtureRequest, served: HttpServer, over_stdio: tuple[Path, Client]) -> Connect:
    """A client of a server by either transport, which declares tasks or does not."""
    home, declaring = over_stdio

    @asynccontextmanager
    async def connected(*, declares: bool = True) -> AsyncIterator[Client]:
        target: Any = served.url if request.param == "http" else over_pipes(home)
        if declares and request.param == "stdio":
            yield declaring
            return
        async with Client(target, read_timeout_seconds=60, extensions=[Tasks()] if declares else []) as client:
            yield client

    return connected


async def made(client: Client, sql: str, **arguments: Any) -> CreatedTask:
    """The task that a query becomes."""
    task = await call(client, "query", sql=sql, wait_seconds=0, **arguments)
    assert isinstance(task, CreatedTask), task
    return task


async def test_a_query_that_takes_longer_becomes_a_task_and_its_rows_are_the_tools_answer(connect: Connect) -> None:
    async with connect() as client:
        task = await made(client, A_WHILE.format(n=3_000_000))
        assert task.status == "working"
        done = await ended(client, task.taskId)
        same = await client.call_tool("get_job", {"job_id": task.taskId})
    assert done["status"] == "completed"
    view = done["result"]["structuredContent"]
    assert view["rows"] == [[3_000_000]]
    assert done["result"]["isError"] is False
    assert same.structured_content is not None
    assert view == {**same.structured_content, "progress": view["progress"]}
    assert done["createdAt"] <= done["lastUpdatedAt"]
    assert "pollIntervalMs" not in done


async def test_a_task_says_how_far_it_is_and_how_long_it_is_kept(connect: Connect) -> None:
    async with connect() as client:
        task = await made(client, FOR_EVER)
        told = await tasks(client, "get", task.taskId)
        await tasks(client, "cancel", task.taskId)
    assert told["status"] == "working"
    assert "so far" in told["statusMessage"]
    assert told["pollIntervalMs"] >= 1000
    assert told["ttlMs"] > 24 * 3600 * 1000
    assert "result" not in told


async def test_an_answer_that_comes_at_once_is_no_task(connect: Connect) -> None:
    async with connect() as client:
        result = await call(client, "query", sql="select count(*) as n from orders")
    assert isinstance(result, CallToolResult)
    assert result.structured_content is not None
    assert result.structured_content["rows"] == [[120]]
    assert "awaitsql/job" not in (result.meta or {})


async def test_a_client_that_declared_nothing_is_given_a_handle_and_no_tasks(connect: Connect) -> None:
    async with connect(declares=False) as client:
        result = await call(client, "query", sql=FOR_EVER, wait_seconds=0)
        assert isinstance(result, CallToolResult)
        assert result.structured_content is not None
        assert result.structured_content["state"] in {"queued", "running"}
        assert "awaitsql/job" not in (result.meta or {})
        handle = result.structured_content["job_id"]
        for method in ("get", "cancel", "update"):
            with pytest.raises(MCPError) as refused:
                await tasks(client, method, handle)
            assert refused.value.error.code == -32021
            assert "io.modelcontextprotocol/tasks" in refused.value.error.data["requiredCapabilities"]["extensions"]
        await client.call_tool("cancel_job", {"job_id": handle})


async def test_cancelling_a_task_stops_the_database(connect: Connect) -> None:
    async with connect() as client:
        task = await made(client, FOR_EVER)
        running = await tasks(client, "get", task.taskId)
        while "executing" not in running["statusMessage"] and "fetching" not in running["statusMessage"]:
            running = await tasks(client, "get", task.taskId)
        assert set(await tasks(client, "cancel", task.taskId)) <= {"_meta", "resultType"}
        done = await ended(client, task.taskId)
        assert done["status"] == "cancelled"
        assert "database stopped" in done["statusMessage"]
        assert "result" not in done
        assert (await tasks(client, "cancel", task.taskId))["resultType"] == "complete"


async def test_a_statement_that_fails_completes_its_task_with_the_tools_error(connect: Connect) -> None:
    sql = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 1000000) "
    async with connect() as client:
        task = await made(client, sql + "select abs(-9223372036854775808 + max(n) - 1000000) as n from r")
        done = await ended(client, task.taskId)
    assert done["status"] == "completed"
    assert done["result"]["isError"] is True
    assert done["result"]["structuredContent"]["error"]["code"] == "statement_failed"


@pytest.mark.parametrize("method", ["get", "cancel", "update"])
@pytest.mark.parametrize("task_id", [UNKNOWN, "nonsense"])
async def test_an_unknown_task_is_not_found(connect: Connect, method: str, task_id: str) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as refused:
            await tasks(client, method, task_id)
    assert refused.value.error.code == -32602
    assert refused.value.error.message == "There is no such task (any more)."


async def test_an_update_that_nobody_asked_for_is_taken_and_changes_nothing(connect: Connect) -> None:
    async with connect() as client:
        task = await made(client, FOR_EVER)
        told = await tasks(client, "update", task.taskId, inputResponses={"name": {"action": "accept"}})
        assert told["resultType"] == "complete"
        assert (await tasks(client, "get", task.taskId))["status"] == "working"
        await tasks(client, "cancel", task.taskId)


async def test_sql_over_results_becomes_a_task_too(connect: Connect) -> None:
    async with connect() as client:
        first = await call(client, "query", sql="select id from orders")
        assert isinstance(first, CallToolResult)
        assert first.structured_content is not None
        task = await call(
            client,
            "query_result",
            sql="select count(*) as n from r1, r1 as b, r1 as c, r1 as d where r1.id + b.id + c.id + d.id > 4",
            job_ids=[first.structured_content["job_id"]],
            wait_seconds=0,
        )
        assert isinstance(task, CreatedTask)
        done = await ended(client, task.taskId)
    assert done["result"]["structuredContent"]["rows"] == [[120**4 - 1]]


async def test_a_task_outlives_the_server_that_made_it(served: HttpServer) -> None:
    async with Client(served.url, extensions=[Tasks()]) as client:
        finished = await made(client, A_WHILE.format(n=1_000_000))
        rows = (await ended(client, finished.taskId))["result"]["structuredContent"]["rows"]
        going_on = await made(client, A_WHILE.format(n=2_000_000))
    served.stop()
    served.start()
    async with Client(served.url, extensions=[Tasks()]) as client:
        again = await tasks(client, "get", finished.taskId)
        assert again["result"]["structuredContent"]["rows"] == rows
        assert (await ended(client, going_on.taskId, within_s=60))["result"]["structuredContent"]["rows"] == [
            [2_000_000]
        ]


async def test_somebody_elses_task_reads_as_one_that_never_was(tmp_path: Path) -> None:
    settings = load_settings(
        config=None,
        databases=[str(make_orders(tmp_path / "shop.sqlite"))],
        environ={"AWAITSQL_EXECUTOR__STATE_DIR": str(tmp_path / "state")},
    )
    caller = [replace(LOCAL, subject="ada")]
    async with running_machine(settings, workers=1, submits=True) as machine:
        server = build_server(machine, settings.mcp_server, caller=lambda: caller[0])
        heard = Heard()
        async with Client(server, extensions=[Tasks(heard.task)], message_handler=heard.message) as client:
            task = await made(client, FOR_EVER)
            caller[0] = replace(LOCAL, subject="grace")
            for method in ("get", "cancel", "update"):
                with pytest.raises(MCPError) as foreign:
                    await tasks(client, method, task.taskId)
                with pytest.raises(MCPError) as unknown:
                    await tasks(client, method, UNKNOWN)
                assert foreign.value.error == unknown.value.error
            both = {"taskIds": [task.taskId], "resourceSubscriptions": [f"job://{task.taskId}"]}
            async with listening(client, heard, **both) as acknowledged:
                assert acknowledged.model_dump(exclude_none=True) == {}
            caller[0] = replace(LOCAL, subject="ada")
            assert (await tasks(client, "get", task.taskId))["status"] == "working"
            await tasks(client, "cancel", task.taskId)
            assert (await ended(client, task.taskId))["status"] == "cancelled"


def posted(url: str, method: str, params: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any]]:
    """One request as another client would write it: status and message."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": method,
            **headers,
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


async def test_a_header_that_names_another_task_is_refused_and_a_missing_one_is_borne_with(served: HttpServer) -> None:
    sql = {"sql": FOR_EVER, "wait_seconds": 0}
    _, created = posted(served.url, "tools/call", {"name": "query", "arguments": sql}, **{"Mcp-Name": "query"})
    task_id = created["result"]["taskId"]
    try:
        status, told = posted(served.url, "tasks/get", {"taskId": task_id}, **{"Mcp-Name": UNKNOWN})
        assert (status, told["error"]["code"]) == (400, -32020)
        for named in ({}, {"Mcp-Name": task_id}):
            status, told = posted(served.url, "tasks/get", {"taskId": task_id}, **named)
            assert (status, told["result"]["taskId"]) == (200, task_id)
    finally:
        status, told = posted(served.url, "tasks/cancel", {"taskId": task_id})
    assert (status, told["result"]["resultType"]) == (200, "complete")


@pytest.mark.parametrize("method", ["tasks/list", "tasks/result"])
async def test_methods_that_the_extension_left_behind_are_not_there(served: HttpServer, method: str) -> None:
    status, told = posted(served.url, method, {"taskId": UNKNOWN})
    assert (status, told["error"]["code"]) == (404, -32601)


async def test_a_client_of_the_handshake_era_never_meets_a_task(served: HttpServer) -> None:
    async with Client(served.url, mode="legacy", extensions=[Tasks()]) as client:
        result = await client.call_tool("query", {"sql": FOR_EVER, "wait_seconds": 0})
        assert result.structured_content is not None
        await client.call_tool("cancel_job", {"job_id": result.structured_content["job_id"]})
    assert result.structured_content["state"] in {"queued", "running"}
