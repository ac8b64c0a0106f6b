"""A glossary beside the configuration: drafted, held to the tables by doctor, told with the tables it is about."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import warm_commands
from mcp import Client, StdioServerParameters

CONFIG = """
[executor.sources.shop]
kind = "sqlite"
path = "shop.sqlite"
[mcp_server.glossary]
shop = "words/shop.yaml"
[[mcp_server.policies.shop]]
tables = ["orders"]
"""

WORDS = """
metrics: [{name: revenue, sql: sum(total), from: orders}, {name: wages, sql: sum(salary), from: payroll}]
tables: {payroll: Nobody's business.}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as made:
        made.executescript(
            "CREATE TABLE orders (id INTEGER, total REAL); CREATE TABLE payroll (salary REAL, grade TEXT);"
            "INSERT INTO payroll VALUES (1, 'senior'), (2, 'junior');"
        )
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "shop.yaml").write_text(WORDS)
    (tmp_path / "a.toml").write_text(CONFIG)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWAITSQL_")}
    return {**kept, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}


def awaitsql(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return warm_commands.awaitsql(*arguments, cwd=folder, env=environment(folder), timeout=90)


async def test_tables_come_with_what_their_glossary_says_as_far_as_the_caller_may_know(folder):
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_server", "serve", "--config", "a.toml"],
        env=environment(folder), cwd=folder,
    )  # fmt: skip
    async with Client(server, read_timeout_seconds=60) as client:
        answer = (await client.call_tool("describe_tables", {"tables": ["orders"]})).structured_content
        assert answer["glossary"] == [{"metric": "revenue", "sql": "sum(total)", "from": "orders"}]
        everything = (await client.call_tool("describe_tables", {})).structured_content
        assert "payroll" not in json.dumps(everything)
        assert "wages" not in json.dumps(everything)


def test_doctor_holds_a_glossary_to_the_tables(folder):
    def checks() -> list[tuple[str, str]]:
        told = json.loads(awaitsql(folder, "doctor", "--config", "a.toml", "--json").stdout)["checks"]
        return [(c["level"], c["message"]) for c in told if c["about"] == "glossary of shop"]

    assert [level for level, _ in checks()] == ["ok"]
    (folder / "words" / "shop.yaml").write_text("metrics: [{name: revenue, sql: sum(totl), from: orders}]")
    [(level, message)] = checks()
    assert (level, "totl" in message) == ("error", True)


def test_a_draft_is_written_once_and_fits(folder):
    drafted = awaitsql(folder, "glossary", "draft", "shop", "--db", "shop.sqlite", "--output", "words/new.yaml")
    assert drafted.returncode == 0, drafted.stderr
    text = (folder / "words" / "new.yaml").read_text()
    assert "payroll:" in text
    assert "One of: " in text
    assert "senior" in text
    again = awaitsql(folder, "glossary", "draft", "--db", "shop.sqlite", "--output", "words/new.yaml")
    assert again.returncode == 2
    assert b"words/new.yaml" in again.stderr


def test_a_glossary_of_no_source_is_a_mistake(folder):
    (folder / "a.toml").write_text(CONFIG.replace('shop = "words', 'shopp = "words'))
    told = awaitsql(folder, "check", "SELECT 1", "--config", "a.toml")
    assert told.returncode == 2
    assert b"shopp" in told.stderr
