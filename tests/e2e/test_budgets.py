"""No tool of a real server answers more than its budget: sources, schemas, statements and results of every shape."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from mcp import Client
from served import HttpServer

from mcp_server.bounds import json_length
from mcp_server.tools.budgets import ERROR_CHARS, most_chars

PREVIEW = 8_000
SMILE = "\U0001f600"
COMBINED = "e" + "\u0301" * 40
LONG_NAME = f"näme_{SMILE}_" + "x" * 150

CONFIG = """
[executor]
state_dir = "{home}/state"
[executor.sources.wide]
kind = "sqlite"
path = "{home}/wide.sqlite"
description = "{words}"
[executor.sources.nested]
kind = "duckdb"
path = "{home}/nested.duckdb"
"""
MORE = """
[executor.sources.other_{n}]
kind = "sqlite"
path = "{home}/small.sqlite"
description = "{words}"
"""


def make_wide(file: Path) -> None:
    """5,000 tables, one of them with 1,600 columns and one with names and cells that are hard to show."""
    with closing(sqlite3.connect(file)) as made:
        made.execute("pragma synchronous = off")
        for n in range(4_998):
            made.execute(f"create table invoices_of_the_year_{n} (id integer primary key, {SMILE}_{n} text)")
        columns = ", ".join(f"measurement_number_{n} text" for n in range(1_600))
        made.execute(f"create table broad ({columns})")
        marks = ", ".join("?" for _ in range(1_600))
        made.executemany(f"insert into broad values ({marks})", [[SMILE * 30] * 1_600 for _ in range(40)])
        made.execute(
            f'create table hard (id integer primary key, "{LONG_NAME}" text, combined text, bytes blob, j text)'
        )
        document = json.dumps({"deep": [{"a": [1, 2, {"b": SMILE * 50}]}] * 40})
        made.executemany(
            "insert into hard values (?, ?, ?, ?, ?)",
            [(n, SMILE * 3_000, COMBINED * 300, bytes(range(256)) * 40, document) for n in range(200)],
        )
        made.commit()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    make_wide(home / "wide.sqlite")
    with closing(sqlite3.connect(home / "small.sqlite")) as made:
        made.execute("create table t (id integer)")
        made.commit()
    with duckdb.connect(home / "nested.duckdb") as made:
        made.execute(
            "create table nested as select i, {'a': range(i), 'b': {'c': repeat('é', 500), 'd': map([1], ['x'])}} as t,"
            " [[repeat('漢', 100)]] as lists, repeat('b', 9000)::blob as bytes from range(100) t(i)"
        )
    words = f"All of our invoices {SMILE} " * 60
    config = home / "awaitsql.toml"
    more = "".join(MORE.format(home=home, n=n, words=words) for n in range(30))
    config.write_text(CONFIG.format(home=home, words=words) + more)
    with HttpServer(home, ["--config", str(config)]) as server:
        yield server.url


async def told(client: Client, tool: str, *, most: int | None = None, **arguments: Any) -> dict[str, Any]:
    """What a tool answers, which is looked at: its structure within the budget, and its text the same."""
    result = await client.call_tool(tool, arguments)
    content = result.structured_content
    assert content is not None
    budget = ERROR_CHARS if result.is_error else most_chars(tool, preview_chars=PREVIEW)
    assert json_length(content) <= (budget if most is None else most), tool
    [text] = result.content
    assert json.loads(text.text.split("\n", 1)[1]) == content
    return content


RESULTS = {
    "1,600 columns": ("wide", "select * from broad"),
    "long cells": ("wide", "select * from hard order by id"),
    "one long cell": ("wide", "select group_concat(j) as j from hard"),
    "bytes": ("wide", "select bytes from hard"),
    "combining letters": ("wide", "select combined, id from hard"),
    "a long name": ("wide", f'select id as "{"漢" * 60}", j as "{SMILE * 60}" from hard'),
    "nested": ("nested", "select * from nested"),
    "no rows": ("wide", "select * from broad where measurement_number_0 = 'x'"),
    "long SQL": ("wide", "select id from hard where j <> '" + SMILE * 4_000 + "'"),
}


@pytest.mark.parametrize("shape", RESULTS)
async def test_a_result_and_its_pages_stay_within_their_budgets(url: str, shape: str) -> None:
    source, sql = RESULTS[shape]
    async with Client(url, read_timeout_seconds=90) as client:
        view = await told(client, "query", sql=sql, source=source, wait_seconds=40)
        assert view["state"] == "succeeded", view
        assert json_length(view["rows"]) <= PREVIEW
        handle = view["job_id"]
        for chars in (0, 300, PREVIEW, 1_000_000):
            most = most_chars("get_job", preview_chars=min(chars, PREVIEW))
            await told(client, "get_job", job_id=handle, max_chars=chars, most=most)
        for more in ({}, {"cell_chars": 20_000}, {"limit": 1_000}, {"limit": 1, "cell_chars": 100_000}):
            page = await told(client, "get_rows", job_id=handle, **more)
            assert bool(page["rows"]) == bool(view["row_count"])
        over = await told(client, "query_result", sql="select * from r1", job_ids=[handle], wait_seconds=40)
        assert over["row_count"] == view["row_count"]
        exported = await told(client, "export", job_id=handle, format="parquet")
        assert exported["rows"] == view["row_count"]


async def test_many_jobs_side_by_side_share_one_budget(url: str) -> None:
    async with Client(url, read_timeout_seconds=90) as client:
        handles = [
            (await told(client, "query", sql=sql, source=source, wait_seconds=40))["job_id"]
            for source, sql in [*RESULTS.values()] * 2
        ]
        handles += ["nonsense" * 5_000, "00000-00000-00000-00000-0"]
        for count in (2, 5, len(handles)):
            asked = handles[-count:]
            most = most_chars("get_job", preview_chars=PREVIEW, jobs=count)
            views = await told(client, "get_job", job_id=asked, most=most)
            assert len(views["jobs"]) == count
            assert sum(json_length(view.get("rows", [])) for view in views["jobs"]) <= PREVIEW
        await told(client, "get_job", job_id=handles * 40, most=most_chars("get_job", preview_chars=PREVIEW, jobs=20))
        for limit in (1, 20, 100):
            lines = (await told(client, "list_jobs", limit=limit))["jobs"]
            assert lines


async def test_schemas_and_sources_stay_within_their_budgets(url: str) -> None:
    async with Client(url, read_timeout_seconds=90) as client:
        sources = await told(client, "list_sources")
        assert len(sources["sources"]) + sources.get("more_sources", 0) == 32
        listed = await told(client, "describe_tables", source="wide")
        assert listed["more_tables"] > 4_000
        for tables in (["broad"], ["hard"], ["*"], ["invoices*", "broad", "hard"], [f"no_{n}" for n in range(100)]):
            await told(client, "describe_tables", tables=tables, source="wide")
        broad = (await told(client, "describe_tables", tables=["broad"], source="wide"))["tables"][0]
        assert len(broad["columns"]) + broad["more_columns"] == 1_600
        found_by = {"MEASUREMENT_NUMBER_1599": [1599], "*_*_155*": [155, *range(1550, 1560)]}
        for pattern, numbers in found_by.items():
            found = await told(client, "describe_tables", tables=["broad", "hard"], columns=pattern, source="wide")
            assert [[c["name"] for c in table["columns"]] for table in found["tables"]] == [
                [f"measurement_number_{n}" for n in numbers]
            ]
            assert found["without_such_columns"] == ["hard"]
            assert (await told(client, "describe_tables", columns=pattern, source="wide"))["tables"] == found["tables"]
        missed = await told(client, "describe_tables", tables=["broad"], columns="nothing*", source="wide")
        assert missed["error"]["code"] == "unknown_column"


async def test_errors_of_any_length_stay_within_their_budget(url: str) -> None:
    long = SMILE * 4_000
    refused: list[tuple[str, dict[str, Any]]] = [
        ("query", {"sql": f"select '{long}' from nowhere", "source": "wide"}),
        ("query", {"sql": f'select "{long[:3000]}" from hard', "source": "wide"}),
        ("query", {"sql": "select 1", "source": long}),
        ("query", {"sql": "select 1", long: 1}),
        ("query", {"sql": f"delete from hard where j = '{long}'", "source": "wide"}),
        ("query", {"sql": f"select (('{long}')", "source": "wide", "dialect": "mysql"}),
        ("query", {"sql": f"select i from nested where cast('{long}' as int) = i", "source": "nested"}),
        ("describe_tables", {"tables": [long], "source": "wide"}),
        ("describe_tables", {"tables": ["orders"] * 101, "source": "wide"}),
        ("get_job", {"job_id": long}),
        ("get_rows", {"job_id": long, "columns": [long]}),
        ("export", {"job_id": "x", "format": long}),
        ("query_result", {"sql": long, "job_ids": [long]}),
    ]
    async with Client(url, read_timeout_seconds=90) as client:
        for tool, arguments in refused:
            result = await client.call_tool(tool, arguments)
            assert result.is_error, (tool, arguments)
            content = result.structured_content or {}
            budget = most_chars(tool, preview_chars=0) if "job_id" in content else ERROR_CHARS
            assert json_length(content) <= budget, content
        handle = (await told(client, "query", sql="select * from broad", source="wide", wait_seconds=40))["job_id"]
        unknown = await client.call_tool("get_rows", {"job_id": handle, "columns": [long, *["x"] * 500]})
        assert json_length(unknown.structured_content) <= ERROR_CHARS


async def test_every_tool_has_a_budget(url: str) -> None:
    async with Client(url) as client:
        for tool in (await client.list_tools()).tools:
            # a whole schema, where it fits, may take 20,000 tokens
            most = 130_000 if tool.name == "search_schema" else 30_000
            assert most_chars(tool.name, preview_chars=PREVIEW) < most
