"""What every adapter promises, once, over every kind of database. What only one kind can do stands beside this file."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
from databases import (
    KINDS,
    RESTARTABLE,
    WITH_CODES,
    WITH_KEYS,
    WITH_ROUTINES,
    Database,
    failure_of,
    in_thread,
    rows_of,
)
from values import QUOTING, ROUTINE_ERRORS, VALUES, Value

from executor.adapters.base import BATCH_ROWS, MAY_HAVE_CHANGED, Adapter
from executor.errors import ErrorCode, ExecutorError
from executor.jobs import Limits, ResultSummary
from executor.results.local import LocalPlace
from executor.results.stored import StoredResults
from executor.tracing.comments import sql_comment

SOON_S = 5.0
SHOWS = {
    "postgres": "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()",
    "mysql": "SELECT info FROM information_schema.processlist WHERE id = connection_id()",
    "clickhouse": "SELECT query FROM system.processes WHERE query_id = queryID()",
}
"""How a server is asked for the statement that it runs just now."""


@pytest.fixture
def adapter(database: Database) -> Iterator[Adapter]:
    made = database.adapter()
    yield made
    made.close()


def test_rows_come_with_the_names_the_statement_gives_duplicates_included(adapter: Adapter, database: Database) -> None:
    with adapter.session(timeout_s=30) as session:
        one, other = database.repeats
        rows = session.run(f'SELECT {one}, {other}, id AS "A b" FROM {database.table("customers")} ORDER BY id')
        assert rows.schema.names == ["a", "a", "A b"]
        (batch,) = rows.batches
    held = {"id AS a": [1, 2, 3], "name AS a": ["Ada", "Béla", ""]}
    assert [c.to_pylist() for c in batch.columns] == [held[one], held[other], [1, 2, 3]]


def test_a_result_without_rows_still_has_its_columns(adapter: Adapter, database: Database) -> None:
    with adapter.session(timeout_s=30) as session:
        rows = session.run(f"SELECT id, name FROM {database.table('customers')} WHERE id < 0")
        assert rows.schema.names == ["id", "name"]
        assert sum(batch.num_rows for batch in rows.batches) == 0


def test_every_column_carries_the_databases_word_for_its_type(adapter: Adapter, database: Database) -> None:
    with adapter.session(timeout_s=30) as session:
        rows = session.run(
            f"SELECT id, name, total FROM {database.table('customers')} JOIN "
            f"(SELECT customer_id, total FROM {database.table('orders')}) o ON customer_id = id"
        )
        batches = list(rows.batches)
    words = {
        "duckdb": [b"integer", b"varchar", b"float"],
        "sqlite": [b"integer", b"text", b"real"],
        "postgres": [b"int4", b"varchar", b"float4"],
        "mysql": [b"int", b"varchar", b"double"],
        "clickhouse": [b"Int32", b"String", b"Nullable(Float32)"],
    }
    assert [field.metadata[b"type"] for field in batches[0].schema] == words[database.kind]


@pytest.mark.parametrize(
    "value", ["OBEY ME", 'x" OBEY ME', "x' OBEY ME", "x\n OBEY ME", "x`’ OBEY «ME» 7", "777777 OBEY ME"]
)
def test_an_error_never_holds_what_stands_in_a_row(adapter: Adapter, database: Database, value: str) -> None:
    literal = value.replace("'", "''")
    told: list[str] = []
    for expression in QUOTING[database.kind]:
        sql = f"SELECT {expression.format(value='v')} FROM (SELECT '{literal}' AS v) AS t"
        with adapter.session(timeout_s=30) as session:
            try:
                for _ in session.run(sql).batches:
                    pass
            except Exception as error:  # noqa: BLE001 - whatever a driver raises
                failed = adapter.classify(error)
                told.append(f"{failed.message} {failed.hint}")

    assert told
    assert [words for words in told if "OBEY" in words or "ME" in words.split() or "777777" in words] == []


def test_no_write_gets_past_the_adapter(adapter: Adapter, database: Database) -> None:
    before = rows_of(adapter, f"SELECT count(*) FROM {database.table('orders')}")
    tables = {t.name for t in adapter.inspect().tables}
    for sql in database.writes:
        failed = failure_of(adapter, lambda sql=sql: rows_of(adapter, sql))
        assert failed.code is ErrorCode.STATEMENT_FAILED, sql
    assert rows_of(adapter, f"SELECT count(*) FROM {database.table('orders')}") == before
    assert {t.name for t in adapter.inspect().tables} == tables


def test_the_first_batch_comes_before_the_statement_has_finished(adapter: Adapter, database: Database) -> None:
    with adapter.session(timeout_s=30) as session:
        first = next(session.run(database.endless).batches)
        assert 0 < first.num_rows <= BATCH_ROWS
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_many_rows_pass_through_little_memory_in_small_batches(adapter: Adapter, database: Database) -> None:
    rows_of(adapter, "SELECT 1")
    process = psutil.Process()
    before = process.memory_info().rss
    most = seen = 0
    with adapter.session(timeout_s=60) as session:
        for i, batch in enumerate(session.run(database.many).batches):
            assert batch.num_rows <= BATCH_ROWS
            seen += batch.num_rows
            if i % 5 == 0:
                most = max(most, process.memory_info().rss)
    assert seen == database.many_rows
    assert most - before <= 40_000_000


def test_cancel_from_another_thread_stops_rows_that_are_coming(adapter: Adapter, database: Database) -> None:
    with adapter.session(timeout_s=60) as session:
        batches = session.run(database.endless).batches
        next(batches)
        with in_thread(session.cancel):
            began = time.monotonic()
            failed = failure_of(adapter, lambda: list(batches))
    assert failed.code is ErrorCode.STATEMENT_FAILED
    assert time.monotonic() - began < SOON_S
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_cancel_reaches_a_statement_that_gives_no_rows_yet(adapter: Adapter, database: Database) -> None:
    began = threading.Event()
    ended: list[ExecutorError] = []
    with adapter.session(timeout_s=60) as session:

        def run() -> None:
            began.set()
            ended.append(failure_of(adapter, lambda: list(session.run(database.silent).batches)))

        with in_thread(run):
            assert began.wait(SOON_S)
            session.cancel()
    assert [e.code for e in ended] == [ErrorCode.STATEMENT_FAILED]
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_cancel_before_the_statement_keeps_it_from_starting(adapter: Adapter, database: Database) -> None:
    with adapter.session(timeout_s=60) as session:
        session.cancel()
        failed = failure_of(adapter, lambda: list(session.run(database.silent).batches))
    assert failed.code is ErrorCode.STATEMENT_FAILED


def test_cancel_of_what_has_ended_does_not_reach_the_next_statement(adapter: Adapter) -> None:
    with adapter.session(timeout_s=60) as session:
        assert sum(b.num_rows for b in session.run("SELECT 1").batches) == 1
        session.cancel()
        session.cancel()
    session.cancel()
    for _ in range(5):
        assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_a_statement_over_its_time_is_stopped_and_says_so(adapter: Adapter, database: Database) -> None:
    for sql in (database.silent, database.endless):
        began = time.monotonic()
        failed = failure_of(adapter, lambda sql=sql: _drain(adapter, sql, timeout_s=0.3))
        assert failed.code is ErrorCode.STATEMENT_TIMEOUT
        assert time.monotonic() - began < SOON_S
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def _drain(adapter: Adapter, sql: str, *, timeout_s: float) -> None:
    with adapter.session(timeout_s=timeout_s) as session:
        for _ in session.run(sql).batches:
            pass


def test_a_statement_the_database_cannot_run_is_its_own_failure(adapter: Adapter, database: Database) -> None:
    for sql in (
        f"SELECT nosuch FROM {database.table('orders')}",
        f"SELECT * FROM {database.table('nosuch')}",
        "SELEC 1",
        "",
        "SELECT 1; SELECT 2",
    ):
        failed = failure_of(adapter, lambda sql=sql: rows_of(adapter, sql))
        assert failed.code is ErrorCode.STATEMENT_FAILED, sql
        assert failed.message


def test_a_failure_that_comes_with_late_rows_is_told_after_the_rows_before_it(
    adapter: Adapter, database: Database
) -> None:
    breaks = {
        "duckdb": "SELECT CASE WHEN i = 19000000 THEN error('late') ELSE 1 END FROM range(20000000) r(i)",
        "sqlite": "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 100000)"
        " SELECT CASE WHEN i = 90000 THEN json('late') ELSE 1 END FROM r",
        "postgres": "SELECT 1 / (g - 900000) FROM (SELECT generate_series(1, 1000000) AS g) AS s",
        "mysql": "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 999)"
        " SELECT 9223372036854775807 - 1900 + a.i + b.i FROM r a, r b",
        "clickhouse": "SELECT throwIf(number = 9000000, 'late') FROM numbers(10000000)",
    }
    with adapter.session(timeout_s=30) as session:
        batches = session.run(breaks[database.kind]).batches
        assert next(batches).num_rows
        assert failure_of(adapter, lambda: list(batches)).code is ErrorCode.STATEMENT_FAILED
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_a_session_runs_an_explain_and_then_its_statement(adapter: Adapter, database: Database) -> None:
    sql = f"SELECT id FROM {database.table('orders')} ORDER BY id"
    with adapter.session(timeout_s=30) as session:
        prefix = "EXPLAIN QUERY PLAN" if database.kind == "sqlite" else "EXPLAIN"
        assert sum(b.num_rows for b in session.run(f"{prefix} {sql}").batches) > 0
        assert [v for b in session.run(sql).batches for v in b.column(0).to_pylist()] == [1, 2, 3]


def test_rows_left_unread_do_not_hold_the_session(adapter: Adapter, database: Database) -> None:
    began = time.monotonic()
    for _ in range(3):
        with adapter.session(timeout_s=60) as session:
            next(session.run(database.endless).batches)
            session.cancel()
    assert time.monotonic() - began < SOON_S


def test_sessions_run_side_by_side(adapter: Adapter, database: Database) -> None:
    with adapter.session(timeout_s=30) as one, adapter.session(timeout_s=30) as other:
        endless = one.run(database.endless).batches
        next(endless)
        assert sum(b.num_rows for b in other.run("SELECT 1").batches) == 1
        next(endless)


@pytest.mark.parametrize("database", WITH_KEYS, indirect=True)
def test_inspect_finds_views_keys_and_what_views_read(adapter: Adapter, database: Database) -> None:
    tables = {t.name: t for t in adapter.inspect().tables}
    customers, orders, spent = tables["customers"], tables["orders"], tables["spent"]
    assert (customers.kind, orders.kind, spent.kind) == ("table", "table", "view")
    assert [c.nullable for c in customers.columns][1] is False
    assert customers.primary_key == ("id",)
    (key,) = orders.foreign_keys
    assert (key.columns, key.ref_schema, key.ref_table, key.ref_columns) == (
        ("customer_id",),
        database.schema,
        "customers",
        ("id",),
    )
    assert set(spent.reads) == {(database.schema, "customers"), (database.schema, "orders")}


def test_inspect_finds_the_tables_and_their_columns(adapter: Adapter, database: Database) -> None:
    found = adapter.inspect()
    assert found.dialect == database.config.dialect
    tables = {t.name: t for t in found.tables}
    assert set(tables) == {"customers", "orders", "spent"}
    assert {t.schema for t in found.tables} == {database.schema}
    assert [c.name for c in tables["orders"].columns] == ["id", "customer_id", "total"]
    assert all(c.type for name in ("customers", "orders") for c in tables[name].columns)


def test_inspect_sees_what_has_changed_since(adapter: Adapter, database: Database) -> None:
    before = adapter.inspect()
    assert adapter.inspect().hash() == before.hash()
    adapter.close()  # a DuckDB file is held for a moment, and its owner could not write
    database.as_owner(f"CREATE TABLE {database.table('added')} (a INTEGER)")
    after = adapter.inspect()
    adapter.close()
    database.as_owner(f"DROP TABLE {database.table('added')}")
    assert "added" in {t.name for t in after.tables}
    assert after.hash() != before.hash()
    assert adapter.inspect().hash() == before.hash()


def test_probe_has_an_answer_for_whoever_set_the_source_up(adapter: Adapter) -> None:
    findings = adapter.probe()
    assert findings
    assert all(f.message for f in findings)
    assert "error" not in {f.level for f in findings}


def test_an_adapter_that_was_closed_opens_again(adapter: Adapter) -> None:
    assert rows_of(adapter, "SELECT 1") == [(1,)]
    adapter.close()
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_batches_are_whole_arrow_data(adapter: Adapter, database: Database) -> None:
    with adapter.session(timeout_s=30) as session:
        rows = session.run(f"SELECT * FROM {database.table('orders')}")
        count = 0
        for batch in rows.batches:
            count += batch.num_rows
            batch.validate(full=True)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
    assert count == 3


def test_a_statement_is_explained_without_being_run(adapter: Adapter, database: Database) -> None:
    table = database.table("orders")
    with adapter.session(timeout_s=10) as session:
        one = session.explain(f"SELECT id FROM {table}")
        many = session.explain(f"SELECT a.id FROM {table} a, {table} b, {table} c, {table} d")
        assert 0 < one.cost < many.cost
        assert one.plan
        assert all(len(line) <= 200 for line in many.plan)
        assert session.explain(database.silent).plan
        rows = session.run(f"SELECT count(*) FROM {table}")
        assert [list(row.values()) for batch in rows.batches for row in batch.to_pylist()] == [[3]]


def test_a_mark_changes_neither_rows_nor_cost(adapter: Adapter, database: Database) -> None:
    sql = f"SELECT id, name FROM {database.table('customers')} ORDER BY id"
    with adapter.session(timeout_s=30) as session:
        cost = session.explain(sql).cost
        rows = [batch.to_pylist() for batch in session.run(sql).batches]
    with adapter.session(timeout_s=30) as session:
        session.mark(sql_comment("7KQ4M-XX2PD-9ZTRW-C83HN-V", f"00-{'ab' * 16}-{'cd' * 8}-01"))
        assert session.explain(sql).cost == cost
        marked = session.run(sql)
        assert [batch.to_pylist() for batch in marked.batches] == rows
        assert [batch.to_pylist() for batch in session.run(f"EXPLAIN {sql}").batches]


@pytest.mark.parametrize(
    "database", [k for k in KINDS if k.partition(" ")[0] in SHOWS and k != "clickhouse"], indirect=True
)
def test_a_server_shows_the_mark_at_the_end_of_the_statement(adapter: Adapter, database: Database) -> None:
    sql = SHOWS[database.kind]
    mark = sql_comment("7KQ4M-XX2PD-9ZTRW-C83HN-V", f"00-{'ab' * 16}-{'cd' * 8}-01")
    with adapter.session(timeout_s=30) as session:
        session.mark(mark)
        [[shown]] = [row.values() for batch in session.run(sql).batches for row in batch.to_pylist()]
    assert f"{sql} {mark}" in " ".join(shown.split())


def test_what_cannot_be_explained_fails_as_it_would_when_run(adapter: Adapter, database: Database) -> None:
    def explain() -> None:
        with adapter.session(timeout_s=10) as session:
            session.explain(f"SELECT nothing_of_that_name FROM {database.table('orders')}")

    assert failure_of(adapter, explain).code is ErrorCode.STATEMENT_FAILED


def stored(adapter: Adapter, sql: str, root: Path) -> tuple[StoredResults, ResultSummary]:
    """What `sql` gives, kept as a job's result is."""
    store = StoredResults(LocalPlace(root))
    with adapter.session(timeout_s=60) as session, store.writer("J", 1, limits=Limits()) as writer:
        rows = session.run(sql)
        writer.start(rows.schema)
        for batch in rows.batches:
            assert writer.write(batch)
        return store, writer.finish()


def exported(store: StoredResults, to: str) -> str:
    out = io.BytesIO()
    store.export("J", 1, to, out)
    return out.getvalue().decode()


@contextmanager
def selecting(database: Database, values: list[Value]) -> Iterator[str]:
    """One query of all the values, in order, under one name; MariaDB's are stored in columns of their types first.

    ClickHouse gives no two expressions one alias: there they have the names that the others' get in a file.
    """
    if database.kind == "clickhouse":
        yield "SELECT " + ", ".join(f"{v.sql} AS {f'v_{i + 1}' if i else 'v'}" for i, v in enumerate(values))
        return
    if database.kind != "mysql":
        yield "SELECT " + ", ".join(f"{value.sql} AS v" for value in values)
        return
    table = database.table("held")
    columns = [f"c{i} {v.declared}" for i, v in enumerate(values)]
    database.as_owner(
        "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'",
        f"CREATE TABLE {table} ({', '.join(columns)})",
        f"INSERT INTO {table} VALUES ({', '.join(v.sql for v in values)})",
    )
    yield "SELECT " + ", ".join(f"c{i} AS v" for i in range(len(values))) + f" FROM {table}"
    database.as_owner(f"DROP TABLE {table}")


def test_every_type_is_exact_from_the_database_to_the_page_and_the_files(
    adapter: Adapter, database: Database, tmp_path: Path
) -> None:
    values = VALUES[database.kind]
    with selecting(database, values) as sql:
        store, summary = stored(adapter, sql, tmp_path / "results")
    page = store.page("J", 1, offset=0, limit=1, complete=True)
    written = list(csv.reader(io.StringIO(exported(store, "csv"))))
    line = json.loads(exported(store, "json"))
    for i, value in enumerate(values):
        told = value.sql, value.declared
        assert (told, summary.columns[i].type) == (told, value.word)
        assert (told, page.rows[0][i]) == (told, value.cell)
        assert (told, type(page.rows[0][i])) == (told, type(value.cell))
        assert (told, written[1][i]) == (told, value.text)
        assert (told, line["v" if i == 0 else f"v_{i + 1}"]) == (told, value.cell)
    for to in ("parquet", "arrow"):
        store.export("J", 1, to, io.BytesIO())


def test_a_result_without_rows_has_its_columns_in_every_form(
    adapter: Adapter, database: Database, tmp_path: Path
) -> None:
    sql = f"SELECT id AS a, id AS a, name FROM {database.table('customers')} WHERE id < 0"
    store, summary = stored(adapter, sql, tmp_path / "results")
    assert ([c.name for c in summary.columns], summary.row_count) == (["a", "a", "name"], 0)
    assert exported(store, "csv").splitlines() == ['"a","a_2","name"']
    assert exported(store, "json") == ""


def test_1600_columns_are_as_good_as_one(adapter: Adapter, tmp_path: Path) -> None:
    sql = "SELECT " + ", ".join(f"{i} AS c{i}" for i in range(1600))
    store, summary = stored(adapter, sql, tmp_path / "results")
    assert [c.name for c in summary.columns] == [f"c{i}" for i in range(1600)]
    assert store.page("J", 1, offset=0, limit=1, complete=True).rows == [list(range(1600))]


def test_a_large_cell_comes_whole_or_is_refused_in_words_and_a_page_says_that_it_is_cut(
    adapter: Adapter, database: Database, tmp_path: Path
) -> None:
    size = 100_000_000
    sql = f"SELECT {'zeroblob(' if database.kind == 'sqlite' else 'repeat({!r}, '.format('x')}{size}) AS v"
    # 10 MB are the most that SQLite may make; MariaDB's owner says how many; ClickHouse repeats a million times at most
    if database.kind in ("sqlite", "mysql", "clickhouse"):
        failed = failure_of(adapter, lambda: rows_of(adapter, sql))
        assert failed.code is ErrorCode.RESULT_TOO_LARGE
        return
    store, summary = stored(adapter, sql, tmp_path / "results")
    assert summary.bytes >= size
    page = store.page("J", 1, offset=0, limit=1, complete=True)
    assert page.cut_cells == 1
    assert 10_000 < len(page.rows[0][0]) < 100_000


@pytest.mark.parametrize("database", RESTARTABLE, indirect=True)
def test_a_server_that_was_restarted_is_found_again_and_what_ran_says_that_it_is_gone(
    adapter: Adapter, database: Database
) -> None:
    assert rows_of(adapter, "SELECT 1") == [(1,)]
    with adapter.session(timeout_s=60) as session:
        batches = session.run(database.endless).batches
        next(batches)
        assert database.restart is not None
        database.restart()
        assert failure_of(adapter, lambda: list(batches)).code is ErrorCode.SOURCE_UNAVAILABLE
    assert rows_of(adapter, f"SELECT count(*) FROM {database.table('orders')}") == [(3,)]


@pytest.mark.parametrize("database", WITH_ROUTINES, indirect=True)
def test_every_class_of_error_that_a_server_tells_has_its_code(adapter: Adapter, database: Database) -> None:
    for number, (told, code) in enumerate(ROUTINE_ERRORS[database.kind].items()):
        name = database.table(f"fails_{number}")
        if database.kind == "postgres":
            body = f"BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = '{told}'; END"
            database.as_owner(f"CREATE FUNCTION {name}() RETURNS int LANGUAGE plpgsql AS $$ {body} $$")
        else:
            body = f"BEGIN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {told}, MESSAGE_TEXT = 'as told'; RETURN 1; END"
            database.as_owner(f"CREATE FUNCTION {name}() RETURNS INT DETERMINISTIC {body}")
        failed = failure_of(adapter, lambda name=name: rows_of(adapter, f"SELECT {name}()"))
        database.as_owner(f"DROP FUNCTION {name}")
        assert (told, failed.code) == (told, code)
        assert failed.message, told


@pytest.mark.parametrize("database", WITH_CODES, indirect=True)
def test_a_table_that_is_not_there_any_more_may_have_changed(adapter: Adapter, database: Database) -> None:
    failed = failure_of(adapter, lambda: rows_of(adapter, f"SELECT 1 FROM {database.table('gone')}"))
    assert (failed.code, failed.hint) == (ErrorCode.STATEMENT_FAILED, MAY_HAVE_CHANGED)


@pytest.mark.parametrize("database", WITH_ROUTINES, indirect=True)
def test_a_column_that_is_not_there_any_more_may_have_changed(adapter: Adapter, database: Database) -> None:
    failed = failure_of(adapter, lambda: rows_of(adapter, f"SELECT gone FROM {database.table('orders')}"))
    assert (failed.code, failed.hint) == (ErrorCode.STATEMENT_FAILED, MAY_HAVE_CHANGED)
