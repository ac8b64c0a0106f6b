"""What a SQLite file holds: tables, views, keys, and what each view reads. Reads the schema, no rows."""

from __future__ import annotations

import sqlite3
import time

from executor.source_schema import Column, ForeignKey, SourceSchema, Table

_MAIN = "main"


def read_schema(source: str, connection: sqlite3.Connection) -> SourceSchema:
    """The schema of the file behind `connection`, which has no authorizer yet."""
    listed: list[tuple[str, str]] = [
        (str(name), str(kind))
        for _schema, name, kind, *_ in connection.execute("PRAGMA main.table_list").fetchall()
        if kind in ("table", "view", "virtual") and not str(name).lower().startswith("sqlite_")
    ]
    estimates = _row_estimates(connection)
    tables: list[Table] = []
    for name, kind in sorted(listed):
        described = connection.execute("SELECT * FROM pragma_table_xinfo(?, 'main')", (name,)).fetchall()
        shown = [c for c in described if c[6] != 1]  # 1: a hidden column of a virtual table
        tables.append(
            Table(
                schema=_MAIN,
                name=name,
                kind="view" if kind == "view" else "table",
                columns=tuple(Column(str(c[1]), str(c[2]).lower(), nullable=not c[3]) for c in shown),
                primary_key=tuple(str(c[1]) for c in sorted((c for c in shown if c[5]), key=lambda c: c[5])),
                foreign_keys=_foreign_keys(connection, name),
                row_estimate=estimates.get(name),
                # what a module of a virtual table reads is nothing that SQLite tells
                reads=_reads(connection, name) if kind == "view" else ((_MAIN, f"{name}()"),) * (kind == "virtual"),
            )
        )
    return SourceSchema(
        source=source,
        dialect="sqlite",
        default_schema=_MAIN,
        tables=tuple(tables),
        server_version=sqlite3.sqlite_version,
        inspected_at=time.time(),
    )


def _row_estimates(connection: sqlite3.Connection) -> dict[str, int]:
    """What ANALYZE left behind, if anything: the first number of a table's statistics is its row count."""
    try:
        rows = connection.execute("SELECT tbl, stat FROM sqlite_stat1").fetchall()
    except sqlite3.OperationalError:
        return {}
    return {str(tbl): int(first) for tbl, stat in rows if (first := str(stat).split(" ")[0]).isdigit()}


def _foreign_keys(connection: sqlite3.Connection, table: str) -> tuple[ForeignKey, ...]:
    parts: dict[int, list[tuple[int, str, str, str | None]]] = {}
    for key, seq, target, column, ref_column, *_ in connection.execute(
        "SELECT * FROM pragma_foreign_key_list(?, 'main')", (table,)
    ):
        parts.setdefault(int(key), []).append((int(seq), str(target), str(column), ref_column))
    found: list[ForeignKey] = []
    for _, columns in sorted(parts.items()):
        columns.sort()
        target = columns[0][1]
        named = [str(ref) for *_, ref in columns if ref is not None]
        found.append(
            ForeignKey(
                tuple(column for _, _, column, _ in columns),
                _MAIN,
                target,
                tuple(named) if len(named) == len(columns) else _primary_key(connection, target),
            )
        )
    return tuple(found)


def _primary_key(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """What a foreign key points to that names no column."""
    rows = connection.execute("SELECT name, pk FROM pragma_table_info(?, 'main') WHERE pk ORDER BY pk", (table,))
    return tuple(str(name) for name, _ in rows)


def _reads(connection: sqlite3.Connection, view: str) -> tuple[tuple[str, str], ...]:
    """What SQLite itself reports while it compiles a SELECT over the view, views within views included."""
    seen: set[str] = set()

    def note(action: int, first: str | None, _2: str | None, _3: str | None, _4: str | None) -> int:
        if action == sqlite3.SQLITE_READ and first and first.lower() != view.lower():
            seen.add(first)
        return sqlite3.SQLITE_OK

    quoted = view.replace('"', '""')
    connection.set_authorizer(note)
    try:
        connection.execute(f'EXPLAIN SELECT count(*), * FROM main."{quoted}"').close()  # noqa: S608 # quoted above
    except sqlite3.Error:
        return ()  # a view over a table that is gone: nothing can be read through it
    finally:
        connection.set_authorizer(None)
    return tuple((_MAIN, name) for name in sorted(seen) if not name.lower().startswith("sqlite_"))
