"""What `check` promises beyond single cases: what it tells, what it never lets out, and that what it gives runs."""

from __future__ import annotations

import random
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shop import LIMITS, grants, shop

from executor import Limits, Statement
from mcp_server.policy import AllOf, Compare, Grant, IsNull, OneOf, Predicate, TableGrant
from mcp_server.sql import RefusalCode, StatementRefused, check

ROWS = """
CREATE TABLE customers (id int, tenant_id int, name text, email text, ssn text, segment text);
INSERT INTO customers VALUES (1, 1, 'Ann', 'ann@x', 'S-1', 'a'), (2, 2, 'Canary', 'canary@x', 'S-canary', 'b');
CREATE TABLE orders (id int, tenant_id int, customer_id int, status text, total numeric, note text);
INSERT INTO orders VALUES (1, 1, 1, 'paid', 10, '1'), (2, 2, 2, 'paid', 0, 'canary');
CREATE TABLE products (id int, name text, price numeric);
INSERT INTO products VALUES (1, 'Pen', 2), (2, 'Ink', 3);
"""


def guarded(sql: str, dialect: str = "postgres", grant: str = "open", limits: Limits = LIMITS) -> Statement:
    return check(sql, source_schema=shop(dialect), grant=grants(dialect)[grant], limits=limits)


def refusal(sql: str, dialect: str = "postgres", grant: str = "open") -> StatementRefused:
    with pytest.raises(StatementRefused) as refused:
        guarded(sql, dialect, grant)
    return refused.value


@pytest.fixture
def sqlite() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(ROWS)
        yield connection


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(ROWS)
        yield connection


def test_a_statement_names_its_tables_and_its_policy() -> None:
    statement = guarded("SELECT * FROM orders JOIN customers ON customers.id = orders.customer_id", grant="tenant")
    assert set(statement.tables) == {"public.orders", "public.customers"}
    assert statement.policy_hash == grants()["tenant"].hash()
    assert statement.source == "shop"


def test_what_a_caller_may_read_shows_no_policy() -> None:
    statement = guarded("SELECT name FROM customers c WHERE id = 1", grant="tenant")
    assert statement.shown_sql == 'SELECT "name" FROM "public"."customers" AS "c" WHERE "id" = 1 LIMIT 101'
    assert "tenant_id" in statement.sql


def test_without_a_rule_the_text_that_runs_is_the_text_that_is_shown() -> None:
    statement = guarded("SELECT name FROM customers")
    assert statement.sql == statement.shown_sql


def test_a_refusal_points_into_the_callers_own_text() -> None:
    sql = "SELECT id,\n  totl FROM orders"
    position = refusal(sql).position
    assert position is not None
    assert sql[position - 1 :].startswith("totl")


def test_a_refusal_points_nowhere_but_into_the_callers_own_text() -> None:
    for sql in (
        "SELECT",
        "SELECT payload ->> 'a' <=> payload #>> '{a}' FROM events",
        "SELECT '/tmp/x'(load_extension)",
    ):
        position = refusal(sql, "sqlite").position
        assert position is None or position <= len(sql)


def test_half_a_character_is_no_text() -> None:
    assert refusal("SELECT '\ud800'").code is RefusalCode.UNPARSEABLE


def test_no_name_of_a_column_shows_the_policy(sqlite: sqlite3.Connection, duck: duckdb.DuckDBPyConnection) -> None:
    for dialect, run in (("sqlite", sqlite.execute), ("duckdb", duck.execute)):
        for sql in (
            "SELECT (SELECT max(note) FROM orders)",
            "SELECT (SELECT max(`note`) FROM `orders`)" if dialect == "sqlite" else "SELECT 1 + (SELECT 1 FROM orders)",
            "SELECT * FROM (SELECT 1 + (SELECT max(id) FROM orders), EXISTS (SELECT 1 FROM orders)) q",
            "WITH a AS (SELECT coalesce((SELECT max(id) FROM orders), 0) UNION SELECT 1) SELECT * FROM a",
        ):
            names = [d[0] for d in run(guarded(sql, dialect, "tenant").sql).description]
            assert "tenant_id" not in repr(names), (dialect, sql)


def test_a_misspelt_table_is_met_with_the_right_one() -> None:
    assert "customers" in refusal("SELECT * FROM custmers").hint


def test_no_suggestion_names_what_is_not_granted() -> None:
    told = refusal("SELECT * FROM payrol", grant="tenant").as_dict()
    assert "payroll" not in str(told).replace("payrol in", "")
    told = refusal("SELECT ssnn FROM customers", grant="tenant").as_dict()
    assert "ssn" not in str(told["hint"])


def test_a_refusal_reads_the_same_for_unknown_and_for_not_granted() -> None:
    unknown, denied = refusal("SELECT * FROM paybill", grant="tenant"), refusal("SELECT * FROM payroll", grant="tenant")
    assert unknown.message.replace("paybill", "X") == denied.message.replace("payroll", "X")
    assert unknown.hint == denied.hint


def test_a_dialect_that_is_not_known_is_refused() -> None:
    assert refusal("SELECT 1", dialect="oracle").code is RefusalCode.CONSTRUCT_NOT_ALLOWED


def test_ten_thousand_operators_are_refused_or_checked_but_never_crash() -> None:
    for sql in (
        "SELECT " + "+".join(["1"] * 9_000),
        "SELECT " + "NOT " * 4_000 + "true",
        " UNION ALL ".join(["SELECT 1"] * 1_500),
        "SELECT " + "-" * 1 + "- " * 3_000 + "1",
        "SELECT " + "CASE WHEN true THEN " * 400 + "1" + " END" * 400,
    ):
        try:
            guarded(sql)
        except StatementRefused as refused:
            assert refused.code in set(RefusalCode)


def test_mangled_statements_are_refused_or_checked_but_never_crash() -> None:
    chance = random.Random(7)
    start = (
        "WITH a AS (SELECT id, 'x' AS s FROM orders o) SELECT a.id, count(*) FROM a JOIN customers USING (id) WHERE 1=1"
    )
    for _ in range(400):
        letters = list(start)
        for _ in range(chance.randint(1, 6)):
            place = chance.randrange(len(letters))
            letters[place] = chance.choice("()'\"`;-/*$@#[]{}\\.,x1 \n\0")
        for dialect in ("postgres", "sqlite", "duckdb"):
            try:
                guarded("".join(letters), dialect)
            except StatementRefused as refused:
                assert refused.code in set(RefusalCode)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM customers",
        "SELECT email, name FROM customers",
        "SELECT c.* FROM customers c, orders o",
        "SELECT count(*) FROM orders",
        "SELECT name FROM customers WHERE email = 'canary@x' OR 1 = 1",
        "SELECT a.id, b.note FROM orders a LEFT JOIN orders b ON b.id = a.id + 1",
        "SELECT note FROM orders UNION ALL SELECT name FROM customers",
        "WITH customers AS (SELECT * FROM customers c) SELECT * FROM customers",
        "SELECT (SELECT max(note) FROM orders)",
        "SELECT id FROM products WHERE id IN (SELECT id FROM orders)",
    ],
)
def test_no_hidden_value_comes_out_of_sqlite_and_duckdb(
    sql: str, sqlite: sqlite3.Connection, duck: duckdb.DuckDBPyConnection
) -> None:
    for dialect, run in (("sqlite", sqlite.execute), ("duckdb", duck.execute)):
        try:
            text = guarded(sql, dialect, "tenant").sql
        except StatementRefused:
            continue
        try:
            rows = run(text).fetchall()
        except sqlite3.OperationalError as error:
            assert "circular" in str(error)
            continue
        assert "canary" not in repr(rows).lower()
        assert "S-" not in repr(rows)
        assert "ann@x" not in repr(rows)


@pytest.mark.parametrize(
    ("dialect", "sql"),
    [
        ("duckdb", "SELECT id FROM orders WHERE CAST(note AS int) > 0"),
        ("duckdb", "SELECT id FROM orders WHERE error(note) IS NULL AND id = 2"),
        ("sqlite", "SELECT id FROM orders WHERE json_extract(note, '$.a') IS NULL"),
        ("sqlite", "SELECT id FROM orders WHERE abs(CASE note WHEN 'canary' THEN -9223372036854775808 ELSE 1 END) > 0"),
    ],
)
def test_a_condition_that_fails_on_a_hidden_row_is_never_tried_on_it(
    dialect: str, sql: str, sqlite: sqlite3.Connection, duck: duckdb.DuckDBPyConnection
) -> None:
    run = sqlite.execute if dialect == "sqlite" else duck.execute
    run(guarded(sql, dialect, "tenant").sql).fetchall()


def test_the_root_gives_one_row_more_than_is_kept(sqlite: sqlite3.Connection) -> None:
    text = guarded("SELECT * FROM products a, products b", "sqlite", limits=Limits(max_rows=2)).sql
    assert len(sqlite.execute(text).fetchall()) == 3


def test_sqlite_gives_the_names_that_the_callers_text_would(sqlite: sqlite3.Connection) -> None:
    sql = "SELECT Count( * ), p.ID, id+1, max(name), 'x', (select 1), name || 'a' AS b FROM products p"
    raw, text = sqlite.execute(sql), guarded(sql, "sqlite").sql
    assert [d[0] for d in raw.description] == [d[0] for d in sqlite.execute(text).description]


@pytest.mark.parametrize(
    "expression",
    [
        "7 <> 'a' NOT GLOB 'a'",
        "2.5 >= '5' NOT IN (0, 3)",
        "3 <= 1 NOT BETWEEN 2 AND 3 || +2",
        "NOT 'A' NOT GLOB 'A' >= 0",
        "1 NOT IN (2) < 2",
        "1 = 2 NOTNULL",
        "1 IS DISTINCT FROM NULL IS TRUE",
        "NOT 1 IS NULL",
        "x'41' NOT LIKE 'a' = 1",
        "coalesce('[1,2]' -> 1, 2) || 'x'",
        "typeof(CAST('7' AS STRING)) || typeof(CAST('7.5' AS VARBINARY)) || typeof(CAST(7 AS NATIVE CHARACTER(70)))",
        "CAST('12.5x' AS UNSIGNED BIG INT) + CAST('1e2' AS FLOATING)",
        "'a' || 1 + 2 * 3 || 4",
        "-1 ->> 0 IS NULL",
    ],
)
def test_sqlite_reads_what_is_written_anew_as_it_read_the_callers_text(
    expression: str, sqlite: sqlite3.Connection
) -> None:
    sql = f"SELECT {expression} AS a"
    assert sqlite.execute(guarded(sql, "sqlite").sql).fetchall() == sqlite.execute(sql).fetchall()


def test_sqlite_keeps_the_cap_under_a_limit_that_comes_with_the_call(sqlite: sqlite3.Connection) -> None:
    text = guarded("SELECT a.id FROM products a, products b", "sqlite", limits=Limits(max_rows=2)).sql
    bound = guarded("SELECT a.id FROM products a, products b LIMIT ?", "sqlite", limits=Limits(max_rows=2)).sql
    assert len(sqlite.execute(text).fetchall()) == 3
    assert [len(sqlite.execute(bound, (given,)).fetchall()) for given in (1, 3, 100, -1, -(2**63))] == [1, 3, 3, 3, 0]


def test_duckdb_gives_the_names_that_the_callers_text_would(duck: duckdb.DuckDBPyConnection) -> None:
    items = "count(*), ID, id+1, Max(name), substr(name, 1), string_agg(name, ','), id % 2"
    sql = f"SELECT {items} FROM products GROUP BY ALL"
    raw, text = duck.execute(sql).description, guarded(sql, "duckdb").sql
    assert [d[0] for d in raw] == [d[0] for d in duck.execute(text).description]


@pytest.mark.parametrize("dialect", ["postgres", "sqlite", "duckdb", "mysql"])
@pytest.mark.parametrize(
    "rows",
    [
        IsNull("tenant_id", negated=True),
        IsNull("tenant_id"),
        AllOf((IsNull("ssn", negated=True), OneOf("segment", ("a", "b")), Compare("name", "<>", "it's \\ %"))),
    ],
)
def test_a_row_filter_of_any_form_can_be_written_in_every_dialect(dialect: str, rows: Predicate) -> None:
    schema = shop(dialect)
    grant = Grant(tables=(((schema.default_schema, "customers"), TableGrant(rows=rows)),))
    text = check("SELECT id FROM customers", source_schema=schema, grant=grant, limits=LIMITS).sql
    assert "WHERE" in text


def test_an_open_grant_gives_tables_of_every_schema() -> None:
    statement = check(
        "SELECT iban FROM hr.payroll", source_schema=shop(), grant=Grant.everything(), limits=Limits(max_rows=1)
    )
    assert statement.tables == ("hr.payroll",)


def test_a_grant_can_lower_the_number_of_rows_but_not_raise_it() -> None:
    for most, limit in ((5, 6), (500, 101)):
        grant = Grant(others=grants()["open"].others, max_rows=most)
        statement = check("SELECT id FROM orders", source_schema=shop(), grant=grant, limits=LIMITS)
        assert statement.sql.endswith(f"LIMIT {limit}")
        assert statement.limits.max_rows == limit - 1


def test_nothing_of_the_sql_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(StatementRefused):
        check("WITH x AS (SHOW secret) SELECT 1", source_schema=shop("mysql"), grant=Grant.everything(), limits=LIMITS)
    assert not caplog.records
