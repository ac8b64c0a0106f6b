"""A policy in a configuration file, as an assistant meets it: over stdio, to real workers and databases."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parents[2]
CONFIG = """
[executor]
state_dir = "state"
[executor.sources.shop]
kind = "sqlite"
path = "shop.sqlite"
[executor.sources.payroll]
kind = "sqlite"
path = "payroll.sqlite"

[mcp_server.local_principal]
roles = ["analyst"]
attributes = { tenant = TENANT }

[[mcp_server.policies.payroll]]
roles = ["boss"]

[[mcp_server.policies.shop]]
name = "own tenant"
roles = ["analyst"]
cost = { warn = 500, confirm = 20_000, refuse = 500_000_000, confirm_by = "CONFIRM_BY" }
[mcp_server.policies.shop.protect.orders]
rows = "tenant_id = :principal.tenant"
deny = ["margin"]
masks = { email = "hash" }
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "shop.sqlite") as made:
        made.execute("create table orders (id integer primary key, tenant_id integer, email text, margin real)")
        made.executemany(
            "insert into orders values (?, ?, ?, ?)", [(n, 1 + n % 2, f"mail{n}@example.org", n) for n in range(1, 101)]
        )
        made.execute("create table numbers (n integer primary key)")
        made.executemany("insert into numbers values (?)", [(n,) for n in range(1, 201)])
    made.close()
    sqlite3.connect(tmp_path / "payroll.sqlite").close()
    write(tmp_path)
    return tmp_path


def write(home: Path, *, tenant: str = "1", confirm_by: str = "client", also: str = "") -> None:
    text = CONFIG.replace("TENANT", tenant).replace("CONFIRM_BY", confirm_by)
    (home / "awaitsql.toml").write_text(text + also)


def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home)}


def server(home: Path) -> StdioServerParameters:
    arguments = ["-m", "mcp_server", "serve", "--transport", "stdio", "--config", str(home / "awaitsql.toml")]
    return StdioServerParameters(command=sys.executable, args=arguments, env=environment(home), cwd=ROOT)


def awaitsql(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mcp_server", *arguments, "--config", str(home / "awaitsql.toml")]
    return subprocess.run(
        command, check=False, cwd=ROOT, env=environment(home), capture_output=True, text=True, timeout=90
    )


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert result.structured_content is not None
    return result.structured_content


async def test_an_assistant_sees_what_its_caller_may_see_and_is_told_what_it_does_not(home: Path) -> None:
    async with Client(server(home), read_timeout_seconds=60) as client:
        assert [s["name"] for s in (await call(client, "list_sources"))["sources"]] == ["shop"]
        assert (await call(client, "query", sql="select 1", source="payroll"))["error"]["code"] == "unknown_source"
        [table] = (await call(client, "describe_tables", tables=["orders"]))["tables"]
        assert [c["name"] for c in table["columns"]] == ["id", "tenant_id", "email"]
        assert table["columns"][2]["comment"] == "masked by the policy."
        assert "row_estimate" not in table
        assert "margin" not in table["card"]
        found = await call(client, "search_schema", keywords=["margin", "mail"])
        assert "margin" not in json.dumps(found)
        assert [t["name"] for t in found["tables"]] == ["orders", "numbers"]
        hidden = await call(client, "search_schema", keywords=["boss"], source="payroll")
        assert hidden["error"]["code"] == "unknown_source"

        view = await call(client, "query", sql="select count(*) as n, count(distinct email) as e from orders")
        assert view["rows"] == [[50, 50]]
        assert view["policy"] == [{"table": "main.orders", "rows": "filtered", "masked": ["email"]}]
        assert view["sql"].startswith("SELECT count(*) AS `n`, count(DISTINCT `email`) AS `e` FROM `main`.`orders`")
        assert not {"tenant_id", "margin", "sha256"} & set(json.dumps(view).replace('"', " ").split())

        told = (await call(client, "query", sql="select id,\n  margin from orders"))["error"]
        assert (told["code"], told["line"], told["column"]) == ("unknown_column", 2, 3)
        assert "margin" not in told["hint"]


async def test_a_dear_statement_is_run_after_a_yes(home: Path) -> None:
    cross = "select count(*) as n from orders a, numbers b, numbers c"
    async with Client(server(home), read_timeout_seconds=60) as client:
        dry = await call(client, "query", sql=cross, dry_run=True)
        assert dry["state"] == "succeeded"
        assert dry["progress"]["estimate"]["cost"] == "1 thousand to 1 million"
        assert "rows" not in dry
        assert "plan" in dry["next_step"] or "Nothing was run" in dry["next_step"]
        open_dry = await call(client, "query", sql="select count(*) from numbers a, numbers b", dry_run=True)
        assert open_dry["plan"] == ["SCAN a", "SCAN b"]
        assert open_dry["progress"]["estimate"]["cost"] == "about 40,200"

        asked = await call(client, "query", sql=cross)
        assert asked["error"]["code"] == "needs_confirmation"
        token = asked["next_step"].split('confirm="')[1].split('"')[0]
        done = await call(client, "query", sql=cross, confirm=token)
        assert done["rows"] == [[50 * 200 * 200]]
        assert any("1 thousand to 1 million rows" in warning for warning in done["warnings"])
        refused = await call(client, "query", sql=f"{cross}, numbers d", confirm=token)
        assert refused["error"]["code"] == "needs_confirmation"
        dear = await call(client, "query", sql=f"{cross}, numbers d, numbers e")
        assert dear["error"]["code"] == "too_expensive"


async def test_where_a_person_has_to_say_yes_no_tool_call_can(home: Path) -> None:
    write(home, confirm_by="human")
    cross = "select count(*) as n from orders a, orders b, numbers c"
    async with Client(server(home), read_timeout_seconds=60) as client:
        asked = await call(client, "query", sql=cross)
        assert asked["error"]["code"] == "needs_confirmation"
        assert "confirm=" not in json.dumps(asked)
        told = await call(client, "query", sql=cross, confirm="anything")
        assert told["error"]["code"] == "needs_confirmation"
        assert "person" in told["error"]["message"]


async def test_sql_of_another_dialect_is_translated_and_then_held_to_the_policy(home: Path) -> None:
    async with Client(server(home), read_timeout_seconds=60) as client:
        view = await call(
            client, "query", sql="SELECT TOP 3 [id] FROM [orders] ORDER BY [id]", dialect="tsql", wait_seconds=20
        )
        assert view["rows"] == [[2], [4], [6]]
        refused = await call(client, "query", sql="SELECT margin FROM orders", dialect="mysql")
        assert refused["error"]["code"] == "unknown_column"
        assert "Translated, it reads: SELECT margin FROM orders" in refused["error"]["hint"]
        assert (await call(client, "query", sql="DROP TABLE orders", dialect="mysql"))["error"][
            "code"
        ] == "not_read_only"


async def test_what_was_read_under_another_policy_is_not_shown_any_more(home: Path) -> None:
    async with Client(server(home), read_timeout_seconds=60) as client:
        job_id = (await call(client, "query", sql="select id from orders"))["job_id"]
        assert len((await call(client, "get_rows", job_id=job_id))["rows"]) == 50
    write(home, tenant="2")
    async with Client(server(home), read_timeout_seconds=60) as client:
        for tool in ("get_job", "get_rows"):
            assert (await call(client, tool, job_id=job_id))["error"]["code"] == "policy_changed"
        [line] = (await call(client, "list_jobs"))["jobs"]
        assert line["job_id"] == job_id
    for command in (["show", job_id, "--json"], ["rows", job_id], ["rows", job_id, "--format", "csv"]):
        told = awaitsql(home, "jobs", *command)
        assert "policy_changed" in told.stderr + told.stdout
        assert told.returncode != 0


async def test_a_policy_that_does_not_fit_closes_its_source_and_doctor_says_why(home: Path) -> None:
    write(home, also='\n[mcp_server.policies.shop.protect.ordrs]\ndeny = ["id"]\n')
    async with Client(server(home), read_timeout_seconds=60) as client:
        told = (await call(client, "query", sql="select id from orders"))["error"]
        assert told["code"] == "source_not_ready"
        assert "awaitsql.toml:" in told["message"]
        assert "ordrs" not in told["hint"]
    doctor = awaitsql(home, "doctor", "--json")
    said = [c for c in json.loads(doctor.stdout)["checks"] if c["about"] == "policy of shop"]
    assert [c["level"] for c in said] == ["error"]
    assert said[0]["message"].endswith("There is no table ordrs. Did you mean orders?")
    assert doctor.returncode == 1


def test_the_command_line_is_held_to_the_policy_of_the_local_principal(home: Path) -> None:
    checked = json.loads(awaitsql(home, "check", "select * from orders", "--source", "shop", "--json").stdout)
    assert checked["proof"][0]["denied"] == ["margin"]
    counted = awaitsql(home, "query", "select count(*) as n from orders", "--source", "shop", "--format", "csv")
    assert counted.stdout.split() == ['"n"', "50"]
    dry = awaitsql(home, "query", "select * from numbers", "--source", "shop", "--dry-run")
    assert "rows touched: about 200" in dry.stdout


async def test_results_are_queried_and_exported_for_whom_they_were_read_and_under_the_same_policy(home: Path) -> None:
    async with Client(server(home)) as client:
        tools = [t.model_dump(mode="json", by_alias=True, exclude_none=True) for t in (await client.list_tools()).tools]
        mine = await call(client, "query", sql="select id, email from orders order by id", source="shop")
        counted = await call(
            client, "query_result", sql="select count(*) as n, max(id) as last from r1", job_ids=[mine["job_id"]]
        )
        exported = await call(client, "export", job_id=mine["job_id"], format="csv")
        refused = await call(client, "query_result", sql="select * from orders", job_ids=mine["job_id"])
    assert len(json.dumps(tools, separators=(",", ":"))) <= 5_000
    assert counted["rows"] == [[50, 100]]
    assert (counted["source"], counted["policy"]) == ("job results", mine["policy"])
    assert refused["error"]["code"] == "unknown_table"
    lines = Path(exported["path"]).read_text(encoding="utf8").splitlines()
    assert (len(lines), lines[0], exported["rows"]) == (51, '"id","email"', 50)
    assert Path(exported["path"]).stat().st_mode & 0o777 == 0o600

    write(home, tenant="2")
    async with Client(server(home)) as client:
        for tool, arguments in (
            ("get_rows", {"job_id": counted["job_id"]}),
            ("query_result", {"sql": "select 1 from r1", "job_ids": [mine["job_id"]]}),
            ("query_result", {"sql": "select 1 from r1", "job_ids": [counted["job_id"]]}),
            ("export", {"job_id": counted["job_id"]}),
        ):
            assert (await call(client, tool, **arguments))["error"]["code"] == "policy_changed"
