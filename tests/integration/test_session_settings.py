"""The caller's attributes reach the database's own rules: each sees his rows, and the next one on a connection his."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from databases import Database, postgres_shop, rows_of
from machines import Machine, running, settings_for
from policies import caller_with

from executor import ErrorCode, ExecutorError, ExecutorSettings, Job, JobState, PostgresSource, Statement
from executor.adapters import make_adapter
from mcp_server.grants import Policies
from mcp_server.principal import Principal
from mcp_server.problems import Places
from mcp_server.settings import McpServerSettings
from mcp_server.sql import RefusalCode, StatementRefused
from mcp_server.submission import checked_statement

pytestmark = pytest.mark.asyncio(loop_scope="module")
SESSION = {"app.tenant": ":principal.tenant", "app.via": "awaitsql"}
ADA, BEN, NOBODY = caller_with(tenant="ada"), caller_with(tenant="ben"), caller_with()


@pytest.fixture(scope="module")
def notes(postgres_url: str) -> Iterator[Database]:
    """A shop with a table of notes, each of one tenant, which PostgreSQL itself shows to that tenant only."""
    with postgres_shop(postgres_url) as shop:
        s = shop.schema
        shop.as_owner(
            f"CREATE TABLE {s}.notes (id int, tenant text)",
            f"INSERT INTO {s}.notes SELECT n, (ARRAY['ada', 'ben', ''])[1 + n % 3] FROM generate_series(1, 3000) n",
            f"ALTER TABLE {s}.notes ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY own ON {s}.notes USING (tenant = nullif(current_setting('app.tenant', true), '')"
            " AND current_setting('app.via', true) = 'awaitsql')",
            f"GRANT USAGE ON SCHEMA {s} TO only_reads",
            f"GRANT SELECT ON {s}.notes TO only_reads",
        )
        yield shop
        shop.as_owner(f"REVOKE ALL ON SCHEMA {s} FROM only_reads")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(notes, postgres_url, tmp_path_factory) -> AsyncIterator[Machine]:
    """One worker with one connection to the source, so that all callers have the same one after the other."""
    source = {
        "kind": "postgres",
        "url": postgres_url.replace("postgres@", "only_reads@"),
        "schemas": [notes.schema],
        "session": SESSION,
        "max_running": 1,
    }
    settings = settings_for(tmp_path_factory.mktemp("machine"), Path("/nowhere"), sources={"shop": source})
    async with running(settings) as made:
        await made.executor.source_schema("shop", wait_s=30)
        yield made


def policies_for(machine: Machine) -> Policies:
    return Policies(McpServerSettings(), Places(), sessions=machine.settings.sessions())


async def checked(machine: Machine, caller: Principal, sql: str) -> Statement:
    limits = machine.settings.limits.limits()
    [table] = [t for t in (await machine.executor.source_schema("shop")).tables if t.name == "notes"]
    sql = sql.replace("FROM notes", f"FROM {table.schema}.notes")
    return await checked_statement(machine.executor, policies_for(machine), caller, sql, source="shop", limits=limits)


async def submitted(machine: Machine, caller: Principal, sql: str, owner: str) -> Job:
    return await machine.executor.submit(await checked(machine, caller, sql), owner=owner)


async def test_each_caller_sees_his_rows_on_connections_that_all_share(machine):
    sql = "SELECT tenant, count(*) AS n FROM notes GROUP BY tenant"
    jobs = [
        await submitted(machine, caller, sql, owner=f"{name} {number}")
        for number in range(8)
        for name, caller in (("ada", ADA), ("ben", BEN))
    ]
    ended = [await machine.until(job, JobState.SUCCEEDED) for job in jobs]

    assert [job.preview for job in ended] == [[["ada", 1000]], [["ben", 1000]]] * 8


async def test_equal_statements_of_one_owner_share_no_rows_across_attributes(machine):
    sql = "SELECT min(id) AS first FROM notes"
    jobs = [await submitted(machine, caller, sql, owner="one") for caller in (ADA, BEN, ADA)]
    ended = [await machine.until(job, JobState.SUCCEEDED) for job in jobs]

    assert [job.preview for job in ended] == [[[3]], [[1]], [[3]]]
    assert [job.notes.get("shared") for job in ended][1] is None
    policies_for(machine).hold(ADA, ended[0])
    with pytest.raises(ExecutorError) as caught:
        policies_for(machine).hold(BEN, ended[0])
    assert caught.value.code is ErrorCode.POLICY_CHANGED


@pytest.mark.parametrize("caller", [NOBODY, caller_with(tenant=("ada", "ben")), caller_with(tenant="a\0b")])
async def test_without_one_value_for_the_attribute_nothing_is_run(machine, caller):
    with pytest.raises(ExecutorError) as caught:
        await checked(machine, caller, "SELECT * FROM notes")

    assert caught.value.code is ErrorCode.ATTRIBUTE_MISSING
    assert "tenant" in caught.value.message


async def test_a_statement_that_does_not_carry_the_settings_is_not_taken(machine):
    with pytest.raises(ExecutorError) as caught:
        await machine.submit("SELECT 1")

    assert caught.value.code is ErrorCode.ATTRIBUTE_MISSING


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELECT set_config('app.tenant', 'ben', true), count(*) FROM notes", RefusalCode.FUNCTION_NOT_ALLOWED),
        ("SELECT current_setting('app.tenant')", RefusalCode.FUNCTION_NOT_ALLOWED),
        ("SET app.tenant = 'ben'", RefusalCode.NOT_READ_ONLY),
    ],
)
async def test_sql_does_not_reach_the_settings(machine, sql, code):
    with pytest.raises(StatementRefused) as refused:
        await checked(machine, ADA, sql)

    assert refused.value.code is code


async def test_a_value_is_a_text_whatever_it_holds(machine):
    nasty = caller_with(tenant="x', true), set_config('app.tenant', 'ada")
    job = await submitted(machine, nasty, "SELECT count(*) AS n FROM notes", owner="nasty")

    assert (await machine.until(job, JobState.SUCCEEDED)).preview == [[0]]


async def test_a_role_of_the_session_ends_with_it_and_one_that_may_not_be_taken_is_not_told(notes, postgres_url):
    s = notes.schema
    notes.as_owner(f"CREATE ROLE {s}_seller", f"GRANT {s}_seller TO only_reads")
    config = PostgresSource(
        url=postgres_url.replace("postgres@", "only_reads@"), schemas=(s,), session={"role": "x"}, max_running=1
    )
    adapter = make_adapter("shop", config)
    asks = "SELECT current_user::text AS u"
    try:

        def under(role: str) -> list[dict[str, Any]]:
            with adapter.session(timeout_s=20) as session:
                session.take_on({"role": role})
                return [row for batch in session.run(asks).batches for row in batch.to_pylist()]

        assert await asyncio.to_thread(under, f"{s}_seller") == [{"u": f"{s}_seller"}]
        assert rows_of(adapter, asks) == [("only_reads",)]
        with pytest.raises(ExecutorError) as caught:
            under("postgres")
        assert caught.value.code is ErrorCode.SOURCE_AUTH_FAILED
        assert "postgres" not in caught.value.message
    finally:
        adapter.close()
        notes.as_owner(f"DROP ROLE {s}_seller")


async def test_functions_of_mariadb_read_the_variables_and_the_next_session_has_none(mysql_database):
    s = mysql_database.schema
    mysql_database.as_owner(
        f"CREATE FUNCTION {s}.tenant() RETURNS VARCHAR(100) CHARSET utf8mb4 NO SQL RETURN @app_tenant",
        f"CREATE VIEW {s}.mine AS SELECT {s}.tenant() AS tenant",
    )
    adapter = make_adapter("shop", mysql_database.config.model_copy(update={"max_running": 1}))
    try:
        for value in ("ada", "é' \\ --"):
            with adapter.session(timeout_s=20) as session:
                session.take_on({"app.tenant": value})
                for _ in range(2):
                    rows = session.run(f"SELECT tenant FROM {s}.mine")
                    assert [r for b in rows.batches for r in b.to_pylist()] == [{"tenant": value}]
            assert rows_of(adapter, f"SELECT tenant FROM {s}.mine") == [(None,)]
    finally:
        adapter.close()


@pytest.mark.parametrize(
    ("kind", "session"),
    [
        ("postgres", {"search_path": "evil"}),
        ("postgres", {"statement_timeout": "0"}),
        ("postgres", {"app.x', true) --": "1"}),
        ("postgres", {"app.tenant": ":principal.a.b"}),
        ("mysql", {"role": "boss"}),
        ("mysql", {"sql_mode": ""}),
        ("mysql", {"a.b_c": "1", "a.b.c": "2"}),
        ("sqlite", {"app.tenant": ":principal.tenant"}),
        ("duckdb", {"app.tenant": ":principal.tenant"}),
    ],
)
async def test_settings_that_cannot_be_given_are_refused_at_the_start(kind, session):
    where = {"path": "x"} if kind in ("sqlite", "duckdb") else {"url": f"{kind}://reader@host/db"}
    with pytest.raises(ValueError, match="session"):
        ExecutorSettings.model_validate(
            {"state_dir": "/nowhere", "sources": {"shop": {"kind": kind, "session": session, **where}}}
        )
