"""What only the SQLite adapter can be asked: types decided by value, odd text, journals, replaced files."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from databases import Database, failure_of, rows_of, sqlite_shop

from executor.adapters import make_adapter
from executor.adapters.base import Adapter
from executor.errors import ErrorCode
from executor.sources import SQLiteSource


@pytest.fixture
def adapter(sqlite_database: Database) -> Iterator[Adapter]:
    made = sqlite_database.adapter()
    yield made
    made.close()


def column(adapter: Adapter, sql: str) -> list[tuple[pa.DataType, list[object]]]:
    with adapter.session(timeout_s=30) as session:
        return [(b.schema.field(0).type, b.column(0).to_pylist()) for b in session.run(sql).batches]


@pytest.mark.parametrize(
    ("values", "kind", "cells"),
    [
        ("(1), (NULL), (9223372036854775807)", pa.int64(), [1, None, 2**63 - 1]),
        ("(1), (2.5)", pa.float64(), [1.0, 2.5]),
        ("(9007199254740993), (2.5)", pa.string(), ["9007199254740993", "2.5"]),
        ("(1), ('one')", pa.string(), ["1", "one"]),
        ("(x'00ff'), (NULL)", pa.binary(), [b"\x00\xff", None]),
        ("(x'00ff'), ('a')", pa.string(), ["\\x00ff", "a"]),
        ("('nul' || char(0) || 'z')", pa.string(), ["nul\0z"]),
        ("(CAST(x'ff41' AS TEXT))", pa.string(), ["�A"]),
        ("(NULL)", pa.null(), [None]),
        ("(9e999)", pa.float64(), [float("inf")]),
    ],
)
def test_a_columns_type_is_the_narrowest_that_holds_its_values(
    adapter: Adapter, values: str, kind: pa.DataType, cells: list[object]
) -> None:
    assert column(adapter, f"VALUES {values}") == [(kind, cells)]


def test_a_column_widens_from_batch_to_batch_and_stays_exact(adapter: Adapter) -> None:
    count = "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 20000) "
    found = column(adapter, count + "SELECT CASE WHEN i = 15000 THEN 'text' ELSE i END FROM r")
    assert found[0][0] == pa.int64()
    assert found[-1][0] == pa.string()
    assert [str(c) for _, cells in found for c in cells] == [
        *map(str, range(15000)),
        "text",
        *map(str, range(15001, 20001)),
    ]


def test_full_text_tables_can_be_searched(adapter: Adapter, sqlite_database: Database) -> None:
    rows_of(adapter, "SELECT 1")
    sqlite_database.as_owner("CREATE VIRTUAL TABLE notes USING fts5(body)", "INSERT INTO notes VALUES ('blue sky')")
    assert rows_of(adapter, "SELECT body FROM notes WHERE notes MATCH 'sky'") == [("blue sky",)]


def test_a_database_in_wal_mode_is_read_beside_its_writer(adapter: Adapter, sqlite_database: Database) -> None:
    assert isinstance(sqlite_database.config, SQLiteSource)
    writer = sqlite3.connect(sqlite_database.config.path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL").fetchall()
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM orders")
    assert rows_of(adapter, "SELECT count(*) FROM main.orders") == [(3,)]
    writer.execute("COMMIT")
    assert rows_of(adapter, "SELECT count(*) FROM main.orders") == [(0,)]
    writer.close()


def test_a_file_that_its_writer_holds_is_a_busy_source(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(sqlite_database.config, SQLiteSource)
    monkeypatch.setattr("executor.adapters.sqlite.BUSY_S", 0.05)  # five seconds would only be slow
    adapter = sqlite_database.adapter()
    writer = sqlite3.connect(sqlite_database.config.path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT * FROM main.orders"))
    writer.close()
    assert failed.code is ErrorCode.SOURCE_BUSY


def test_unfinished_writes_of_a_dead_program_are_told_in_clear_words(tmp_path: Path) -> None:
    shop = sqlite_shop(tmp_path)
    assert isinstance(shop.config, SQLiteSource)
    writer = sqlite3.connect(shop.config.path, isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("PRAGMA cache_spill = 1")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("CREATE TABLE big (a)")
    writer.execute(
        "INSERT INTO big WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 9999)"
        " SELECT zeroblob(200) FROM r"
    )
    left = tmp_path / "left.sqlite"
    shutil.copy(shop.config.path, left)
    shutil.copy(f"{shop.config.path}-journal", f"{left}-journal")
    writer.close()
    adapter = make_adapter("shop", SQLiteSource(path=left))
    failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT * FROM main.orders"))
    assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
    assert failed.hint


def test_a_missing_or_foreign_file_is_an_unavailable_source_without_its_folder(tmp_path: Path) -> None:
    foreign = tmp_path / "notes.sqlite"
    foreign.write_text("not a database " * 100)
    for path in (tmp_path / "missing.sqlite", foreign, tmp_path):
        adapter = make_adapter("shop", SQLiteSource(path=path))
        failed = failure_of(adapter, lambda adapter=adapter: rows_of(adapter, "SELECT 1"))
        assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
        assert str(tmp_path.parent) not in failed.message
        assert [f.level for f in adapter.probe()] == ["error"]


def test_a_file_put_in_the_place_of_another_is_read(adapter: Adapter, sqlite_database: Database) -> None:
    assert isinstance(sqlite_database.config, SQLiteSource)
    assert rows_of(adapter, "SELECT count(*) FROM main.orders") == [(3,)]
    new = sqlite_database.config.path.with_name("new.sqlite")
    with sqlite3.connect(new) as connection:
        connection.execute("CREATE TABLE orders (id)")
    connection.close()
    new.replace(sqlite_database.config.path)
    assert rows_of(adapter, "SELECT count(*) FROM main.orders") == [(0,)]


def test_a_cell_beyond_all_measure_is_refused_before_it_is_made(adapter: Adapter) -> None:
    failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT zeroblob(500000000)"))
    assert failed.code is ErrorCode.RESULT_TOO_LARGE


def test_a_view_over_a_view_reads_all_below_it(adapter: Adapter, sqlite_database: Database) -> None:
    sqlite_database.as_owner("CREATE VIEW top AS SELECT name FROM spent")
    reads = {t.name: t.reads for t in adapter.inspect().tables}
    assert ("main", "spent") in reads["top"]
    assert ("main", "customers") in reads["top"]


def test_probe_warns_of_a_folder_where_everybody_may_replace_the_file(adapter: Adapter, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert {f.level for f in adapter.probe()} == {"ok"}
    tmp_path.chmod(0o777)
    (finding,) = (f for f in adapter.probe() if f.level == "warning")
    assert finding.fix.startswith("chmod o-w ")


def test_a_row_of_many_large_cells_is_more_memory_than_sqlite_gets(adapter: Adapter) -> None:
    row = ", ".join(["randomblob(9000000)"] * 50)
    failed = failure_of(adapter, lambda: rows_of(adapter, f"SELECT {row}"))
    assert failed.code is ErrorCode.STATEMENT_FAILED
    assert failed.hint
    assert rows_of(adapter, "SELECT 1") == [(1,)]
