"""SQLite's authorizer: a statement may read tables, and nothing else. Knows no sessions and no files."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Generator

from sqlalchemy.pool import PoolProxiedConnection

_HARMLESS_PRAGMAS = frozenset({"data_version", "page_size"})
"""Full-text search tables read these inside the engine, without an argument."""

_NEVER = frozenset({"load_extension", "fts3_tokenizer", "edit", "readfile", "writefile"})


def guarded(lent: PoolProxiedConnection) -> sqlite3.Connection:
    """The lent connection behind its authorizer, its virtual tables joined.

    Joining a virtual table makes the engine compile statements that the authorizer forbids, so it happens before, and
    again whenever the schema has changed.
    """
    connection = lent.dbapi_connection
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 # what _connect made; for the type checker
    connection.set_authorizer(None)
    (version,) = connection.execute("PRAGMA schema_version").fetchone()
    if lent.info.get("schema_version") != version:
        for (name,) in connection.execute("SELECT name FROM pragma_table_list WHERE type = 'virtual'").fetchall():
            quoted = str(name).replace('"', '""')
            with contextlib.suppress(sqlite3.Error):  # a module that is not built in: its table fails when it is read
                connection.execute(f'SELECT 1 FROM main."{quoted}" LIMIT 0').close()  # noqa: S608 # quoted above
        lent.info["schema_version"] = version
    connection.set_authorizer(_only_reads)
    return connection


@contextlib.contextmanager
def tables_read(connection: sqlite3.Connection) -> Generator[set[str]]:
    """While inside: the tables that a statement is seen to read while it is compiled, behind the same rules."""
    seen: set[str] = set()

    def note(action: int, first: str | None, second: str | None, base: str | None, trigger: str | None) -> int:
        if action == sqlite3.SQLITE_READ and first:
            seen.add(first)
        return _only_reads(action, first, second, base, trigger)

    connection.set_authorizer(note)
    try:
        yield seen
    finally:
        connection.set_authorizer(_only_reads)


def _only_reads(action: int, first: str | None, second: str | None, _base: str | None, _trigger: str | None) -> int:
    """SQLite's authorizer: what a statement may do while it is compiled."""
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_READ:
        table = (first or "").lower()
        internal = table.startswith(("sqlite_", "pragma_")) or table in {"dbstat", "bytecode", "tables_used"}
        return sqlite3.SQLITE_DENY if internal else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in _NEVER else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first in _HARMLESS_PRAGMAS and second is None:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
