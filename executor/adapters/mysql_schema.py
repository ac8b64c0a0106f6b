"""What a MariaDB or MySQL database holds that our user may read: tables, views, keys, comments, functions.

Reads the catalog, no rows. Names are as the database spells them; a schema is what MySQL calls a database.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Literal

import pymysql

from executor.adapters.mysql_wire import MySQLWire
from executor.source_schema import Column, ForeignKey, SourceSchema, Table

SYSTEM_SCHEMAS = ("information_schema", "mysql", "performance_schema", "sys")

_RELATIONS = """
    SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE = 'VIEW', TABLE_ROWS, TABLE_COMMENT
    FROM information_schema.TABLES
    WHERE TABLE_SCHEMA IN %(schemas)s AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW')
    ORDER BY TABLE_SCHEMA, TABLE_NAME
"""
_COLUMNS = """
    SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE = 'YES', COLUMN_COMMENT
    FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA IN %(schemas)s AND FIND_IN_SET('select', PRIVILEGES)
    ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION
"""
_KEYS = """
    SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME,
           REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME
    FROM information_schema.KEY_COLUMN_USAGE
    WHERE TABLE_SCHEMA IN %(schemas)s AND (CONSTRAINT_NAME = 'PRIMARY' OR REFERENCED_TABLE_NAME IS NOT NULL)
    ORDER BY TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION
"""
_VIEWS = """
    SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA IN %(schemas)s
"""
_ROUTINES = """
    SELECT DISTINCT ROUTINE_NAME FROM information_schema.ROUTINES
    WHERE ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_SCHEMA NOT IN %(system)s
"""
_LOADED = (
    "SELECT name FROM mysql.func",  # MariaDB, and MySQL before 8.0
    "SELECT UDF_NAME FROM performance_schema.user_defined_functions WHERE UDF_LIBRARY IS NOT NULL",
)
_PAIR = re.compile(r"(?=`((?:[^`]|``)+)`\s*\.\s*`((?:[^`]|``)+)`(\s*\()?)")
"""Two quoted names with a dot between, beginning at any backquote: one inside a string must not hide the next."""

_Name = tuple[str, str]


def read_schema(source: str, wire: MySQLWire, default_schema: str, schemas: tuple[str, ...]) -> SourceSchema:
    """The tables of `schemas` that our user may read; columns it may not read are left out, the system's always."""
    shown = {"schemas": [s for s in schemas if s.lower() not in SYSTEM_SCHEMAS] or [""], "system": SYSTEM_SCHEMAS}
    columns: dict[_Name, list[Column]] = {}
    for schema, table, name, kind, nullable, comment in wire.rows(_COLUMNS, shown):
        columns.setdefault((schema, table), []).append(Column(name, kind, bool(nullable), comment or ""))
    primary: dict[_Name, list[str]] = {}
    foreign: dict[_Name, dict[str, ForeignKey]] = {}
    for schema, table, constraint, name, ref_schema, ref_table, ref_name in wire.rows(_KEYS, shown):
        if ref_table is None:
            primary.setdefault((schema, table), []).append(name)
            continue
        known = foreign.setdefault((schema, table), {})
        so_far = known.get(constraint, ForeignKey((), ref_schema, ref_table, ()))
        known[constraint] = ForeignKey((*so_far.columns, name), ref_schema, ref_table, (*so_far.ref_columns, ref_name))
    found = [row for row in wire.rows(_RELATIONS, shown) if (row[0], row[1]) in columns]
    routines = {name.lower() for (name,) in wire.rows(_ROUTINES, shown)}
    texts = {(schema, name): text for schema, name, text in wire.rows(_VIEWS, shown)}
    every = {(schema, name) for schema, name, *_ in found}
    tables: list[Table] = []
    for schema, name, is_view, estimate, comment in found:
        key = (schema, name)
        kind: Literal["table", "view"] = "view" if is_view else "table"
        tables.append(
            Table(
                schema=schema,
                name=name,
                kind=kind,
                columns=tuple(columns[key]),
                primary_key=tuple(primary.get(key, ())),
                foreign_keys=tuple(foreign.get(key, {}).values()),
                row_estimate=int(estimate) if estimate is not None and not is_view else None,
                comment="" if is_view else comment or "",  # of a view it is the word VIEW
                reads=_reads(key, texts.get(key), every) if is_view else (),
            )
        )
    return SourceSchema(
        source=source,
        dialect="mysql",
        default_schema=default_schema,
        tables=tuple(tables),
        functions=tuple(sorted(routines | _loaded_functions(wire))),
        server_version=str(wire.rows("SELECT VERSION()")[0][0]),
        inspected_at=time.time(),
    )


def _reads(view: _Name, text: str | None, every: Iterable[_Name]) -> tuple[_Name, ...]:
    """The tables and views that a view's text names, in the form the server keeps it: every one with its schema.

    A column of a table has such a pair too, and an alias may look like one: too much is safe, too little is not. So a
    text that we may not see counts as reading everything, and one that calls a stored function does too.
    """
    others = tuple(sorted(set(every) - {view}))
    if not text:
        return others
    named: set[_Name] = set()
    for schema, name, calls in _PAIR.findall(text):
        if calls:
            return others
        named.add((_folded(schema), _folded(name)))
    return tuple(other for other in others if (other[0].lower(), other[1].lower()) in named)


def _folded(quoted: str) -> str:
    return quoted.replace("``", "`").lower()


def _loaded_functions(wire: MySQLWire) -> set[str]:
    """Functions of shared libraries, where our user may see the list; who may not see it may be let call them."""
    for sql in _LOADED:
        try:
            return {str(name).lower() for (name,) in wire.rows(sql)}
        except pymysql.Error:  # not our user's to see, or not this server's
            continue
    return set()
