"""Which columns say that a row usually does not count, and what is said of counts that do not look at them."""

from __future__ import annotations

import pytest

from executor import Column, ColumnProfile, Limits, SourceProfile, SourceSchema, Table, TableProfile
from mcp_server.excluding import excluding
from mcp_server.policy import Compare, Grant, TableGrant
from mcp_server.sql import check

SHOP = SourceSchema(
    "shop",
    "sqlite",
    "main",
    (
        Table("main", "orders", columns=tuple(Column(c, "TEXT") for c in ("id", "customer_id", "state", "total"))),
        Table("main", "customers", columns=tuple(Column(c, "TEXT") for c in ("id", "name", "is_test"))),
    ),
)
PROFILE = SourceProfile(
    "shop",
    "",
    tables=(
        TableProfile("main", "orders", columns=(ColumnProfile("state", values=("paid", "open", "Cancelled")),)),
        TableProfile("main", "customers", columns=(ColumnProfile("is_test", values=("0", "1")),)),
    ),
)
WHOLE = Grant(others=TableGrant(), version="whole")


def told(sql: str, grant: Grant = WHOLE) -> list[str]:
    statement = check(sql, source_schema=SHOP, grant=grant, limits=Limits(), telling=excluding(PROFILE))
    return [caution.text.split(",")[0] for caution in statement.cautions if caution.code == "unfiltered_enum"]


STATE, TEST = "orders.state is not looked at: rows where it is 'Cancelled' are counted", "customers.is_test"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM orders",
        "SELECT o.customer_id, SUM(o.total) FROM orders AS o GROUP BY 1",
        "SELECT c.name, AVG(o.total + 1) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY 1",
        "SELECT * FROM (SELECT MAX(total) AS m FROM orders) AS t",
    ],
)
def test_what_is_counted_though_it_usually_is_not_is_told(sql: str) -> None:
    assert told(sql) == [STATE]


def test_so_is_a_flag() -> None:
    [text] = told("SELECT COUNT(*) FROM customers")
    assert text.startswith("customers.is_test is not looked at: rows where it is '1'")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) FROM orders WHERE state <> 'Cancelled'",
        "SELECT STATE, COUNT(*) FROM orders GROUP BY 1",
        "SELECT COUNT(CASE WHEN state = 'paid' THEN 1 END) FROM orders",
        "SELECT id, total FROM orders",
        "SELECT COUNT(*) FROM orders o JOIN customers c ON c.id = o.customer_id",
        "SELECT COUNT(*) FROM (SELECT id FROM orders WHERE total > 1) AS t",
        "EXPLAIN SELECT COUNT(*) FROM orders",
    ],
)
def test_what_looks_at_the_column_or_counts_nothing_of_the_table_is_not(sql: str) -> None:
    assert told(sql) == []


@pytest.mark.parametrize(
    "rule", [TableGrant(denied=("state",)), TableGrant(rows=Compare("state", "=", "paid")), TableGrant(denied=("id",))]
)
def test_nothing_is_told_of_a_table_of_which_something_is_hidden(rule: TableGrant) -> None:
    assert told("SELECT SUM(total) FROM orders", Grant(tables=((("main", "orders"), rule),), others=TableGrant())) == []


@pytest.mark.parametrize(
    ("column", "values", "found"),
    [
        ("status", ("paid", "void"), ("void",)),
        ("status", ("paid", "open"), ()),
        ("status", ("deleted", "void"), ()),
        ("status", ("test",), ()),
        ("deleted", ("f", "t"), ("t",)),
        ("is_new", ("0", "1"), ()),
        ("is_test", (), ()),
    ],
)
def test_only_columns_that_tell_such_rows_from_others_count(
    column: str, values: tuple[str, ...], found: tuple[str, ...]
) -> None:
    profile = SourceProfile("s", "", (TableProfile("main", "t", columns=(ColumnProfile(column, values=values),)),))
    assert excluding(profile) == ({("main", "t"): {column: found}} if found else {})
