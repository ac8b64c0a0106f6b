"""The statements that read a bounded piece of a table, by dialect. Pure text; names are quoted, no value is in them."""

# every name in a statement is quoted here, and nothing else comes from outside
# ruff: noqa: S608

from __future__ import annotations

import re
from collections.abc import Sequence

from executor.source_schema import Column, Table

MOST_COLUMNS = 300
"""Columns of one table that are read."""

_BACKTICK = frozenset({"mysql", "clickhouse", "bigquery"})
_PLAIN = re.compile(
    r"char|text|string|clob|int|serial|num|dec|real|double|float|bool|bit|date|time|year|uuid|uniqueidentifier|enum|"
    r"money|^oid$|^name$|^$",
)
_NOT_PLAIN = re.compile(
    r"\[|array|struct|map\(|tuple|nested|row\(|json|variant|object|range|interval|point|tsvector|bytea"
)
_ORDERED = re.compile(r"int|serial|num|dec|real|double|float|date|time|year|money")
_SNOWFLAKE_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_SLICES = 40


def quoted(name: str, dialect: str) -> str:
    """A name as the dialect quotes it."""
    if dialect == "snowflake" and _SNOWFLAKE_PLAIN.fullmatch(name):
        return name  # its driver gives the names that were never quoted in lower case
    if dialect in _BACKTICK:
        return "`" + name.replace("\\", "\\\\").replace("`", "``" if dialect == "mysql" else "\\`") + "`"
    if dialect == "tsql":
        return "[" + name.replace("]", "]]") + "]"
    if dialect == "clickhouse":
        name = name.replace("\\", "\\\\")
    return '"' + name.replace('"', '""') + '"'


def name_of(table: Table, dialect: str) -> str:
    """The table's whole name."""
    own = quoted(table.name, dialect)
    return f"{quoted(table.schema, dialect)}.{own}" if table.schema else own


def is_plain(column: Column) -> bool:
    """Whether the column's values can be counted and shown: text, numbers, times; not bytes, documents, arrays."""
    kind = column.type.lower()
    return _PLAIN.search(kind) is not None and _NOT_PLAIN.search(kind) is None


def selected(columns: Sequence[Column], dialect: str) -> str:
    """What stands after SELECT: plain columns as they are; of others only whether there is a value."""
    told: list[str] = []
    for column in columns:
        name = quoted(column.name, dialect)
        told.append(name if is_plain(column) else f"CASE WHEN {name} IS NULL THEN NULL ELSE 1 END AS {name}")
    return ", ".join(told)


def limited(select: str, origin: str, rows: int, dialect: str, *, tail: str = "") -> str:
    """``SELECT … FROM …`` with at most `rows` rows; `tail` comes after FROM."""
    if dialect == "tsql":
        return f"SELECT TOP ({rows}) {select} FROM {origin}{tail}"
    return f"SELECT {select} FROM {origin}{tail} LIMIT {rows}"


def size_sql(table: Table, dialect: str) -> str | None:
    """Asks for the number of rows where that is known without counting, or nearly so; None where it is not."""
    if dialect in ("duckdb", "clickhouse") and table.kind == "table":
        return f"SELECT count(*) AS n FROM {name_of(table, dialect)}"
    if dialect == "sqlite" and table.kind == "table":
        # fails where there is no rowid
        return f"SELECT max(rowid) - min(rowid) + 1 AS n FROM {name_of(table, dialect)}"
    return None


def slicing_key(table: Table, dialect: str) -> str | None:
    """The expression of a whole-numbered key by which the table can be entered at any place; None without one."""
    if table.kind != "table":
        return None
    if dialect == "sqlite":
        return "rowid"
    if dialect in ("mysql", "tsql") and len(table.primary_key) == 1:
        types = {c.name: c.type.lower() for c in table.columns}
        if "int" in types.get(table.primary_key[0], ""):
            return quoted(table.primary_key[0], dialect)
    return None


def span_sql(table: Table, key: str, dialect: str) -> str:
    """The least and the greatest key."""
    return f"SELECT min({key}) AS a, max({key}) AS b FROM {name_of(table, dialect)}"


def sliced_sql(table: Table, select: str, key: str, span: tuple[int, int], rows: int, dialect: str) -> str:
    """About `rows` rows in runs of neighbours, spread evenly over the keys from ``span[0]`` to ``span[1]``."""
    first, last = span
    step = max(1, (last - first + 1) // _SLICES)
    origin = name_of(table, dialect)
    each = max(1, rows // _SLICES)
    parts: list[str] = []
    for number in range(_SLICES):
        begin = first + number * step
        if begin > last:
            break
        tail = f" WHERE {key} >= {begin} AND {key} < {begin + step} ORDER BY {key}"
        parts.append(f"SELECT * FROM ({limited(select, origin, each, dialect, tail=tail)}) AS s{number}")
    return " UNION ALL ".join(parts)


def sampled_from(table: Table, dialect: str, rows: int, about: int) -> str:
    """What stands after FROM to have about `rows` of `about` rows, where the database skips the others unread."""
    origin = name_of(table, dialect)
    if table.kind != "table":
        return origin
    percent = min(100.0, max(100 * rows / max(about, 1) * 1.1, 1e-4))
    if dialect == "duckdb":
        return f"{origin} TABLESAMPLE SYSTEM ({percent:.4f} PERCENT) REPEATABLE (1)"
    if dialect == "postgres":
        return f"{origin} TABLESAMPLE SYSTEM ({percent:.4f}) REPEATABLE (1)"
    if dialect == "bigquery":
        return f"{origin} TABLESAMPLE SYSTEM ({percent:.4f} PERCENT)"
    if dialect in ("trino", "snowflake"):
        return f"{origin} TABLESAMPLE SYSTEM ({percent:.4f})"
    if dialect == "tsql":
        return f"{origin} TABLESAMPLE SYSTEM ({percent:.4f} PERCENT)"
    return origin


def is_ordered(column: Column) -> bool:
    """Whether the column holds numbers or times, by its declared type."""
    return is_plain(column) and _ORDERED.search(column.type.lower()) is not None


def ends_sql(table: Table, columns: Sequence[str], dialect: str) -> str:
    """The least and the greatest value of each column, side by side."""
    told = [f"{end}({quoted(name, dialect)}) AS {end}{i}" for i, name in enumerate(columns) for end in ("min", "max")]
    return f"SELECT {', '.join(told)} FROM {name_of(table, dialect)}"


def counted_sql(table: Table, column: str, most: int, dialect: str) -> str:
    """A column's different values and how many rows have each, the most frequent first."""
    name = quoted(column, dialect)
    tail = f" WHERE {name} IS NOT NULL GROUP BY {name} ORDER BY count(*) DESC"
    return limited(f"{name} AS v, count(*) AS n", name_of(table, dialect), most, dialect, tail=tail)


def found_sql(child: str, column: str, parent: Table, key: str, values: int, dialect: str) -> str:
    """How many of up to `values` different values of a column there are, and how many of them a key has.

    Args:
        child: what stands after FROM to read the column.
        column: of the child.
        parent: the table of the key.
        key: its column; no value is there twice.
        values: the most to look for.
        dialect: of the source.
    """
    name = quoted(column, dialect)
    some = limited(f"DISTINCT {name} AS v", child, values, dialect, tail=f" WHERE {name} IS NOT NULL")
    if dialect == "tsql":
        some = some.replace(f"SELECT TOP ({values}) DISTINCT", f"SELECT DISTINCT TOP ({values})", 1)
    ref = quoted(key, dialect)
    return (
        f"SELECT count(*) AS n, count(p.{ref}) AS found FROM ({some}) AS c"
        f" LEFT JOIN {name_of(parent, dialect)} AS p ON p.{ref} = c.v"
    )
