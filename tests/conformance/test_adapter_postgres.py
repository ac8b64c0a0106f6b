"""What only the PostgreSQL adapter can be asked: its types, its server's errors, its connections."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import psycopg
import pytest
from databases import Database, failure_of, rows_of

from executor.adapters import make_adapter
from executor.adapters.base import Adapter, Session
from executor.errors import ErrorCode
from executor.sources import PostgresSource, SecretRef

UTC = datetime.UTC


@pytest.fixture
def adapter(postgres_database: Database) -> Iterator[Adapter]:
    made = postgres_database.adapter()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("sql", "value", "word"),
    [
        ("9223372036854775807", 2**63 - 1, "int8"),
        ("1.5::numeric(38,9)", "1.500000000", "numeric(38,9)"),
        ("12345678901234567890123456789.123456789", "12345678901234567890123456789.123456789", "numeric"),
        ("'NaN'::numeric", "NaN", "numeric"),
        ("'-Infinity'::numeric", "-Infinity", "numeric"),
        ("'2020-01-01 12:00+02'::timestamptz", datetime.datetime(2020, 1, 1, 10, tzinfo=UTC), "timestamptz"),
        ("'infinity'::timestamptz", "infinity", "timestamptz"),
        ("'-infinity'::timestamp", "-infinity", "timestamp"),
        ("'infinity'::date", "infinity", "date"),
        ("'0044-03-15 BC'::date", "0044-03-15 BC", "date"),
        ("'4713-01-01 00:00:00 BC'::timestamp", "4713-01-01T00:00:00 BC", "timestamp"),
        ("'12024-02-29'::date", "12024-02-29", "date"),
        ("'294276-12-31 23:59:59.999999+00'::timestamptz", "294276-12-31T23:59:59.999999Z", "timestamptz"),
        ("'24:00'::time", "24:00:00", "time"),
        ("interval '1 month 2 days 3.5 seconds'", "1 mon 2 days 00:00:03.5", "interval"),
        ("'\\x00ff'::bytea", b"\x00\xff", "bytea"),
        ("""'{"a": 1}'::jsonb""", '{"a": 1}', "jsonb"),
        ("'{1,2,NULL}'::int[]", "{1,2,NULL}", "int4[]"),
        ("'{{1,2},{3,4}}'::int[]", "{{1,2},{3,4}}", "int4[]"),
        ("'5b44fe03-c649-432a-bd2b-168b3ce1801a'::uuid", "5b44fe03-c649-432a-bd2b-168b3ce1801a", "uuid"),
        ("'[1,3)'::int4range", "[1,3)", "int4range"),
        ("row(1, 'a')", "(1,a)", "record"),
        ("4000000000::oid", 4_000_000_000, "oid"),
        ("'10.0.0.1'::inet", "10.0.0.1", "inet"),
        ("'abc'::char(5)", "abc  ", "bpchar"),
        ("pg_sleep(0)", "", "void"),
        ("null", None, "text"),
        ("true", True, "bool"),
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


def test_the_plain_query_of_eight_columns_is_not_cast_by_the_server(adapter: Adapter) -> None:
    import pyarrow as pa

    sql = (
        "select g as id, now() + g * interval '1 second' as t, g * 1.5 as amount, g % 100 as bucket,"
        " 'name ' || g as name, md5(g::text) as h, 'city ' || g % 50 as city, g % 2 = 0 as even"
        " from generate_series(1, 10) g"
    )
    with adapter.session(timeout_s=30) as session:
        (batch,) = session.run(sql).batches
    kinds = [pa.int32(), pa.timestamp("us", "UTC"), pa.string(), pa.int32(), pa.string(), pa.string(), pa.string()]
    assert batch.schema.types == [*kinds, pa.bool_()]


def test_a_type_made_after_the_connection_comes_as_text_under_its_name(
    adapter: Adapter, postgres_database: Database
) -> None:
    rows_of(adapter, "SELECT 1")
    schema = postgres_database.schema
    postgres_database.as_owner(f"CREATE TYPE {schema}.mood AS ENUM ('calm', 'keen')")
    with adapter.session(timeout_s=30) as session:
        (batch,) = session.run(f"SELECT 'keen'::{schema}.mood AS m").batches
    assert batch.column(0).to_pylist() == ["keen"]
    assert batch.schema.field(0).metadata[b"type"].decode() == f"{schema}.mood"


def test_rows_without_columns_are_counted(adapter: Adapter) -> None:
    with adapter.session(timeout_s=30) as session:
        batches = list(session.run("SELECT FROM generate_series(1, 20000)").batches)
    assert sum(b.num_rows for b in batches) == 20_000
    assert {b.num_columns for b in batches} == {0}


def test_rows_keep_their_order_when_the_server_has_to_cast_them(adapter: Adapter) -> None:
    found = rows_of(adapter, "SELECT g, make_interval(secs => g) FROM generate_series(1, 1000) g ORDER BY g DESC")
    assert [row[0] for row in found] == list(range(1000, 0, -1))


def test_an_error_has_the_position_in_the_text_that_was_given(adapter: Adapter) -> None:
    failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT nosuch FROM pg_class"))
    assert (failed.code, failed.position) == (ErrorCode.STATEMENT_FAILED, 8)


def backend_of(url: str, session: Session) -> int:
    with psycopg.connect(url) as other:
        told = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
        (found,) = other.execute(told, (f"awaitsql {session.query_id}",)).fetchall()
    return int(found[0])


def test_settings_and_advisory_locks_of_one_statement_do_not_reach_the_next(
    adapter: Adapter, postgres_database: Database, postgres_url: str
) -> None:
    with adapter.session(timeout_s=30) as session:
        told = "SELECT set_config('statement_timeout', '0', false), set_config('search_path', 'x', false)"
        list(session.run(f"{told}, pg_advisory_lock(4711)").batches)
        first, backend = session.query_id, backend_of(postgres_url, session)
    with adapter.session(timeout_s=7, name="a job's own name") as session:
        assert backend_of(postgres_url, session) == backend
        assert session.query_id == "a job's own name" != first  # a late stop of the first finds nothing
        (batch,) = session.run(
            "SELECT current_setting('statement_timeout'), current_setting('search_path') = 'x',"
            " current_setting('transaction_read_only'), current_setting('application_name')"
        ).batches
        assert [c.to_pylist()[0] for c in batch.columns] == ["7s", False, "on", "awaitsql a job's own name"]
        with psycopg.connect(postgres_url) as other:
            assert other.execute("SELECT pg_try_advisory_lock(4711)").fetchone() == (True,)


def test_a_commit_in_the_statement_does_not_open_the_next_one_to_writes(
    adapter: Adapter, postgres_database: Database
) -> None:
    with adapter.session(timeout_s=30) as session:
        for sql in (
            "COMMIT",
            "SET default_transaction_read_only = off",
            f"DELETE FROM {postgres_database.schema}.orders",
        ):
            assert failure_of(adapter, lambda sql=sql: list(session.run(sql).batches))
    assert rows_of(adapter, f"SELECT count(*) FROM {postgres_database.schema}.orders") == [(3,)]


def test_connections_that_the_server_dropped_are_made_again(
    adapter: Adapter, postgres_database: Database, postgres_url: str
) -> None:
    with adapter.session(timeout_s=30) as one, adapter.session(timeout_s=30) as other:
        pids = [backend_of(postgres_url, session) for session in (one, other)]
    for pid in pids:
        postgres_database.as_owner(f"SELECT pg_terminate_backend({pid}, 5000)")
    assert rows_of(adapter, "SELECT 1") == [(1,)]
    with adapter.session(timeout_s=30) as one, adapter.session(timeout_s=30) as other:
        assert not {backend_of(postgres_url, session) for session in (one, other)} & set(pids)


def test_a_server_that_drops_us_in_the_middle_is_a_failure_of_the_source(
    adapter: Adapter, postgres_database: Database
) -> None:
    with adapter.session(timeout_s=30) as session:
        batches = session.run(postgres_database.endless).batches
        next(batches)
        assert adapter.stop(str(session.query_id)) is True
        failed = failure_of(adapter, lambda: list(batches))
    assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_stop_hits_nobody_who_came_later(adapter: Adapter) -> None:
    with adapter.session(timeout_s=30) as session:
        name = str(session.query_id)
        for other in (name[::-1], name[:-1], f"{name}1", name.upper() + "x", "nonsense", "%", ""):
            assert adapter.stop(other) is False
        assert sum(b.num_rows for b in session.run("SELECT 1").batches) == 1


def test_a_locked_table_is_a_busy_source(adapter: Adapter, postgres_database: Database, postgres_url: str) -> None:
    table = postgres_database.table("orders")
    with psycopg.connect(postgres_url) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        failed = failure_of(adapter, lambda: rows_of(adapter, f"SELECT * FROM {table}", timeout_s=0.6))
    assert failed.code is ErrorCode.SOURCE_BUSY


def test_all_connections_in_use_is_a_busy_source(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = make_adapter("shop", PostgresSource(url=postgres_url, max_running=1))
    monkeypatch.setattr(adapter._pool, "_timeout", 0.1)  # type: ignore[attr-defined] # five seconds would only be slow
    try:
        with adapter.session(timeout_s=30):
            failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT 1"))
        assert failed.code is ErrorCode.SOURCE_BUSY
    finally:
        adapter.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("postgres@", "nobody@"), ErrorCode.SOURCE_AUTH_FAILED),
        (("/postgres?", "/nosuch?"), ErrorCode.SOURCE_UNAVAILABLE),
        (("host=", "host=/nowhere"), ErrorCode.SOURCE_UNAVAILABLE),
    ],
)
def test_a_server_that_does_not_let_us_in_says_why(postgres_url: str, change: tuple[str, str], code: ErrorCode) -> None:
    adapter = make_adapter("shop", PostgresSource(url=postgres_url.replace(*change)))
    for work in (lambda: rows_of(adapter, "SELECT 1"), adapter.inspect):
        failed = failure_of(adapter, work)
        assert failed.code is code
        assert "nowhere" not in failed.message
        assert "nobody" not in failed.message
    (finding,) = adapter.probe()
    assert finding.level == "error"


def test_passwords_come_from_the_environment_or_a_file(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    url = postgres_url.replace("postgres@", "needs_password@")
    reference = SecretRef(env="SHOP_PASSWORD")
    adapter = make_adapter("shop", PostgresSource(url=url, password=reference))
    assert failure_of(adapter, lambda: rows_of(adapter, "SELECT 1")).code is ErrorCode.SOURCE_AUTH_FAILED
    monkeypatch.setenv("SHOP_PASSWORD", "wrong-secret")
    failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT 1"))
    assert failed.code is ErrorCode.SOURCE_AUTH_FAILED
    assert "secret" not in failed.message + failed.hint
    monkeypatch.setenv("SHOP_PASSWORD", "right")
    assert rows_of(adapter, "SELECT 1") == [(1,)]
    adapter.close()


def test_inspect_knows_partitions_comments_functions_and_materialised_views(
    adapter: Adapter, postgres_database: Database
) -> None:
    s = postgres_database.schema
    postgres_database.as_owner(
        f"CREATE TABLE {s}.visits (day DATE, n NUMERIC(10,2)) PARTITION BY RANGE (day)",
        f"CREATE TABLE {s}.visits_2020 PARTITION OF {s}.visits FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
        f"COMMENT ON TABLE {s}.visits IS 'who came'",
        f"COMMENT ON COLUMN {s}.visits.n IS 'how many'",
        f"CREATE MATERIALIZED VIEW {s}.busy AS SELECT * FROM {s}.visits WHERE n > 10",
        f"CREATE FUNCTION {s}.Length(text) RETURNS int LANGUAGE sql AS 'select 1'",
        f"ANALYZE {s}.customers",
    )
    found = adapter.inspect()
    tables = {t.name: t for t in found.tables}
    assert tables["visits_2020"].inherits == ((s, "visits"),)
    assert tables["visits"].comment == "who came"
    assert [(c.type, c.comment) for c in tables["visits"].columns] == [("date", ""), ("numeric(10,2)", "how many")]
    assert (tables["busy"].kind, tables["busy"].reads) == ("view", ((s, "visits"),))
    assert tables["customers"].row_estimate == 3
    assert "length" in found.functions


def test_inspect_shows_only_what_the_role_may_read(postgres_database: Database, postgres_url: str) -> None:
    s = postgres_database.schema
    postgres_database.as_owner(
        f"GRANT USAGE ON SCHEMA {s} TO only_reads", f"GRANT SELECT (id) ON {s}.customers TO only_reads"
    )
    url = postgres_url.replace("postgres@", "only_reads@")
    adapter = make_adapter("shop", PostgresSource(url=url, schemas=(s,)))
    (table,) = adapter.inspect().tables
    assert [c.name for c in table.columns] == ["id"]
    (finding,) = adapter.probe()
    assert "statement_timeout" in finding.fix
    postgres_database.as_owner(finding.fix)
    assert [f.level for f in adapter.probe()] == ["ok"]
    failed = failure_of(adapter, lambda: rows_of(adapter, f"SELECT name FROM {s}.customers"))
    assert failed.code is ErrorCode.STATEMENT_FAILED
    postgres_database.as_owner(f"GRANT INSERT ON {s}.customers TO only_reads")
    (finding,) = adapter.probe()
    assert finding.level == "warning"
    assert "GRANT SELECT" in finding.fix
    adapter.close()


def test_a_superuser_is_warned_of(adapter: Adapter) -> None:
    assert [f.level for f in adapter.probe()] == ["warning"]


def test_probe_names_what_a_role_could_do_beyond_reading(postgres_database: Database, postgres_url: str) -> None:
    s = postgres_database.schema
    postgres_database.as_owner(
        "CREATE ROLE does_more LOGIN",
        "GRANT pg_read_all_data TO does_more",
        f"GRANT USAGE, CREATE ON SCHEMA {s} TO does_more",
        f"CREATE TABLE {s}.theirs (a int)",
        f"ALTER TABLE {s}.theirs OWNER TO does_more",
        f"CREATE FUNCTION {s}.as_owner() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT DELETE ON TABLES TO does_more",
    )
    adapter = make_adapter("shop", PostgresSource(url=postgres_url.replace("postgres@", "does_more@"), schemas=(s,)))
    try:
        told = "\n".join(f.message for f in adapter.probe())
        for words in (
            "read every table",
            f"owns {s}.theirs",
            f"in the schema {s}",
            f"may call {s}.as_owner",
            f"later (in schema {s})",
            "statement_timeout",
        ):
            assert words in told
    finally:
        adapter.close()
        postgres_database.as_owner("DROP OWNED BY does_more CASCADE", "DROP ROLE does_more")


def test_no_lock_of_a_statement_is_held_by_a_connection_that_nobody_uses(adapter: Adapter, postgres_url: str) -> None:
    rows_of(adapter, "SELECT pg_advisory_lock(4712)")
    with psycopg.connect(postgres_url) as other:
        assert other.execute("SELECT pg_try_advisory_lock(4712)").fetchone() == (True,)


def test_settings_of_the_role_do_not_change_what_a_statement_means(
    postgres_database: Database, postgres_url: str
) -> None:
    postgres_database.as_owner(
        "CREATE ROLE reads_oddly LOGIN",
        "ALTER ROLE reads_oddly SET standard_conforming_strings = off",
        "ALTER ROLE reads_oddly SET transform_null_equals = on",
        "ALTER ROLE reads_oddly SET work_mem = '1GB'",
    )
    adapter = make_adapter("shop", PostgresSource(url=postgres_url.replace("postgres@", "reads_oddly@")))
    try:
        found = rows_of(adapter, r"SELECT length('\'), NULL = NULL, current_setting('work_mem')")
        assert found == [(1, None, "64MB")]
    finally:
        adapter.close()
        postgres_database.as_owner("DROP ROLE reads_oddly")
