"""What all kinds through SQLAlchemy have in common, over PostgreSQL and SQLite, which SQLAlchemy speaks with too."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from databases import Database, failure_of, in_thread, rows_of

from executor.adapters.base import BATCH_ROWS, Adapter
from executor.adapters.generic import GenericAdapter
from executor.errors import ErrorCode, ExecutorError
from executor.sources import GenericSource, PostgresSource, SQLiteSource

SOON_S = 10.0


class Over(GenericSource):
    """A database of a kind that has an adapter of its own, by way of the one for all."""

    @property
    def dialect(self) -> str:
        """The grammar of this source's SQL."""
        return "postgres" if self.kind == "postgresql" else self.kind


@pytest.fixture(params=["postgres_database", "sqlite_database"])
def shop(request: pytest.FixtureRequest) -> Database:
    return request.getfixturevalue(request.param)


@pytest.fixture
def adapter(shop: Database) -> Iterator[Adapter]:
    if isinstance(shop.config, SQLiteSource):
        config = Over(kind="sqlite", url=f"sqlite:///{shop.config.path}")
    else:
        assert isinstance(shop.config, PostgresSource)
        url = shop.config.url.replace("postgresql://", "postgresql+psycopg://")
        config = Over(kind="postgresql", url=url, schemas=(shop.schema,))
    made = GenericAdapter("shop", config)
    yield made
    made.close()


def test_rows_come_with_their_names_duplicates_included(adapter: Adapter, shop: Database) -> None:
    with adapter.session(timeout_s=30) as session:
        rows = session.run(f"SELECT id AS a, name AS a FROM {shop.table('customers')} ORDER BY id")
        assert rows.schema.names == ["a", "a"]
        (batch,) = rows.batches
    assert [c.to_pylist() for c in batch.columns] == [[1, 2, 3], ["Ada", "Béla", ""]]


def test_a_result_without_rows_still_has_its_columns(adapter: Adapter, shop: Database) -> None:
    with adapter.session(timeout_s=30) as session:
        rows = session.run(f"SELECT id, name FROM {shop.table('customers')} WHERE id < 0")
        assert rows.schema.names == ["id", "name"]
        assert sum(batch.num_rows for batch in rows.batches) == 0


def test_the_first_rows_come_before_the_statement_has_finished(adapter: Adapter, shop: Database) -> None:
    with adapter.session(timeout_s=30) as session:
        first = next(session.run(shop.endless).batches)
        assert 0 < first.num_rows <= BATCH_ROWS
        session.cancel()
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_many_rows_pass_through_little_memory(adapter: Adapter, shop: Database) -> None:
    rows_of(adapter, "SELECT 1")
    process = psutil.Process()
    before = process.memory_info().rss
    most = seen = 0
    with adapter.session(timeout_s=100) as session:
        for batch in session.run(shop.many).batches:
            assert batch.num_rows <= BATCH_ROWS
            seen += batch.num_rows
            most = max(most, process.memory_info().rss)
    assert seen == shop.many_rows
    assert most - before <= 60_000_000


def test_cancel_from_another_thread_stops_rows_that_are_coming(adapter: Adapter, shop: Database) -> None:
    with adapter.session(timeout_s=60) as session:
        batches = session.run(shop.endless).batches
        next(batches)
        with in_thread(session.cancel):
            assert failure_of(adapter, lambda: list(batches)).code is ErrorCode.STATEMENT_FAILED
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_cancel_reaches_a_statement_that_gives_no_rows_yet(adapter: Adapter, shop: Database) -> None:
    began = threading.Event()
    ended: list[ExecutorError] = []
    with adapter.session(timeout_s=60) as session:

        def run() -> None:
            began.set()
            ended.append(failure_of(adapter, lambda: list(session.run(shop.silent).batches)))

        with in_thread(run):
            assert began.wait(SOON_S)
            session.cancel()
    assert [e.code for e in ended] == [ErrorCode.STATEMENT_FAILED]
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_a_connection_whose_statement_was_stopped_is_dropped(adapter: Adapter, shop: Database) -> None:
    with adapter.session(timeout_s=60) as session:
        raw = session._raw  # type: ignore[attr-defined]
        next(session.run(shop.endless).batches)
        session.cancel()
    with pytest.raises(Exception, match="closed"):
        raw.cursor()


def test_a_statement_over_its_time_is_stopped_and_says_so(adapter: Adapter, shop: Database) -> None:
    for sql in (shop.silent, shop.endless):
        began = time.monotonic()

        def drain(sql: str = sql) -> None:
            with adapter.session(timeout_s=0.3) as session:
                for _ in session.run(sql).batches:
                    pass

        assert failure_of(adapter, drain).code is ErrorCode.STATEMENT_TIMEOUT
        assert time.monotonic() - began < SOON_S
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_a_statement_that_fails_is_told_by_its_class_and_in_no_word_of_its_text(
    adapter: Adapter, shop: Database
) -> None:
    for sql in (
        f"SELECT hidden_canary FROM {shop.table('orders')}",
        "SELECT * FROM hidden_canary",
        "SELEC hidden_canary",
        "",
    ):
        failed = failure_of(adapter, lambda sql=sql: rows_of(adapter, sql))
        assert failed.code is ErrorCode.STATEMENT_FAILED, sql
        assert "canary" not in f"{failed.message} {failed.hint}"


def test_what_gives_no_rows_is_no_statement_of_ours_and_is_not_kept(adapter: Adapter, shop: Database) -> None:
    delete = f"DELETE FROM {shop.table('orders')}"
    assert failure_of(adapter, lambda: rows_of(adapter, delete)).code is ErrorCode.STATEMENT_FAILED
    assert rows_of(adapter, f"SELECT count(*) FROM {shop.table('orders')}") == [(3,)]


def test_no_cost_is_told(adapter: Adapter) -> None:
    def explain() -> None:
        with adapter.session(timeout_s=10) as session:
            session.explain("SELECT 1")

    assert failure_of(adapter, explain).code is ErrorCode.STATEMENT_FAILED


def test_inspect_finds_tables_columns_keys_and_counts_a_view_as_reading_everything(
    adapter: Adapter, shop: Database
) -> None:
    tables = {table.name: table for table in adapter.inspect().tables}
    assert {name: table.kind for name, table in tables.items()} == {
        "customers": "table",
        "orders": "table",
        "spent": "view",
    }
    assert [c.name for c in tables["orders"].columns] == ["id", "customer_id", "total"]
    assert tables["customers"].primary_key == ("id",)
    (key,) = tables["orders"].foreign_keys
    assert (key.columns, key.ref_table, key.ref_columns) == (("customer_id",), "customers", ("id",))
    assert {name for _, name in tables["spent"].reads} == {"customers", "orders"}


def test_columns_are_typed_by_their_values_and_widened_to_what_holds_all(postgres_database: Database) -> None:
    assert isinstance(postgres_database.config, PostgresSource)
    url = postgres_database.config.url.replace("postgresql://", "postgresql+psycopg://")
    adapter = GenericAdapter("shop", Over(kind="postgresql", url=url))
    sql = (
        "SELECT 9223372036854775807 AS i, 1.50::numeric AS d, 'é' AS t, true AS b, '\\x00ff'::bytea AS x,"
        " DATE '2024-02-29' AS day, TIMESTAMPTZ '2024-02-29 12:00+00' AS m, TIME '12:00' AS c,"
        " INTERVAL '1 day' AS n, '{\"a\": 1}'::jsonb AS j, ARRAY[1, 2] AS l,"
        " '5b44fe03-c649-432a-bd2b-168b3ce1801a'::uuid AS u, 1e40::numeric AS big, NULL AS nothing"
    )
    with adapter.session(timeout_s=30) as session:
        (batch,) = session.run(sql).batches
    told = {field.name: (str(field.type), batch.column(i)[0].as_py()) for i, field in enumerate(batch.schema)}
    assert told["i"] == ("int64", 9223372036854775807)
    assert (told["d"][0], str(told["d"][1])) == ("decimal128(3, 2)", "1.50")
    assert told["t"] == ("string", "é")
    assert told["b"] == ("bool", True)
    assert told["x"] == ("binary", b"\x00\xff")
    assert told["day"][0] == "date32[day]"
    assert told["m"][0].startswith("timestamp[us, tz=")
    assert told["c"][0] == "time64[us]"
    assert told["n"] == ("string", "1 day, 0:00:00")
    assert told["j"] == ("string", '{"a": 1}')
    assert told["l"] == ("string", "[1, 2]")
    assert told["u"] == ("string", "5b44fe03-c649-432a-bd2b-168b3ce1801a")
    assert str(told["big"][1]) == "1" + "0" * 40
    assert told["nothing"] == ("null", None)
    with adapter.session(timeout_s=30) as session:
        rows = session.run(
            "SELECT CASE WHEN g < 5000 THEN 1.5 ELSE 123456.789 END AS d FROM generate_series(1, 9000) g"
        )
        kinds = [str(b.schema.field("d").type) for b in rows.batches]
    assert kinds == ["decimal128(2, 1)", "decimal128(9, 3)"]
    adapter.close()


@pytest.mark.parametrize("kind", ["trino", "snowflake", "bigquery", "mssql"])
def test_a_kind_without_its_driver_names_the_extra(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from pydantic import TypeAdapter

    from executor.adapters import make_adapter
    from executor.sources import SourceConfig

    for driver in ("trino", "trino.sqlalchemy", "snowflake", "sqlalchemy_bigquery", "pymssql"):
        monkeypatch.setitem(sys.modules, driver, None)
    config = TypeAdapter(SourceConfig).validate_python({"kind": kind, "url": f"{kind}://user@host/database"})
    with pytest.raises(ExecutorError) as told:
        make_adapter("shop", config)
    assert told.value.code is ErrorCode.SOURCE_UNAVAILABLE
    assert f"awaitsql[{kind}]" in told.value.hint


def test_a_url_holds_no_password_and_names_its_kind() -> None:
    for url in ("trino://u:secret@h/c", "trino://u@h/c?access_token=secret", "mysql://u@h/c"):
        with pytest.raises(ValueError, match=r"keep the password out|write the url as trino") as told:
            Over(kind="trino", url=url)
        assert "secret" not in str(told.value).partition("[type")[0] or url.startswith("mysql")


def test_folders_are_made_by_nobody(tmp_path: Path) -> None:
    adapter = GenericAdapter("shop", Over(kind="sqlite", url=f"sqlite:///{tmp_path}/nosuch/shop.db"))
    assert adapter.probe()[0].level == "error"
    assert list(tmp_path.iterdir()) == []
