"""``search_values`` and ``awaitsql profile`` as people meet them, and that nothing hidden shows in either."""

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
CANARIES = ("Zebrafink", "Quastenflosser", "Grottenolm", "Axolotl")
"""Stand where a filter or a mask hides them: of another tenant, under a mask, behind a view, in a denied column."""

CONFIG = """
[executor]
state_dir = "state"
[executor.sources.shop]
kind = "sqlite"
path = "shop.sqlite"

[mcp_server.local_principal]
roles = ["ROLE"]
attributes = { tenant = 1 }

[[mcp_server.policies.shop]]
roles = ["boss"]

[[mcp_server.policies.shop]]
roles = ["analyst"]
[mcp_server.policies.shop.protect.notes]
rows = "tenant_id = :principal.tenant"
[mcp_server.policies.shop.protect.people]
masks = { nickname = "hash" }
[mcp_server.policies.shop.protect.cities]
deny = ["mayor"]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "shop.sqlite") as made:
        made.executescript(
            """
            CREATE TABLE notes (id INTEGER PRIMARY KEY, tenant_id INTEGER, note TEXT);
            INSERT INTO notes VALUES (1, 1, 'Eisvogel'), (2, 2, 'Zebrafink'), (3, 2, 'Axolotl');
            CREATE TABLE people (id INTEGER PRIMARY KEY, nickname TEXT, town TEXT);
            INSERT INTO people VALUES (1, 'Quastenflosser', 'Bern'), (2, 'Axolotl', 'Zürich');
            CREATE TABLE cities (id INTEGER PRIMARY KEY, name TEXT, mayor TEXT);
            INSERT INTO cities VALUES (1, 'Sankt Gallen', 'Grottenolm'), (2, 'La Chaux-de-Fonds', 'Axolotl');
            CREATE VIEW all_notes AS SELECT note FROM notes;
            """
        )
    made.close()
    write(tmp_path, "analyst")
    return tmp_path


def write(home: Path, role: str) -> None:
    (home / "awaitsql.toml").write_text(CONFIG.replace("ROLE", role))


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


async def found(client: Client, text: str, **more: Any) -> list[tuple[str, str, str]]:
    content = await call(client, "search_values", text=text, **more)
    return [(one["table"], one["column"], one["value"]) for one in content["values"]]


async def test_values_are_found_in_other_spellings_and_in_questions(home: Path) -> None:
    async with Client(server(home), read_timeout_seconds=60) as client:
        for text in ("Sankt Gallen", "SANKT GALLEN", "sankt galen", "How many people live in Sankt Gallen, all told?"):
            assert ("cities", "name", "Sankt Gallen") in await found(client, text), text
        assert await found(client, "la chaux de fonds") == [("cities", "name", "La Chaux-de-Fonds")]
        assert await found(client, "Sankt Gallen", table="people") == []
        wrong = await call(client, "search_values", text="x", table="citys")
        assert wrong["error"]["code"] == "unknown_table"
        assert "cities" in wrong["error"]["hint"]


async def test_of_protected_tables_a_caller_finds_what_a_query_of_theirs_would_show(home: Path) -> None:
    async with Client(server(home), read_timeout_seconds=60) as client:
        assert await found(client, "eisvogel") == [("notes", "note", "Eisvogel")]
        assert await found(client, "zürich") == [("people", "town", "Zürich")]
    write(home, "boss")
    async with Client(server(home), read_timeout_seconds=60) as client:
        assert await found(client, "Zebrafink") == [("all_notes", "note", "Zebrafink"), ("notes", "note", "Zebrafink")]


async def test_nothing_that_a_filter_a_mask_or_a_denial_hides_shows_anywhere(home: Path) -> None:
    told: list[str] = []
    async with Client(server(home), read_timeout_seconds=60) as client:
        for text in (
            *CANARIES,
            "axolotl grottenolm",
            "Which notes are about the Zebrafink or the Axolotl there?",
        ):
            for table in (None, "notes", "people", "cities", "all_notes"):
                asked = {"text": text} if table is None else {"text": text, "table": table}
                content = await call(client, "search_values", **asked)
                told.append(json.dumps(content, ensure_ascii=False))
                # nothing was asked for but these words, and no answer says them
                assert content.get("values", []) == [], (text, table)
        told.append(json.dumps(await call(client, "describe_tables", tables=["*"]), ensure_ascii=False))
        tools = {tool.name for tool in (await client.list_tools()).tools}
        if "search_schema" in tools:
            words = ["notes", "people", "cities", "mayor", "nickname", *CANARIES]
            told.append(json.dumps(await call(client, "search_schema", keywords=words, source="shop")))
    ran = awaitsql(home, "profile", "--json")
    assert ran.returncode == 0, ran.stderr
    # a column that is denied to some is shared by the others: the command line shows the profile to its owner
    profiled = {table["name"]: table for table in json.loads(ran.stdout)["tables"]}
    assert set(profiled) == {"cities"}
    logs = [path.read_text() for path in home.rglob("*.log")]
    assert logs
    everything = "\n".join([*told, *logs, ran.stderr])
    assert [canary for canary in CANARIES if canary in everything] == []
    kept = [path for path in (home / "state").rglob("*") if path.is_file() and "values" in path.parts]
    assert kept
    hidden = [
        canary for canary in ("Zebrafink", "Quastenflosser") for path in kept if canary.encode() in path.read_bytes()
    ]
    assert hidden == []


def test_the_command_says_what_it_read_and_what_it_left_out(home: Path) -> None:
    ran = awaitsql(home, "profile")

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "main.cities: 2 rows; values listed of name, mayor"
    assert "1 tables, 0 inferred keys" in ran.stderr
    assert "3 tables left out" in ran.stderr
