"""A dear statement, as assistants whose users can be asked meet it: in the call, in rounds, as a task, and by hand."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult, InputRequiredResult
from own_tokens import own_token
from served import ROOT, HttpServer, free_port
from task_client import CreatedTask, Tasks, ended, tasks
from task_client import call as call_or_task

CONFIG = """
[executor]
state_dir = "{home}/state"
[executor.sources.shop]
kind = "sqlite"
path = "{home}/shop.sqlite"

[mcp_server]
port = {port}
{auth}

[[mcp_server.policies.shop]]
roles = ["analyst"]
cost = {{ confirm = 20_000, confirm_by = "human" }}
[[mcp_server.policies.shop]]
roles = ["trusted"]
cost = {{ confirm = 20_000, confirm_by = "client" }}

[mcp_server.local_principal]
roles = ["analyst"]
"""
AUTH = """
[mcp_server.auth]
resource = "http://127.0.0.1:{port}/mcp"
tokens = true
"""
DEAR = "select count(*) as n from numbers a, numbers b"
ROWS = [[40_000]]
FORM = {"confirm": True}


def write_config(home: Path, *, port: int, signs_in: bool) -> Path:
    with sqlite3.connect(home / "shop.sqlite") as made:
        made.execute("create table numbers (n integer primary key)")
        made.executemany("insert into numbers values (?)", [(n,) for n in range(200)])
    made.close()
    file = home / "awaitsql.toml"
    auth = AUTH.format(port=port) if signs_in else ""
    text = CONFIG.format(home=home, port=port, auth=auth)
    file.write_text(text.split("[mcp_server.local_principal]", maxsplit=1)[0] if signs_in else text)
    return file


@dataclass
class Served:
    """A server over HTTP with two analysts, Ann and Bea, whose yes must be a person's, and Tom, who is trusted."""

    server: HttpServer
    tokens: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def client(self, name: str, **more: Any) -> AsyncIterator[Client]:
        headers = {"Authorization": f"Bearer {self.tokens[name]}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(self.server.url, http_client=http), read_timeout_seconds=60, **more) as made,
        ):
            yield made

    def v1(self, name: str) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self.tokens[name]}"}
        return httpx2.Client(base_url=f"{self.server.origin}/v1", headers=headers, timeout=60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    port = free_port()
    config = write_config(home, port=port, signs_in=True)
    with HttpServer(home, ["--config", str(config)], port) as server:
        found = Served(server)
        for name, role in (("ann", "analyst"), ("bea", "analyst"), ("tom", "trusted")):
            found.tokens[name] = own_token(config, name, roles=(role,))
        yield found


class User:
    """Whoever sits before the client: says the same to every form, and remembers what was asked."""

    def __init__(self, says: ElicitResult) -> None:
        self.says = says
        self.asked: list[Any] = []

    async def __call__(self, _context: Any, params: Any) -> ElicitResult:
        self.asked.append(params)
        return self.says


def yes() -> User:
    return User(ElicitResult(action="accept", content=FORM))


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    told = (await client.call_tool(tool, arguments)).structured_content
    assert told is not None
    return told


async def waiting_job(client: Client) -> tuple[str, InputRequiredResult]:
    """A job that asks, of a client that answers nothing by itself."""
    told = await client.session.call_tool("query", {"sql": DEAR, "fresh": True}, allow_input_required=True)
    assert isinstance(told, InputRequiredResult)
    [job, *_] = (await call(client, "list_jobs"))["jobs"]
    assert job["state"] == "waiting"
    return job["job_id"], told


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_the_user_is_asked_over_http_and_the_rows_come_in_the_same_call(served: Served, era: Any) -> None:
    user = yes()
    async with served.client("ann", mode=era, elicitation_callback=user) as client:
        done = await call(client, "query", sql=DEAR, fresh=True)
    assert done["rows"] == ROWS
    [form] = user.asked
    assert "about 39,800 rows" in form.message
    assert list(form.requested_schema["properties"]) == ["confirm"]


async def test_the_user_is_asked_over_stdio(tmp_path: Path) -> None:
    config = write_config(tmp_path, port=free_port(), signs_in=False)
    arguments = ["-m", "mcp_server", "serve", "--transport", "stdio", "--config", str(config)]
    env = HttpServer(tmp_path, []).environment()

    @asynccontextmanager
    async def client(era: Any, user: User, *more: str) -> AsyncIterator[Client]:
        server = StdioServerParameters(command=sys.executable, args=[*arguments, *more], env=env, cwd=ROOT)
        async with Client(server, mode=era, elicitation_callback=user, read_timeout_seconds=60) as made:
            yield made

    asked = {"legacy": yes(), "auto": yes()}
    # the second server's statements are run by the first one's worker
    async with client("legacy", asked["legacy"]) as one, client("auto", asked["auto"], "--workers", "0") as other:
        assert (await call(one, "query", sql=DEAR))["rows"] == ROWS
        assert (await call(other, "query", sql=DEAR, fresh=True))["rows"] == ROWS
    assert [len(user.asked) for user in asked.values()] == [1, 1]


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize("says", [("decline", None), ("cancel", None), ("accept", {"confirm": False})])
async def test_what_the_user_does_not_say_yes_to_is_not_run(served: Served, era: Any, says: Any) -> None:
    user = User(ElicitResult(action=says[0], content=says[1]))
    async with served.client("ann", mode=era, elicitation_callback=user) as client:
        told = await call(client, "query", sql=DEAR, fresh=True)
    assert told["error"]["code"] == "needs_confirmation"
    assert "confirm=" not in json.dumps(told)


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_whose_client_asks_nobody_is_given_the_token_or_sent_to_a_terminal(served: Served, era: Any) -> None:
    async with served.client("ann", mode=era) as client:
        human = await call(client, "query", sql=DEAR, fresh=True)
    async with served.client("tom", mode=era) as client:
        asked = await call(client, "query", sql=DEAR, fresh=True)
        token = asked["next_step"].split('confirm="')[1].split('"')[0]
        assert (await call(client, "query", sql=DEAR, confirm=token))["rows"] == ROWS
    assert human["error"]["code"] == "needs_confirmation"
    assert "confirm=" not in json.dumps(human)


async def test_a_broken_answer_in_the_call_leaves_the_job_waiting_and_says_how_to_answer(served: Served) -> None:
    user = User(ElicitResult(action="accept", content={"confirm": "perhaps"}))
    async with served.client("tom", mode="legacy", elicitation_callback=user) as client:
        view = await call(client, "query", sql=DEAR, fresh=True)
        assert view["state"] == "waiting"
        assert view["asks"]["answer"]["required"] == ["confirm"]
        assert f'answer_job(job_id="{view["job_id"]}"' in view["next_step"]
        user.says = ElicitResult(action="accept", content=FORM)
        assert (await call(client, "get_job", job_id=view["job_id"], wait_seconds=20))["rows"] == ROWS


async def test_a_state_that_is_changed_anothers_or_for_another_call_is_refused(served: Served) -> None:
    async with (
        served.client("ann", elicitation_callback=yes()) as ann,
        served.client("bea", elicitation_callback=yes()) as bea,
    ):
        job_id, told = await waiting_job(ann)
        assert told.input_requests is not None
        assert told.request_state is not None
        answers: Any = dict.fromkeys(told.input_requests, ElicitResult(action="accept", content=FORM))
        same, other = {"sql": DEAR, "fresh": True}, {"sql": DEAR}
        state = told.request_state
        for client, arguments, sent in (
            (bea, same, state),
            (ann, other, state),
            (ann, same, state[:-3] + ("AAA" if state[-3:] != "AAA" else "BBB")),
            (ann, same, job_id),
        ):
            with pytest.raises(MCPError, match="requestState"):
                await client.session.call_tool("query", arguments, input_responses=answers, request_state=sent)
        assert (await call(ann, "list_jobs"))["jobs"][0]["state"] == "waiting"
        assert (await call(ann, "cancel_job", job_id=job_id))["state"] == "cancelled"


async def test_get_job_asks_the_user_of_a_job_that_waits(served: Served) -> None:
    user = yes()
    async with served.client("ann", elicitation_callback=user) as client:
        job_id, _ = await waiting_job(client)
        assert (await call(client, "get_job", job_id=job_id, wait_seconds=20))["rows"] == ROWS
    assert len(user.asked) == 1


async def test_a_tool_call_answers_where_a_program_may_and_only_declines_where_a_person_must(served: Served) -> None:
    async with served.client("tom", elicitation_callback=yes()) as client:
        job_id, _ = await waiting_job(client)
        wrong = await call(client, "answer_job", job_id=job_id, answer="perhaps")
        assert wrong["error"]["code"] == "invalid_answer"
        done = await call(client, "answer_job", job_id=job_id, answer="yes")
        assert done["rows"] == ROWS
        late = await call(client, "answer_job", job_id=job_id, answer="no")
        assert late["error"]["code"] == "not_waiting"
    async with served.client("ann", elicitation_callback=yes()) as client:
        job_id, _ = await waiting_job(client)
        told = await call(client, "answer_job", job_id=job_id, answer={"confirm": True})
        assert told["error"]["code"] == "human_required"
        async with served.client("bea") as bea:
            others = await call(bea, "answer_job", job_id=job_id, answer="no")
            assert others["error"]["code"] == "job_not_found"
        assert (await call(client, "answer_job", job_id=job_id))["error"]["code"] == "needs_confirmation"


async def test_the_second_round_and_the_answer_to_a_task_may_be_taken_by_another_process(served: Served) -> None:
    async with served.client("ann", elicitation_callback=yes()) as client:
        job_id, told = await waiting_job(client)
    assert told.input_requests is not None
    answers: Any = dict.fromkeys(told.input_requests, ElicitResult(action="accept", content=FORM))
    async with served.client("ann", extensions=[Tasks()], elicitation_callback=yes()) as client:
        made = await call_or_task(client, "query", sql=DEAR, fresh=True)
        assert isinstance(made, CreatedTask)
        asking = await tasks(client, "get", made.taskId)
        assert asking["status"] == "input_required"
        [(key, request)] = asking["inputRequests"].items()
        assert request["method"] == "elicitation/create"
        assert request["params"]["message"] == asking["statusMessage"]
        yes_said = {"action": "accept", "content": FORM}
        await tasks(client, "update", made.taskId, inputResponses={"another": yes_said})
        with pytest.raises(MCPError, match="invalid_answer"):
            await tasks(client, "update", made.taskId, inputResponses={key: {"action": "accept", "content": {}}})
        async with served.client("bea", extensions=[Tasks()], elicitation_callback=yes()) as bea:
            with pytest.raises(MCPError, match="no such task"):
                await tasks(bea, "update", made.taskId, inputResponses={key: yes_said})
        assert (await tasks(client, "get", made.taskId))["status"] == "input_required"
        served.server.stop()
        served.server.start()
    async with served.client("ann", elicitation_callback=yes()) as client:
        second = await client.session.call_tool(
            "query", {"sql": DEAR, "fresh": True}, input_responses=answers, request_state=told.request_state
        )
    assert second.structured_content is not None
    assert (second.structured_content["job_id"], second.structured_content["rows"]) == (job_id, ROWS)
    async with served.client("ann", extensions=[Tasks()], elicitation_callback=yes()) as client:
        await tasks(client, "update", made.taskId, inputResponses={key: yes_said})
        await tasks(client, "update", made.taskId, inputResponses={key: {"action": "decline"}})
        done = await ended(client, made.taskId)
    assert done["status"] == "completed"
    assert done["result"]["structuredContent"]["rows"] == ROWS


async def test_a_task_of_a_client_that_asks_nobody_ends_with_the_error(served: Served) -> None:
    async with served.client("ann", extensions=[Tasks()]) as client:
        made = await call_or_task(client, "query", sql=DEAR, fresh=True)
        told = made.structured_content if not isinstance(made, CreatedTask) else None
    assert told is not None
    assert told["error"]["code"] == "needs_confirmation"


async def test_a_waiting_job_is_seen_answered_and_declined_over_v1(served: Served) -> None:
    async with served.client("tom", elicitation_callback=yes()) as client:
        first, _ = await waiting_job(client)
        second, _ = await waiting_job(client)
    with served.v1("tom") as v1:
        view = v1.get(f"/jobs/{first}").json()
        assert view["state"] == "waiting"
        assert f"POST /v1/jobs/{first}/answer" in view["next_step"]
        assert v1.post(f"/jobs/{first}/answer", json={"answer": {"confirm": 3}}).status_code == 422
        assert v1.post(f"/jobs/{first}/answer", json={}).status_code == 400
        told = v1.post(f"/jobs/{first}/answer", json={"answer": FORM})
        assert told.status_code in (200, 202)
        assert v1.get(f"/jobs/{first}", params={"wait_seconds": 20}).json()["rows"] == ROWS
        assert v1.post(f"/jobs/{first}/answer", json={"answer": None}).json()["code"] == "not_waiting"
        v1.post(f"/jobs/{second}/answer", json={"answer": None})
        ended_job = v1.get(f"/jobs/{second}", params={"wait_seconds": 20}).json()
        assert ended_job["error"]["code"] == "needs_confirmation"
    async with served.client("ann", elicitation_callback=yes()) as client:
        third, _ = await waiting_job(client)
    with served.v1("ann") as v1:
        told = v1.post(f"/jobs/{third}/answer", json={"answer": FORM})
        assert (told.status_code, told.json()["code"]) == (403, "human_required")
        v1.delete(f"/jobs/{third}")


async def test_the_command_line_shows_and_answers_a_waiting_job(served: Served) -> None:
    async with served.client("tom", elicitation_callback=yes()) as client:
        job_id, _ = await waiting_job(client)

    def awaitsql(*arguments: str) -> subprocess.CompletedProcess[str]:
        where = ["--server", served.server.origin, "--token", served.tokens["tom"]]
        command = [sys.executable, "-m", "mcp_server", "jobs", *arguments, *where]
        env = served.server.environment()
        return subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=60)

    shown = awaitsql("show", job_id)
    assert "Run it all the same?" in shown.stderr
    assert f"awaitsql jobs answer {job_id}" in shown.stderr
    nobody = awaitsql("answer", job_id)
    assert "Nobody sits at this terminal" in nobody.stderr
    done = awaitsql("answer", job_id, "yes", "--wait", "60", "--json")
    assert json.loads(done.stdout)["rows"] == ROWS
