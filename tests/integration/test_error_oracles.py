"""A failing predicate must not tell of rows that the policy hides: guard and database together, on every kind.

The hidden rows hold values on which division, casts, dates, JSON, regular expressions and arithmetic raise. A
statement that tries its predicate on one of them fails, and by failing tells that such a row is there. Each predicate
is written into each clause; through the guard it must not fail, and without the policy it must, or it tests nothing.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from databases import clickhouse_shop, duckdb_shop, postgres_shop, rows_of, sqlite_shop

from executor import Column, Limits, SourceSchema, Table
from mcp_server.policy import AllOf, AnyOf, Compare, Grant, TableGrant
from mcp_server.sql import check

_PLAIN = "id INTEGER, tenant_id INTEGER, n INTEGER, big BIGINT, neg INTEGER, txt VARCHAR(40), js VARCHAR(40)"
_LOW = "-9223372036854775808"
_ROWS = (
    """(1, 1, 5, 1, 4, '12', '{{"a": 1}}', '2024-01-01', 'a+', '!')""",
    """(2, 1, 7, 2, 9, '34', '{{"a": 2}}', '2024-02-01', 'b', '!')""",
    """(3, 2, 0, {big}, -4, 'no number', '{{broken', 'no date', '(', 'two')""",
    """(4, 2, 0, {big}, -9, '', '', '2024-13-45', '[', '')""",
)

CLAUSES = {
    "WHERE": "SELECT count(*) FROM people p WHERE {x}",
    "WHERE beside another": "SELECT count(*) FROM people p WHERE p.id > 0 AND {x}",
    "WHERE with an index": "SELECT count(*) FROM people p WHERE p.js >= '' AND {x}",
    "WHERE or": "SELECT count(*) FROM people p WHERE p.id < 0 OR {x}",
    "WHERE not": "SELECT count(*) FROM people p WHERE NOT ({x})",
    "JOIN ON": "SELECT count(*) FROM people q JOIN people p ON p.id = q.id AND {x}",
    "LEFT JOIN ON": "SELECT count(*) FROM people q LEFT JOIN people p ON p.id = q.id AND {x}",
    "comma join": "SELECT count(*) FROM people q, people p WHERE p.id = q.id AND {x}",
    "HAVING": "SELECT p.id FROM people p GROUP BY p.id HAVING max(CASE WHEN {x} THEN 1 ELSE 0 END) = 1",
    "GROUP BY": "SELECT count(*) FROM people p GROUP BY CASE WHEN {x} THEN 1 ELSE 0 END",
    "SELECT list": "SELECT CASE WHEN {x} THEN 1 ELSE 0 END FROM people p",
    "aggregate": "SELECT max(CASE WHEN {x} THEN 1 ELSE 0 END) FROM people p",
    "ORDER BY": "SELECT p.id FROM people p ORDER BY CASE WHEN {x} THEN 1 ELSE 0 END",
    "CASE": "SELECT p.id FROM people p WHERE CASE WHEN p.id > 0 THEN {x} ELSE 1 = 0 END",
    "sub-query": "SELECT q.id FROM people q WHERE q.id IN (SELECT p.id FROM people p WHERE {x})",
    "derived table": "SELECT d.id FROM (SELECT p.id FROM people p WHERE {x}) AS d",
    "CTE": "WITH d AS (SELECT p.id FROM people p WHERE {x}) SELECT count(*) FROM d",
    "EXISTS": "SELECT q.id FROM people q WHERE EXISTS (SELECT 1 FROM people p WHERE p.id = q.id AND {x})",
    "scalar sub-query": "SELECT (SELECT max(p.id) FROM people p WHERE p.id = q.id AND {x}) FROM people q",
    "UNION": "SELECT p.id FROM people p WHERE {x} UNION ALL SELECT p.id FROM people p WHERE {x}",
    "window": "SELECT sum(CASE WHEN {x} THEN 1 ELSE 0 END) OVER (ORDER BY p.id) FROM people p",
    "SELECT list by key": "SELECT CASE WHEN {x} THEN 1 ELSE 0 END FROM people p WHERE p.id = 3",
    "SELECT list by range": "SELECT CASE WHEN {x} THEN 1 ELSE 0 END FROM people p WHERE p.id >= 3 AND p.id < 9",
    "SELECT list of a join by key": (
        "SELECT CASE WHEN {x} THEN 1 ELSE 0 END FROM people q JOIN people p ON p.id = q.id WHERE q.id = 3"
    ),
    "aggregate by key": "SELECT max(CASE WHEN {x} THEN 1 ELSE 0 END) FROM people p WHERE p.id IN (3, 4)",
    "ORDER BY by key": "SELECT p.id FROM people p WHERE p.id > 2 ORDER BY CASE WHEN {x} THEN 1 ELSE 0 END",
    "GROUP BY by key": "SELECT count(*) FROM people p WHERE p.id = 3 GROUP BY CASE WHEN {x} THEN 1 ELSE 0 END",
    "DISTINCT by key": "SELECT DISTINCT CASE WHEN {x} THEN 1 ELSE 0 END FROM people p WHERE p.id = 3",
    "semi-join": (
        "SELECT q.id FROM people q WHERE q.id = 3 AND q.id IN (SELECT CASE WHEN {x} THEN 30 ELSE 0 END FROM people p)"
    ),
    "derived by key": (
        "SELECT d.y FROM (SELECT p.id, CASE WHEN {x} THEN 1 ELSE 0 END AS y FROM people p) AS d WHERE d.id = 3"
    ),
    "join with a derived table": (
        "SELECT q.id FROM people q JOIN (SELECT CASE WHEN {x} THEN 3 ELSE 0 END AS y FROM people p) AS d ON d.y = q.id"
    ),
    "PARTITION BY": "SELECT count(*) OVER (PARTITION BY CASE WHEN {x} THEN 1 ELSE 0 END) FROM people p",
}

PREDICATES: dict[str, dict[str, str]] = {
    "postgres": {
        "division": "10 / p.n > 0",
        "modulo": "10 % p.n >= 0",
        "cast": "CAST(p.txt AS integer) > 0",
        "numeric cast": "p.txt::numeric > 0",
        "date": "CAST(p.day AS date) > DATE '1900-01-01'",
        "json": "CAST(p.js AS jsonb) IS NOT NULL",
        "regexp": "'a' ~ p.pat",
        "overflow": "p.big - 1 <> 7",
        "square root": "sqrt(p.neg) > 0",
        "logarithm": "ln(p.n) > 0",
        "length": "substring(p.txt, 1, p.neg) <> ''",
    },
    "duckdb": {
        "division": "10 // p.n > 0",
        "modulo": "10 % p.n >= 0",
        "cast": "CAST(p.txt AS INTEGER) > 0",
        "narrow cast": "CAST(p.big AS INTEGER) > 0",
        "date": "CAST(p.day AS DATE) > DATE '1900-01-01'",
        "strptime": "strptime(p.day, '%Y-%m-%d') > TIMESTAMP '1900-01-01'",
        "json": "json_extract(p.js, '$.a') IS NOT NULL",
        "overflow": "abs(p.big) > 0",
        "code point": "chr(p.neg) IS NOT NULL",
    },
    "sqlite": {
        "json": "json(p.js) IS NOT NULL",
        "json path": "json_extract(p.js, '$.a') > 0",
        "json arrow": "p.js ->> '$.a' > 0",
        "json length": "json_array_length(p.js) >= 0",
        "overflow": "abs(p.big) > 0",
    },
    "mysql": {
        "overflow": "p.big - 1 <> 7",
        "absolute": "abs(p.big) > 0",
        "product": "p.big * 2 <> 7",
        "cotangent": "cot(p.n) <> 7",
    },
    "clickhouse": {
        "division": "intDiv(10, p.n) > 0",
        "modulo": "10 % p.n >= 0",
        "cast": "CAST(p.txt AS INTEGER) > 0",
        "date": "CAST(p.day AS DATE) > '1900-01-01'",
        "parsed date": "parseDateTime(p.day, '%Y-%m-%d') > '1990-01-01'",
        "decimal": "toDecimal32(p.big, 0) > 0",
        "regexp": "match('a', p.pat)",
        "array": "length(arrayWithConstant(assumeNotNull(p.neg), 1)) > 0",
    },
}
# The fence, as each kind has it: what keeps a predicate out of the sub-query.
FENCES = {
    "postgres": " OFFSET 0",
    "duckdb": " OFFSET 0",
    "sqlite": " LIMIT -1 OFFSET 0",
    "mysql": " LIMIT 18446744073709551615",
    "clickhouse": " LIMIT 18446744073709551615",
}
CASES = [(kind, name, clause) for kind, told in PREDICATES.items() for name in told for clause in CLAUSES]


@dataclass
class People:
    """One database: its schema as the guard sees it, and how to run a text on it as the product does."""

    kind: str
    schema: SourceSchema
    run: Callable[[str], object]

    def checked(self, sql: str, grant: Grant) -> str:
        return check(sql, source_schema=self.schema, grant=grant, limits=Limits(max_rows=100)).sql

    def fails(self, sql: str) -> bool:
        try:
            self.run(sql)
        except Exception:  # noqa: BLE001 # each driver has its own; that there is one is what is asked
            return True
        return False

    @property
    def tenant(self) -> Grant:
        """One tenant's rows, in words that planners find dear, so that they would rather try the caller's first."""
        name = (self.schema.default_schema, "people")
        others = tuple(Compare("tenant_id", "=", -i) for i in range(1, 200))
        rows = AnyOf((*others, AllOf((Compare("tenant_id", ">", 0), Compare("tenant_id", "<", 2)))))
        return Grant(schemas=(name[0],), tables=((name, TableGrant(rows=rows)),))


def _statements(table: str) -> tuple[str, ...]:
    rows = ", ".join(row.format(big=_LOW) for row in _ROWS)
    return (
        f"CREATE TABLE {table} ({_PLAIN}, day VARCHAR(40), pat VARCHAR(40), esc VARCHAR(40))",
        f"INSERT INTO {table} VALUES {rows}",
        f"CREATE INDEX people_js ON {table.removeprefix('main.')} (js)",  # a predicate may be tried on an index alone
    )


@pytest.fixture(scope="module")
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], People]]:
    """Opens the database of a kind when it is first asked for."""
    found: dict[str, People] = {}
    with ExitStack() as opened:

        def get(kind: str) -> People:
            if kind not in found:
                opening = _mysql() if kind == "mysql" else _shop(kind, tmp_path_factory.mktemp(kind), request)
                found[kind] = opened.enter_context(opening)
            return found[kind]

        yield get


@contextmanager
def _shop(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[People]:
    if kind == "postgres":
        with postgres_shop(request.getfixturevalue("postgres_url")) as shop:
            shop.as_owner(*_statements(f"{shop.schema}.people"))
            adapter = shop.adapter()
            yield People(kind, _placed(adapter.inspect(), shop.schema), lambda sql: rows_of(adapter, sql))
            adapter.close()
    elif kind == "clickhouse":
        shop = clickhouse_shop(folder)
        create, insert, _ = _statements(f"{shop.schema}.people")
        # Each column in a file of its own: it tries the conditions first that read the smallest, not the filter then.
        wide = "ENGINE = MergeTree ORDER BY id SETTINGS min_bytes_for_wide_part = 0, allow_nullable_key = 1"
        shop.as_owner(
            f"{create} {wide}",
            f"ALTER TABLE {shop.schema}.people MODIFY COLUMN tenant_id Nullable(Int128) CODEC(NONE)",
            f"ALTER TABLE {shop.schema}.people ADD INDEX people_js js TYPE minmax",
            insert,
        )
        adapter = shop.adapter()
        yield People(kind, _placed(adapter.inspect(), shop.schema), lambda sql: rows_of(adapter, sql))
        adapter.close()
    else:
        shop = (duckdb_shop if kind == "duckdb" else sqlite_shop)(folder)
        shop.as_owner(*_statements("main.people"))
        adapter = shop.adapter()
        yield People(kind, adapter.inspect(), lambda sql: rows_of(adapter, sql))
        adapter.close()


def _placed(schema: SourceSchema, name: str) -> SourceSchema:
    return SourceSchema(schema.source, schema.dialect, name, schema.tables, schema.functions)


@contextmanager
def _mysql() -> Iterator[People]:
    """MariaDB or MySQL at TEST_MYSQL_URL (``mysql://user:password@host:port``), through its driver."""
    pymysql = pytest.importorskip("pymysql")
    url = os.environ.get("TEST_MYSQL_URL")
    if url is None:
        pytest.skip("TEST_MYSQL_URL is not set")
    told = urlsplit(url)
    with closing(
        pymysql.connect(
            host=told.hostname,
            port=told.port or 3306,
            user=unquote(told.username or "root"),
            password=unquote(told.password or ""),
        )
    ) as connection:
        base = f"oracles_{uuid.uuid4().hex[:10]}"

        def run(sql: str) -> object:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()

        run(f"CREATE DATABASE {base}")
        try:
            run(f"USE {base}")
            for statement in _statements("people"):
                run(statement)
            words = f"{_PLAIN}, day VARCHAR(40), pat VARCHAR(40), esc VARCHAR(40)".split(", ")
            columns = tuple(Column(*word.lower().split(" ", 1)) for word in words)
            yield People("mysql", SourceSchema("people", "mysql", base, (Table(base, "people", columns=columns),)), run)
        finally:
            run(f"DROP DATABASE {base}")


@pytest.mark.parametrize(("kind", "name", "clause"), CASES)
def test_a_predicate_is_never_tried_on_hidden_rows(
    databases: Callable[[str], People], kind: str, name: str, clause: str
) -> None:
    people = databases(kind)
    sql = CLAUSES[clause].format(x=f"({PREDICATES[people.kind][name]})")
    people.run(people.checked(sql, people.tenant))
    # without the policy it fails: on the rows that were hidden
    assert people.fails(people.checked(sql, Grant.everything()))


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "mysql", "clickhouse"])
def test_it_is_the_fence_that_keeps_predicates_from_hidden_rows(databases: Callable[[str], People], kind: str) -> None:
    """Without it a row filter alone leaks: the planner is free to try the caller's predicate first.

    DuckDB 2.0 happens to try the filter first in all of these, and promises nothing.
    """
    people = databases(kind)
    fenced = (
        people.checked(template.format(x=f"({predicate})"), people.tenant)
        for predicate in PREDICATES[people.kind].values()
        for template in CLAUSES.values()
    )
    fence = FENCES[people.kind]
    # where the guard sees that nothing can fail there is no fence
    assert any(people.fails(sql.replace(fence, "")) for sql in fenced if fence in sql)
