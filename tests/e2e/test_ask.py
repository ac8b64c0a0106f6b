"""Questions through every door of a real server; the model is the scripted double, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from model_double import ModelDouble, Reply, ask_back, in_turn, model_server, sql
from served import ROOT, HttpServer, make_orders
from warm_commands import awaitsql

COUNT = "SELECT COUNT(*) AS n FROM orders"


@contextmanager
def asked_of(tmp_path: Path, base_url: str) -> Iterator[HttpServer]:
    config = tmp_path / "awaitsql.toml"
    config.write_text(
        f'[executor.sources.shop]\nkind = "sqlite"\npath = "{make_orders(tmp_path / "shop.sqlite")}"\n'
        f'[mcp_server.ask]\nmodel = "scripted"\nbase_url = "{base_url}"\n'
    )
    with HttpServer(tmp_path, ["--config", str(config)]) as server:
        yield server


@pytest.fixture
def double() -> Iterator[tuple[ModelDouble, str]]:
    with model_server(in_turn(sql("SELECT COUNT(*) AS n FROM order_items"), sql(COUNT, assumptions=["all"]))) as made:
        yield made


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert result.structured_content is not None
    return result.structured_content


async def test_a_question_through_the_tool_the_handle_and_plain_http(
    tmp_path: Path, double: tuple[ModelDouble, str]
) -> None:
    with asked_of(tmp_path, double[1]) as server:
        async with Client(server.url, read_timeout_seconds=60) as client:
            tools = (await client.list_tools()).tools
            assert "ask" in [tool.name for tool in tools]
            told = [t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in tools]
            assert len(json.dumps(told, separators=(",", ":"))) <= 5_000, "every tool there is"

            view = await call(client, "ask", question="How many orders?", source="shop", wait_seconds=0)
            assert view["state"] in ("queued", "running")
            view = await call(client, "get_job", job_id=view["job_id"], wait_seconds=40)
            assert (view["rows"], view["question"], view["assumptions"]) == ([[120]], "How many orders?", ["all"])
            [line] = (await call(client, "list_jobs"))["jobs"]
            assert line["question"] == "How many orders?"

        answer = httpx2.post(
            f"{server.origin}/v1/jobs",
            json={"question": "And now?", "wait_seconds": 30, "conversation": view["conversation"]},
            timeout=60,
        )
        assert (answer.status_code, answer.json()["rows"]) == (200, [[120]])
        neither = httpx2.post(f"{server.origin}/v1/jobs", json={"source": "shop"})
        assert (neither.status_code, neither.json()["code"]) == (400, "invalid_arguments")

        command = ("ask", "How many?", "--server", server.origin, "--format", "csv")
        told = awaitsql(*command, cwd=ROOT, env=server.environment())
        assert (told.returncode, told.stdout.split()) == (0, [b'"n"', b"120"]), told.stderr
        assert b"COUNT" in told.stderr


def test_without_a_model_there_is_no_tool_and_the_command_says_what_to_set(tmp_path: Path) -> None:
    file = make_orders(tmp_path / "shop.sqlite")
    with HttpServer(tmp_path, ["--db", str(file)]) as server:
        answer = httpx2.post(f"{server.origin}/v1/jobs", json={"question": "How many?"})
        assert (answer.status_code, answer.json()["code"]) == (422, "no_model")
        told = awaitsql("ask", "How many?", "--db", str(file), cwd=ROOT, env=server.environment())

    assert told.returncode == 2
    assert b"AWAITSQL_MCP_SERVER__ASK__MODEL" in told.stderr


def test_the_command_answers_on_this_machine_with_the_model_that_the_environment_names(
    tmp_path: Path, double: tuple[ModelDouble, str]
) -> None:
    server = HttpServer(tmp_path, [])
    environ = {
        **server.environment(),
        "AWAITSQL_MCP_SERVER__ASK__MODEL": "scripted",
        "AWAITSQL_MCP_SERVER__ASK__BASE_URL": double[1],
    }
    file = make_orders(tmp_path / "shop.sqlite")
    told = awaitsql("ask", "How many?", "--db", str(file), "--json", cwd=ROOT, env=environ, timeout=90)

    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["rows"] == [[120]]


def test_what_is_asked_back_on_this_machine_is_answered_by_another_command(tmp_path: Path) -> None:
    def script(text: str) -> Reply:
        return sql(COUNT) if '"answer": "all"' in text else ask_back("Which orders?", "all", "none")

    with model_server(script) as (_, base_url):
        environ = {
            **HttpServer(tmp_path, []).environment(),
            "AWAITSQL_MCP_SERVER__ASK__MODEL": "scripted",
            "AWAITSQL_MCP_SERVER__ASK__BASE_URL": base_url,
        }
        file = make_orders(tmp_path / "shop.sqlite")

        here = {"cwd": ROOT, "env": environ, "timeout": 90.0}
        asked = awaitsql("ask", "How many?", "--db", str(file), **here)
        assert b"Which orders?" in asked.stderr
        handle = asked.stderr.decode().partition("awaitsql jobs answer ")[2].partition(",")[0]
        told = awaitsql("jobs", "answer", handle, "all", "--wait", "60", "--db", str(file), **here)

    assert told.returncode == 0, told.stderr
    assert b"120" in told.stdout.split()


def test_the_demo_asks_a_question_too_where_a_model_is_at_hand(tmp_path: Path, double: tuple[ModelDouble, str]) -> None:
    double[0].models = ["nomic-embed-text", "qwen3-coder"]
    environ = {**HttpServer(tmp_path, []).environment(), "OLLAMA_HOST": double[1].removesuffix("/v1")}
    file = make_orders(tmp_path / "shop.sqlite")
    told = awaitsql("demo", "--db", str(file), cwd=ROOT, env=environ, timeout=180)

    assert told.returncode == 0, told.stderr
    *_, answer = told.stdout.decode().split("4. ")
    assert "qwen3-coder is asked" in told.stdout.decode()
    assert "SELECT COUNT(*)" in answer
    assert "120" in answer.partition("SELECT COUNT(*)")[2]
