"""The demo shop: a database file of made-up orders and visits to ask questions of. Knows no jobs and no adapters.

`build_shop` makes it in seconds from ``tables.sql`` and ``rows.sql``; nothing is downloaded and nothing is random. It
holds the traps that real data holds: two dates, cancelled and refunded orders, refunds in a table of their own, test
accounts, several currencies, net beside gross, nulls, and few customers who buy most.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import duckdb

QUICK_QUESTION = "Which product categories sold best in 2025?"
QUICK_SQL = """\
SELECT p.category, sum(i.quantity) AS pieces, count(DISTINCT i.order_id) AS orders
FROM order_items AS i
JOIN orders AS o ON o.order_id = i.order_id
JOIN customers AS c ON c.customer_id = o.customer_id
JOIN products AS p ON p.product_id = i.product_id
WHERE o.ordered_at >= TIMESTAMP '2025-01-01' AND o.status NOT IN ('cancelled', 'refunded') AND NOT c.is_test
GROUP BY p.category
ORDER BY pieces DESC
"""
"""Well under a second on the DuckDB shop. DuckDB's SQL, as is `SLOW_SQL`."""

SLOW_QUESTION = "After buying one product, which others do the same customers buy within a year, and how much later?"
SLOW_SQL = """\
WITH bought AS (
  SELECT o.customer_id, o.ordered_at, i.product_id
  FROM orders AS o
  JOIN order_items AS i ON i.order_id = o.order_id
  JOIN customers AS c ON c.customer_id = o.customer_id
  WHERE o.status NOT IN ('cancelled', 'refunded') AND NOT c.is_test
)
SELECT first.product_id AS product, later.product_id AS bought_later, count(*) AS times,
  round(avg(date_diff('day', first.ordered_at, later.ordered_at)), 1) AS days_between
FROM bought AS first
JOIN bought AS later
  ON later.customer_id = first.customer_id
  AND later.ordered_at > first.ordered_at
  AND later.ordered_at < first.ordered_at + INTERVAL 365 DAY
  AND later.product_id <> first.product_id
GROUP BY first.product_id, later.product_id
HAVING count(*) >= 100
ORDER BY times DESC, product, bought_later
"""
"""About ten seconds of honest work on two threads; 46,223 rows."""


def demo_questions() -> tuple[tuple[str, str], tuple[str, str]]:
    """A quick and a slow question about the DuckDB shop, each with its SQL."""
    return (QUICK_QUESTION, QUICK_SQL), (SLOW_QUESTION, SLOW_SQL)


_TABLES = (
    "products",
    "exchange_rates",
    "customers",
    "orders",
    "order_items",
    "payments",
    "refunds",
    "web_events",
)
_SIZES = {
    "duckdb": {"customers": 150_000, "products": 2_000, "orders": 1_000_000, "sessions": 1_000_000},
    "sqlite": {"customers": 1_500, "products": 200, "orders": 10_000, "sessions": 10_000},
}
_ONLY_SQLITE = "-- enforced in SQLite only"
_INDEXES = (
    ("orders", "customer_id"),
    ("orders", "ordered_at"),
    ("order_items", "product_id"),
    ("payments", "order_id"),
    ("refunds", "order_id"),
    ("web_events", "session_id"),
    ("web_events", "customer_id"),
    ("web_events", "product_id"),
)


def build_shop(path: Path, kind: Literal["duckdb", "sqlite"]) -> None:
    """Make the demo shop at `path`, unless it is there already.

    The file appears whole or not at all. Of several processes that build at once, one does and the others wait for it.

    Args:
        path: of the database file; its folder is made.
        kind: ``duckdb``: ten million rows, some 140 MB, in seconds. ``sqlite``: the same tables with a hundredth of
            the rows, all keys enforced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return
        building = path.with_name(f".{path.name}.building")
        _remove(building)
        try:
            if kind == "duckdb":
                _build_duckdb(building)
            else:
                _build_sqlite(building)
            building.replace(path)
        finally:
            _remove(building)


@contextmanager
def _only_one(lock: Path) -> Generator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file closes, also by a kill
        yield


def _remove(building: Path) -> None:
    """A half-built file, with what DuckDB and SQLite keep beside one."""
    for suffix in ("", ".wal", "-journal", "-wal", "-shm"):
        building.with_name(building.name + suffix).unlink(missing_ok=True)
    shutil.rmtree(building.with_name(building.name + ".tmp"), ignore_errors=True)


def _sql(name: str) -> str:
    return (files("executor.demo") / name).read_text(encoding="utf-8")


def _build_duckdb(path: Path) -> None:
    with duckdb.connect(str(path)) as shop:
        _fill(shop, "duckdb")
        for comment in _comments(_sql("tables.sql")):
            shop.execute(comment)
        shop.execute("CHECKPOINT")


def _fill(shop: duckdb.DuckDBPyConnection, kind: str) -> None:
    tables = _sql("tables.sql").splitlines()
    shop.execute("\n".join(line for line in tables if not line.endswith(_ONLY_SQLITE)))
    for name, size in _SIZES[kind].items():
        shop.execute(f"SET VARIABLE {name} = {size}")
    shop.execute(_sql("rows.sql"))


def _comments(tables: str) -> Generator[str]:
    """The comments of ``tables.sql`` as DuckDB's statements."""
    table, before = "", ""
    for line in tables.splitlines():
        if created := re.match(r"CREATE TABLE (\w+)", line):
            table = created[1]
            yield f"COMMENT ON TABLE {table} IS {_quoted(before)}"
        elif (column := re.match(r"  (\w+) .*?-- (.+)", line)) and not line.endswith(_ONLY_SQLITE):
            yield f"COMMENT ON COLUMN {table}.{column[1]} IS {_quoted(column[2])}"
        before = line.removeprefix("-- ")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _build_sqlite(path: Path) -> None:
    with duckdb.connect() as made, closing(sqlite3.connect(path)) as shop, shop:
        _fill(made, "sqlite")
        shop.executescript(_sql("tables.sql"))
        for table in _TABLES:
            rows = made.execute(_as_sqlite_keeps_it(made, table))
            marks = ",".join("?" * len(rows.description))
            statement = f"INSERT INTO {table} VALUES ({marks})"  # noqa: S608 - our own table names
            while some := rows.fetchmany(10_000):
                shop.executemany(statement, some)
        for table, column in _INDEXES:
            shop.execute(f"CREATE INDEX {table}_{column} ON {table} ({column})")
        shop.commit()
        shop.execute("ANALYZE")


def _as_sqlite_keeps_it(made: duckdb.DuckDBPyConnection, table: str) -> str:
    """A SELECT of all rows: decimals as floating point, times as text, truth as 0 and 1."""
    kept = {"DECIMAL": "DOUBLE", "DATE": "VARCHAR", "TIMESTAMP": "VARCHAR", "BOOLEAN": "INTEGER"}
    described: list[tuple[Any, ...]] = made.execute(f"DESCRIBE {table}").fetchall()
    columns = [f"{name}::{kept.get(kind.split('(')[0], kind)} AS {name}" for name, kind, *_ in described]
    return f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 - our own names
