"""Which statements give the same rows when they are run again; whatever is not known to is not shared."""

from __future__ import annotations

import pytest
from policies import LIMITS

from executor import Column, SourceSchema, Table
from mcp_server.policy import Grant
from mcp_server.sql import check
from mcp_server.sql.functions.pure import is_pure

COLUMNS = (Column("id", "integer"), Column("name", "varchar"), Column("day", "date"))


def shared(sql: str, dialect: str) -> bool:
    schema = SourceSchema(
        "shop",
        dialect,
        "main",
        (
            Table("main", "orders", columns=COLUMNS),
            Table("main", "recent", kind="view", columns=COLUMNS, reads=(("main", "orders"),)),
        ),
    )
    return check(sql, source_schema=schema, grant=Grant.everything(), limits=LIMITS).shared_with == "principal"


EVERYWHERE = ("postgres", "duckdb", "mysql", "sqlite")


@pytest.mark.parametrize("dialect", EVERYWHERE)
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM orders",
        "SELECT name, count(*) AS n, sum(id), avg(id), max(day) FROM orders GROUP BY name HAVING count(*) > 1",
        "SELECT upper(name), length(name), substr(name, 1, 2), coalesce(name, 'x'), round(id / 3.0, 2) FROM orders",
        "WITH o AS (SELECT id, row_number() OVER (PARTITION BY name ORDER BY id) AS r FROM orders) SELECT * FROM o",
        "SELECT CASE WHEN id IN (1, 2) AND name LIKE 'a%' THEN 1 ELSE 2 END FROM orders",
        "SELECT CAST(id AS DECIMAL(10, 2)) FROM orders WHERE day > '2024-01-01' AND EXISTS (SELECT 1 FROM orders)",
    ],
)
def test_what_only_computes_on_rows_is_shared(sql: str, dialect: str) -> None:
    assert shared(sql, dialect)


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        *[
            (dialect, f"SELECT id FROM orders WHERE day < {clock}")
            for dialect in EVERYWHERE
            for clock in ("current_date", "current_timestamp")
        ],
        *[(dialect, "SELECT * FROM recent") for dialect in EVERYWHERE],
        *[(dialect, "SELECT (SELECT max(id) FROM recent) AS m FROM orders") for dialect in EVERYWHERE],
        *[(dialect, "EXPLAIN SELECT * FROM orders") for dialect in ("postgres", "duckdb", "mysql")],
        *[(dialect, "SELECT now() FROM orders") for dialect in ("postgres", "duckdb", "mysql")],
        *[(dialect, "SELECT random() FROM orders") for dialect in ("postgres", "duckdb", "sqlite")],
        ("mysql", "SELECT rand() FROM orders"),
        ("mysql", "SELECT sysdate(), unix_timestamp() FROM orders"),
        ("mysql", "SELECT curdate() FROM orders"),
        ("postgres", "SELECT clock_timestamp()"),
        ("postgres", "SELECT age(day) FROM orders"),
        ("postgres", "SELECT gen_random_uuid()"),
        ("postgres", "SELECT localtimestamp"),
        ("postgres", "SELECT 'now'::timestamp"),
        ("postgres", "SELECT id FROM orders WHERE day = ' Today '::date"),
        ("postgres", "SELECT id FROM orders TABLESAMPLE BERNOULLI (10)"),
        ("postgres", "SELECT array_sample(array_agg(id), 2) FROM orders"),
        ("duckdb", "SELECT today()"),
        ("duckdb", "SELECT uuid()"),
        ("duckdb", "SELECT * FROM orders USING SAMPLE 10"),
        ("sqlite", "SELECT date('now')"),
        ("sqlite", "SELECT date()"),
        ("sqlite", "SELECT strftime('%Y', name) FROM orders"),
        ("sqlite", "SELECT hex(randomblob(4))"),
    ],
)
def test_what_may_give_other_rows_is_not(dialect: str, sql: str) -> None:
    assert not shared(sql, dialect)


def test_no_function_that_postgresql_calls_volatile_is_known_as_pure(postgres_url: str) -> None:
    import psycopg

    with psycopg.connect(postgres_url) as connection:
        told = connection.execute(
            "SELECT DISTINCT proname FROM pg_proc WHERE provolatile = 'v' AND pronamespace = 'pg_catalog'::regnamespace"
        ).fetchall()
    volatile = {name for (name,) in told}

    assert {"random", "clock_timestamp"} < volatile
    assert [name for name in sorted(volatile) if is_pure(name, "postgres")] == []


def test_no_function_that_duckdb_calls_inconsistent_is_known_as_pure() -> None:
    import duckdb

    told = duckdb.sql(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
    ).fetchall()
    varying = {name for (name,) in told}

    assert {"random", "now"} < varying
    assert [name for name in sorted(varying) if is_pure(name, "duckdb")] == []
