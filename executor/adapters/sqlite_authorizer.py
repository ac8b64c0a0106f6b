"""SQLite's authorizer: a statement may read tables and call listed functions, and nothing else.

Knows no sessions and no files.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Generator

from sqlalchemy.pool import PoolProxiedConnection

from executor.adapters.sqlite_functions import ADDED

_HARMLESS_PRAGMAS = frozenset({"data_version", "page_size"})
"""Full-text search tables read these inside the engine, without an argument."""

# Values in, a value out (https://sqlite.org/lang_corefunc.html). random and randomblob read the process's own
# generator, which has no seed to set. printf, replace, zeroblob and the like can make long values: the connection's
# limits bound them. Not here: load_extension runs a library's code; sqlite_log writes to the process's log;
# sqlite_compileoption_*, sqlite_source_id and changes, total_changes, last_insert_rowid tell of the engine or of a
# connection's past; fts3_tokenizer takes and gives pointers; subtype and fts5 are for the engine's own use; edit,
# readfile, writefile and the rest of the shell are in no library.
_CORE = """
-> ->> abs char coalesce concat concat_ws format glob hex if ifnull iif instr length like likelihood likely lower ltrim
match max min nullif octet_length printf quote random randomblob replace round rtrim sign soundex sqlite_version substr
substring trim typeof unhex unicode unistr unistr_quote unlikely upper zeroblob
"""
# https://sqlite.org/lang_mathfunc.html
_MATH = """
acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2 mod pi pow power
radians sin sinh sqrt tan tanh trunc
"""
# https://sqlite.org/lang_aggfunc.html and https://sqlite.org/windowfunctions.html
_AGGREGATE = """
avg count group_concat median percentile percentile_cont percentile_disc string_agg sum total
cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
"""
# https://sqlite.org/lang_datefunc.html; 'now' and 'localtime' read the clock and the zone, as everywhere
_DATE = "current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch"
# https://sqlite.org/json1.html
_JSON = """
json json_array json_array_insert json_array_length json_error_position json_extract json_group_array json_group_object
json_insert json_object json_patch json_pretty json_quote json_remove json_replace json_set json_type json_valid
jsonb jsonb_array jsonb_array_insert jsonb_extract jsonb_group_array jsonb_group_object jsonb_insert jsonb_object
jsonb_patch jsonb_remove jsonb_replace jsonb_set
"""
# Of full-text search (https://sqlite.org/fts5.html), those that read; not optimize, which writes. Regular expressions
# are in some builds; they are matched without backtracking (ext/misc/regexp.c).
_SEARCH = "bm25 highlight matchinfo offsets snippet regexp regexpi"

FUNCTIONS = frozenset(" ".join((_CORE, _MATH, _AGGREGATE, _DATE, _JSON, _SEARCH)).split()) | ADDED
"""The functions that a statement may call."""

_TABLE_FUNCTIONS = frozenset({"json_each", "json_tree", "jsonb_each", "jsonb_tree", "generate_series"})
"""Modules that make rows of their arguments alone. Every other one that has no table behind it tells of the engine."""

_ENGINE_TABLES = frozenset({"bytecode", "completion", "dbstat", "fsdir", "stmt", "tables_used", "zipfile"})
"""Modules that may be there without being listed by name."""

Rule = Callable[[int, str | None, str | None, str | None, str | None], int]
"""What `sqlite3.Connection.set_authorizer` takes."""


def guarded(lent: PoolProxiedConnection) -> tuple[sqlite3.Connection, Rule]:
    """The lent connection behind its authorizer, and that; its virtual tables are joined.

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
        lent.info["only_reads"] = _rule(connection)
    only_reads: Rule = lent.info["only_reads"]
    connection.set_authorizer(only_reads)
    return connection, only_reads


@contextlib.contextmanager
def tables_read(connection: sqlite3.Connection, only_reads: Rule) -> Generator[set[str]]:
    """While inside: the tables that a statement is seen to read while it is compiled, behind the same rule."""
    seen: set[str] = set()

    def note(action: int, first: str | None, second: str | None, base: str | None, trigger: str | None) -> int:
        if action == sqlite3.SQLITE_READ and first:
            seen.add(first)
        return only_reads(action, first, second, base, trigger)

    connection.set_authorizer(note)
    try:
        yield seen
    finally:
        connection.set_authorizer(only_reads)


def _rule(connection: sqlite3.Connection) -> Rule:
    """SQLite's authorizer for this connection: what a statement may do while it is compiled.

    A module of the library (https://sqlite.org/vtab.html#eponymous_virtual_tables) is known by what the library itself
    lists, so that one which a newer library brings is closed, too; a table of the file may bear the name of a module.
    """
    own = {str(n).lower() for (n,) in connection.execute("SELECT name FROM pragma_table_list WHERE schema = 'main'")}
    modules = {str(name).lower() for (name,) in connection.execute("SELECT name FROM pragma_module_list")}
    closed = frozenset((modules | _ENGINE_TABLES) - _TABLE_FUNCTIONS - own)

    def only_reads(action: int, first: str | None, second: str | None, _base: str | None, _trigger: str | None) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            table = (first or "").lower()
            internal = table.startswith(("sqlite_", "pragma_")) or table in closed
            return sqlite3.SQLITE_DENY if internal else sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_OK if (second or "").lower() in FUNCTIONS else sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_PRAGMA and first in _HARMLESS_PRAGMAS and second is None:
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    return only_reads
