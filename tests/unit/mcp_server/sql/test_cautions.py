"""What the guard says of rows that may mislead, and what it keeps quiet about."""

from __future__ import annotations

import pytest

from executor import Column, ForeignKey, Limits, SourceSchema, Table
from mcp_server.policy import Compare, Grant, TableGrant
from mcp_server.sql import check


def table(name: str, columns: str, *, key: str = "id", refers: dict[str, str] | None = None) -> Table:
    return Table(
        "main",
        name,
        columns=tuple(Column(column, "TEXT") for column in columns.split()),
        primary_key=tuple(key.split()),
        foreign_keys=tuple(ForeignKey((column,), "main", target, ("id",)) for column, target in (refers or {}).items()),
    )


SHOP = SourceSchema(
    "shop",
    "sqlite",
    "main",
    (
        table("customers", "id name country credit"),
        table("orders", "id customer_id day total", refers={"customer_id": "customers"}),
        table("items", "order_id product_id price", key="order_id product_id", refers={"order_id": "orders"}),
        table("products", "id name weight"),
        table("visits", "id customer_id day", refers={"customer_id": "customers"}),
        table("calls", "id customer_id day"),
        table("loose", "customer_id amount", key=""),
    ),
)
WHOLE = Grant(others=TableGrant(), version="whole")


def cautions(sql: str, *, grant: Grant = WHOLE):
    return check(sql, source_schema=SHOP, grant=grant, limits=Limits()).cautions


def codes(sql: str) -> list[str]:
    return [caution.code for caution in cautions(sql)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM customers, orders",
        "SELECT count(*) FROM customers c JOIN orders o",
        "SELECT c.name FROM customers c JOIN orders o ON 1 = 1",
        "SELECT c.name FROM customers c, orders o, items i WHERE o.id = i.order_id AND c.country = 'DE'",
        "SELECT 1 FROM customers c WHERE EXISTS (SELECT 1 FROM orders o, products p WHERE o.customer_id = c.id)",
        "WITH big AS (SELECT * FROM orders WHERE total > 9) SELECT * FROM big, customers",
        "SELECT * FROM customers c, (SELECT customer_id FROM orders) o",
    ],
)
def test_sources_that_no_condition_joins_are_told(sql):
    assert codes(sql) == ["cartesian_product"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM customers c, orders o WHERE c.id = o.customer_id",
        "SELECT * FROM customers c JOIN orders o ON o.total > c.credit",
        "SELECT * FROM customers CROSS JOIN products",
        "SELECT * FROM customers NATURAL JOIN products",
        "SELECT * FROM orders JOIN loose USING (customer_id)",
        "SELECT * FROM customers c, (SELECT avg(total) AS mean FROM orders) m WHERE c.credit > 3",
        "WITH m AS (SELECT max(total) AS most FROM orders) SELECT name, most FROM customers, m",
        "SELECT * FROM customers a, customers b WHERE a.id = 3 AND b.id = 4",
        "SELECT * FROM orders o, loose l WHERE o.customer_id = 7 AND l.customer_id = 7",
        "SELECT * FROM customers c, orders o WHERE c.id = o.customer_id OR o.total IS NULL",
        "SELECT * FROM orders o, products p WHERE EXISTS (SELECT 1 FROM items i WHERE i.order_id = o.id AND "
        "i.product_id = p.id)",
        "SELECT * FROM customers c, json_each(c.name) j",
        "SELECT * FROM customers",
    ],
)
def test_joined_sources_and_products_that_are_meant_are_not_told(sql):
    assert codes(sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(c.credit) FROM customers c JOIN orders o ON o.customer_id = c.id",
        "SELECT country, avg(credit) FROM customers c JOIN orders o ON c.id = o.customer_id GROUP BY country",
        "SELECT country, sum(credit), sum(o.total) FROM customers c, orders o WHERE c.id = o.customer_id GROUP BY 1",
        "SELECT sum(o.total) FROM orders o JOIN items i ON i.order_id = o.id",
        "SELECT sum(c.credit) FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE o.total > 5",
        "SELECT round(sum(o.total) / 2) FROM customers c JOIN orders o ON o.customer_id = c.id "
        "JOIN items i ON i.order_id = o.id",
        "SELECT sum(o.total) FROM orders o JOIN customers c ON c.id = o.customer_id JOIN visits v "
        "ON v.customer_id = c.id",
        "SELECT sum(c.credit) FROM customers c JOIN calls k ON k.customer_id = c.id",
        "SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name HAVING sum(c.credit) > 1",
    ],
)
def test_sums_over_rows_that_a_join_repeats_are_told(sql):
    assert codes(sql) == ["fan_out_join"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id",
        "SELECT c.name, sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id",
        "SELECT sum(i.price) FROM orders o JOIN items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id",
        "SELECT max(c.credit), count(*) FROM customers c JOIN orders o ON o.customer_id = c.id",
        "SELECT sum(DISTINCT c.credit) FROM customers c JOIN orders o ON o.customer_id = c.id",
        "SELECT sum(c.credit) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.day = '2024-01-01'",
        "SELECT o.day, sum(c.credit) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY o.day",
        "SELECT p.name, avg(o.total) FROM orders o JOIN items i ON i.order_id = o.id JOIN products p "
        "ON p.id = i.product_id GROUP BY p.name",
        "SELECT c.id, avg(c.credit) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.id",
        "SELECT sum(c.credit * o.total) FROM customers c JOIN orders o ON o.customer_id = c.id",
        "SELECT sum(c.credit) OVER () FROM customers c JOIN orders o ON o.customer_id = c.id",
        "SELECT sum(c.credit) FROM customers c JOIN loose l ON l.amount = c.credit",
        "SELECT sum(o.total) FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN calls k "
        "ON k.customer_id = c.id",
        "SELECT sum(c.country = 'DE') FROM customers c JOIN orders o ON o.customer_id = c.id",
        "SELECT sum(c.credit) FROM customers c WHERE c.id IN (SELECT customer_id FROM orders)",
    ],
)
def test_sums_that_the_keys_do_not_show_to_be_multiplied_are_not_told(sql):
    assert codes(sql) == []


@pytest.mark.parametrize(
    ("sql", "rows", "tied"),
    [
        ("SELECT name, credit FROM customers ORDER BY credit DESC LIMIT 5", 5, (1,)),
        ("SELECT name, credit AS c FROM customers ORDER BY c, 1 LIMIT 5", 5, (1, 0)),
        ("SELECT country, count(*) FROM customers GROUP BY country ORDER BY count(*) LIMIT 3", 3, (1,)),
        ("SELECT * FROM customers ORDER BY credit LIMIT 2", 2, ("credit",)),
    ],
)
def test_a_limit_is_told_together_with_what_shows_a_tie(sql, rows, tied):
    [caution] = cautions(sql)
    assert (caution.code, caution.rows, caution.tied) == ("limit_tie", rows, tied)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT country, count(*) FROM customers GROUP BY country LIMIT 3", ["limit_without_order"]),
        ("SELECT name FROM customers WHERE country = 'DE' LIMIT 3", ["limit_without_order"]),
        ("SELECT * FROM customers LIMIT 3", []),
        ("SELECT count(*) FROM customers LIMIT 3", []),
        ("SELECT name FROM (SELECT name FROM customers ORDER BY credit) AS c LIMIT 3", []),
        ("SELECT name FROM customers ORDER BY credit LIMIT 5", []),
        ("SELECT name FROM customers ORDER BY name LIMIT 1", []),
        ("EXPLAIN SELECT * FROM customers, orders", []),
    ],
)
def test_a_limit_without_an_order_is_told_where_it_picks(sql, told):
    assert codes(sql) == told


def test_each_is_told_once_and_not_without_end():
    two = "SELECT count(*) FROM customers c, orders o"
    assert codes(f"{two} UNION ALL {two}") == ["cartesian_product"]
    names = "abcdefgh"
    many = " UNION ALL ".join(f"SELECT 1 FROM customers {n}, orders {n}{n}" for n in names)
    assert codes(many) == ["cartesian_product"] * 4


def test_policies_change_nothing_of_it():
    rows = Compare("country", "=", "DE")
    filtered = Grant(tables=((("main", "customers"), TableGrant(rows=rows)),), others=TableGrant(), version="f")
    sql = "SELECT sum(c.credit) FROM customers c JOIN orders o ON o.customer_id = c.id"
    assert cautions(sql, grant=filtered) == cautions(sql)
