"""What a client hears of its tasks and jobs without asking. The job is moved by a worker, another process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult
from served import HttpServer, make_orders
from task_client import CreatedTask, Heard, Tasks, call, listening, tasks

FOR_EVER = (
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 4000000000) select count(*) as n from r"
)
A_WHILE = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 6000000) select null, max(n) from r"
SLOW_ROWS = "with recursive r(n) as (select 1 union all select n + 1 from r) select n from r where n % 1000 = 0"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    home = tmp_path_factory.mktemp("home")
    with HttpServer(home, ["--db", str(make_orders(home / "shop.sqlite"))]) as server:
        yield server


def connected(served: HttpServer, heard: Heard) -> Client:
    return Client(served.url, extensions=[Tasks(heard.task)], message_handler=heard.message)


async def made(client: Client, sql: str, **arguments: Any) -> str:
    task = await call(client, "query", sql=sql, wait_seconds=0, **arguments)
    assert isinstance(task, CreatedTask), task
    return task.taskId


async def test_the_end_of_a_task_is_told_with_what_get_would_answer(served: HttpServer) -> None:
    heard = Heard()
    async with connected(served, heard) as client:
        task_id = await made(client, A_WHILE)
        async with listening(client, heard, taskIds=[task_id]) as acknowledged:
            assert (acknowledged.model_extra or {})["taskIds"] == [task_id]
            await heard.until(lambda: bool(heard.tasks) and heard.tasks[-1]["status"] == "completed")
        asked = await tasks(client, "get", task_id)
    assert heard.tasks[0]["status"] in {"working", "completed"}
    told = heard.tasks[-1]
    assert "io.modelcontextprotocol/subscriptionId" in told.pop("_meta")
    assert told["result"]["structuredContent"]["rows"] == [[None, 6_000_000]]
    assert told["result"]["structuredContent"]["truncated"] is None
    for envelope in ("_meta", "resultType"):
        asked.pop(envelope)
    assert told == asked


async def test_a_task_that_ended_before_anybody_listened_is_told_of_all_the_same(served: HttpServer) -> None:
    heard = Heard()
    async with connected(served, heard) as client:
        done = await call(client, "query", sql="select 1 as one")
        assert isinstance(done, CallToolResult)
        assert done.structured_content is not None
        task_id = done.structured_content["job_id"]
        async with listening(client, heard, taskIds=[task_id]):
            await heard.until(lambda: bool(heard.tasks))
    assert [task["status"] for task in heard.tasks] == ["completed"]


async def test_a_running_task_tells_its_progress_and_that_it_was_cancelled(served: HttpServer) -> None:
    heard = Heard()
    async with connected(served, heard) as client:
        task_id = await made(client, SLOW_ROWS)
        async with listening(client, heard, taskIds=[task_id]):
            await heard.until(lambda: len(heard.tasks) >= 3)
            await tasks(client, "cancel", task_id)
            await heard.until(lambda: heard.tasks[-1]["status"] == "cancelled")
    assert {task["status"] for task in heard.tasks[:-1]} == {"working"}
    assert len({task["statusMessage"] for task in heard.tasks}) > 1


async def test_a_jobs_resources_are_told_to_have_changed(served: HttpServer) -> None:
    heard = Heard()
    async with connected(served, heard) as client:
        job_id = await made(client, FOR_EVER)
        uris = [f"job://{job_id}", f"job://{job_id}/rows?limit=5"]
        others = ["job://00000-00000-00000-00000-0", "schema://shop"]
        async with listening(client, heard, resourceSubscriptions=[*uris, *others]) as acknowledged:
            assert acknowledged.resource_subscriptions == uris
            await client.call_tool("cancel_job", {"job_id": job_id})
            await heard.until(lambda: set(heard.resources) == set(uris))
    assert heard.tasks == []


async def test_tasks_that_are_not_there_are_not_acknowledged(served: HttpServer) -> None:
    heard = Heard()
    unknown = ["00000-00000-00000-00000-0", "nonsense"]
    async with connected(served, heard) as client, listening(client, heard, taskIds=unknown) as acknowledged:
        assert "taskIds" not in (acknowledged.model_extra or {})


async def test_tasks_are_told_only_to_clients_that_declared_them(served: HttpServer) -> None:
    heard = Heard()
    async with Client(served.url, message_handler=heard.message) as client:
        with pytest.raises(ExceptionGroup) as refused:
            async with listening(client, heard, taskIds=["00000-00000-00000-00000-0"]):
                pass
    error = refused.value.exceptions[0]
    assert isinstance(error, MCPError)
    assert error.error.code == -32021


async def test_many_streams_over_one_job_all_hear_its_end(served: HttpServer) -> None:
    heard = Heard()
    async with connected(served, heard) as client:
        task_id = await made(client, FOR_EVER)
        async with AsyncExitStack() as streams:
            for _ in range(50):
                await streams.enter_async_context(listening(client, heard, taskIds=[task_id]))
            await tasks(client, "cancel", task_id)
            await heard.until(lambda: sum(task["status"] == "cancelled" for task in heard.tasks) == 50)
    assert {task["taskId"] for task in heard.tasks} == {task_id}


async def test_the_sdks_own_handler_still_drops_task_ids() -> None:
    """The day it carries them, `mcp_server.subscriptions` has a simpler way to be one of its own."""
    heard = Heard()
    async with (
        Client(MCPServer("plain"), extensions=[Tasks()], message_handler=heard.message) as client,
        listening(client, heard, taskIds=["one"], toolsListChanged=True) as acknowledged,
    ):
        assert acknowledged.tools_list_changed
        assert not acknowledged.model_extra
