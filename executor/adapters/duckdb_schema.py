"""What a DuckDB database holds: tables, views, keys, macros, and what each view reads. Reads the catalog, no rows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Literal

import duckdb

from executor.source_schema import Column, ForeignKey, SourceSchema, Table

_MAIN = "main"
_Name = tuple[str, str]
_Found = tuple[_Name, Literal["table", "view"], int | None, str, str]
"""Name, kind, row estimate, comment, the view's text."""


def read_schema(source: str, cursor: duckdb.DuckDBPyConnection, *, views_are_tables: bool) -> SourceSchema:
    """The schema behind `cursor`; with `views_are_tables` a view is how a file looks like a table."""

    def rows(sql: str) -> list[tuple[Any, ...]]:
        return cursor.execute(sql).fetchall()

    columns: dict[_Name, list[Column]] = {}
    for schema, table, name, kind, nullable, comment in rows(
        "SELECT schema_name, table_name, column_name, data_type, is_nullable, comment FROM duckdb_columns()"
        " WHERE database_name = current_database() AND NOT internal"
        " ORDER BY schema_name, table_name, column_index"
    ):
        columns.setdefault((schema, table), []).append(Column(name, _lowered(kind), bool(nullable), comment or ""))
    primary: dict[_Name, tuple[str, ...]] = {}
    foreign: dict[_Name, list[ForeignKey]] = {}
    for schema, table, kind, names, ref_table, ref_names in rows(
        "SELECT schema_name, table_name, constraint_type, constraint_column_names, referenced_table,"
        " referenced_column_names FROM duckdb_constraints() WHERE database_name = current_database()"
    ):
        if kind == "PRIMARY KEY":
            primary[schema, table] = tuple(names)
        elif kind == "FOREIGN KEY":
            foreign.setdefault((schema, table), []).append(
                ForeignKey(tuple(names), schema, ref_table, tuple(ref_names))
            )
    found: list[_Found] = [
        ((schema, name), "table", estimate, comment or "", "")
        for schema, name, estimate, comment in rows(
            "SELECT schema_name, table_name, estimated_size, comment FROM duckdb_tables()"
            " WHERE database_name = current_database() AND NOT internal AND NOT temporary"
        )
    ]
    seen_as: Literal["table", "view"] = "table" if views_are_tables else "view"
    views: list[_Found] = [
        ((schema, name), seen_as, None, comment or "", sql)
        for schema, name, comment, sql in rows(
            "SELECT schema_name, view_name, comment, sql FROM duckdb_views()"
            " WHERE database_name = current_database() AND NOT internal AND NOT temporary"
        )
    ]
    found += views
    every = {name for name, *_ in found}
    functions = rows(
        "SELECT DISTINCT function_name FROM duckdb_functions()"
        " WHERE database_name = current_database() AND NOT internal"
    )
    macros = {str(name).lower() for (name,) in functions}
    tables = tuple(
        Table(
            schema=name[0],
            name=name[1],
            kind=kind,
            columns=tuple(columns.get(name, ())),
            primary_key=primary.get(name, ()),
            foreign_keys=tuple(foreign.get(name, ())),
            row_estimate=estimate,
            comment=comment,
            reads=_reads(cursor, name, sql, every, macros) if kind == "view" else (),
        )
        for name, kind, estimate, comment, sql in sorted(found, key=lambda f: f[0])
    )
    return SourceSchema(
        source=source,
        dialect="duckdb",
        default_schema=_MAIN,
        tables=tables,
        functions=tuple(sorted(macros)),
        server_version=duckdb.__version__,
        inspected_at=time.time(),
    )


def _lowered(kind: str) -> str:
    return kind if "'" in kind or '"' in kind or kind.startswith(("STRUCT", "UNION", "MAP")) else kind.lower()


def _reads(
    cursor: duckdb.DuckDBPyConnection, view: _Name, sql: str, every: set[_Name], macros: set[str]
) -> tuple[_Name, ...]:
    """The tables and views that a view's text names, by DuckDB's own parser.

    A name without a schema counts for the view's schema and for ``main``; a CTE of a table's name counts as the table.
    A text that cannot be read counts as reading everything: too much is safe, too little is not.
    """
    tree = _parsed(cursor, sql)
    if tree is None:
        return tuple(sorted(every - {view}))
    folded = {(schema.lower(), name.lower()): (schema, name) for schema, name in every}
    named = {
        folded[schema.lower(), table.lower()]
        for told, table in _tables(tree)
        for schema in ((told,) if told else (view[0], _MAIN))
        if (schema.lower(), table.lower()) in folded
    }
    # a macro of the database's own may read anything: it stands for a table that nobody knows
    named |= {("", f"{name}()") for name in _functions(tree) if name in macros}
    return tuple(sorted(named - {view}))


def _functions(node: Any) -> Iterator[str]:
    """The lower-case names of the functions that a tree calls, as values and as tables."""
    for here in _nodes(node):
        if here.get("function_name"):
            yield str(here["function_name"]).lower()


def _parsed(cursor: duckdb.DuckDBPyConnection, sql: str) -> Any:
    """The tree of the SELECT in ``CREATE VIEW name (columns) AS SELECT …``; a quoted name may hold an AS of its own."""
    at = sql.find(" AS ")
    while at >= 0:
        query = sql[at + 4 :].strip().removesuffix(";")
        row = cursor.execute("SELECT json_serialize_sql(?)", [query]).fetchone()
        tree = json.loads(row[0]) if row else {"error": True}
        if not tree.get("error"):
            return tree
        at = sql.find(" AS ", at + 1)
    return None


def _tables(node: Any) -> Iterator[tuple[str, str]]:
    for here in _nodes(node):
        if here.get("type") == "BASE_TABLE":
            yield str(here.get("schema_name") or ""), str(here.get("table_name"))


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    pending: list[Any] = [node]
    while pending:
        here = pending.pop()
        if isinstance(here, dict):
            yield here
            pending.extend(here.values())
        elif isinstance(here, list):
            pending.extend(here)
