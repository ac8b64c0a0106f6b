"""What only the MySQL adapter can be asked: its types, its server's errors, its connections, what it locks."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from databases import Database, at_database, failure_of, in_thread, mysql_connection, rows_of

from executor import Limits
from executor.adapters import make_adapter
from executor.adapters.base import Adapter
from executor.adapters.mysql_address import address_of
from executor.adapters.mysql_link import settings_for
from executor.errors import ErrorCode, SourceFailed
from executor.sources import MySQLSource, SecretRef
from mcp_server.policy import Grant
from mcp_server.sql import check

UTC = datetime.UTC
LONG = "12345678901234567890123456789012345.123456789012345678901234567891"
POINT = bytes.fromhex("000000000101000000000000000000f03f0000000000000040")


@pytest.fixture
def adapter(mysql_database: Database) -> Iterator[Adapter]:
    made = mysql_database.adapter()
    yield made
    made.close()


@dataclass(frozen=True)
class Reader:
    """A user that was let in for one test."""

    name: str
    url: str
    password: SecretRef


@pytest.fixture
def reader(mysql_database: Database, mysql_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Who may read the shop, and knows the password ``right`` by SHOP_PASSWORD."""
    name = f"reader_{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("SHOP_PASSWORD", "right")
    mysql_database.as_owner(
        f"CREATE USER '{name}'@'%' IDENTIFIED BY 'right'",
        f"GRANT SELECT, SHOW VIEW ON {mysql_database.schema}.* TO '{name}'@'%'",
    )
    url = at_database(mysql_url.replace("root@", f"{name}@"), mysql_database.schema)
    yield Reader(name, url, SecretRef(env="SHOP_PASSWORD"))
    mysql_database.as_owner(f"DROP USER '{name}'@'%'")


@pytest.fixture
def read_adapter(reader: Reader) -> Iterator[Adapter]:
    made = make_adapter("shop", MySQLSource(url=reader.url, password=reader.password))
    yield made
    made.close()


def is_mariadb(adapter: Adapter) -> bool:
    """And not MySQL."""
    return "MariaDB" in adapter.inspect().server_version


@pytest.mark.parametrize(
    ("declared", "stored", "value", "word"),
    [
        ("TINYINT", "-128", -128, "tinyint"),
        ("SMALLINT UNSIGNED", "65535", 65_535, "smallint unsigned"),
        ("MEDIUMINT", "-8388608", -8_388_608, "mediumint"),
        ("INT UNSIGNED", "4294967295", 4_294_967_295, "int unsigned"),
        ("BIGINT", "-9223372036854775808", -(2**63), "bigint"),
        ("BIGINT UNSIGNED", "18446744073709551615", 2**64 - 1, "bigint unsigned"),
        ("DECIMAL(10,2)", "-99999999.99", Decimal("-99999999.99"), "decimal(10,2)"),
        ("DECIMAL(38,9)", "1.5", Decimal("1.500000000"), "decimal(38,9)"),
        ("DECIMAL(5,5)", "-0.00001", Decimal("-0.00001"), "decimal(5,5)"),
        ("DECIMAL(65,30)", LONG, LONG, "decimal(65,30)"),
        ("FLOAT", "16777215", 16_777_215.0, "float"),  # 16777200 in the text protocol
        ("DOUBLE", "0.1", 0.1, "double"),
        ("DOUBLE", "1.7976931348623157e308", 1.7976931348623157e308, "double"),
        ("BIT(8)", "b'10000001'", 129, "bit(8)"),
        ("BIT(64)", "~0", 2**64 - 1, "bit(64)"),
        ("YEAR", "2155", 2155, "year"),
        ("DATE", "'2024-02-29'", datetime.date(2024, 2, 29), "date"),
        ("DATE", "'0000-00-00'", "0000-00-00", "date"),
        ("DATE", "'2024-02-00'", "2024-02-00", "date"),
        ("DATETIME", "'2024-02-29 12:00:00'", datetime.datetime(2024, 2, 29, 12), "datetime"),  # noqa: DTZ001 # has none
        ("DATETIME(6)", "'9999-12-31 23:59:59.999999'", datetime.datetime.max, "datetime"),  # noqa: DTZ901 # as above
        ("DATETIME", "'0000-00-00 00:00:00'", "0000-00-00T00:00:00", "datetime"),
        (
            "TIMESTAMP(6) NULL",
            "'2024-02-29 12:00:00.5'",
            datetime.datetime(2024, 2, 29, 12, 0, 0, 500_000, UTC),
            "timestamp",
        ),
        ("TIME(6)", "'23:59:59.999999'", datetime.time.max, "time"),
        ("TIME", "'-01:30:00'", "-01:30:00", "time"),
        ("TIME(6)", "'838:59:58.000001'", "838:59:58.000001", "time"),
        ("CHAR(5)", "'ab'", "ab", "char"),
        ("VARCHAR(20) CHARACTER SET latin1", "'é'", "é", "varchar"),
        ("TEXT", "'😀'", "😀", "text"),
        ("LONGTEXT", "REPEAT('é', 40000)", "é" * 40_000, "text"),
        ("BINARY(3)", "'a'", b"a\0\0", "binary"),
        ("VARBINARY(10)", "X'00FF'", b"\0\xff", "varbinary"),
        ("BLOB", "X'00FF'", b"\0\xff", "blob"),
        ("LONGBLOB", "REPEAT('x', 20000000)", b"x" * 20_000_000, "blob"),  # more than a packet of the protocol
        ("ENUM('calm','keen')", "'keen'", "keen", "enum"),
        ("SET('a','b')", "'a,b'", "a,b", "set"),
        ("GEOMETRY", "ST_GeomFromText('POINT(1 2)')", POINT, "geometry"),
        ("INT", "NULL", None, "int"),
        ("VARCHAR(5)", "NULL", None, "varchar"),
        ("DATETIME", "NULL", None, "datetime"),
    ],
)
def test_stored_values_arrive_exactly_with_the_databases_word_for_their_type(
    adapter: Adapter, mysql_database: Database, declared: str, stored: str, value: object, word: str
) -> None:
    table = mysql_database.table("held")
    mysql_database.as_owner(
        "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', GLOBAL max_allowed_packet = 64 * 1024 * 1024",
        f"CREATE TABLE {table} (v {declared})",
        f"INSERT INTO {table} VALUES ({stored})",
    )
    with adapter.session(timeout_s=30) as session:
        (batch,) = session.run(f"SELECT v, v FROM {table}").batches
    assert batch.schema.names == ["v", "v"]
    assert batch.column(0).to_pylist() == [value]
    assert batch.column(1).to_pylist() == [value]
    assert batch.schema.field(0).metadata[b"type"].decode() == word


@pytest.mark.parametrize(
    ("sql", "value", "word"),
    [
        ("NULL", None, "null"),
        ("1 = 1", 1, "int"),
        ("COUNT(*)", 1, "bigint"),
        ("SUM(1.50)", Decimal("1.50"), "decimal(25,2)"),
        ("1e0", 1.0, "double"),
        ("'x'", "x", "varchar"),
        ("X'00'", b"\0", "varbinary"),
        ("18446744073709551615", 2**64 - 1, "bigint unsigned"),
        ("DATE('2020-01-01')", datetime.date(2020, 1, 1), "date"),
        ("TIMESTAMP('2020-01-01')", datetime.datetime(2020, 1, 1), "datetime"),  # noqa: DTZ001 # has none
        ("REPEAT('x', 300)", "x" * 300, "varchar"),
        ("GROUP_CONCAT('a')", "a", "text"),
    ],
)
def test_computed_values_arrive_exactly(adapter: Adapter, sql: str, value: object, word: str) -> None:
    with adapter.session(timeout_s=30) as session:
        (batch,) = session.run(f"SELECT {sql} AS v").batches
    assert batch.column(0).to_pylist() == [value]
    assert batch.schema.field(0).metadata[b"type"].decode() == word


def test_json_is_text(adapter: Adapter, mysql_database: Database) -> None:
    table = mysql_database.table("held")
    mysql_database.as_owner(f"CREATE TABLE {table} (v JSON)", f"INSERT INTO {table} VALUES ('{{\"a\": [1, null]}}')")
    assert rows_of(adapter, f"SELECT v FROM {table}") == [('{"a": [1, null]}',)]


def test_nulls_between_values_stay_where_they_are(adapter: Adapter) -> None:
    rows = [(1, None, "a", None, 1.5, b"x"), (None, 2, None, "b", None, None), (3, 4, "c", "d", 2.5, b"")]
    sql = " UNION ALL ".join(
        "SELECT " + ", ".join(f"CAST({_literal(v)} AS {kind})" for v, kind in zip(row, _KINDS, strict=True))
        for row in rows
    )
    assert rows_of(adapter, sql) == rows


_KINDS = ("SIGNED", "UNSIGNED", "CHAR(9)", "CHAR(9)", "DOUBLE", "BINARY")


def _literal(value: object) -> str:
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return "NULL" if value is None else repr(value)


def test_a_batch_with_a_day_that_is_none_is_text_and_the_others_are_not(
    adapter: Adapter, mysql_database: Database
) -> None:
    table = mysql_database.table("days")
    numbers = "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 999)"
    mysql_database.as_owner(
        "SET sql_mode = ''",
        f"CREATE TABLE {table} (i INT PRIMARY KEY, d DATE)",
        f"INSERT INTO {table} {numbers} SELECT a.i * 1000 + b.i, '2024-01-01' FROM r a, r b WHERE a.i < 20",
        f"INSERT INTO {table} VALUES (99999, '0000-00-00')",
    )
    with adapter.session(timeout_s=30) as session:
        rows = session.run(f"SELECT d FROM {table} ORDER BY i")
        kinds = [batch.schema.field(0).type for batch in rows.batches]
    assert rows.schema.field(0).type == pa.date32()
    assert kinds == [pa.date32(), pa.date32(), pa.string()]


def test_wide_rows_come_in_batches_of_about_a_megabyte(adapter: Adapter) -> None:
    numbers = "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 99)"
    with adapter.session(timeout_s=30) as session:
        sizes = [batch.nbytes for batch in session.run(f"{numbers} SELECT REPEAT('x', 200000) FROM r").batches]
    assert len(sizes) == 20
    assert max(sizes) < 1_200_000


def test_settings_locks_and_variables_of_one_statement_do_not_reach_the_next(adapter: Adapter, mysql_url: str) -> None:
    lock = f"lock_{uuid.uuid4().hex}"
    with adapter.session(timeout_s=30) as session:
        list(session.run(f"SELECT @kept := 5, GET_LOCK('{lock}', 0)").batches)
        first = str(session.query_id).split(":")
    with adapter.session(timeout_s=7) as session:
        second = str(session.query_id).split(":")
        assert second[0] == first[0]  # the same connection
        assert second[1] != first[1]  # and not the same statement: a late stop of the first finds nothing
        limit = "@@max_statement_time" if is_mariadb(adapter) else "@@max_execution_time / 1000"
        (batch,) = session.run(f"SELECT @kept, {limit} + 0e0, @@time_zone, @@sql_mode, @@autocommit").batches
        modes = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
        kept, seconds, zone, mode, autocommit = (c.to_pylist()[0] for c in batch.columns)
        assert (kept, seconds, zone, autocommit) == (None, 7.0, "+00:00", 1)
        assert set(modes.split(",")) <= set(mode.split(",")) <= {*modes.split(","), "ONLY_FULL_GROUP_BY"}
        with mysql_connection(mysql_url) as other, other.cursor() as cursor:
            cursor.execute(f"SELECT GET_LOCK('{lock}', 0)")
            assert cursor.fetchone() == (1,)


def test_limits_of_the_servers_owner_are_only_lowered(adapter: Adapter) -> None:
    cap = 8 * 2**30
    for own, ours in (("18446744073709551615", cap), ("0", cap), ("1048576", 1_048_576)):
        assert settings_for(5, {"tmp_disk_table_size": own}) == {"tmp_disk_table_size": str(ours)}
    if is_mariadb(adapter):
        (row,) = rows_of(adapter, "SELECT @@tmp_disk_table_size <= @@GLOBAL.tmp_disk_table_size, @@tmp_disk_table_size")
        assert row == (1, cap)


def test_connections_that_the_server_dropped_are_made_again(adapter: Adapter, mysql_database: Database) -> None:
    with adapter.session(timeout_s=30) as one, adapter.session(timeout_s=30) as other:
        ids = [str(s.query_id).split(":")[0] for s in (one, other)]
    mysql_database.as_owner(*(f"KILL {number}" for number in ids))
    assert rows_of(adapter, "SELECT 1") == [(1,)]
    with adapter.session(timeout_s=30) as one, adapter.session(timeout_s=30) as other:
        assert not {str(s.query_id).split(":")[0] for s in (one, other)} & set(ids)


def test_a_server_that_drops_us_in_the_middle_is_a_failure_of_the_source(
    adapter: Adapter, mysql_database: Database
) -> None:
    with adapter.session(timeout_s=30) as session:
        batches = session.run(mysql_database.endless).batches
        next(batches)
        assert adapter.stop(str(session.query_id)) is True
        failed = failure_of(adapter, lambda: list(batches))
    assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_stop_hits_nobody_who_came_later(adapter: Adapter, mysql_database: Database) -> None:
    with adapter.session(timeout_s=30) as session:
        number, token = str(session.query_id).split(":")
        batches = session.run(mysql_database.endless).batches
        next(batches)
        assert adapter.stop(f"{number}:{token[::-1]}") is False
        assert adapter.stop(f"{int(number) + 1_000_000}:{token}") is False
        assert adapter.stop(f"{number}:") is False
        assert adapter.stop("nonsense") is False
        next(batches)


def test_a_killed_statement_that_its_server_calls_a_success_was_still_cancelled(adapter: Adapter) -> None:
    with adapter.session(timeout_s=60) as session:
        batches = iter(())

        def run() -> None:
            nonlocal batches
            batches = session.run("SELECT BENCHMARK(1000000000000, MD5('x'))").batches
            list(batches)

        failures: list[ErrorCode] = []
        with in_thread(lambda: failures.append(failure_of(adapter, run).code)):
            session.cancel()
    assert failures == [ErrorCode.STATEMENT_FAILED]
    assert rows_of(adapter, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("sql", ["SELECT SLEEP(60)", "SELECT BENCHMARK(1000000000000, MD5('x'))"])
def test_a_statement_that_only_wastes_time_ends_at_its_deadline(adapter: Adapter, sql: str) -> None:
    assert failure_of(adapter, lambda: rows_of(adapter, sql, timeout_s=0.5)).code is ErrorCode.STATEMENT_TIMEOUT


def test_an_explain_that_computes_ends_at_its_deadline(adapter: Adapter) -> None:
    def explain() -> None:
        with adapter.session(timeout_s=0.5) as session:
            session.explain("SELECT * FROM (SELECT SLEEP(60) AS s) AS d WHERE s = 1")

    assert failure_of(adapter, explain).code is ErrorCode.STATEMENT_TIMEOUT


def test_an_operators_kill_is_the_statements_failure(adapter: Adapter, mysql_database: Database) -> None:
    with adapter.session(timeout_s=30) as session:
        batches = session.run(mysql_database.endless).batches
        next(batches)
        mysql_database.as_owner(f"KILL QUERY {str(session.query_id).split(':')[0]}")
        assert failure_of(adapter, lambda: list(batches)).code is ErrorCode.STATEMENT_FAILED
    assert rows_of(adapter, "SELECT 1") == [(1,)]


def test_a_locked_table_is_a_busy_source(adapter: Adapter, mysql_database: Database, mysql_url: str) -> None:
    table = mysql_database.table("orders")
    with mysql_connection(mysql_url) as other, other.cursor() as cursor:
        cursor.execute(f"LOCK TABLES {table} WRITE")
        failed = failure_of(adapter, lambda: rows_of(adapter, f"SELECT * FROM {table}", timeout_s=3))
    assert failed.code is ErrorCode.SOURCE_BUSY


def test_all_connections_in_use_is_a_busy_source(mysql_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(mysql_database.config, MySQLSource)
    adapter = make_adapter("shop", MySQLSource(url=mysql_database.config.url, max_running=1))
    monkeypatch.setattr(adapter._pool, "_timeout", 0.1)  # type: ignore[attr-defined] # five seconds would only be slow
    try:
        with adapter.session(timeout_s=30):
            failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT 1"))
        assert failed.code is ErrorCode.SOURCE_BUSY
    finally:
        adapter.close()


def test_a_user_without_a_free_connection_is_a_busy_source(
    read_adapter: Adapter, reader: Reader, mysql_database: Database
) -> None:
    mysql_database.as_owner(f"ALTER USER '{reader.name}'@'%' WITH MAX_USER_CONNECTIONS 1")
    with read_adapter.session(timeout_s=30):
        failed = failure_of(read_adapter, lambda: rows_of(read_adapter, "SELECT 1"))
    assert failed.code is ErrorCode.SOURCE_BUSY
    assert reader.name not in failed.message


def test_a_server_that_does_not_let_us_in_says_why(mysql_url: str, reader: Reader) -> None:
    for url, code in (
        (reader.url, ErrorCode.SOURCE_AUTH_FAILED),  # without its password
        (reader.url.replace(reader.name, "nobody"), ErrorCode.SOURCE_AUTH_FAILED),
        ("mysql://root@127.0.0.1:1/shop", ErrorCode.SOURCE_UNAVAILABLE),
        ("mysql://root@localhost/shop?unix-socket=/nowhere/s", ErrorCode.SOURCE_UNAVAILABLE),
        (at_database(mysql_url, "nosuch"), ErrorCode.SOURCE_UNAVAILABLE),
    ):
        adapter = make_adapter("shop", MySQLSource(url=url))
        for work in (lambda adapter=adapter: rows_of(adapter, "SELECT 1"), adapter.inspect):
            failed = failure_of(adapter, work)
            assert failed.code is code, url
            for word in ("nowhere", "nobody", reader.name, "127.0.0.1"):
                assert word not in failed.message
        (finding,) = adapter.probe()
        assert finding.level == "error"


def test_passwords_come_from_the_environment_or_a_file(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    adapter = make_adapter("shop", MySQLSource(url=reader.url, password=reader.password))
    monkeypatch.delenv("SHOP_PASSWORD")
    assert failure_of(adapter, lambda: rows_of(adapter, "SELECT 1")).code is ErrorCode.SOURCE_AUTH_FAILED
    monkeypatch.setenv("SHOP_PASSWORD", "wrong-secret")
    failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT 1"))
    assert failed.code is ErrorCode.SOURCE_AUTH_FAILED
    assert "secret" not in failed.message + failed.hint
    kept = tmp_path / "password"
    kept.write_text("right\n")
    adapter.close()
    adapter = make_adapter("shop", MySQLSource(url=reader.url, password=SecretRef(file=kept)))
    assert rows_of(adapter, "SELECT 1") == [(1,)]
    adapter.close()


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:secret@host/shop",
        "mysql://user@host/shop?password=secret",
        "mysql://user@host",
        "mysql://user@host/",
        "mysql://user@host:port/shop",
        "postgresql://user@host/shop",
        "mysql://user@host/shop?local-infile=1",
        "mysql://user@host/shop?ssl-mode=off",
    ],
)
def test_a_url_that_is_not_one_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"url|password|option|ssl-mode"):
        MySQLSource(url=url)


def test_the_url_says_how_the_server_is_checked(tmp_path: Path) -> None:
    def told(query: str) -> tuple[bool, bool, bool]:
        address = address_of("shop", MySQLSource(url=f"mariadb://me%40x@host/a%20b{query}"))
        assert (address.user, address.database, address.port) == ("me@x", "a b", 3306)
        tls = address.tls
        return tls is not None, address.needs_tls, tls is not None and tls.check_hostname

    assert told("") == (True, False, False)
    assert told("?ssl-mode=disabled") == (False, False, False)
    assert told("?ssl-mode=REQUIRED") == (True, True, False)
    assert told("?ssl-mode=verify-identity") == (True, True, True)
    for name in ("ssl-ca", "ssl-cert"):
        with pytest.raises(SourceFailed):
            told(f"?{name}={tmp_path / 'missing.pem'}&ssl-mode=verify-ca")


def test_tls_is_used_and_the_servers_certificate_is_checked_as_far_as_the_url_says(
    private_mysql_url: str, mysql_database: Database
) -> None:
    folder = Path(private_mysql_url.partition("unix-socket=")[2]).parent

    def cipher(asked: str, host: str = "localhost") -> str:
        url = at_database(private_mysql_url, mysql_database.schema).replace("localhost", host)
        adapter = make_adapter("shop", MySQLSource(url=f"{url}&{asked}"))
        try:
            with adapter.session(timeout_s=10) as session:
                wire = session._link._wire  # type: ignore[attr-defined] # no statement may read it
                return str(wire.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1])
        finally:
            adapter.close()

    assert cipher("ssl-mode=disabled") == ""
    assert cipher("ssl-mode=preferred") != ""
    assert cipher("ssl-mode=required", host="elsewhere") != ""
    assert cipher(f"ssl-mode=verify-ca&ssl-ca={folder / 'ca.pem'}", host="elsewhere") != ""
    assert cipher(f"ssl-mode=verify-identity&ssl-ca={folder / 'ca.pem'}") != ""
    for asked, host in (
        ("ssl-mode=verify-identity", "localhost"),
        (f"ssl-mode=verify-identity&ssl-ca={folder / 'ca.pem'}", "elsewhere"),
        (f"ssl-mode=verify-ca&ssl-ca={folder / 'other-ca.pem'}", "localhost"),
    ):
        url = at_database(private_mysql_url, mysql_database.schema).replace("localhost", host)
        adapter = make_adapter("shop", MySQLSource(url=f"{url}&{asked}"))
        failed = failure_of(adapter, lambda adapter=adapter: rows_of(adapter, "SELECT 1"))
        assert failed.code is ErrorCode.SOURCE_UNAVAILABLE
        assert "TLS" in failed.message


def test_inspect_knows_comments_types_estimates_functions_and_keys_of_several_columns(
    adapter: Adapter, mysql_database: Database
) -> None:
    s = mysql_database.schema
    mysql_database.as_owner(
        f"CREATE TABLE {s}.`visits of day` (a INT, `b ``c` VARCHAR(9) NOT NULL COMMENT 'who', PRIMARY KEY (`b ``c`, a))"
        " COMMENT 'who came'",
        f"CREATE TABLE {s}.seen (x VARCHAR(9), y INT, FOREIGN KEY (x, y) REFERENCES {s}.`visits of day` (`b ``c`, a))",
        f"CREATE FUNCTION {s}.Twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2",
        f"ANALYZE TABLE {s}.customers",
    )
    found = adapter.inspect()
    tables = {t.name: t for t in found.tables}
    visits = tables["visits of day"]
    assert (visits.comment, visits.primary_key) == ("who came", ("b `c", "a"))
    assert [(c.name, c.type.split("(")[0], c.comment) for c in visits.columns] == [
        ("a", "int", ""),
        ("b `c", "varchar", "who"),
    ]
    (key,) = tables["seen"].foreign_keys
    assert (key.columns, key.ref_schema, key.ref_table, key.ref_columns) == (
        ("x", "y"),
        s,
        "visits of day",
        ("b `c", "a"),
    )
    assert tables["customers"].row_estimate == 3
    assert "twice" in found.functions
    assert found.default_schema == s


def test_inspect_shows_the_databases_it_is_told_and_never_the_systems(
    adapter: Adapter, mysql_database: Database
) -> None:
    assert isinstance(mysql_database.config, MySQLSource)
    other = f"{mysql_database.schema}_other"
    s = mysql_database.schema
    mysql_database.as_owner(
        f"CREATE DATABASE {other}",
        f"CREATE TABLE {other}.extra (a INT)",
        f"CREATE VIEW {s}.across AS SELECT e.a FROM {other}.extra e JOIN {s}.orders o ON o.id = e.a",
    )
    try:
        assert {t.schema for t in adapter.inspect().tables} == {s}
        config = MySQLSource(url=mysql_database.config.url, schemas=(s, other, "mysql", "information_schema"))
        tables = {(t.schema, t.name): t for t in make_adapter("shop", config).inspect().tables}
        assert {schema for schema, _ in tables} == {s, other}
        assert set(tables[s, "across"].reads) == {(other, "extra"), (s, "orders")}
    finally:
        mysql_database.as_owner(f"DROP DATABASE {other}")


def test_a_view_reads_what_its_text_names_whatever_the_names_are(adapter: Adapter, mysql_database: Database) -> None:
    s = mysql_database.schema
    mysql_database.as_owner(
        f"CREATE TABLE {s}.`odd ``name.x` (a INT, `it's` INT)",
        f"CREATE VIEW {s}.v1 AS SELECT `it's`, 'a ` quote' AS q FROM {s}.`odd ``name.x`"
        f" WHERE EXISTS (SELECT 1 FROM {s}.orders)",
        f"CREATE VIEW {s}.v2 AS SELECT * FROM {s}.v1",
        f"CREATE VIEW {s}.v3 AS SELECT 'only `{s}`.`customers` in a string' AS q",
        f"CREATE VIEW {s}.v4 AS SELECT (SELECT MAX(a) FROM {s}.`odd ``name.x`) AS m UNION SELECT id FROM {s}.customers",
        f"CREATE FUNCTION {s}.hides() RETURNS INT READS SQL DATA RETURN (SELECT MAX(id) FROM {s}.orders)",
        f"CREATE VIEW {s}.v5 AS SELECT {s}.hides() AS h",
    )
    reads = {t.name: {name for _, name in t.reads} for t in adapter.inspect().tables}
    assert reads["v1"] == {"odd `name.x", "orders"}
    assert reads["v2"] == {"v1"}
    assert reads["v3"] <= {"customers"}
    assert reads["v4"] == {"odd `name.x", "customers"}
    assert {"orders", "customers"} <= reads["v5"]


def test_inspect_shows_only_what_the_user_may_read(mysql_database: Database, reader: Reader) -> None:
    s = mysql_database.schema
    mysql_database.as_owner(
        f"REVOKE SELECT, SHOW VIEW ON {s}.* FROM '{reader.name}'@'%'",
        f"GRANT SELECT (id) ON {s}.customers TO '{reader.name}'@'%'",
        f"GRANT SELECT ON {s}.spent TO '{reader.name}'@'%'",
        f"GRANT INSERT ON {s}.orders TO '{reader.name}'@'%'",
    )
    adapter = make_adapter("shop", MySQLSource(url=reader.url, password=reader.password))
    tables = {t.name: t for t in adapter.inspect().tables}
    assert [c.name for c in tables["customers"].columns] == ["id"]
    assert set(tables) == {"customers", "spent"}
    assert tables["spent"].reads == ((s, "customers"),)  # its text is not ours to see: it may read everything
    failed = failure_of(adapter, lambda: rows_of(adapter, f"SELECT name FROM {s}.customers"))
    assert failed.code is ErrorCode.STATEMENT_FAILED
    assert reader.name not in failed.message
    adapter.close()


def test_the_connections_of_our_user_are_bounded_by_the_server_and_by_the_user(
    mysql_database: Database, reader: Reader, adapter: Adapter
) -> None:
    of_root = adapter.most_connections()
    mysql_database.as_owner(f"ALTER USER '{reader.name}'@'%' WITH MAX_USER_CONNECTIONS 7")
    reading = make_adapter("shop", MySQLSource(url=reader.url, password=reader.password))
    assert reading.most_connections() == 7
    assert of_root is not None
    assert of_root > 7
    reading.close()


def test_probe_warns_of_what_is_more_than_reading(mysql_database: Database, reader: Reader, adapter: Adapter) -> None:
    s = mysql_database.schema
    (of_root,) = adapter.probe()
    assert of_root.level == "warning"
    assert "everything" in of_root.message or "files" in of_root.message
    assert f"GRANT SELECT, SHOW VIEW ON `{s}`.* TO" in of_root.fix
    reading = make_adapter("shop", MySQLSource(url=reader.url, password=reader.password))
    assert [f.level for f in reading.probe()] == ["ok"]
    role = f"role_{reader.name}"
    for grant, word in (
        (f"GRANT INSERT ON {s}.orders TO '{reader.name}'@'%'", "insert rows"),
        (f"GRANT UPDATE (total) ON {s}.orders TO '{reader.name}'@'%'", "change rows"),
        (f"GRANT FILE ON *.* TO '{reader.name}'@'%'", "files"),
        (f"GRANT DELETE ON {s}.* TO {role}", "delete rows"),
    ):
        if role in grant:
            mysql_database.as_owner(
                f"CREATE ROLE {role}", grant, f"GRANT {role} TO '{reader.name}'@'%'", _default(adapter, role, reader)
            )
        else:
            mysql_database.as_owner(grant)
        (finding,) = reading.probe()
        assert finding.level == "warning"
        assert word in finding.message
        assert "*9" not in finding.message + finding.fix  # the password's hash stands among the grants
    mysql_database.as_owner(f"DROP ROLE {role}")


def _default(adapter: Adapter, role: str, reader: Reader) -> str:
    to = "FOR" if is_mariadb(adapter) else "TO"
    return f"SET DEFAULT ROLE {role} {to} '{reader.name}'@'%'"


def test_a_syntax_error_does_not_show_what_ran(adapter: Adapter) -> None:
    failed = failure_of(adapter, lambda: rows_of(adapter, "SELECT 1 FROM WHERE 'hidden value' = 1"))
    assert failed.code is ErrorCode.STATEMENT_FAILED
    assert "hidden" not in failed.message
    assert "WHERE" in failed.message


def attacks(s: str) -> dict[str, str]:
    """Statements that a reader must not be let do, run past the guard; by what they try."""
    return {
        "write a file": f"SELECT 'x' INTO OUTFILE '/tmp/leak_{s}'",
        "write a file behind a comment": f"SELECT 'x' /*! INTO OUTFILE '/tmp/leak_{s}' */",
        "dump a file": f"SELECT 'x' INTO DUMPFILE '/tmp/leak_{s}'",
        "load a file": f"LOAD DATA INFILE '/etc/hostname' INTO TABLE {s}.customers (name)",
        "load our file": f"LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE {s}.customers (name)",
        "write by a function": f"SELECT {s}.writes()",
        "lock rows": f"SELECT * FROM {s}.orders FOR UPDATE",
        "set a variable": "SET SESSION max_statement_time = 0",
        "set a global": "SET GLOBAL max_connections = 1",
        "lift the timeout": "SET STATEMENT max_statement_time = 0 FOR SELECT 1",
        "two statements": f"SELECT 1; DELETE FROM {s}.orders",
        "handler": f"HANDLER {s}.orders OPEN",
        "do": "DO SLEEP(0)",
        "call": f"CALL {s}.wipes()",
        "run a text": f"EXECUTE IMMEDIATE 'DELETE FROM {s}.orders'",
        "block": f"BEGIN NOT ATOMIC DELETE FROM {s}.orders; END",
        "commit first": "COMMIT AND CHAIN",
        "keep in a variable": "SELECT 1 INTO @kept",
    }


@pytest.fixture
def tempting(mysql_database: Database) -> str:
    """The shop with a function and a procedure that write; its name."""
    s = mysql_database.schema
    mysql_database.as_owner(
        f"CREATE FUNCTION {s}.writes() RETURNS INT BEGIN DELETE FROM {s}.orders; RETURN 1; END",
        f"CREATE PROCEDURE {s}.wipes() DELETE FROM {s}.orders",
    )
    return s


def test_what_root_may_do_the_adapter_does_not_do_for_it(adapter: Adapter, tempting: str) -> None:
    for name, sql in attacks(tempting).items():
        assert failure_of(adapter, lambda sql=sql: rows_of(adapter, sql)).code is ErrorCode.STATEMENT_FAILED, name
    assert not Path(f"/tmp/leak_{tempting}").exists()
    assert rows_of(adapter, f"SELECT COUNT(*) FROM {tempting}.orders") == [(3,)]


def test_a_reader_gets_at_nothing_but_its_tables(
    read_adapter: Adapter, reader: Reader, tempting: str, mysql_database: Database
) -> None:
    mysql_database.as_owner(f"GRANT EXECUTE ON {tempting}.* TO '{reader.name}'@'%'")
    more = {
        "the users": "SELECT * FROM mysql.user",
        "a table that is not there": f"SELECT * FROM {tempting}_other.orders",
    }
    for name, sql in {**attacks(tempting), **more}.items():
        failed = failure_of(read_adapter, lambda sql=sql: rows_of(read_adapter, sql))
        assert failed.code is ErrorCode.STATEMENT_FAILED, name
        assert reader.name not in failed.message
    assert rows_of(read_adapter, "SELECT LOAD_FILE('/etc/hostname')") == [(None,)]
    assert rows_of(read_adapter, f"SELECT COUNT(*) FROM {tempting}.orders") == [(3,)]


def test_text_through_the_guard_runs_on_names_of_every_kind(adapter: Adapter, mysql_database: Database) -> None:
    s = mysql_database.schema
    mysql_database.as_owner(
        f"CREATE TABLE {s}.`Order Details` (`select` INT, `Größe ``x``` VARCHAR(20), `a.b` INT, `group` DATE)",
        f"INSERT INTO {s}.`Order Details` VALUES (1, 'weiß 😀', 2, '2024-01-01'), (2, 'b', 3, NULL)",
    )
    schema = adapter.inspect()

    def ask(sql: str) -> list[tuple[Any, ...]]:
        checked = check(sql, source_schema=schema, grant=Grant.everything(), limits=Limits(max_rows=100))
        with adapter.session(timeout_s=10) as session:
            assert session.explain(checked.sql).cost > 0
        return rows_of(adapter, checked.sql)

    assert ask("SELECT `select`, `Größe ``x```, `a.b` FROM `Order Details` ORDER BY 1") == [
        (1, "weiß 😀", 2),
        (2, "b", 3),
    ]
    assert ask("SELECT o.`group` FROM `Order Details` AS o WHERE o.`a.b` = 2") == [(datetime.date(2024, 1, 1),)]
    assert ask(
        f"SELECT c.name, SUM(o.total) FROM {s}.customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name"
    )[0] == (
        "Ada",
        4.0,
    )
    assert ask("WITH t AS (SELECT * FROM spent) SELECT COUNT(*) FROM t") == [(2,)]
