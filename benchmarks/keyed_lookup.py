"""A keyed lookup in a million rows through a row filter, as the guard rewrites it, against the unfiltered one.

SQLite and DuckDB run in process; PostgreSQL where TEST_POSTGRES_URL, MariaDB where TEST_MYSQL_URL (and pymysql) is.
Each has tables of its own, dropped at the end. Warm; `REPEATS` times, the two in turn (less where that would take more
than `SECONDS`). The bar: the ratio of the
medians is at most 3. Where it is above, the plan of the filtered one is printed. The last column is the filtered one
with its fence taken out by hand, which is not safe: it tells whether the fence is what costs.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg

from executor import Column, Limits, SourceSchema, Table
from mcp_server.policy import Compare, Grant, Mask, TableGrant
from mcp_server.sql import check

ROWS = 1_000_000
REPEATS = 200
SECONDS = 6.0
BAR = 3.0
LIMITS = Limits(max_rows=1_000)
COLUMNS = {"id": "int", "tenant_id": "int", "customer_id": "int", "status": "text", "total": "int"}
LOOKUPS = {
    "id = n": "SELECT id, status, total FROM orders WHERE id = {n}",
    "id = n, star": "SELECT * FROM orders WHERE id = {n}",
    "id IN (10 of them)": "SELECT id, total FROM orders WHERE id IN ({many})",
    "id BETWEEN": "SELECT id, total FROM orders WHERE id BETWEEN {n} AND {n} + 10",
    "id BETWEEN constants": "SELECT id, total FROM orders WHERE id BETWEEN {n} AND {end}",
    "join, key of the left": (
        "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = {n}"
    ),
    "join, key of both": (
        "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = {n} AND c.id = {c}"
    ),
    "comma join": "SELECT o.id, c.name FROM orders o, customers c WHERE c.id = o.customer_id AND o.id = {n}",
    "left join": (
        "SELECT c.id, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id "
        "WHERE c.id = {c} GROUP BY c.id"
    ),
    "CTE": "WITH mine AS (SELECT * FROM orders) SELECT id, total FROM mine WHERE id = {n}",
    "sub-query": "SELECT id, name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE id = {n})",
    "aggregate": "SELECT status, sum(total) FROM orders WHERE customer_id = {c} GROUP BY status",
}

Run = Callable[[str], list[tuple[Any, ...]]]


def tables(types: dict[str, str], prefix: str, tail: str = "") -> list[str]:
    """DDL of the two tables, with the index that a foreign key has."""
    orders = ", ".join(f"{name} {types[kind]}" for name, kind in COLUMNS.items())
    return [
        f"CREATE TABLE {prefix}orders ({orders}, PRIMARY KEY (id)){tail}",
        f"CREATE TABLE {prefix}customers (id {types['int']}, tenant_id {types['int']}, name {types['text']}, "
        f"email {types['text']}, PRIMARY KEY (id)){tail}",
        f"CREATE INDEX orders_customer ON {prefix}orders (customer_id)",
    ]


def schema_of(dialect: str, default: str, types: dict[str, str]) -> SourceSchema:
    """What introspection would tell of them."""
    orders = tuple(Column(name, types[kind]) for name, kind in COLUMNS.items())
    customers = tuple(
        Column(n, types["int" if n.endswith("id") else "text"]) for n in ("id", "tenant_id", "name", "email")
    )
    found = (Table(default, "orders", columns=orders), Table(default, "customers", columns=customers))
    return SourceSchema("bench", dialect, default, found)


# All of tenant 1 sees half of the orders and of the customers; the rows are the same everywhere.
_ORDER = "g, g % 2, g % 100000, 'status ' || g % 5, g % 1000"


@contextmanager
def in_sqlite() -> Iterator[tuple[SourceSchema, Run]]:
    types = {"int": "INTEGER", "text": "TEXT"}
    connection = sqlite3.connect(":memory:", cached_statements=0)
    for sql in tables(types, ""):
        connection.execute(sql)
    series = "WITH RECURSIVE s(g) AS (SELECT 0 UNION ALL SELECT g + 1 FROM s WHERE g < {last})"
    connection.execute(f"INSERT INTO orders {series.format(last=ROWS - 1)} SELECT {_ORDER} FROM s")
    connection.execute(
        f"INSERT INTO customers {series.format(last=ROWS // 10 - 1)} SELECT g, g % 2, 'name ' || g, g || '@x' FROM s"
    )
    connection.execute("ANALYZE")
    yield schema_of("sqlite", "main", types), lambda sql: connection.execute(sql).fetchall()
    connection.close()


@contextmanager
def in_duckdb() -> Iterator[tuple[SourceSchema, Run]]:
    types = {"int": "INTEGER", "text": "VARCHAR"}
    with duckdb.connect() as connection:
        for sql in tables(types, ""):
            connection.execute(sql)
        connection.execute(f"INSERT INTO orders SELECT {_ORDER} FROM range({ROWS}) r(g)")
        connection.execute(
            f"INSERT INTO customers SELECT g, g % 2, 'name ' || g, g || '@x' FROM range({ROWS // 10}) r(g)"
        )
        yield schema_of("duckdb", "main", types), lambda sql: connection.execute(sql).fetchall()


@contextmanager
def in_postgres(url: str) -> Iterator[tuple[SourceSchema, Run]]:
    types = {"int": "integer", "text": "text"}
    schema = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as connection:

        def run(sql: str) -> list[tuple[Any, ...]]:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

        run(f"CREATE SCHEMA {schema}")
        try:
            run(f"SET search_path = {schema}")
            for sql in tables(types, ""):
                run(sql)
            run(f"INSERT INTO orders SELECT {_ORDER} FROM generate_series(0, {ROWS - 1}) g")
            run(
                f"INSERT INTO customers SELECT g, g % 2, 'name ' || g, g || '@x' "
                f"FROM generate_series(0, {ROWS // 10 - 1}) g"
            )
            run("ANALYZE orders")
            run("ANALYZE customers")
            yield schema_of("postgres", schema, types), run
        finally:
            run(f"DROP SCHEMA {schema} CASCADE")


@contextmanager
def in_mariadb(url: str) -> Iterator[tuple[SourceSchema, Run]]:
    import pymysql  # noqa: PLC0415 # not every environment has it

    types = {"int": "int", "text": "varchar(40)"}
    name = f"bench_{uuid.uuid4().hex[:8]}"
    parts = urlsplit(url)
    told: dict[str, Any] = {"host": parts.hostname, "port": parts.port or 3306, "user": parts.username}
    connection = pymysql.connect(**told, password=parts.password or "", autocommit=True)

    def run(sql: str) -> list[tuple[Any, ...]]:
        cursor = connection.cursor()
        cursor.execute(sql)
        return list(cursor.fetchall())

    run(f"CREATE DATABASE {name}")
    try:
        run(f"USE {name}")
        for sql in tables(types, ""):
            run(sql)
        order = _ORDER.replace("'status ' || g % 5", "concat('status ', g % 5)").replace("g", "seq")
        run(f"INSERT INTO orders SELECT {order} FROM seq_0_to_{ROWS - 1}")
        run(
            "INSERT INTO customers SELECT seq, seq % 2, concat('name ', seq), concat(seq, '@x') "
            f"FROM seq_0_to_{ROWS // 10 - 1}"
        )
        run("ANALYZE TABLE orders")
        run("ANALYZE TABLE customers")
        yield schema_of("mysql", name, types), run
    finally:
        run(f"DROP DATABASE {name}")
        connection.close()


def filled(shape: str, turn: int) -> str:
    """The lookup with keys of its own for each turn, all of them of tenant 1."""
    n = (turn * 7_919 * 2 + 1) % ROWS
    many = ", ".join(str((n + step * 20_002) % ROWS) for step in range(10))
    return shape.format(n=n, end=n + 10, c=n % 100_000, many=many)


def unfenced(text: str) -> str:
    """`text` with every policy sub-query open to the planner."""
    for fence in (" LIMIT -1 OFFSET 0)", " OFFSET 0)", " LIMIT 18446744073709551615)"):
        text = text.replace(fence, ")")
    return text


def compared(run: Run, shape: str, schema: SourceSchema, grant: Grant) -> tuple[list[float], str]:
    """The medians of the unfiltered, filtered and unfenced lookup in milliseconds, and the text of one filtered."""
    times: tuple[list[float], ...] = ([], [], [])
    text = ""
    began = time.perf_counter()
    for turn in range(REPEATS):
        sql = filled(shape, turn)
        text = check(sql, source_schema=schema, grant=grant, limits=LIMITS).sql
        whole = check(sql, source_schema=schema, grant=Grant.everything(), limits=LIMITS).sql
        # None is the first to ask for its rows.
        run(whole)
        for which in ((0, 1, 2), (1, 2, 0), (2, 0, 1))[turn % 3]:
            started = time.perf_counter()
            run((whole, text, unfenced(text))[which])
            times[which].append((time.perf_counter() - started) * 1000)
        if time.perf_counter() - began > SECONDS:
            break
    return [statistics.median(found) for found in times], text


def main() -> None:
    opened: list[tuple[str, Any]] = [("sqlite", in_sqlite()), ("duckdb", in_duckdb())]
    if url := os.environ.get("TEST_POSTGRES_URL"):
        opened.append(("postgres", in_postgres(url)))
    if url := os.environ.get("TEST_MYSQL_URL"):
        opened.append(("mariadb", in_mariadb(url)))
    print(f"{'':10}{'lookup':24}{'unfiltered ms':>14}{'filtered ms':>13}{'ratio':>9}{'no fence ms':>13}")
    worst = 0.0
    for name, manager in opened:
        with manager as (schema, run):
            main_schema = schema.default_schema
            rule = TableGrant(rows=Compare("tenant_id", "=", 1), masks=(("email", Mask("constant", "***")),))
            grant = Grant(tables=(((main_schema, "orders"), rule), ((main_schema, "customers"), rule)))
            for lookup, shape in LOOKUPS.items():
                (plain, filtered, without), text = compared(run, shape, schema, grant)
                ratio = filtered / plain
                worst = max(worst, ratio)
                over = f"  above {BAR:g}" if ratio > BAR else ""
                print(f"{name:10}{lookup:24}{plain:14.3f}{filtered:13.3f}{ratio:9.2f}{without:13.3f}{over}", flush=True)
                if over:
                    prefix = "EXPLAIN QUERY PLAN " if name == "sqlite" else "EXPLAIN "
                    print(f"    {text}")
                    for row in run(prefix + text):
                        print(f"    {' | '.join(str(value) for value in row)[:600]}")
    print(f"worst ratio {worst:.2f}; bar {BAR:g}")


main()
