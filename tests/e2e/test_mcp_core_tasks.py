"""The tasks of protocol 2025-11-25 over standard input and output, written as its clients write them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp_types import ServerCapabilities, methods
from pydantic import ValidationError
from served import ROOT, HttpServer, make_orders, until

FOR_EVER = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 4000000000) select max(n) from r"
A_WHILE = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 2000000) select max(n) as n from r"


COSTS = """
[executor.sources.shop]
kind = "sqlite"
path = "shop.sqlite"
[mcp_server.local_principal]
roles = ["analyst"]
[[mcp_server.policies.shop]]
roles = ["analyst"]
cost = { confirm = 100, confirm_by = "human" }
"""


@dataclass
class Connection:
    """A greeted server, asked one thing at a time."""

    server: subprocess.Popen[str]
    greeting: dict[str, Any]
    asked: int = 1

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The whole message that answers."""
        self.asked += 1
        self.send({"id": self.asked, "method": method, "params": params})
        return self.answer(self.asked)

    def result(self, method: str, **params: Any) -> dict[str, Any]:
        message = self.ask(method, **params)
        assert "result" in message, message
        return message["result"]

    def task(self, sql: str, **more: Any) -> dict[str, Any]:
        """The task that a query becomes that asks to be one."""
        asked = {"name": "query", "arguments": {"sql": sql}, "task": {"ttl": 60_000}}
        return self.result("tools/call", **{**asked, **more})["task"]

    def send(self, message: dict[str, Any]) -> None:
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.server.stdin.flush()

    def answer(self, number: int) -> dict[str, Any]:
        assert self.server.stdout is not None
        for line in self.server.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                return message
        raise AssertionError("the server closed its output")

    def heard(self, method: str) -> dict[str, Any]:
        """The server's next request of that method."""
        assert self.server.stdout is not None
        for line in self.server.stdout:
            message = json.loads(line)
            if message.get("method") == method:
                return message
        raise AssertionError("the server closed its output")

    def until_status(self, task_id: str, status: str) -> None:
        until(lambda: self.result("tasks/get", taskId=task_id)["status"] == status, within_s=30)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source of which a statement that reads more than a hundred rows asks its user first."""
    home = tmp_path_factory.mktemp("home")
    make_orders(home / "shop.sqlite")
    (home / "awaitsql.toml").write_text(COSTS)
    return home


@pytest.fixture(scope="module")
def connection(home: Path) -> Iterator[Connection]:
    with connected(home, "2025-11-25") as made:
        yield made


@pytest.fixture
def beside(home: Path, connection: Connection) -> Path:
    """The home of `connection`, for servers without workers of their own: its worker does their work."""
    del connection
    return home


@contextmanager
def connected(home: Path, version: str, *more: str, capabilities: dict[str, Any] | None = None) -> Iterator[Connection]:
    command = [sys.executable, "-m", "mcp_server", "serve", "--transport", "stdio"]
    env = HttpServer(home, []).environment()
    with subprocess.Popen(
        [*command, "--config", str(home / "awaitsql.toml"), *more],
        env=env,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            open_one = Connection(server, {})
            hello = {
                "protocolVersion": version,
                "capabilities": capabilities or {},
                "clientInfo": {"name": "t", "version": "1"},
            }
            open_one.greeting = open_one.result("initialize", **hello)
            open_one.send({"method": "notifications/initialized"})
            open_one.result("tools/call", name="list_sources", arguments={})  # which waits until they are ready
            yield open_one
        finally:
            server.kill()


def test_a_client_is_told_which_tools_can_be_asked_for_as_tasks(connection: Connection) -> None:
    tools = connection.result("tools/list")["tools"]

    assert connection.greeting["capabilities"]["tasks"] == {"cancel": {}, "requests": {"tools": {"call": {}}}}
    supported = {tool["name"]: tool["execution"]["taskSupport"] for tool in tools if "execution" in tool}
    assert supported == {"query": "optional", "query_result": "optional"}


def test_a_task_is_made_followed_and_answered_with_the_tools_result(connection: Connection) -> None:
    made = connection.task(A_WHILE)
    result = connection.result("tasks/result", taskId=made["taskId"])
    done = connection.result("tasks/get", taskId=made["taskId"])

    assert made["status"] == "working"
    assert made["ttl"] > 60_000
    assert made["pollInterval"] >= 1_000
    assert result["structuredContent"]["rows"] == [[2_000_000]]
    assert result["_meta"]["io.modelcontextprotocol/related-task"] == {"taskId": made["taskId"]}
    assert done["status"] == "completed"
    assert not {"task", "result", "ttlMs", "pollIntervalMs"} & set(done)


def test_a_failed_statement_is_a_failed_task_with_the_tools_error(connection: Connection) -> None:
    made = connection.task("select abs(-9223372036854775808) as n")
    result = connection.result("tasks/result", taskId=made["taskId"])

    assert result["isError"] is True
    assert result["structuredContent"]["error"]["code"] == "statement_failed"
    assert connection.result("tasks/get", taskId=made["taskId"])["status"] == "failed"


def test_a_cancelled_task_says_so_and_is_not_cancelled_twice(connection: Connection) -> None:
    made = connection.task(FOR_EVER)
    cancelled = connection.result("tasks/cancel", taskId=made["taskId"])
    again = connection.ask("tasks/cancel", taskId=made["taskId"])

    assert cancelled["status"] == "cancelled"
    assert again["error"]["code"] == -32602


def test_a_call_that_makes_no_job_is_an_error_of_the_protocol(connection: Connection) -> None:
    task = {"ttl": 60_000}
    refused = connection.ask("tools/call", name="query", arguments={"sql": "drop table orders"}, task=task)
    at_once = connection.ask("tools/call", name="list_sources", arguments={}, task=task)

    assert refused["error"]["message"].startswith("not_read_only:")
    assert refused["error"]["data"]["code"] == "not_read_only"
    assert at_once["error"]["code"] == -32602


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/cancel"])
@pytest.mark.parametrize("task_id", ["00000-00000-00000-00000-0", "nonsense", None])
def test_an_unknown_task_is_not_found(connection: Connection, method: str, task_id: str | None) -> None:
    told = connection.ask(method, taskId=task_id)

    assert told["error"]["code"] == -32602


def test_a_call_that_asks_for_no_task_is_answered_as_ever(connection: Connection) -> None:
    told = connection.result("tools/call", name="query", arguments={"sql": FOR_EVER, "wait_seconds": 0})
    connection.result("tools/call", name="cancel_job", arguments={"job_id": told["structuredContent"]["job_id"]})

    assert told["structuredContent"]["state"] in {"queued", "running"}
    assert "_meta" not in told


def test_an_older_client_meets_no_tasks(beside: Path) -> None:
    with connected(beside, "2025-06-18", "--workers", "0") as older:
        sql = {"sql": "select 1 as one"}
        told = older.result("tools/call", name="query", arguments=sql, task={"ttl": 60_000})
        tools = older.result("tools/list")["tools"]
        unknown = older.ask("tasks/get", taskId=told["structuredContent"]["job_id"])

    assert "tasks" not in older.greeting["capabilities"]
    assert told["structuredContent"]["rows"] == [[1]]
    assert not any("execution" in tool for tool in tools)
    assert "error" in unknown


def test_the_sdk_still_serves_no_tasks_of_this_revision() -> None:
    """The day it does, `mcp_server.core_tasks` is to be taken out."""
    assert not {"tasks/get", "tasks/result", "tasks/cancel"} & set(methods.SPEC_CLIENT_METHODS)
    task = {"taskId": "x", "status": "working", "createdAt": "", "lastUpdatedAt": "", "ttl": None}
    with pytest.raises(ValidationError):
        methods.serialize_server_result("tools/call", "2025-11-25", {"task": task})
    assert ServerCapabilities().tasks is None


def test_what_a_task_asks_the_user_is_asked_while_its_result_is_waited_for(beside: Path) -> None:
    can_ask = {"elicitation": {"form": {}}}
    with connected(beside, "2025-11-25", "--workers", "0", capabilities=can_ask) as connection:
        made = connection.task("select count(*) as n from orders a")
        connection.until_status(made["taskId"], "input_required")
        connection.asked += 1
        connection.send({"id": connection.asked, "method": "tasks/result", "params": {"taskId": made["taskId"]}})
        form = connection.heard("elicitation/create")
        assert form["params"]["_meta"]["io.modelcontextprotocol/related-task"] == {"taskId": made["taskId"]}
        connection.send({"id": form["id"], "result": {"action": "accept", "content": {"confirm": True}}})
        result = connection.answer(connection.asked)["result"]
        assert result["structuredContent"]["rows"] == [[120]]
        assert connection.result("tasks/get", taskId=made["taskId"])["status"] == "completed"


def test_a_task_of_a_client_that_asks_nobody_fails_with_the_error(connection: Connection) -> None:
    made = connection.task("select sum(total) as n from orders a")
    result = connection.result("tasks/result", taskId=made["taskId"])
    assert result["structuredContent"]["error"]["code"] == "needs_confirmation"
    assert connection.result("tasks/get", taskId=made["taskId"])["status"] == "failed"
