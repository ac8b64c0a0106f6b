"""Twin databases: one with everything, one in which what a policy hides was never there. The second is the oracle.

No row that the policy shows makes any generated expression fail; some that it hides do (a zero to divide by, text that
is no number, broken JSON), so an error over the first database alone is a hidden row that was looked at.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import duckdb
import psycopg

from executor import Column, Limits, SourceSchema, Table
from mcp_server.policy import AllOf, AnyOf, Compare, Grant, IsNull, Mask, OneOf, TableGrant

LIMITS = Limits(max_rows=1_000_000)
Rows = list[tuple[Any, ...]]

COLUMNS: dict[str, dict[str, str]] = {
    "people": {
        "id": "int",
        "tenant_id": "int",
        "name": "text",
        "email": "text",
        "phone": "text",
        "ssn": "text",
        "boss_id": "int",
        "code": "text",
    },
    "orders": {
        "id": "int",
        "tenant_id": "int",
        "person_id": "int",
        "status": "text",
        "qty": "int",
        "total": "int",
        "doc": "text",
    },
    "select": {"from": "int", "Größe": "text", "group": "text", "id": "int"},
    "tags": {"id": "int", "person_id": "int", "label": "text"},
}
ROWS: dict[str, Rows] = {
    "people": [
        (1, 1, "Ann", "ann@x", "1-1", "s1", None, "10"),
        (2, 1, "Béla", "bela@x", None, "s2", 1, "-7"),
        (3, 2, "Canary", "canary@x", "canary-1", "canary-s", 1, "canary"),
        (4, 1, None, None, "1-4", None, 2, None),
        (5, None, "O'Hara", "canary-5@x", "canary-5", "canary-5", 2, "canary"),
        (6, 1, "ann", "a%b_c", "", "s6", 2, "0"),
    ],
    "orders": [
        (1, 1, 1, "paid", 3, 100, '{"a": "x"}'),
        (2, 1, 1, "open", 1, None, None),
        (3, 2, 3, "paid", 0, 999, "{canary"),
        (4, 1, 2, None, 2, -5, '{"a": null}'),
        (5, 1, 2, "canary", 0, 777, "{canary"),
        (6, 1, 4, "paid", 7, 0, "{}"),
        (7, None, 5, "open", 0, 888, "canary"),
    ],
    "select": [(1, "groß", "canary", 1), (None, "", "canary", 2), (2, "*", "canary", 3)],
    "tags": [(1, 1, "a"), (2, 1, "b"), (3, 2, "a"), (4, None, "paid"), (5, 3, None)],
}


def grant(schema: str) -> Grant:
    """The policy that the oracle was made by."""
    return Grant(
        schemas=(schema,),
        tables=(
            (
                (schema, "people"),
                TableGrant(
                    columns=tuple(name for name in COLUMNS["people"] if name != "ssn"),
                    masks=(("email", Mask("constant", "*'*")), ("phone", Mask("null"))),
                    rows=Compare("tenant_id", "=", 1),
                ),
            ),
            (
                (schema, "orders"),
                TableGrant(
                    rows=AllOf(
                        (
                            Compare("tenant_id", "<=", 1),
                            AnyOf((OneOf("status", ("paid", "open")), IsNull("status"))),
                        )
                    )
                ),
            ),
            ((schema, "select"), TableGrant(columns=("from", "Größe", "id"))),
        ),
        others=TableGrant(),
    )


def shown(table: str) -> tuple[dict[str, str], Rows]:
    """Columns and rows of `table` as the policy leaves them, worked out here by hand."""
    columns, rows = COLUMNS[table], ROWS[table]
    if table == "people":
        columns = {name: kind for name, kind in columns.items() if name != "ssn"}
        rows = [(r[0], r[1], r[2], "*'*", None, r[6], r[7]) for r in rows if r[1] == 1]
    elif table == "orders":
        rows = [r for r in rows if r[1] is not None and r[1] <= 1 and r[3] in ("paid", "open", None)]
    elif table == "select":
        columns = {name: kind for name, kind in columns.items() if name != "group"}
        rows = [(r[0], r[1], r[3]) for r in rows]
    return columns, rows


@dataclass(frozen=True, slots=True)
class Ran:
    """What a database answered: names and rows, or an error. `gave_up` is an answer that says nothing."""

    names: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    error: str = ""
    gave_up: bool = False

    def told(self, *, ordered: bool) -> tuple[tuple[str, ...], list[str]]:
        """Names and rows for comparing, each value with its type's own spelling."""
        spelled = [repr(row) for row in self.rows]
        return self.names, spelled if ordered else sorted(spelled)


@dataclass(frozen=True, slots=True)
class Twins:
    """Two databases of one kind.

    Attributes:
        dialect: sqlglot's name.
        schema: what the guard knows of the first.
        full: runs SQL over everything.
        seen: runs SQL over what the policy shows.
    """

    dialect: str
    schema: SourceSchema
    full: Callable[[str], Ran]
    seen: Callable[[str], Ran]

    @property
    def default(self) -> str:
        """The schema of the tables."""
        return self.schema.default_schema


def source_schema(dialect: str, default: str, types: dict[str, str]) -> SourceSchema:
    """The tables as introspection would tell them."""
    tables = tuple(
        Table(default, name, columns=tuple(Column(column, types[kind]) for column, kind in columns.items()))
        for name, columns in COLUMNS.items()
    )
    return SourceSchema(source="twins", dialect=dialect, default_schema=default, tables=tables)


def _ddl(types: dict[str, str], *, hidden: bool, quote: str = '"') -> Iterator[tuple[str, Rows]]:
    """CREATE TABLE statements, each with its table's rows."""
    for name, whole in COLUMNS.items():
        columns, rows = (whole, ROWS[name]) if hidden else shown(name)
        items = ", ".join(f"{quote}{column}{quote} {types[kind]}" for column, kind in columns.items())
        yield f"{quote}{name}{quote} ({items})", rows


def _literal(value: object) -> str:
    return (
        "NULL"
        if value is None
        else str(value)
        if isinstance(value, int)
        else "'{}'".format(str(value).replace("'", "''"))
    )


def _script(types: dict[str, str], *, hidden: bool, quote: str = '"') -> list[str]:
    found = []
    for table, rows in _ddl(types, hidden=hidden, quote=quote):
        found.append(f"CREATE TABLE {table}")
        values = ", ".join(f"({', '.join(_literal(v) for v in row)})" for row in rows)
        found.append(f"INSERT INTO {table.split(' (')[0]} VALUES {values}")
    return found


def _runner(
    run: Callable[[str], Any], errors: type[Exception], gave_up: Callable[[Exception], bool]
) -> Callable[[str], Ran]:
    def ran(sql: str) -> Ran:
        try:
            cursor = run(sql)
            rows = tuple(tuple(row) for row in cursor.fetchall())
        except errors as error:
            return Ran(error=f"{type(error).__name__}: {error}", gave_up=gave_up(error))
        return Ran(tuple(d[0] for d in cursor.description), rows)

    return ran


@contextmanager
def sqlite_twins() -> Iterator[Twins]:
    """In memory. A statement is given up after some millions of steps."""
    types = {"int": "INTEGER", "text": "TEXT"}

    def gave_up(error: Exception) -> bool:
        return "interrupted" in str(error)

    with closing(sqlite3.connect(":memory:")) as full, closing(sqlite3.connect(":memory:")) as seen:
        for connection, hidden in ((full, True), (seen, False)):
            for sql in _script(types, hidden=hidden):
                connection.execute(sql)
        runs = []
        for connection in (full, seen):
            left = [0]

            def step(left: list[int] = left) -> int:
                left[0] -= 1
                return left[0] < 0

            def run(sql: str, connection: sqlite3.Connection = connection, left: list[int] = left) -> sqlite3.Cursor:
                left[0] = 300
                return connection.execute(sql)

            connection.set_progress_handler(step, 100_000)
            runs.append(_runner(run, sqlite3.Error, gave_up))
        yield Twins("sqlite", source_schema("sqlite", "main", types), *runs)


@contextmanager
def duckdb_twins() -> Iterator[Twins]:
    """In memory, one thread each, so that rows come in one order."""
    types = {"int": "INTEGER", "text": "VARCHAR"}
    config: dict[str, Any] = {"threads": 1, "python_enable_replacements": False}
    with duckdb.connect(config=config) as full, duckdb.connect(config=config) as seen:
        for connection, hidden in ((full, True), (seen, False)):
            for sql in _script(types, hidden=hidden):
                connection.execute(sql)
        runs = [_runner(c.execute, duckdb.Error, lambda _: False) for c in (full, seen)]
        yield Twins("duckdb", source_schema("duckdb", "main", types), *runs)


@contextmanager
def postgres_twins(url: str) -> Iterator[Twins]:
    """Two schemas of their own in the database at `url`, dropped at the end."""
    types = {"int": "integer", "text": "text"}
    mark = uuid.uuid4().hex[:8]
    names = [f"twin_{mark}_full", f"twin_{mark}_seen"]

    def gave_up(error: Exception) -> bool:
        return isinstance(error, psycopg.errors.QueryCanceled)

    with psycopg.connect(url, autocommit=True) as full, psycopg.connect(url, autocommit=True) as seen:
        try:
            for connection, name, hidden in ((full, names[0], True), (seen, names[1], False)):
                connection.execute(f"CREATE SCHEMA {name}".encode())
                connection.execute(f"SET search_path = {name}".encode())
                connection.execute(b"SET statement_timeout = '5s'")
                for sql in _script(types, hidden=hidden):
                    connection.execute(sql.encode())
            run, oracle = (
                _runner(lambda sql, c=c: c.execute(sql.encode()), psycopg.Error, gave_up) for c in (full, seen)
            )
            schema = source_schema("postgres", names[0], types)
            yield Twins("postgres", schema, run, lambda sql: oracle(sql.replace(*names)))
        finally:
            for connection, name in ((full, names[0]), (seen, names[1])):
                connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE".encode())


@contextmanager
def mysql_twins(url: str) -> Iterator[Twins]:
    """Two databases of their own at the server of `url`, dropped at the end. Equal texts are those of equal bytes."""
    import pymysql

    types = {"int": "int", "text": "varchar(200)"}
    mark = uuid.uuid4().hex[:8]
    names = [f"twin_{mark}_full", f"twin_{mark}_seen"]
    parts = urlsplit(url)
    opened = []
    try:
        for name, hidden in zip(names, (True, False), strict=True):
            connection = pymysql.connect(
                host=parts.hostname,
                port=parts.port or 3306,
                user=parts.username,
                password=parts.password or "",
                autocommit=True,
            )
            opened.append((connection, name))
            cursor = connection.cursor()
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin")
            cursor.execute(f"USE {name}")
            cursor.execute("SET NAMES utf8mb4 COLLATE utf8mb4_nopad_bin")
            cursor.execute("SET max_statement_time = 5")
            for sql in _script(types, hidden=hidden, quote="`"):
                cursor.execute(sql)

        def gave_up(error: Exception) -> bool:
            return bool(error.args) and error.args[0] == 1969

        def runs(connection: Any) -> Callable[[str], Ran]:
            def run(sql: str) -> Any:
                cursor = connection.cursor()
                cursor.execute(sql)
                return cursor

            return _runner(run, pymysql.Error, gave_up)

        full, oracle = (runs(connection) for connection, _ in opened)
        schema = source_schema("mysql", names[0], types)
        yield Twins("mysql", schema, full, lambda sql: oracle(sql.replace(*names)))
    finally:
        for connection, name in opened:
            connection.cursor().execute(f"DROP DATABASE IF EXISTS {name}")
            connection.close()
