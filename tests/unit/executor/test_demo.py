"""The demo shop: made whole or not at all, the same every time, with the traps it promises."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from executor.demo import QUICK_SQL, SLOW_SQL, build_shop

TABLES = ["customers", "exchange_rates", "order_items", "orders", "payments", "products", "refunds", "web_events"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "shop.sqlite"
    build_shop(path, "sqlite")
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "shop.duckdb"
    build_shop(path, "duckdb")
    return path


def answer(path: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as shop:
        return shop.execute(sql).fetchall()


def test_the_small_shop_holds_all_tables_and_no_broken_key(small):
    found = answer(small, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1")
    assert [name for (name,) in found] == TABLES
    assert answer(small, "PRAGMA foreign_key_check") == []
    assert len(answer(small, "PRAGMA foreign_key_list(order_items)")) == 2
    assert answer(small, "PRAGMA integrity_check") == [("ok",)]


def test_the_shop_is_the_same_each_time_it_is_made(small, tmp_path):
    build_shop(tmp_path / "again.sqlite", "sqlite")
    for table in TABLES:
        every = f"SELECT * FROM {table} ORDER BY 1, 2"
        assert answer(small, every) == answer(tmp_path / "again.sqlite", every)


@pytest.mark.parametrize(
    "trap",
    [
        "SELECT 1 FROM orders WHERE shipped_at IS NULL AND status = 'cancelled'",
        "SELECT 1 FROM orders WHERE date(shipped_at, 'start of month') > date(ordered_at, 'start of month')",
        "SELECT 1 FROM orders AS o JOIN refunds AS r USING (order_id) WHERE o.status = 'delivered'",
        "SELECT 1 FROM orders JOIN customers USING (customer_id) WHERE is_test = 1",
        "SELECT 1 FROM orders WHERE gross_amount > net_amount AND currency <> 'EUR'",
        "SELECT 1 FROM customers WHERE country IS NULL",
        "SELECT 1 FROM payments WHERE status = 'failed'",
        "SELECT 1 FROM web_events WHERE customer_id IS NULL",
        "SELECT 1 FROM orders GROUP BY customer_id HAVING count(*) > 50",
    ],
)
def test_the_shop_holds_its_traps(small, trap):
    assert answer(small, trap)


def test_amounts_days_and_customers_agree_with_each_other(small):
    assert not answer(
        small,
        """SELECT order_id FROM orders JOIN (
             SELECT order_id, sum(round(quantity * unit_price * (1 - coalesce(discount, 0)), 2)) AS net
             FROM order_items GROUP BY order_id) USING (order_id)
           GROUP BY order_id HAVING abs(net - net_amount) > 0.06""",
    )
    assert not answer(
        small, "SELECT 1 FROM orders JOIN customers USING (customer_id) WHERE date(ordered_at) < signed_up_on"
    )
    assert not answer(small, "SELECT 1 FROM orders WHERE shipped_at <= ordered_at")
    assert not answer(small, "SELECT order_id FROM orders LEFT JOIN order_items USING (order_id) WHERE line_no IS NULL")
    assert answer(small, "SELECT min(date(ordered_at)), max(date(ordered_at)) FROM orders") == [
        ("2023-01-01", "2025-12-31")
    ]


def test_the_large_shop_is_described_and_keeps_its_keys(large):
    with duckdb.connect(str(large), read_only=True) as shop:
        tables = shop.execute("SELECT table_name, comment, estimated_size FROM duckdb_tables() ORDER BY 1").fetchall()
        assert [name for name, _, _ in tables] == TABLES
        assert all(comment for _, comment, _ in tables)
        assert sum(rows for _, _, rows in tables) > 5_000_000
        assert shop.execute(
            "SELECT count(*) FROM duckdb_columns() WHERE comment IS NULL AND NOT internal"
        ).fetchone() == (0,)
        keys = shop.execute(
            "SELECT table_name FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' ORDER BY 1"
        )
        assert {"orders", "refunds"} <= {name for (name,) in keys.fetchall()}
        for table, key, other in (("order_items", "order_id", "orders"), ("web_events", "product_id", "products")):
            lost = f"SELECT count(*) FROM {table} ANTI JOIN {other} USING ({key}) WHERE {key} IS NOT NULL"
            assert shop.execute(lost).fetchone() == (0,)
        share = """SELECT sum(n) FILTER (WHERE place <= everyone / 10) / sum(n) FROM (
                     SELECT n, row_number() OVER (ORDER BY n DESC) AS place, count(*) OVER () AS everyone
                     FROM (SELECT count(*) AS n FROM orders GROUP BY customer_id))"""
        assert 0.35 < shop.execute(share).fetchall()[0][0] < 0.6
    assert large.stat().st_size < 400_000_000


def test_the_demos_questions_can_be_asked(large):
    with duckdb.connect(str(large), read_only=True) as shop:
        assert len(shop.execute(QUICK_SQL).fetchall()) == 8
        assert shop.execute("EXPLAIN " + SLOW_SQL).fetchall()


def test_several_processes_that_build_at_once_make_one_whole_file(tmp_path):
    path = tmp_path / "new" / "shop.sqlite"
    script = (
        "import sys, pathlib; from executor.demo import build_shop; build_shop(pathlib.Path(sys.argv[1]), 'sqlite')"
    )
    builders = [subprocess.Popen([sys.executable, "-c", script, path]) for _ in range(3)]
    assert [builder.wait(60) for builder in builders] == [0, 0, 0]
    assert answer(path, "PRAGMA integrity_check") == [("ok",)]
    assert sorted(p.name for p in path.parent.iterdir()) == [".shop.sqlite.lock", "shop.sqlite"]


def test_what_a_killed_builder_left_is_in_nobodys_way(tmp_path):
    (tmp_path / ".shop.sqlite.building").write_bytes(b"half a file")
    (tmp_path / ".shop.sqlite.building-journal").write_bytes(b"half a journal")
    build_shop(tmp_path / "shop.sqlite", "sqlite")
    assert answer(tmp_path / "shop.sqlite", "PRAGMA integrity_check") == [("ok",)]
    assert not list(tmp_path.glob(".*.building*"))
