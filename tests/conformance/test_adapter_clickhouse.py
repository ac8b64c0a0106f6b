"""What only ClickHouse can do, or only chDB: one folder at a time, bytes in strings, tables that read others."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from databases import Database, clickhouse_shop, failure_of, in_thread, rows_of
from policies import Policed, policies_of
from pydantic import ValidationError

from executor.adapters import make_adapter
from executor.adapters.base import Adapter
from executor.adapters.chdb_engine import ChDBConnection, ChDBEngine
from executor.adapters.clickhouse_types import cast, parsed
from executor.errors import ErrorCode, SourceFailed
from executor.sources import ClickHouseSource
from mcp_server.sql import StatementRefused

SOON_S = 10.0
_HOLDS = """
import sys
from chdb.state.sqlitelike import connect
held = connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
held.close()
"""


@pytest.fixture
def adapter(clickhouse_database: Database) -> Iterator[Adapter]:
    made = clickhouse_database.adapter()
    yield made
    made.close()


@contextmanager
def held_elsewhere(path: Path) -> Iterator[None]:
    """Another process has the folder open."""
    told = [sys.executable, "-c", _HOLDS, str(path)]
    with subprocess.Popen(told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("")


def folder_of(database: Database) -> Path:
    assert isinstance(database.config, ClickHouseSource)
    assert database.config.path is not None
    return database.config.path


def test_a_folder_that_another_process_has_open_is_busy_until_that_lets_it_go(
    adapter: Adapter, clickhouse_database: Database
) -> None:
    with held_elsewhere(folder_of(clickhouse_database)):
        failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT 1"))
        assert failed.code is ErrorCode.SOURCE_BUSY
        assert [f.level for f in adapter.probe()] == ["error"]
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_a_folder_without_a_database_is_told_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    for name in ("plain", "nosuch"):
        made = make_adapter("shop", ClickHouseSource(path=tmp_path / name))
        failed = failure_of(made, lambda made=made: made.inspect())
        assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
        assert str(tmp_path) not in failed.message
    assert [(path.name, list(path.iterdir())) for path in tmp_path.iterdir()] == [("plain", [])]


def test_a_second_folder_waits_for_the_statements_of_the_first(tmp_path: Path) -> None:
    adapters: list[Adapter] = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        adapters.append(clickhouse_shop(tmp_path / name).adapter())
    one, other = adapters
    found: list[object] = []
    with one.session(timeout_s=30) as session:
        batches = session.run("SELECT number FROM numbers(1000000000000)").batches
        next(batches)
        waiting = threading.Thread(target=lambda: found.extend(rows_of(other, "SELECT count(*) FROM shop.orders")))
        waiting.start()
        next(batches)
        assert found == []
    waiting.join(SOON_S)
    assert found == [(3,)]
    assert rows_of(one, "SELECT count(*) FROM shop.customers") == [(3,)]
    for made in adapters:
        made.close()


def test_a_folder_that_waits_in_vain_is_busy_and_one_without_sessions_is_closed_soon(tmp_path: Path) -> None:
    paths: list[Path] = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        paths.append(folder_of(clickhouse_shop(tmp_path / name)))
    engine = ChDBEngine(idle_s=0.0, wait_s=0.0)
    with engine.lent("shop", paths[0]):
        with pytest.raises(SourceFailed) as failed, engine.lent("shop", paths[1]):
            pass
        assert failed.value.code is ErrorCode.SOURCE_BUSY
    ends = time.monotonic() + SOON_S
    while True:  # until its owner can have it, which the engine's timer decides
        try:
            with held_elsewhere(paths[0]):
                break
        except AssertionError:
            assert time.monotonic() < ends


def test_statements_of_many_threads_share_the_folder(adapter: Adapter) -> None:
    found: list[object] = []

    def ask(number: int) -> None:
        found.extend(rows_of(adapter, f"SELECT {number} + count(*) FROM shop.orders o, numbers(1000) n"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON_S)
    assert sorted(found) == [(3000 + number,) for number in range(8)]


def test_cancels_of_many_sessions_stop_their_own_statements_only(
    adapter: Adapter, clickhouse_database: Database
) -> None:
    with adapter.session(timeout_s=60) as kept:
        batches = kept.run(clickhouse_database.endless).batches
        next(batches)
        for _ in range(5):
            with adapter.session(timeout_s=60) as gone:
                others = gone.run(clickhouse_database.endless).batches
                next(others)
                with in_thread(gone.cancel):
                    assert failure_of(adapter, lambda others=others: list(others)).code is ErrorCode.STATEMENT_FAILED
        assert next(batches).num_rows


def test_the_engine_itself_has_no_right_to_files_networks_or_writing(clickhouse_database: Database) -> None:
    path = folder_of(clickhouse_database)
    engine = ChDBEngine(idle_s=0.0)
    with engine.lent("shop", path) as address:
        connection = ChDBConnection(address, {})  # not even read-only
        for sql in (
            f"SELECT * FROM file('{path / 'status'}', 'LineAsString')",
            "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a Int8')",
            "SELECT * FROM mysql('127.0.0.1:3306', 'a', 'b', 'c', 'd')",
            "SELECT * FROM executable('made', CSV, 'a Int8')",
            "INSERT INTO shop.orders VALUES (9, 9, 9)",
            "CREATE TABLE shop.made (a Int8) ENGINE = Memory",
            "DROP TABLE shop.orders",
            "SELECT * FROM system.users",
            "GRANT ALL ON *.* TO default",
        ):
            with pytest.raises(Exception, match=r"Code: (497|495|164)\."):
                connection.rows(sql)
        connection.close()
    engine.close(path)


def test_a_view_over_a_file_reads_nothing(adapter: Adapter, clickhouse_database: Database) -> None:
    path = folder_of(clickhouse_database) / "status"
    clickhouse_database.as_owner(
        f"CREATE VIEW shop.leak AS SELECT * FROM file('{path}', 'LineAsString', 'line String')"
    )
    failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT * FROM shop.leak"))
    assert (failed.code, failed.message) == (
        ErrorCode.STATEMENT_FAILED,
        "The database does not let our user do this.",
    )


def test_strings_are_text_while_they_are_and_bytes_where_they_are_not(adapter: Adapter) -> None:
    sql = "SELECT if(number = 20000, unhex('ff'), 'é') AS v FROM numbers(20001)"
    with adapter.session(timeout_s=30) as session:
        batches = list(session.run(sql).batches)
    assert {str(batch.schema.field("v").type) for batch in batches} == {"string", "binary"}
    assert batches[0].column(0)[0].as_py() == "é"
    assert batches[-1].column(0)[-1].as_py() == b"\xff"


def test_the_order_of_rows_survives_the_casts(adapter: Adapter) -> None:
    sql = "SELECT toInt128(number) AS n FROM numbers(100000) ORDER BY number % 7, number DESC"
    wanted = sorted(range(100_000), key=lambda n: (n % 7, -n))
    assert [int(str(n)) for (n,) in rows_of(adapter, sql)] == wanted


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Nullable(Int8)", "c0"),
        ("LowCardinality(Nullable(String))", "c0"),
        ("SimpleAggregateFunction(sum, UInt64)", "c0"),
        ("DateTime", "toDateTime64(c0, 0, 'UTC')"),
        ("DateTime('Europe/Berlin')", "toDateTime64(c0, 0, 'UTC')"),
        ("Enum8('a, b)' = 1, 'it\\'s' = 2)", "toString(c0)"),
        ("Array(Tuple(a Date, `b c` Array(Int8)))",
         "CAST(c0, 'Array(Tuple(a Nullable(String), `b c` Array(Nullable(Int8))))')"),
        ("Map(LowCardinality(String), IPv4)", "CAST(c0, 'Map(String, Nullable(String))')"),
        ("Array(Decimal(76, 5))", "c0"),
        ("Array(Enum8('x' = 1))", "CAST(c0, 'Array(Nullable(String))')"),
        ("IntervalMonth", "toInt64(c0)"),
        ("A type of tomorrow", "toString(c0)"),
    ],
)  # fmt: skip
def test_a_type_is_read_from_its_name_and_cast_to_what_arrow_holds(name: str, told: str) -> None:
    assert cast(parsed(name), "c0") == told


def test_what_reads_other_tables_says_so(adapter: Adapter, clickhouse_database: Database) -> None:
    clickhouse_database.as_owner(
        "CREATE TABLE shop.merged AS shop.orders ENGINE = Merge('shop', 'ord.*')",
        "CREATE VIEW shop.by_name AS SELECT * FROM merge('shop', 'cust.*')",
        "CREATE VIEW shop.quoted AS SELECT `orders`.id FROM shop.orders",
        "CREATE VIEW shop.plain AS SELECT 1 AS one",
        "CREATE MATERIALIZED VIEW shop.kept ENGINE = MergeTree ORDER BY tuple() AS SELECT id FROM shop.orders",
        "CREATE FUNCTION twice AS (x) -> x * 2",
        "CREATE VIEW shop.called AS SELECT twice(id) AS id FROM shop.customers",
    )
    schema = adapter.inspect()
    tables = {table.name: table for table in schema.tables}
    assert not [name for name in tables if name.startswith(".")]
    assert schema.functions == ("twice",)
    assert {name: tables[name].kind for name in ("orders", "merged", "kept")} == {
        "orders": "table",
        "merged": "view",
        "kept": "view",
    }
    for name in ("merged", "by_name", "kept"):  # what they read cannot be told from their text
        assert set(tables[name].reads) == {("shop", other) for other in tables if other != name}
    assert tables["quoted"].reads == (("shop", "orders"),)
    assert tables["called"].reads == (("shop", "customers"),)
    assert tables["plain"].reads == ()


def test_no_word_of_a_policy_is_in_an_error(adapter: Adapter) -> None:
    rule = """
[[mcp_server.policies.shop]]
[mcp_server.policies.shop.protect."shop.customers"]
rows = "name <> 'hidden-canary'"
masks = { name = "hash" }
"""
    policed = Policed(policies_of(rule), adapter.inspect())
    for sql in (
        "SELECT toInt8(name) FROM shop.customers",
        "SELECT arrayElement(id, 1) FROM shop.customers",
        "SELECT name + 1 FROM shop.customers",
        "SELECT id FROM shop.customers GROUP BY name",
        "SELECT c.id FROM shop.customers c JOIN shop.orders o ON c.id > o.id AND length(c.name) < o.id",
        "SELECT nosuch(name) FROM shop.customers",
        "SELECT id FROM shop.customers SAMPLE 0.1",
        "SELECT id FROM shop.customers ORDER BY toDate(name)",
    ):
        try:
            checked = policed.check(sql)
        except StatementRefused as refused:
            words = f"{refused.message} {refused.hint}"
        else:
            try:
                rows_of(adapter, checked.sql)
                continue
            except Exception as error:  # noqa: BLE001 # whatever the driver raises
                failed = adapter.classify(error)
                words = f"{failed.message} {failed.hint}"
        assert "canary" not in words
        assert "SHA256" not in words
        assert "a salt" not in words


def test_what_a_filter_hides_makes_no_condition_fail(adapter: Adapter) -> None:
    rule = '[[mcp_server.policies.shop]]\n[mcp_server.policies.shop.protect."shop.customers"]\nrows = "name = \'Ada\'"'
    policed = Policed(policies_of(rule), adapter.inspect())
    for sql in (
        "SELECT id FROM shop.customers WHERE intDiv(1, id - 2) > -5",
        "SELECT id FROM shop.customers WHERE toInt8(if(id = 2, name, '1')) = 1",
        "SELECT c.id FROM shop.customers c JOIN shop.orders o ON c.id < 9 AND o.id = 1 WHERE intDiv(1, c.id - 2) > -5",
        "SELECT id FROM (SELECT id FROM shop.customers) q WHERE intDiv(1, id - 2) > -5",
        "SELECT id FROM shop.customers GROUP BY id HAVING intDiv(1, id - 2) > -5",
        "SELECT id FROM shop.customers ORDER BY intDiv(1, id - 2) LIMIT 1",
    ):
        assert failure_of(adapter, lambda sql=sql: rows_of(adapter, sql)).code is ErrorCode.STATEMENT_FAILED, sql
        assert rows_of(adapter, policed.check(sql).sql) == [(1,)]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, "exactly one of url"),
        ({"path": "a", "url": "clickhouse://u@h/d"}, "exactly one of url"),
        ({"path": "a", "password": {"env": "A"}}, "a folder has no password"),
        ({"url": "clickhouse://u:secret@h/d"}, "keep the password out of the url"),
        ({"url": "clickhouse://u@h/d?password=secret"}, "keep the password out of the url"),
        ({"url": "http://u@h/d"}, "write the url as clickhouse://"),
        ({"url": "clickhouse://u@h"}, "write the url as clickhouse://"),
        ({"url": "clickhouse://u@h/d?made=1"}, "made is not an option of the url; there are secure, ca-cert"),
        ({"url": "clickhouse://u@h/d?secure=maybe"}, "secure is true or false"),
        ({"path": "a", "session": {"role": "x"}}, "ClickHouse sources take no session"),
    ],
)
def test_a_source_that_cannot_be_is_refused_in_words(told: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ClickHouseSource.model_validate({"kind": "clickhouse", **told})
    assert words in str(refused.value)


def test_a_server_that_is_not_there_is_unavailable_and_its_address_is_not_told() -> None:
    made = make_adapter("shop", ClickHouseSource(url="clickhouse://reader@127.0.0.1:1/shop"))
    failed = failure_of(made, lambda: rows_of(made, "SELECT 1"))
    assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
    assert "127.0.0.1" not in failed.message
    assert [f.level for f in made.probe()] == ["error"]
    made.close()
