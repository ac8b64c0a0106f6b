"""What must hold for any text at all, whatever the guard says to it."""

from __future__ import annotations

import re
import sqlite3
import sys
import time
import traceback
from contextlib import closing
from functools import cache
from pathlib import Path

import duckdb
from sqlglot import Dialect, ParseError, TokenError

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "mcp_server" / "sql"))
from shop import LIMITS, grants, shop

from executor import SourceSchema, Statement
from mcp_server.policy import Grant
from mcp_server.sql import StatementRefused, check

SLOWEST_S = 10.0
"""The most processor time that one text may take. Generous: machines differ, and what grows without end is slower."""

_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_RENAMED = re.compile(r"(?:\w{1,41}?)((?:__with[0-9]+)+)\b")
_TABLES = """
CREATE TABLE customers (id int, tenant_id int, name text, email text, ssn text, segment text);
CREATE TABLE orders (id int, tenant_id int, customer_id int, status text, total numeric, note text);
CREATE TABLE orders_2024 (id int, tenant_id int, customer_id int, status text, total numeric, note text);
CREATE TABLE products (id int, name text, price numeric);
CREATE TABLE events (id int, payload text);
CREATE VIEW totals AS SELECT status, total FROM orders;
"""


class Violation(AssertionError):
    """Something that must never happen did."""


@cache
def _shop(dialect: str) -> tuple[SourceSchema, dict[str, Grant]]:
    return shop(dialect), grants(dialect)


def verdict(sql: str, dialect: str, grant: str = "open") -> Statement | StatementRefused:
    """What the guard says: nothing but a statement or a refusal, in bounded time, and never by an accident of ours.

    Raises:
        Violation: it does not.
    """
    schema, given = _shop(dialect)
    began = time.process_time()
    try:
        said: Statement | StatementRefused = check(sql, source_schema=schema, grant=given[grant], limits=LIMITS)
    except StatementRefused as refused:
        said = refused
    except Exception as error:
        raise Violation(f"{type(error).__name__} instead of a refusal") from error
    took = time.process_time() - began
    if took > SLOWEST_S:
        raise Violation(f"it took {took:.1f} s")
    if isinstance(said, StatementRefused):
        _hold_refusal(said, sql)
    return said


def _hold_refusal(refused: StatementRefused, sql: str) -> None:
    if refused.position is not None and not 1 <= refused.position <= len(sql) + 1:
        raise Violation(f"position {refused.position} is not in the text")
    cause = refused.__cause__
    if cause is None or isinstance(cause, ParseError | TokenError | RecursionError | MemoryError):
        return
    frames = traceback.extract_tb(cause.__traceback__)
    ours = [frame for frame in frames if "mcp_server" in Path(frame.filename).parts]
    # What sqlglot stumbles over is a refusal like any other; what our own code stumbles over is a mistake in it.
    if ours and frames[-1] is ours[-1] and "could not be checked" in refused.message:
        raise Violation(
            f"refused by an accident: {type(cause).__name__}: {cause} at line {ours[-1].lineno} of {ours[-1].name}"
        ) from cause


def hold(statement: Statement, dialect: str) -> None:
    """An accepted statement is one that reads, and checking what runs changes nothing more.

    Raises:
        Violation: it is not.
    """
    if dialect == "sqlite":
        _hold_sqlite(statement.sql)
    elif dialect == "duckdb":
        _hold_duckdb(statement.sql)
    if dialect == "tsql" and "[_col_" in statement.sql:
        return  # sqlglot names the columns of a sub-query that have no name, without which T-SQL refuses it
    again = verdict(statement.sql, dialect)
    if isinstance(again, StatementRefused) and again.code == "too_complex":
        return
    if isinstance(again, StatementRefused):
        raise Violation(f"what runs is refused itself: {again.code}: {again.message}\n{statement.sql}")
    if plain(again.sql) != plain(statement.sql):
        raise Violation(f"what runs is not the end of rewriting:\n{statement.sql}\n{again.sql}")


def plain(sql: str) -> str:
    """`sql` with the guard's names for WITH entries, which it gives anew each time, all alike."""
    return _RENAMED.sub("WITH_ENTRY", sql)


@cache
def _sqlite() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(_TABLES)
    return connection


def _hold_sqlite(sql: str) -> None:
    """Prepare it under an authorizer; nothing is run, and EXPLAIN is itself such a preparing."""
    wrote: list[int] = []

    def authorize(action: int, *_: object) -> int:
        if action in _READS:
            return sqlite3.SQLITE_OK
        wrote.append(action)
        return sqlite3.SQLITE_DENY

    connection = _sqlite()
    connection.set_authorizer(authorize)
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute(sql if sql.startswith("EXPLAIN") else f"EXPLAIN {sql}").fetchall()
    except sqlite3.ProgrammingError as error:
        if "one statement" in str(error):
            raise Violation(f"SQLite reads more than one statement:\n{sql}") from error
    except (sqlite3.Error, sqlite3.Warning, UnicodeEncodeError):
        pass  # what SQLite does not understand does nothing
    finally:
        connection.set_authorizer(None)
    if wrote:
        raise Violation(f"SQLite would do {wrote}:\n{sql}")


def _hold_duckdb(sql: str) -> None:
    try:
        kinds = [statement.type.name for statement in duckdb.extract_statements(sql)]
    except (duckdb.Error, UnicodeEncodeError):
        return  # what DuckDB does not understand does nothing
    if len(kinds) != 1 or kinds[0] not in ("SELECT", "EXPLAIN"):
        raise Violation(f"DuckDB reads {kinds}:\n{sql}")


def hold_tree(sql: str, dialect: str) -> None:
    """The text that runs reads as a tree that is written as the same text.

    Raises:
        Violation: it does not.
    """
    grammar = Dialect.get_or_raise(dialect)
    (tree,) = grammar.parse(sql)
    written = grammar.generate(tree, identify=True)
    if grammar.parse(written) != [tree]:
        raise Violation(f"the text is read in two ways:\n{sql}\n{written}")
