"""A question that is asked back, as each kind of client meets it: in the call, in rounds, as a task, by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import ElicitResult, InputRequiredResult
from model_double import Reply, ask_back, model_server, sql
from served import ROOT, HttpServer, make_orders
from task_client import CreatedTask, Tasks, ended, tasks
from task_client import call as call_or_task
from warm_commands import awaitsql

VAGUE = "How many orders are there of the usual kind?"
DEAR = "How many pairs of orders are there?"
SMALL = {"answer": "small ones"}


def script(text: str) -> Reply:
    if "pairs of orders" in text:
        return sql("SELECT COUNT(*) AS n FROM orders a CROSS JOIN orders b")
    if "you_asked" not in text:
        return ask_back("Which kind is usual?", "small ones", "large ones")
    than = "<= 15" if '"answer": "small ones"' in text else "> 15"
    return sql(f"SELECT COUNT(*) AS n FROM orders WHERE total {than}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    home: Path = tmp_path_factory.mktemp("home")
    with model_server(script) as (_, base_url):
        (home / "awaitsql.toml").write_text(
            f'[executor.sources.shop]\nkind = "sqlite"\npath = "{make_orders(home / "shop.sqlite")}"\n'
            f'[mcp_server.ask]\nmodel = "scripted"\nbase_url = "{base_url}"\n[mcp_server.cost]\nconfirm = 10_000\n'
        )
        with HttpServer(home, ["--config", str(home / "awaitsql.toml")]) as started:
            yield started


class User:
    """Whoever sits before the client: says the same to every form, and remembers what was asked."""

    def __init__(self, **content: Any) -> None:
        self.content = content
        self.asked: list[Any] = []

    async def __call__(self, _context: Any, params: Any) -> ElicitResult:
        self.asked.append(params)
        return ElicitResult(action="accept", content=self.content)


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    told = (await client.call_tool(tool, arguments)).structured_content
    assert told is not None
    return told


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize(("question", "said", "rows"), [(VAGUE, SMALL, [[10]]), (DEAR, {"confirm": True}, [[14_400]])])
async def test_the_user_is_asked_inside_the_call_or_between_its_rounds(
    server: HttpServer, mode: Any, question: str, said: dict[str, Any], rows: list[list[int]]
) -> None:
    user = User(**said)
    async with Client(server.url, mode=mode, read_timeout_seconds=60, elicitation_callback=user) as client:
        view = await call(client, "ask", question=question, wait_seconds=40)
    assert view["rows"] == rows, view
    [asked] = user.asked
    if question == VAGUE:
        assert asked.message == "Which kind is usual?"
        assert asked.requested_schema["properties"]["answer"]["enum"] == ["small ones", "large ones"]
    else:
        assert "about 14,520 rows" in asked.message


async def test_a_round_that_is_not_answered_is_taken_back_with_the_state_it_gave(server: HttpServer) -> None:
    async with Client(server.url, read_timeout_seconds=60, elicitation_callback=User(**SMALL)) as client:
        asking = {"question": VAGUE, "wait_seconds": 40}
        told = await client.session.call_tool("ask", asking, allow_input_required=True)
        assert isinstance(told, InputRequiredResult)
        assert told.input_requests is not None
        said: Any = dict.fromkeys(told.input_requests, ElicitResult(action="decline"))
        done = await client.session.call_tool("ask", asking, input_responses=said, request_state=told.request_state)
    assert done.structured_content is not None
    assert done.structured_content["rows"] == [[110]], "nobody said which: the likeliest reading"


async def test_as_a_task_it_needs_input_and_goes_on_with_an_update(server: HttpServer) -> None:
    async with Client(
        server.url, read_timeout_seconds=60, extensions=[Tasks()], elicitation_callback=User(**SMALL)
    ) as client:
        made = await call_or_task(client, "ask", question=VAGUE)
        assert isinstance(made, CreatedTask)
        async with asyncio.timeout(40):
            asking = await tasks(client, "get", made.taskId)
            while asking["status"] == "working":
                asking = await tasks(client, "get", made.taskId)
        assert asking["status"] == "input_required"
        [(key, request)] = asking["inputRequests"].items()
        assert request["params"]["message"] == "Which kind is usual?"
        await tasks(client, "update", made.taskId, inputResponses={key: {"action": "accept", "content": SMALL}})
        done = await ended(client, made.taskId)
    assert done["result"]["structuredContent"]["rows"] == [[10]]


async def test_a_client_that_asks_nobody_is_told_the_choices_and_the_call_that_answers(server: HttpServer) -> None:
    async with Client(server.url, read_timeout_seconds=60) as client:
        view = await call(client, "ask", question=VAGUE, wait_seconds=40)
        assert (view["state"], view["asks"]["message"]) == ("waiting", "Which kind is usual?")
        assert view["asks"]["answer"]["properties"]["answer"]["enum"] == ["small ones", "large ones"]
        assert f'answer_job(job_id="{view["job_id"]}"' in view["next_step"]
        wrong = await call(client, "answer_job", job_id=view["job_id"], answer="none of them")
        assert wrong["error"]["code"] == "invalid_answer"
        view = await call(client, "answer_job", job_id=view["job_id"], answer="small ones")
        while view["state"] in ("queued", "running"):
            view = await call(client, "get_job", job_id=view["job_id"], wait_seconds=40)
        assert view["rows"] == [[10]]


def test_the_command_says_what_is_asked_and_goes_on_with_the_answer(server: HttpServer) -> None:
    there = ("--server", server.origin)
    asked = awaitsql("ask", VAGUE, *there, cwd=ROOT, env=server.environment())
    assert b"Which kind is usual?" in asked.stderr
    handle = asked.stderr.decode().partition("awaitsql jobs answer ")[2].partition(",")[0]
    answer = ("jobs", "answer", handle, "small ones", "--wait", "60", "--json")
    done = awaitsql(*answer, *there, cwd=ROOT, env=server.environment())
    assert json.loads(done.stdout)["rows"] == [[10]], done.stderr
