"""What a literal says is in no record where it is not to be, whatever the dialect and however broken the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.sql import with_literals_of, without_literals

DIALECTS = ["postgres", "mysql", "sqlite", "duckdb", "clickhouse", "tsql", "bigquery", "snowflake", "trino", ""]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_names_stay_and_literals_go(dialect: str) -> None:
    told = without_literals(
        "SELECT a, -7.5e3 FROM t /* s3cret */ WHERE b = 's3cret' -- s3cret\n LIMIT 10", dialect, True
    )

    assert told == "SELECT a , - ? FROM t WHERE b = ? LIMIT ?"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("form", ["'{}'", "N'{}'", "DATE '{}'", "'a' 'b{}'", "lower('{}')", '"{}"', "x.y = '{}' --"])
def test_a_refused_text_tells_no_literal_in_any_form(dialect: str, form: str) -> None:
    assert "s3cret" not in without_literals("SELECT " + form.format("s3cret"), dialect, False)


@given(st.text(alphabet="'\"`$ab;-/*\\\n", max_size=12))
def test_a_text_that_cannot_be_read_tells_nothing_of_its_strings(around: str) -> None:
    assert "7777" not in without_literals(f"{around} '7777", "postgres", False)


def test_of_what_runs_only_the_caller_s_own_literals_are_told() -> None:
    asked = "SELECT a FROM t WHERE b = 'mine' AND c > 5"
    runs = """SELECT "a" FROM (SELECT * FROM "t" WHERE "x" = 'hid' AND "n" < 9) AS "t" WHERE "b" = 'mine' AND "c" > 5"""

    assert with_literals_of(asked, "postgres", runs, "postgres") == (
        """SELECT "a" FROM (SELECT * FROM "t" WHERE "x" = ? AND "n" < ?) AS "t" WHERE "b" = 'mine' AND "c" > 5"""
    )
    assert with_literals_of(asked, "postgres", "SELECT 'broken", "postgres") == ""
    assert with_literals_of('SELECT "mine"', "mysql", "SELECT 'mine', 'other'", "postgres") == "SELECT 'mine', ?"
