"""What only the DuckDB adapter can be asked: its types, its files, the moment it lets go of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from databases import Database, failure_of, rows_of

from executor.adapters import make_adapter
from executor.adapters.base import Adapter
from executor.adapters.duckdb import DuckDBAdapter
from executor.errors import ErrorCode
from executor.sources import DuckDBSource


@pytest.fixture
def adapter(duckdb_database: Database) -> Iterator[Adapter]:
    made = duckdb_database.adapter()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("sql", "value", "word"),
    [
        ("9223372036854775807", 2**63 - 1, "bigint"),
        ("sum(1::BIGINT)", Decimal(1), "hugeint"),
        ("340282366920938463463374607431768211455::UHUGEINT", str(2**128 - 1), "uhugeint"),
        ("1.5::DECIMAL(38,9)", Decimal("1.500000000"), "decimal(38,9)"),
        ("INTERVAL 1 MONTH", "1 month", "interval"),
        ("'101'::BIT", "101", "bit"),
        ("'a'::ENUM('a', 'b')", "a", "enum"),
        ("'5b44fe03-c649-432a-bd2b-168b3ce1801a'::UUID", "5b44fe03-c649-432a-bd2b-168b3ce1801a", "uuid"),
        ("'infinity'::TIMESTAMP", "infinity", "timestamp"),
        ("'-infinity'::DATE", "-infinity", "date"),
        ("'0044-03-15 (BC)'::DATE", "0044-03-15 BC", "date"),
        ("TIME '24:00:00'", "24:00:00", "time"),
        ("[1, 2]", [1, 2], "INTEGER[]"),
        ("{'a': 1}", {"a": 1}, "STRUCT(a INTEGER)"),
        ("[DATE '2020-01-01', NULL]", ["2020-01-01", None], "DATE[]"),
        ("'{}'::JSON", "{}", "json"),
        ("'\\x00\\xFF'::BLOB", b"\x00\xff", "blob"),
        ("'NaN'::DOUBLE::VARCHAR", "nan", "varchar"),
        ("123::BIGNUM", "123", "bignum"),
        ("NULL", None, "null"),
    ],
)
def test_values_arrive_exactly_with_the_databases_word_for_their_type(
    adapter: Adapter, sql: str, value: object, word: str
) -> None:
    with adapter.session(timeout_s=30) as session:
        (batch,) = session.run(f"SELECT {sql} AS v, {sql} AS v").batches
    assert batch.column(0).to_pylist() == [value]
    assert batch.column(1).to_pylist() == [value]
    assert batch.schema.field(0).metadata[b"type"].decode() == word


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "Sales 2024.csv").write_text("id,name\n1,Ada\n2,Bea\n")
    (tmp_path / "tabs.tsv").write_text("id\tname\n1\tAda\n")
    (tmp_path / "odd[*].jsonl").write_text('{"k": 1}\n{"k": 2}\n')
    (tmp_path / "notes.txt").write_text("no table")
    duckdb.sql("SELECT 1 AS z").write_parquet(str(tmp_path / "p.parquet"))
    return tmp_path


def test_a_folder_of_files_is_a_source_of_tables(files: Path) -> None:
    adapter = make_adapter("files", DuckDBSource(files=(files,)))
    found = {t.name: (t.kind, [c.name for c in t.columns]) for t in adapter.inspect().tables}
    assert found == {
        "sales_2024": ("table", ["id", "name"]),
        "tabs": ("table", ["id", "name"]),
        "odd___": ("table", ["k"]),
        "p": ("table", ["z"]),
    }
    assert rows_of(adapter, "SELECT name FROM main.sales_2024 ORDER BY id") == [("Ada",), ("Bea",)]
    assert rows_of(adapter, "SELECT sum(k)::INTEGER FROM odd___") == [(3,)]
    adapter.close()


def test_statements_over_files_reach_no_other_file_and_change_none(files: Path) -> None:
    adapter = make_adapter("files", DuckDBSource(files=(files / "Sales 2024.csv",)))
    before = (files / "Sales 2024.csv").read_text()
    for sql in (
        f"SELECT * FROM '{files / 'p.parquet'}'",
        f"SELECT * FROM read_text('{files / 'notes.txt'}')",
        f"SELECT * FROM glob('{files}/*')",
        f"COPY (SELECT 1) TO '{files / 'Sales 2024.csv'}'",
        f"EXPLAIN ANALYZE COPY (SELECT 1) TO '{files / 'Sales 2024.csv'}'",
        "CREATE TABLE made AS SELECT 1",
        "DROP VIEW sales_2024",
        "SELECT * FROM files",  # a variable of this test, which DuckDB would take for a table
        "SET enable_external_access = true",
    ):
        assert failure_of(adapter, lambda sql=sql: rows_of(adapter, sql)).code is ErrorCode.STATEMENT_FAILED, sql
    assert (files / "Sales 2024.csv").read_text() == before
    adapter.close()


def test_two_files_of_one_name_are_refused(files: Path) -> None:
    (files / "sales_2024.tsv").write_text("a\n1\n")
    adapter = make_adapter("files", DuckDBSource(files=(files,)))
    assert failure_of(adapter, adapter.inspect).code is ErrorCode.SOURCE_UNAVAILABLE


def test_files_folders_and_patterns_mix_and_a_pattern_is_one_table_a_file(files: Path) -> None:
    more = files / "more"
    more.mkdir()
    for month in ("2024-01", "2024-02"):
        duckdb.sql(f"SELECT '{month}' AS month").write_parquet(str(more / f"{month}.parquet"))
    (more / "2024-03.txt").write_text("no table")
    entries = (files / "tabs.tsv", more / "2024-0*", files / "p.*")
    adapter = make_adapter("files", DuckDBSource(files=entries))
    assert {t.name for t in adapter.inspect().tables} == {"tabs", "2024_01", "2024_02", "p"}
    assert rows_of(adapter, 'SELECT month FROM "2024_02"') == [("2024-02",)]
    assert {f.level for f in adapter.probe()} == {"ok"}
    adapter.close()


def test_a_pattern_without_files_is_an_unavailable_source(files: Path) -> None:
    for entry in (files / "nothing-*.csv", files / "no" / "*.csv", files / "gone.csv"):
        adapter = make_adapter("files", DuckDBSource(files=(entry,)))
        failed = failure_of(adapter, lambda adapter=adapter: rows_of(adapter, "SELECT 1"))
        assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
        assert str(files) not in failed.message


def test_a_file_that_changes_or_goes_while_it_is_in_use_is_told_and_read_anew(files: Path) -> None:
    path = files / "p.parquet"
    adapter = make_adapter("files", DuckDBSource(files=(files,)))
    with adapter.session(timeout_s=30):  # keeps the source open, as busy hours do
        assert rows_of(adapter, "SELECT z FROM p") == [(1,)]
        duckdb.sql("SELECT 'other' AS y").write_parquet(str(path))
        failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT z FROM p"))
        assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
        assert failed.message == "p.parquet has changed since it was opened."
        assert rows_of(adapter, "SELECT y FROM p") == [("other",)]
        path.unlink()
        failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT y FROM p"))
        assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
        assert failed.message == "p.parquet has gone since it was opened."
        assert rows_of(adapter, "SELECT name FROM tabs") == [("Ada",)]
        assert failure_of(adapter, lambda: rows_of(adapter, "SELECT y FROM p")).code is ErrorCode.STATEMENT_FAILED
    adapter.close()


def test_a_file_that_is_cut_short_under_a_running_statement_is_told(files: Path) -> None:
    path = files / "long.parquet"
    duckdb.sql("SELECT i, md5(i::VARCHAR) AS h FROM range(1000000) r(i)").write_parquet(str(path))
    adapter = make_adapter("files", DuckDBSource(files=(path,), threads=1))
    with adapter.session(timeout_s=30) as session:
        batches = session.run("SELECT * FROM long").batches
        next(batches)
        os.truncate(path, 10_000)
        failed = failure_of(adapter, lambda: list(batches))
    assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
    assert failed.message == "long.parquet has changed since it was opened."
    adapter.close()


def test_the_file_is_let_go_when_nobody_has_used_it_for_a_while(duckdb_database: Database) -> None:
    assert isinstance(duckdb_database.config, DuckDBSource)
    adapter = DuckDBAdapter("shop", duckdb_database.config, idle_s=0.05)
    with adapter.session(timeout_s=30) as session:
        list(session.run("SELECT 1").batches)
        assert adapter.is_open
    ends = time.monotonic() + 5
    while adapter.is_open and time.monotonic() < ends:
        pass
    assert not adapter.is_open
    _write_from_another_process(duckdb_database.config.path)
    assert rows_of(adapter, "SELECT count(*) FROM main.orders") == [(0,)]
    adapter.close()


def _write_from_another_process(path: Path | None) -> None:
    code = f"import duckdb; duckdb.connect({str(path)!r}).execute('DELETE FROM main.orders').fetchall()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


def test_a_file_that_its_writer_holds_is_a_busy_source(adapter: Adapter, duckdb_database: Database) -> None:
    assert isinstance(duckdb_database.config, DuckDBSource)
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(duckdb_database.config.path)!r});"
        " print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT 1"))
        writer.communicate(timeout=20)
    assert failed.code is ErrorCode.SOURCE_BUSY
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_a_missing_or_foreign_file_is_an_unavailable_source_without_its_folder(tmp_path: Path) -> None:
    foreign = tmp_path / "notes.duckdb"
    foreign.write_text("not a database " * 100)
    for path in (tmp_path / "missing.duckdb", foreign, tmp_path):
        adapter = make_adapter("shop", DuckDBSource(path=path))
        failed = failure_of(adapter, lambda adapter=adapter: rows_of(adapter, "SELECT 1"))
        assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
        assert str(tmp_path.parent) not in failed.message
        assert [f.level for f in adapter.probe()] == ["error"]


def test_a_statement_that_needs_too_much_memory_fails_alone(adapter: Adapter) -> None:
    sql = "SELECT list(i) FROM range(100000000) r(i)"
    assert failure_of(adapter, lambda: rows_of(adapter, sql)).code is ErrorCode.STATEMENT_FAILED
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_inspect_finds_macros_and_reads_views_by_their_text(adapter: Adapter, duckdb_database: Database) -> None:
    duckdb_database.as_owner(
        "CREATE MACRO Lower(x) AS x",
        "CREATE SCHEMA other",
        'CREATE VIEW other."named AS x" AS WITH q AS (SELECT 1) SELECT q.*, s.* FROM q, main.spent s',
        "COMMENT ON TABLE main.orders IS 'what was bought'",
    )
    found = adapter.inspect()
    tables = {(t.schema, t.name): t for t in found.tables}
    assert found.functions == ("lower",)
    assert tables["other", "named AS x"].reads == (("main", "spent"),)
    assert tables["main", "orders"].comment == "what was bought"
    assert tables["main", "orders"].row_estimate == 3


def test_a_list_beyond_duckdbs_own_count_of_memory_is_refused_at_once(adapter: Adapter) -> None:
    for sql in ("SELECT range(1000000000)", "SELECT repeat(repeat('x', 50000), 50000)"):
        failed = failure_of(adapter, lambda sql=sql: rows_of(adapter, sql))
        assert failed.code is ErrorCode.STATEMENT_FAILED
    assert rows_of(adapter, "SELECT 1") == [(1,)]


@pytest.mark.skipif(sys.platform != "linux", reason="no bound on memory but on Linux")
def test_what_others_need_beside_a_statement_is_theirs_from_the_first_one_on(duckdb_database: Database) -> None:
    path = duckdb_database.config.path
    told = f"""if True:
        import threading
        import pyarrow as pa
        from executor.adapters import make_adapter
        from executor.sources import DuckDBSource

        adapter = make_adapter("shop", DuckDBSource(kind="duckdb", path={str(path)!r}, memory_limit_mb=128))
        with adapter.session(timeout_s=30) as session:
            rows = session.run("SELECT range AS n FROM range(100000)")
            next(rows.batches)
            pa.array([1])  # the allocator's first use, as where a result is stored
            held = bytearray(700_000_000)
            others = [threading.Thread(target=list, args=([],)) for _ in range(8)]
            for other in others:
                other.start()
            print(sum(batch.num_rows for batch in rows.batches) > 0)
        adapter.close()
    """
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("True\n", "")


def test_probe_warns_of_a_folder_where_everybody_may_replace_the_file(adapter: Adapter, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert {f.level for f in adapter.probe()} == {"ok"}
    tmp_path.chmod(0o777)
    (finding,) = (f for f in adapter.probe() if f.level == "warning")
    assert finding.fix.startswith("chmod o-w ")
