"""``awaitsql verified`` and the tool ``save_verified``: what assistants propose, a person reviews."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from warm_commands import awaitsql

CONFIG = """
[executor.sources.shop]
kind = "sqlite"
path = "shop.sqlite"
[mcp_server]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as made:
        made.executescript("CREATE TABLE orders (id INTEGER, total REAL);")
    (tmp_path / "a.toml").write_text(CONFIG)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWAITSQL_")}
    return {**kept, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}


def verified(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    ran = awaitsql(
        "verified", *arguments, "--config", "a.toml", "--json", cwd=folder, env=environment(folder), timeout=90
    )
    return ran.returncode, json.loads(ran.stdout or b"{}")


def test_a_person_adds_lists_and_removes(folder):
    code, kept = verified(folder, "add", "How many?", "SELECT count(id) FROM orders", "--by", "ann")
    assert (code, kept["state"], kept["reviewed_by"], kept["tables"]) == (0, "verified", "ann", ["main.orders"])
    code, refused = verified(folder, "add", "None?", "DELETE FROM orders")
    assert (code, refused["error"]["code"]) == (3, "not_read_only")

    with closing(sqlite3.connect(folder / "shop.sqlite")) as changed:
        changed.executescript("ALTER TABLE orders RENAME COLUMN id TO number;")
    _, listed = verified(folder, "list")
    [one] = listed["verified"]
    assert "main.orders.id" in one["out_of_date"]
    assert verified(folder, "remove", kept["id"]) == (0, {"removed": kept["id"]})
    assert verified(folder, "remove", kept["id"])[0] == 2


async def test_an_assistant_proposes_and_a_person_reviews(folder):
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_server", "serve", "--config", "a.toml"],
        env=environment(folder), cwd=folder,
    )  # fmt: skip
    async with Client(server, read_timeout_seconds=60) as client:
        told = await client.call_tool("save_verified", {"question": "All?", "sql": "SELECT total FROM orders"})
        proposed = told.structured_content or {}
        assert proposed["state"] == "pending"
        refused = await client.call_tool("save_verified", {"question": "All?", "sql": "SELECT totl FROM orders"})
        assert refused.is_error
        assert (refused.structured_content or {})["error"]["code"] == "unknown_column"

        _, waiting = verified(folder, "list", "--pending")
        assert [one["id"] for one in waiting["verified"]] == [proposed["id"]]
        assert verified(folder, "review")[0] == 2, "nobody sits at the terminal"
        code, said = verified(folder, "review", proposed["id"], "--accept", "--by", "ann")
        assert (code, said["state"], said["proposed_by"], said["reviewed_by"]) == (
            0,
            "verified",
            "local/local/local",
            "ann",
        )
        assert verified(folder, "list", "--pending")[1] == {"verified": []}

        found = (await client.call_tool("search_schema", {"keywords": "all totals"})).structured_content or {}
    [shown] = found["verified"]
    assert (shown["question"], shown["sql"], shown["verified_by"]) == ("All?", "SELECT total FROM orders", "ann")
