"""What the guard takes for a condition that cannot fail does not fail: on every type, at its ends, on every kind.

Where no condition can fail there is no fence, and the database may try each on hidden rows. So every comparison of
two columns of any types, and of each column with each constant, that the guard leaves without a fence is run on rows
that hold the ends of every type, unguarded.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest
from databases import duckdb_shop, mysql_shop, postgres_shop, rows_of, sqlite_shop

from executor import Limits, SourceSchema, Table
from mcp_server.policy import Compare, Grant, TableGrant
from mcp_server.sql import check

EXTREMES: dict[str, dict[str, tuple[str, ...]]] = {
    "duckdb": {
        "TINYINT": ("-128", "127"),
        "INTEGER": ("-2147483648", "2147483647"),
        "BIGINT": ("-9223372036854775807", "9223372036854775807"),
        "UBIGINT": ("0", "18446744073709551615"),
        "HUGEINT": ("-170141183460469231731687303715884105727", "170141183460469231731687303715884105727"),
        "UHUGEINT": ("0", "340282366920938463463374607431768211455"),
        "REAL": ("'-infinity'", "'nan'"),
        "DOUBLE": ("-1.7e308", "1.7e308"),
        "DECIMAL(10,2)": ("-99999999.99", "99999999.99"),
        "DECIMAL(30,10)": ("-99999999999999999999.9999999999", "99999999999999999999.9999999999"),
        "DECIMAL(38,0)": ("-99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
        "DECIMAL(38,30)": ("-99999999.999999999999999999999999999999", "99999999.999999999999999999999999999999"),
        "VARCHAR": ("''", "'no date'"),
        "DATE": ("'5877642-06-25 (BC)'", "'infinity'"),
        "TIMESTAMP": ("'290309-12-22 (BC) 00:00:00'", "'infinity'"),
        "TIMESTAMPTZ": ("'290309-12-22 (BC) 00:00:00+00'", "'294247-01-10 04:00:54+00'"),
        "TIMESTAMP_NS": ("'1677-09-22 00:00:00'", "'2262-04-11 00:00:00'"),
        "TIMESTAMP_S": ("'290309-12-22 (BC) 00:00:00'", "'infinity'"),
        "BOOLEAN": ("false", "true"),
        "BLOB": ("'\\xAA'", "''"),
        "ENUM('a', 'b')": ("'a'", "'b'"),
        "JSON": ("'{}'", "'1'"),
    },
    "postgres": {
        "smallint": ("-32768", "32767"),
        "integer": ("-2147483648", "2147483647"),
        "bigint": ("-9223372036854775808", "9223372036854775807"),
        "numeric": ("-1e400", "'NaN'"),
        "numeric(38,9)": ("-1e28", "1e28"),
        "real": ("'-infinity'", "3e38"),
        "double precision": ("-1.7e308", "'NaN'"),
        "text": ("''", "'no date'"),
        "varchar(20)": ("''", "'('"),
        "char(5)": ("''", "'['"),
        "name": ("''", "'['"),
        "date": ("'4713-01-01 BC'", "'infinity'"),
        "timestamp": ("'4713-01-01 00:00:00 BC'", "'infinity'"),
        "timestamptz": ("'4713-01-02 00:00:00+00 BC'", "'294276-12-31 00:00:00+00'"),
        "boolean": ("false", "true"),
        "money": ("-92233720368547758.08", "'1'"),
        "uuid": ("gen_random_uuid()", "gen_random_uuid()"),
        "jsonb": ("'{}'", "'1'"),
        "bytea": ("''", "'\\x00ff'"),
        "interval": ("'1 day'", "'-178000000 years'"),
    },
    "sqlite": {
        "INTEGER": ("-9223372036854775807", "'no number'"),
        "REAL": ("-1.7e308", "9e999"),
        "NUMERIC": ("x'ff'", "9e999"),
        "TEXT": ("x'ff00'", "''"),
        "VARCHAR(20)": ("x'ff'", "''"),
        "DATE": ("'no date'", "9e999"),
        "DATETIME": ("'no date'", "x'00'"),
        "BOOLEAN": ("7", "'x'"),
        "BLOB": ("x'00'", "''"),
    },
    "mysql": {
        "tinyint": ("-128", "127"),
        "bigint": ("-9223372036854775808", "9223372036854775807"),
        "bigint unsigned": ("0", "18446744073709551615"),
        "decimal(65,30)": ("-1e34", "1e34"),
        "decimal(10,2)": ("-99999999.99", "99999999.99"),
        "double": ("-1.7e308", "1.7e308"),
        "float": ("-3e38", "3e38"),
        "varchar(20)": ("''", "'no number'"),
        "text": ("''", "'no date'"),
        "date": ("'1000-01-01'", "'9999-12-31'"),
        "datetime": ("'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"),
        "timestamp": ("'1970-01-02 00:00:01'", "'2038-01-19 00:00:00'"),
        "json": ("'{}'", "'1'"),
        "blob": ("''", "x'00ff'"),
    },
}
CONSTANTS = (
    "0", "-1", "0.5", "-0.000000001", "999999999999999999", "999999999999999999.999999999",
    "99999999999999999999999999", "0.00000000000000000000000000000001", "1.00000000000000000001", "1e30", "1e300",
    "1e400", "9999 * 9999", "999999999 + 999999999", "999999999 * 999999999", "'x'", "''", "'7'", "'2026-01-31'",
    "'2026-02-31'", "'2026-01-31 10:00:00'", "DATE '2026-01-31'", "TRUE",
)  # fmt: skip
FENCE = {"duckdb": "OFFSET 0", "postgres": "OFFSET 0", "sqlite": "LIMIT -1", "mysql": "LIMIT 18446744073709551615"}


def _statements(kind: str, table: str) -> list[str]:
    types = EXTREMES[kind]
    columns = ", ".join(f"c{i} {type_}" for i, type_ in enumerate(types))
    rows = [", ".join(ends[i] for ends in types.values()) for i in (0, 1)]
    return [
        f"CREATE TABLE {table} (tenant_id INTEGER, {columns})",
        *(f"INSERT INTO {table} VALUES (2, {row})" for row in rows),
    ]


@contextmanager
def _opened(kind: str, folder: Path, request: pytest.FixtureRequest) -> Generator[tuple[SourceSchema, Any]]:
    if kind == "postgres":
        opening = postgres_shop(request.getfixturevalue("postgres_url"))
    elif kind == "mysql":
        opening = mysql_shop(request.getfixturevalue("mysql_url"))
    else:
        opening = None
    if opening is None:
        shop = (duckdb_shop if kind == "duckdb" else sqlite_shop)(folder)
        shop.as_owner(*_statements(kind, "main.extremes"))
        adapter = shop.adapter()
        yield adapter.inspect(), adapter
        adapter.close()
        return
    with opening as shop:
        shop.as_owner(*_statements(kind, f"{shop.schema}.extremes"))
        adapter = shop.adapter()
        found = adapter.inspect()
        yield SourceSchema(found.source, found.dialect, shop.schema, found.tables, found.functions), adapter
        adapter.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", list(EXTREMES))
def test_no_condition_without_a_fence_fails_on_any_value(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    columns = [f"c{i}" for i in range(len(EXTREMES[kind]))]
    conditions = [f"t.{a} {op} u.{b}" for a, b in combinations_with_replacement(columns, 2) for op in ("=", "<")]
    conditions += [f"t.{c} {op} {value}" for c in columns for value in CONSTANTS for op in ("<>", ">")]
    conditions += [f"t.{c} LIKE '%'" for c in columns] + [f"t.{c} IS NULL" for c in columns]
    with _opened(kind, tmp_path, request) as (schema, adapter):
        name = (schema.default_schema, "extremes")
        rows = TableGrant(rows=Compare("tenant_id", "=", 1))
        hidden = Grant(schemas=(name[0],), tables=((name, rows),))
        table: Table = next(t for t in schema.tables if t.name == "extremes")
        assert len(table.columns) == len(columns) + 1
        open_, failed = 0, []
        for condition in conditions:
            sql = f"SELECT t.tenant_id FROM extremes t, extremes u WHERE {condition}"
            fenced = check(sql, source_schema=schema, grant=hidden, limits=Limits(max_rows=100)).sql
            if FENCE[kind] in fenced:
                continue
            open_ += 1
            bare = check(sql, source_schema=schema, grant=Grant.everything(), limits=Limits(max_rows=100)).sql
            try:
                rows_of(adapter, bare)
            except Exception as error:  # noqa: BLE001 # each driver has its own; that there is one is what is asked
                failed.append(f"{condition}: {error}")
        assert not failed, "\n".join(failed)
        assert open_ > len(columns)
