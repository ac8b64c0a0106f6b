"""A table that does not exist and one that is not granted cannot be told apart by what a refusal says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shop import LIMITS, columns

from executor import SourceSchema, Table
from mcp_server.policy import Compare, Grant, TableGrant
from mcp_server.sql import StatementRefused, check
from mcp_server.sql.dialects import dialect_rules

HIDDEN, ABSENT = "hr_wages", "hr_wabes"
DIALECTS = ("postgres", "mysql", "sqlite", "duckdb", "clickhouse", "snowflake", "bigquery", "trino", "tsql")
SHAPES = (
    "SELECT * FROM {t}",
    "SELECT {t}.id FROM {t}",
    "SELECT count(*) FROM orders JOIN {t} USING (id)",
    "SELECT id FROM orders WHERE id IN (SELECT id FROM {t})",
    "WITH a AS (SELECT * FROM {t}) SELECT * FROM a",
    "SELECT * FROM main.{t}",
    "SELECT * FROM other.{t}",
    "SELECT id FROM orders UNION ALL SELECT id FROM {t}",
    "EXPLAIN SELECT * FROM {t}",
)
GRANTS = {
    "by list": Grant(schemas=("main",), tables=((("main", "orders"), TableGrant()),)),
    "by list, with others that exist": Grant(
        schemas=("main",), tables=((("main", "orders"), TableGrant(rows=Compare("id", "=", 1))),)
    ),
    "by schema": Grant(schemas=("main",), others=TableGrant()),
}


def source(dialect: str, *, hidden_in: str, near: str = "orders") -> SourceSchema:
    """One granted table, one like it in name, and the one that is not granted."""
    some = columns("id int, amount numeric")
    return SourceSchema(
        source="alike",
        dialect=dialect,
        default_schema="main",
        tables=(
            Table("main", "orders", columns=some),
            Table("main", near, columns=some),
            Table(hidden_in, HIDDEN, columns=some),
        ),
    )


def told(sql: str, schema: SourceSchema, grant: Grant) -> dict[str, object]:
    with pytest.raises(StatementRefused) as refused:
        check(sql, source_schema=schema, grant=grant, limits=LIMITS)
    return refused.value.as_dict()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", GRANTS)
def test_unknown_and_not_granted_read_the_same(dialect: str, name: str) -> None:
    assert dialect_rules(dialect) is not None
    grant = GRANTS[name]
    schema = source(dialect, hidden_in="other" if name == "by schema" else "main")
    for shape in SHAPES:
        if dialect in ("snowflake", "bigquery", "tsql") and shape.startswith("EXPLAIN"):
            continue
        hidden, absent = (told(shape.format(t=table), schema, grant) for table in (HIDDEN, ABSENT))
        assert hidden["code"] == "unknown_table", (shape, hidden)
        # some databases fold names to upper case
        assert {key: str(value).lower().replace(HIDDEN, ABSENT) for key, value in hidden.items()} == {
            key: str(value).lower() for key, value in absent.items()
        }, shape


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_suggestion_is_the_same_granted_table_for_both(dialect: str) -> None:
    grant = Grant(tables=((("main", "hr_wages_seen"), TableGrant()),))
    schema = source(dialect, hidden_in="main", near="hr_wages_seen")
    hidden, absent = (told(f"SELECT * FROM {table}", schema, grant) for table in (HIDDEN, ABSENT))
    assert hidden["hint"] == absent["hint"] == "Did you mean hr_wages_seen?"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_column_that_is_denied_reads_as_one_that_is_not_there(dialect: str) -> None:
    grant = Grant(tables=((("main", "orders"), TableGrant(columns=("id",))),))
    schema = source(dialect, hidden_in="main")
    for shape in ("SELECT {c} FROM orders", "SELECT o.{c} FROM orders AS o", "SELECT id FROM orders WHERE {c} = 1"):
        hidden, absent = (told(shape.format(c=column), schema, grant) for column in ("amount", "amoumt"))
        assert str(hidden).lower().replace("amount", "amoumt") == str(absent).lower(), shape
