"""What holds for every query: the same rows as without the guard, and under a policy those of a database without the
hidden rows; and what holds for every text.

`AWAITSQL_EXAMPLES=2000 pytest tests/unit/mcp_server/sql/test_properties.py` tries more, and others each time.
"""

from __future__ import annotations

import os
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[3] / "fuzz"))
from invariants import hold, hold_tree, plain, verdict
from mutated import DIALECTS, mutated, soup
from queries import Query, queries
from twins import LIMITS, Ran, Twins, duckdb_twins, grant, mysql_twins, postgres_twins, source_schema, sqlite_twins

from executor import SourceSchema, Statement
from mcp_server.policy import Grant
from mcp_server.sql import StatementRefused, check

# Hypothesis keeps tables of characters and the like; not in the working copy.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "awaitsql-hypothesis")

MORE = int(os.environ.get("AWAITSQL_EXAMPLES", "0"))
QUERIES = ("sqlite", "duckdb", "postgres", "mysql")
_ENGINES = {
    "sqlite": ("", lambda _: sqlite_twins()),
    "duckdb": ("", lambda _: duckdb_twins()),
    "postgres": ("TEST_POSTGRES_URL", postgres_twins),
    "mysql": ("TEST_MYSQL_URL", mysql_twins),
}


_DENIED = re.compile(r"\bssn\b|[\"`]group[\"`]", re.IGNORECASE)


def examples(count: int) -> settings:
    """`count` examples, always the same ones; as many as are asked for and new ones when they are."""
    return settings(
        max_examples=MORE or count,
        derandomize=not MORE,
        database=None,
        deadline=None,
        # A failure is made smaller only where somebody waits for it: each step is a query.
        phases=(Phase.generate, Phase.shrink) if MORE else (Phase.generate,),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture),
    )


pytestmark = pytest.mark.timeout(3_600 if MORE else 120)


@pytest.fixture(scope="module", params=QUERIES)
def twins(request: pytest.FixtureRequest) -> Iterator[Twins]:
    variable, opened = _ENGINES[request.param]
    url = os.environ.get(variable, "") if variable else ""
    if variable and not url:
        pytest.skip(f"{variable} is not set")
    if variable == "TEST_MYSQL_URL":
        pytest.importorskip("pymysql")
    manager: AbstractContextManager[Twins] = opened(url)
    with manager as pair:
        yield pair


_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*(?:\n|$)|\s+", re.DOTALL)


def told(ran: Ran, query: Query, dialect: str) -> tuple[list[str], list[str]]:
    """Names and rows for comparing.

    SQLite and MariaDB name a column by its text, with a comment that stands beside it; DuckDB by its own reading of
    the text, in which a type or a query is written in another way. There the names are compared without.
    """
    names, rows = ran.told(ordered=query.ordered)
    plain_names = [_COMMENT.sub(" ", name).strip() for name in names]
    if dialect == "duckdb":
        plain_names = ["" if re.search(r"cast|select", name, re.IGNORECASE) else name for name in plain_names]
    return plain_names, rows


def guarded(sql: str, schema: SourceSchema, given: Grant) -> Statement | StatementRefused:
    try:
        return check(sql, source_schema=schema, grant=given, limits=LIMITS)
    except StatementRefused as refused:
        return refused


def test_a_query_gives_the_same_rows_and_names_as_without_the_guard(twins: Twins) -> None:
    @examples(40)
    @given(queries(twins.dialect, twins.default, denied=True))
    def same(query: Query) -> None:
        raw = twins.full(query.sql)
        if raw.error:
            return
        statement = guarded(query.sql, twins.schema, Grant.everything())
        assert isinstance(statement, Statement), f"{query.sql}\nis refused: {statement}"
        ran = twins.full(statement.sql)
        if ran.gave_up:
            return
        assert not ran.error, f"{query.sql}\n{statement.sql}\n{ran.error}"
        assert told(ran, query, twins.dialect) == told(raw, query, twins.dialect), f"{query.sql}\n{statement.sql}"

    same()


def test_under_a_policy_a_query_gives_what_it_gives_where_nothing_hidden_is(twins: Twins) -> None:
    @examples(40)
    @given(st.booleans().flatmap(lambda risky: queries(twins.dialect, twins.default, risky=risky, denied=not risky)))
    def same(query: Query) -> None:
        statement = guarded(query.sql, twins.schema, grant(twins.default))
        oracle = twins.seen(query.sql)
        if isinstance(statement, StatementRefused):
            # A column that is denied is refused where it stands, even where the oracle never looks.
            assert oracle.error or _DENIED.search(query.sql), f"{query.sql}\nis refused: {statement}"
            return
        ran = twins.full(statement.sql)
        assert "canary" not in repr(ran.rows) + ran.error and 'tenant_id" =' not in repr(ran.names), (
            f"{query.sql}\n{statement.sql}\n{ran}"
        )
        if ran.gave_up or oracle.gave_up:
            return
        assert bool(ran.error) == bool(oracle.error), f"{query.sql}\n{statement.sql}\n{ran.error}\n{oracle.error}"
        assert told(ran, query, twins.dialect) == told(oracle, query, twins.dialect), f"{query.sql}\n{statement.sql}"

    same()


@pytest.mark.parametrize("dialect", QUERIES)
def test_what_runs_is_the_end_of_rewriting(dialect: str) -> None:
    schema = source_schema(dialect, "main", {"int": "integer", "text": "text"})

    @examples(25)
    @given(queries(dialect, "main", denied=True))
    def fixed(query: Query) -> None:
        statement = guarded(query.sql, schema, Grant.everything())
        assert isinstance(statement, Statement), f"{query.sql}\nis refused: {statement}"
        again = guarded(statement.sql, schema, Grant.everything())
        assert isinstance(again, Statement), f"{query.sql}\n{statement.sql}\nis refused: {again}"
        assert plain(again.sql) == plain(statement.sql), query.sql
        hold_tree(statement.sql, dialect)

    fixed()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_text_makes_the_guard_stumble(dialect: str) -> None:
    @examples(40)
    @given(st.text(st.characters(exclude_categories=())) | st.binary().map(lambda raw: raw.decode("latin-1")))
    def refused_or_checked(text: str) -> None:
        for sql in (text, f"SELECT {text}", f"SELECT '{text}' AS x FROM customers"):
            verdict(sql, dialect)

    refused_or_checked()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_soups_and_mutations_are_refused_or_are_one_statement_that_reads(dialect: str) -> None:
    for seed in range(MORE * 5 or 60):
        chance = random.Random(seed if not MORE else None)
        sql = soup(chance, dialect) if seed % 4 == 0 else mutated(chance, dialect)
        for grant_name in ("open", "tenant"):
            said = verdict(sql, dialect, grant_name)
            if isinstance(said, Statement) and grant_name == "open":
                hold(said, dialect)


def test_postgres_reads_accepted_mutations_as_one_statement_that_only_reads() -> None:
    url = os.environ.get("TEST_POSTGRES_URL")
    if not url:
        pytest.skip("TEST_POSTGRES_URL is not set")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = on")
        for seed in range(MORE * 5 or 100):
            sql = mutated(random.Random(seed), "postgres")
            said = verdict(sql, "postgres")
            if isinstance(said, StatementRefused):
                continue
            try:
                # The extended protocol takes one statement only; EXPLAIN runs none.
                prefix = "" if said.sql.startswith("EXPLAIN") else "EXPLAIN "
                connection.execute(f"{prefix}{said.sql}".replace('"public".', "").encode(), prepare=True)
            except psycopg.Error as error:
                assert error.sqlstate != "25006", f"{sql}\n{said.sql}"
                assert "multiple commands" not in str(error), f"{sql}\n{said.sql}"
