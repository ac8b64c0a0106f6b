"""Values at the ends of every type of every kind, and what becomes of them; errors that servers can be made to tell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from executor.errors import ErrorCode


@dataclass(frozen=True)
class Value:
    """One value.

    Attributes:
        word: the database's word for its type.
        cell: what a page shows.
        sql: an expression, or for MariaDB what is stored in a column.
        declared: that column's type.
        csv: the text in a CSV file, where it is not the cell's own.
    """

    sql: str
    word: str
    cell: Any
    csv: str | None = None
    declared: str = ""

    @property
    def text(self) -> str:
        if self.csv is not None:
            return self.csv
        if isinstance(self.cell, str):
            return self.cell
        return "" if self.cell is None else json.dumps(self.cell, ensure_ascii=False, separators=(",", ":"))


def _stored(declared: str, sql: str, word: str, cell: Any, csv: str | None = None) -> Value:
    return Value(sql, word, cell, csv, declared)


V = Value
LONG = "12345678901234567890123456789.123456789"
UUID = "5b44fe03-c649-432a-bd2b-168b3ce1801a"

VALUES: dict[str, list[Value]] = {
    "postgres": [
        V("true", "bool", True),
        V("9223372036854775807", "int8", "9223372036854775807"),
        V("(-9223372036854775808)", "int8", "-9223372036854775808"),
        V("9007199254740992", "int8", 2**53),
        V("0.1::float4", "float4", 0.1),
        V("16777216::float4", "float4", 16777216.0, "16777216"),
        V("'NaN'::float8", "float8", "NaN"),
        V("'-Infinity'::float8", "float8", "-Infinity"),
        V("1.7976931348623157e308::float8", "float8", 1.7976931348623157e308),
        V(f"{LONG}::numeric(38,9)", "numeric(38,9)", LONG),
        V("1.5::numeric(38,9)", "numeric(38,9)", "1.500000000"),
        V("1e-20::numeric", "numeric", "0.00000000000000000001"),
        V("'NaN'::numeric", "numeric", "NaN"),
        V("'Infinity'::numeric", "numeric", "Infinity"),
        V("'infinity'::timestamptz", "timestamptz", "infinity"),
        V("'2024-02-29 12:00:00.000001+05:30'::timestamptz", "timestamptz", "2024-02-29T06:30:00.000001Z"),
        V("'0044-03-15 12:00+00 BC'::timestamptz", "timestamptz", "0044-03-15T12:00:00Z BC"),
        V("'0044-03-15 BC'::date", "date", "0044-03-15 BC"),
        V("'12024-02-29'::date", "date", "12024-02-29"),
        V("'10000-01-01 00:00:00.5'::timestamp", "timestamp", "10000-01-01T00:00:00.5"),
        V("'24:00'::time", "time", "24:00:00"),
        V("'12:00:00.5+05:30'::timetz", "timetz", "12:00:00.5+05:30"),
        V("interval '1 year -2 months 3 days -04:05:06.789'", "interval", "10 mons 3 days -04:05:06.789"),
        V("'\\x00ff'::bytea", "bytea", "\\x00ff"),
        V("""'{"a": 12345678901234567890}'::jsonb""", "jsonb", '{"a": 12345678901234567890}'),
        V("""'{"b":1.0, "a":1}'::json""", "json", '{"b":1.0, "a":1}'),
        V("'{1,2,NULL}'::int[]", "int4[]", "{1,2,NULL}"),
        V(f"'{UUID}'::uuid", "uuid", UUID),
        V("B'101'", "bit", "101"),
        V("'101'::varbit", "varbit", "101"),
        V("'10.0.0.1/24'::inet", "inet", "10.0.0.1/24"),
        V("'[1,3)'::int4range", "int4range", "[1,3)"),
        V("'abc'::char(5)", "bpchar", "abc  "),
        V("4000000000::oid", "oid", 4_000_000_000),
        V("E'a\\nb,\"c\"'", "text", 'a\nb,"c"'),
        V("'é😀'", "text", "é😀"),
        V("''", "text", ""),
        V("NULL", "text", None),
    ],
    "mysql": [
        _stored("TINYINT", "-128", "tinyint", -128),
        _stored("BIGINT", "-9223372036854775808", "bigint", "-9223372036854775808"),
        _stored("BIGINT UNSIGNED", "18446744073709551615", "bigint unsigned", "18446744073709551615"),
        _stored("DECIMAL(38,9)", LONG, "decimal(38,9)", LONG),
        _stored("DECIMAL(65,30)", "1", "decimal(65,30)", "1." + "0" * 30),
        _stored("FLOAT", "16777215", "float", 16777215.0, "16777215"),
        _stored("FLOAT", "0.1", "float", 0.1),
        _stored("DOUBLE", "1.7976931348623157e308", "double", 1.7976931348623157e308),
        _stored("BIT(64)", "~0", "bit(64)", "18446744073709551615"),
        _stored("BIT(8)", "b'10000001'", "bit(8)", 129),
        _stored("YEAR", "2155", "year", 2155),
        _stored("DATE", "'2024-02-29'", "date", "2024-02-29"),
        _stored("DATE", "'2024-02-00'", "date", "2024-02-00"),
        _stored("DATETIME", "'0000-00-00 00:00:00'", "datetime", "0000-00-00T00:00:00"),
        _stored("DATETIME(6)", "'9999-12-31 23:59:59.999999'", "datetime", "9999-12-31T23:59:59.999999"),
        _stored("TIMESTAMP(6) NULL", "'2024-02-29 12:00:00.5'", "timestamp", "2024-02-29T12:00:00.5Z"),
        _stored("TIME(6)", "'12:00:00.5'", "time", "12:00:00.5"),
        _stored("TIME", "'-838:59:59'", "time", "-838:59:59"),
        _stored("VARCHAR(20) CHARACTER SET latin1", "'é'", "varchar", "é"),
        _stored("TEXT CHARACTER SET utf8mb4", "'😀\\n,\"'", "text", '😀\n,"'),
        _stored("VARBINARY(10)", "X'00FF'", "varbinary", "\\x00ff"),
        _stored("BLOB", "''", "blob", "\\x"),
        _stored("ENUM('calm','keen')", "'keen'", "enum", "keen"),
        _stored("SET('a','b')", "'a,b'", "set", "a,b"),
        _stored("JSON", """'{"b":1.0, "a":1}'""", "text", '{"b":1.0, "a":1}'),
        _stored("INT", "NULL", "int", None),
    ],
    "sqlite": [
        V("9223372036854775807", "integer", "9223372036854775807"),
        V("-9223372036854775808", "integer", "-9223372036854775808"),
        V("0.1", "real", 0.1),
        V("5e-324", "real", 5e-324),
        V("-9e999", "real", "-Infinity"),
        V("x'00ff'", "blob", "\\x00ff"),
        V("'a\nb,\"c\"'", "text", 'a\nb,"c"'),
        V("'é😀'", "text", "é😀"),
        V("json('{\"b\": 1.0}')", "text", '{"b":1.0}'),
        V("datetime(0, 'unixepoch')", "text", "1970-01-01 00:00:00"),
        V("''", "text", ""),
        V("NULL", "null", None),
    ],
    "duckdb": [
        V("true", "boolean", True),
        V("18446744073709551615::UBIGINT", "ubigint", "18446744073709551615"),
        V(f"{2**127 - 1}::HUGEINT", "hugeint", str(2**127 - 1)),
        V(f"'{-(2**127)}'::HUGEINT", "hugeint", str(-(2**127))),
        V(f"{2**128 - 1}::UHUGEINT", "uhugeint", str(2**128 - 1)),
        V("0.1::FLOAT", "float", 0.1),
        V("'NaN'::DOUBLE", "double", "NaN"),
        V("'-inf'::DOUBLE", "double", "-Infinity"),
        V(f"{LONG}::DECIMAL(38,9)", "decimal(38,9)", LONG),
        V("'infinity'::TIMESTAMPTZ", "timestamp with time zone", "infinity"),
        V("'0044-03-15 (BC) 12:00:00'::TIMESTAMP", "timestamp", "0044-03-15T12:00:00 BC"),
        V("'0044-03-15 (BC)'::DATE", "date", "0044-03-15 BC"),
        V("'12024-02-29'::DATE", "date", "12024-02-29"),
        V("'2024-02-29 12:00:00.000001+05:30'::TIMESTAMPTZ", "timestamp with time zone", "2024-02-29T06:30:00.000001Z"),
        V("'2024-02-29 12:00:00.123456789'::TIMESTAMP_NS", "timestamp_ns", "2024-02-29T12:00:00.123456789"),
        V("TIME '24:00:00'", "time", "24:00:00"),
        V("'12:00:00.5+05:30'::TIMETZ", "time with time zone", "12:00:00.5+05:30"),
        V("'12:00:00.123456789'::TIME_NS", "time_ns", "12:00:00.123456789"),
        V("INTERVAL (-5) SECONDS", "interval", "-00:00:05"),
        V("'\\x00\\xFF'::BLOB", "blob", "\\x00ff"),
        V("""'{"b":1.0, "a":1}'::JSON""", "json", '{"b":1.0, "a":1}'),
        V("[1, 2, NULL]", "INTEGER[]", [1, 2, None]),
        V("[9007199254740993]", "BIGINT[]", ["9007199254740993"]),
        V("['NaN'::DOUBLE]", "DOUBLE[]", ["NaN"]),
        V("array_value(DATE '2020-01-01', NULL)", "DATE[2]", ["2020-01-01", None]),
        V(
            """{'a': 1, 'b "c': [{'t': INTERVAL 1 DAY}]}""",
            'STRUCT(a INTEGER, "b ""c" STRUCT(t INTERVAL)[])',
            {"a": 1, 'b "c': [{"t": "1 day"}]},
        ),
        V("MAP {DATE '2020-01-01': 1.5}", "MAP(DATE, DECIMAL(2,1))", {"2020-01-01": "1.5"}),
        V(f"'{UUID}'::UUID", "uuid", UUID),
        V("'101'::BIT", "bit", "101"),
        V("'a'::ENUM('a', 'b')", "enum", "a"),
        V("union_value(k := 1)", "UNION(k INTEGER)", "1"),
        V("'a\nb,\"c\"'", "varchar", 'a\nb,"c"'),
        V("''", "varchar", ""),
        V("NULL", "null", None),
    ],
    "clickhouse": [
        V("true", "Bool", True),
        V("toInt8(-128)", "Int8", -128),
        V("toInt64(9007199254740992)", "Int64", 2**53),
        V("toUInt64(18446744073709551615)", "UInt64", "18446744073709551615"),
        V(f"toInt128('{-(2**127)}')", "Int128", str(-(2**127))),
        V(f"toUInt128('{2**128 - 1}')", "UInt128", str(2**128 - 1)),
        V(f"toInt256('{-(2**255)}')", "Int256", str(-(2**255))),
        V(f"toUInt256('{2**256 - 1}')", "UInt256", str(2**256 - 1)),
        V("toFloat32(0.1)", "Float32", 0.1),
        V("nan", "Float64", "NaN"),
        V("-inf", "Float64", "-Infinity"),
        V("1.7976931348623157e308", "Float64", 1.7976931348623157e308),
        V("toBFloat16(1.5)", "BFloat16", 1.5),
        V(f"toDecimal128('{LONG}', 9)", "Decimal(38, 9)", LONG),
        V("toDecimal256('1.5', 40)", "Decimal(76, 40)", "1.5" + "0" * 39),
        V("toDate('2149-06-06')", "Date", "2149-06-06"),
        V("toDate32('1900-01-01')", "Date32", "1900-01-01"),
        V("toDateTime('2024-02-29 12:00:00', 'Asia/Kolkata')", "DateTime('Asia/Kolkata')", "2024-02-29T06:30:00Z"),
        V(
            "toDateTime64('2024-02-29 12:00:00.123456789', 9, 'UTC')",
            "DateTime64(9, 'UTC')",
            "2024-02-29T12:00:00.123456789Z",
        ),
        V("toDateTime64('1900-01-01 00:00:00', 3, 'UTC')", "DateTime64(3, 'UTC')", "1900-01-01T00:00:00Z"),
        V("toTime64('-838:59:59.5', 3)", "Time64(3)", "-838:59:59.500"),
        V("toIntervalDay(-3)", "IntervalDay", -3),
        V("'a\\nb,\"c\"'", "String", 'a\nb,"c"'),
        V("'é😀'", "String", "é😀"),
        V("unhex('00ff')", "String", "\\x00ff"),
        V("toFixedString('ab', 3)", "FixedString(3)", "ab\0"),
        V("toLowCardinality('x')", "LowCardinality(String)", "x"),
        V("CAST('keen', 'Enum8(\\'calm\\' = 1, \\'keen\\' = -2)')", "Enum8('keen' = -2, 'calm' = 1)", "keen"),
        V(f"toUUID('{UUID}')", "UUID", UUID),
        V("toIPv4('10.0.0.1')", "IPv4", "10.0.0.1"),
        V("toIPv6('2001:db8::1')", "IPv6", "2001:db8::1"),
        V("[1, 2, NULL]", "Array(Nullable(UInt8))", [1, 2, None]),
        V("[toInt64(9007199254740993)]", "Array(Int64)", ["9007199254740993"]),
        V(f"[toInt128('{2**127 - 1}'), NULL]", "Array(Nullable(Int128))", [str(2**127 - 1), None]),
        V("[nan]", "Array(Float64)", ["NaN"]),
        V("['x', unhex('ff')]", "Array(String)", ["\\x78", "\\xff"]),
        V("[toDate('2020-01-01')]", "Array(Date)", ["2020-01-01"]),
        V(
            "CAST((1, toIPv4('1.2.3.4')), 'Tuple(a Int8, `b, \\'(c` IPv4)')",
            "Tuple(a Int8, `b, '(c` IPv4)",
            {"a": 1, "b, '(c": "1.2.3.4"},
        ),
        V("(1, 'x')", "Tuple(UInt8, String)", {"1": 1, "2": "x"}),
        V(f"map(toUUID('{UUID}'), toDecimal32(1.5, 1))", "Map(UUID, Decimal(9, 1))", {UUID: "1.5"}),
        V("CAST('(1,2)', 'Point')", "Point", "(1,2)"),
        V("CAST(toInt8(5), 'Variant(Int8, String)')", "Variant(Int8, String)", "5"),
        V("CAST(5, 'Dynamic')", "Dynamic", "5"),
        V("""CAST('{"b":1.5, "a":{"c":1}}', 'JSON')""", "JSON", '{"a":{"c":1},"b":1.5}'),
        V("sumState(toUInt8(1))", "AggregateFunction(sum, UInt8)", "0100000000000000"),
        V("''", "String", ""),
        V("CAST(NULL, 'Nullable(Int8)')", "Nullable(Int8)", None),
        V("NULL", "Nullable(Nothing)", None),
    ],
}

ROUTINE_ERRORS: dict[str, dict[str, ErrorCode]] = {
    "postgres": {
        "42P01": ErrorCode.STATEMENT_FAILED,  # no such table
        "42703": ErrorCode.STATEMENT_FAILED,  # no such column
        "42501": ErrorCode.STATEMENT_FAILED,  # no right
        "22012": ErrorCode.STATEMENT_FAILED,  # division by zero
        "22003": ErrorCode.STATEMENT_FAILED,  # out of range
        "53200": ErrorCode.STATEMENT_FAILED,  # out of memory
        "53100": ErrorCode.STATEMENT_FAILED,  # disk full
        "53400": ErrorCode.STATEMENT_FAILED,  # a limit, as that of temporary files
        "54001": ErrorCode.STATEMENT_FAILED,  # too complex
        "53300": ErrorCode.SOURCE_BUSY,  # too many connections
        "40P01": ErrorCode.SOURCE_BUSY,  # deadlock
        "40001": ErrorCode.SOURCE_BUSY,  # serialisation
        "55P03": ErrorCode.SOURCE_BUSY,  # a lock
        "57P03": ErrorCode.SOURCE_BUSY,  # starting up
        "57P01": ErrorCode.SOURCE_UNAVAILABLE,  # shutting down
        "57P02": ErrorCode.SOURCE_UNAVAILABLE,  # crashed
        "08006": ErrorCode.SOURCE_UNAVAILABLE,  # connection lost
        "58030": ErrorCode.SOURCE_UNAVAILABLE,  # its disk
        "XX001": ErrorCode.SOURCE_UNAVAILABLE,  # its data
        "28000": ErrorCode.SOURCE_AUTH_FAILED,
    },
    "mysql": {
        "1146": ErrorCode.STATEMENT_FAILED,
        "1054": ErrorCode.STATEMENT_FAILED,
        "1142": ErrorCode.STATEMENT_FAILED,
        "1365": ErrorCode.STATEMENT_FAILED,  # division by zero
        "1264": ErrorCode.STATEMENT_FAILED,
        "1037": ErrorCode.STATEMENT_FAILED,  # out of memory
        "1021": ErrorCode.STATEMENT_FAILED,  # disk full
        "1114": ErrorCode.STATEMENT_FAILED,  # a temporary table is full
        "1969": ErrorCode.STATEMENT_TIMEOUT,
        "3024": ErrorCode.STATEMENT_TIMEOUT,
        "1040": ErrorCode.SOURCE_BUSY,
        "1213": ErrorCode.SOURCE_BUSY,  # deadlock
        "1205": ErrorCode.SOURCE_BUSY,
        "1053": ErrorCode.SOURCE_UNAVAILABLE,  # shutting down
        "1927": ErrorCode.SOURCE_UNAVAILABLE,  # connection killed
    },
}
"""By SQLSTATE on PostgreSQL and by number on MariaDB and MySQL."""


QUOTING: dict[str, list[str]] = {
    "clickhouse": [
        "toInt32({value})",
        "toDate({value})",
        "toDateTime({value})",
        "toUUID({value})",
        "toIPv4({value})",
        "CAST({value} AS Array(Int32))",
        "CAST({value} AS Enum8('a' = 1))",
        "toDecimal32({value}, 2)",
        "match('a', concat({value}, '('))",
        "toTimeZone(now(), {value})",
    ],
    "duckdb": [
        "CAST({value} AS INTEGER)",
        "CAST({value} AS DATE)",
        "CAST({value} AS UUID)",
        "CAST({value} AS BLOB)",
        "CAST({value} AS INTEGER[])",
        "json_extract({value}, '$.a')",
        "strptime({value}, '%Y')",
        "regexp_matches('a', {value} || '(')",
        "error({value})",
    ],
    "sqlite": [
        "json_extract('{{}}', {value})",
        "json({value})",
        "json_extract({value}, '$.a')",
    ],
    "postgres": [
        "CAST({value} AS integer)",
        "CAST({value} AS date)",
        "CAST({value} AS uuid)",
        "CAST({value} AS json)",
        "CAST({value} AS jsonpath)",
        "CAST({value} AS regclass)",
        "CAST({value} AS integer[])",
        "to_timestamp({value}, 'YYYY')",
        "decode({value}, {value})",
        "'a' ~ ({value} || '(')",
        "now() AT TIME ZONE {value}",
        "to_tsquery({value})",
    ],
    "mysql": [
        "CAST({value} AS DATE) + INTERVAL 1 DAY",
        "JSON_EXTRACT({value}, '$.a')",
        "JSON_EXTRACT('{{}}', {value})",
        "'a' REGEXP CONCAT({value}, '(')",
        "ST_GeomFromText({value})",
        "EXTRACTVALUE('<a/>', {value})",
    ],
}
"""Expressions that many databases answer to with a sentence that quotes the value."""
