"""What a ClickHouse database holds: tables, views, and what each view reads. Reads the catalogue, no rows."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Literal

from executor.adapters.clickhouse_link import literal
from executor.source_schema import Column, SourceSchema, Table

SYSTEM_SCHEMAS = ("system", "INFORMATION_SCHEMA", "information_schema", "_temporary_and_external_tables")

Ask = Callable[[str], list[list[Any]]]
"""What gives the rows of a short question."""

_Name = tuple[str, str]
_HOLDS_ROWS = re.compile(r"(Replicated|Shared)?\w*MergeTree|(Tiny|Stripe)?Log|Memory|Set|Join|EmbeddedRocksDB|Null")
"""Engines of tables with rows of their own; any other may read tables, files or servers when it is read."""

_WORD = re.compile(r"`((?:[^`\\]|\\.|``)*)`|\"((?:[^\"\\]|\\.)*)\"|([A-Za-z_]\w*)")


def read_schema(source: str, ask: Ask, default_schema: str, schemas: tuple[str, ...]) -> SourceSchema:
    """The tables of `schemas`, or of every database but the system's, that our user may see.

    ClickHouse has no foreign keys, and a primary key that is not unique: it is an order, so none is told.
    """
    shown = f"database NOT IN ({', '.join(map(literal, SYSTEM_SCHEMAS))})"
    if schemas:
        shown += f" AND database IN ({', '.join(map(literal, schemas))})"
    columns: dict[_Name, list[Column]] = {}
    for schema, table, name, kind, comment in ask(
        f"SELECT database, table, name, type, comment FROM system.columns WHERE {shown}"  # noqa: S608 # quoted above
        " ORDER BY database, table, position"
    ):
        nullable = "Nullable(" in kind.removeprefix("LowCardinality(")[:9] or kind.startswith(("Dynamic", "Variant"))
        columns.setdefault((schema, table), []).append(Column(name, kind, nullable, comment))
    found = ask(
        "SELECT database, name, engine, as_select, total_rows, comment FROM system.tables"  # noqa: S608 # quoted above
        f" WHERE {shown} AND NOT is_temporary AND NOT startsWith(name, '.inner') ORDER BY database, name"
    )
    every = [(schema, name) for schema, name, *_ in found]
    databases = {schema for schema, _ in every}
    if default_schema not in databases and len(databases) == 1:  # then a bare name can mean nothing else
        (default_schema,) = databases
    functions = {name.lower() for (name,) in ask("SELECT name FROM system.functions WHERE origin != 'System'")}
    ((version,),) = ask("SELECT version()")
    tables: list[Table] = []
    for schema, name, engine, text, rows, comment in found:
        is_table = _HOLDS_ROWS.fullmatch(engine) is not None
        kind: Literal["table", "view"] = "table" if is_table else "view"
        tables.append(
            Table(
                schema=schema,
                name=name,
                kind=kind,
                columns=tuple(columns.get((schema, name), ())),
                row_estimate=None if rows is None else int(rows),
                comment=comment,
                reads=() if is_table else _reads((schema, name), engine, text, every, functions),
            )
        )
    return SourceSchema(
        source=source,
        dialect="clickhouse",
        default_schema=default_schema,
        tables=tuple(tables),
        functions=tuple(sorted(functions)),
        server_version=str(version),
        inspected_at=time.time(),
    )


def _reads(view: _Name, engine: str, text: str, every: list[_Name], functions: set[str]) -> tuple[_Name, ...]:
    """The tables and views whose names are among the words of a view's text.

    Too much is safe, too little is not: a column or an alias of such a name counts, and so does every table where the
    text calls what may read any of them, or the engine is not that of a view.
    """
    others = [other for other in every if other != view]
    words = {a or b or c for a, b, c in _WORD.findall(text)}
    folded = {word.lower() for word in words}
    calls = folded & (_READERS | functions) or any(word.startswith("dict") for word in folded)
    if engine != "View" or not text or calls or "\\" in text:
        return tuple(others)
    return tuple(other for other in others if other[1] in words)


_READERS = frozenset(
    ("merge", "view", "remote", "remotesecure", "cluster", "clusterallreplicas", "dictionary", "joinget",
     "joingetornull", "viewifpermitted", "loop", "mergetreeindex", "executable")
)  # fmt: skip
"""Functions that read a table whose name is an argument; those of dictionaries begin with dictGet."""
