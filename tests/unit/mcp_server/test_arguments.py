"""What a client sent becomes a tool's arguments, or a refusal that names the right one."""

from __future__ import annotations

from typing import Any

import pytest

from mcp_server.errors import CallRefused
from mcp_server.tools.arguments import read_tool_arguments
from mcp_server.tools.jobs import GetJobArguments
from mcp_server.tools.query import QueryArguments
from mcp_server.tools.rows import GetRowsArguments
from mcp_server.tools.sources import DescribeTablesArguments, ListSourcesArguments


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("limitt", "max_rows"),
        ("limit", "max_rows"),
        ("query", "sql"),
        ("wait_second", "wait_seconds"),
        ("timeout", "wait_seconds"),
        ("Source", "source"),
        ("database", "source"),
    ],
)
def test_an_unknown_argument_is_refused_with_the_one_that_is_meant(sent: str, meant: str) -> None:
    with pytest.raises(CallRefused) as refused:
        read_tool_arguments("query", QueryArguments, {"sql": "select 1", sent: 3})
    assert refused.value.code == "invalid_arguments"
    assert f"Did you mean {meant}?" in refused.value.hint


def test_nobody_raises_his_own_priority_by_an_argument() -> None:
    with pytest.raises(CallRefused) as refused:
        read_tool_arguments("query", QueryArguments, {"sql": "select 1", "priority": "high"})
    assert refused.value.code == "invalid_arguments"


def test_an_argument_like_no_other_is_refused_with_the_list() -> None:
    with pytest.raises(CallRefused) as refused:
        read_tool_arguments("list_sources", ListSourcesArguments, {"zzz": 1})
    assert refused.value.code == "invalid_arguments"
    assert "Did you mean" not in refused.value.hint


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"sql": 5},
        {"sql": "select 1", "wait_seconds": "soon"},
        {"sql": "select 1", "wait_seconds": -1},
        {"sql": "select 1", "wait_seconds": "nan"},
        {"sql": "select 1", "max_rows": 0},
        {"sql": "select 1", "max_rows": 1.5},
        {"sql": "select 1", "idempotency_key": ""},
    ],
)
def test_a_wrong_value_is_refused_without_being_repeated(sent: dict[str, Any]) -> None:
    with pytest.raises(CallRefused) as refused:
        read_tool_arguments("query", QueryArguments, sent)
    assert refused.value.code == "invalid_arguments"
    assert "soon" not in refused.value.message


def test_null_is_an_argument_left_out() -> None:
    read = read_tool_arguments("query", QueryArguments, {"sql": "select 1", "wait_seconds": None, "source": None})
    assert read.wait_seconds == 10
    assert read.source is None


def test_numbers_may_come_as_text() -> None:
    assert read_tool_arguments("query", QueryArguments, {"sql": "select 1", "max_rows": "50"}).max_rows == 50


def test_a_list_may_come_as_json_text_or_as_one_name() -> None:
    assert read_tool_arguments("t", DescribeTablesArguments, {"tables": '["a", "b"]'}).tables == ["a", "b"]
    assert read_tool_arguments("t", DescribeTablesArguments, {"tables": "a"}).tables == ["a"]
    assert read_tool_arguments("t", GetRowsArguments, {"job_id": "x", "columns": "a"}).columns == ["a"]


def test_one_handle_stays_one_and_several_stay_several() -> None:
    assert read_tool_arguments("t", GetJobArguments, {"job_id": "A"}).job_id == "A"
    assert read_tool_arguments("t", GetJobArguments, {"job_id": ["A"]}).job_id == ["A"]
    assert read_tool_arguments("t", GetJobArguments, {"job_id": '["A", "B"]'}).job_id == ["A", "B"]
