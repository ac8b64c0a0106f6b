"""Every raw attack of tests/fixtures/lockdown is stopped by adapter and database alone, or is known not to be."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb
import psycopg
import pytest
from databases import SHOP, clickhouse_shop, rows_of
from lockdown import ALTERS, CANARY, GROUPS, Attack, Playground, attacks
from psycopg import sql

from executor.adapters import make_adapter
from executor.adapters.postgres_role import safer_role
from executor.adapters.sqlite_authorizer import FUNCTIONS
from executor.sources import DuckDBSource, PostgresSource, SQLiteSource
from mcp_server.sql.functions.sqlite import SCALAR

PLAYGROUNDS = {
    "sqlite": ("sqlite", "file"),
    "duckdb": ("duckdb", "file"),
    "duckdb over files": ("duckdb", "files"),
    "clickhouse": ("clickhouse", "folder"),
    "postgres as superuser": ("postgres", "superuser"),
    "postgres as reader": ("postgres", "reader"),
    "postgres at TEST_POSTGRES_URL as reader": ("postgres", "reader"),
}
CASES = [(name, attack) for name, (kind, _) in PLAYGROUNDS.items() for attack in attacks(kind)]


def _id(case: object) -> str:
    return f"{case.group}: {case.sql[:70]}" if isinstance(case, Attack) else str(case)


@pytest.fixture(scope="module")
def playgrounds(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Playground]]:
    """Opens a playground by name when it is first asked for."""
    found: dict[str, Playground] = {}
    with ExitStack() as opened:

        def get(name: str) -> Playground:
            if name not in found:
                found[name] = opened.enter_context(_playground(name, request))
            return found[name]

        yield get


@contextmanager
def _playground(name: str, request: pytest.FixtureRequest) -> Iterator[Playground]:
    kind, role = PLAYGROUNDS[name]
    with tempfile.TemporaryDirectory(prefix="lockdown-") as made:
        folder = Path(made)
        folder.chmod(0o777)  # a server of another user has to get at it, too
        _bait(folder)
        if kind == "sqlite":
            opening = _sqlite(folder)
        elif kind == "duckdb":
            opening = _duckdb(folder, role)
        elif kind == "clickhouse":
            opening = _clickhouse(folder)
        else:
            url = os.environ.get("TEST_POSTGRES_URL") if "TEST_" in name else request.getfixturevalue("postgres_url")
            if url is None:
                pytest.skip("TEST_POSTGRES_URL is not set")
            opening = _postgres(folder, url, role)
        with opening as playground:
            yield playground


@pytest.mark.parametrize(("name", "attack"), CASES, ids=_id)
def test_a_raw_attack_does_what_its_line_expects_and_no_more(
    playgrounds: Callable[[str], Playground], name: str, attack: Attack
) -> None:
    playground = playgrounds(name)
    effects = playground.effects(attack)
    # what an extension would open is closed where the server has not got it
    lacks = playground.lacks and re.search(playground.lacks, attack.sql)
    why = "" if lacks else attack.why_it_runs(playground.role)
    assert bool(effects) == bool(why), effects or f"it is stopped, although it was left open: {why}"


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in PLAYGROUNDS.values()}))
def test_every_kind_is_attacked_in_every_way(kind: str) -> None:
    found = attacks(kind)
    assert {attack.group for attack in found} == set(GROUPS)
    assert len(found) >= 60
    assert len({attack.sql for attack in found}) == len(found)


def test_nothing_that_alters_reads_files_or_leaves_something_is_left_to_the_reader_role() -> None:
    left = [a.sql for a in attacks("postgres") if a.group in ALTERS and a.why_it_runs("reader")]
    assert left == []


def test_sqlite_lets_the_functions_through_that_the_guard_does() -> None:
    words_not_functions = {"exists", "row"}
    assert set(SCALAR.split()) - words_not_functions <= FUNCTIONS


def _bait(folder: Path) -> None:
    """What there is to steal."""
    (folder / "secret.txt").write_text(CANARY)
    (folder / "secret.csv").write_text(f"a,b\n9,{CANARY}\n")
    (folder / "secret.json").write_text(f'{{"a": "{CANARY}"}}\n')
    (folder / f"{CANARY}.name").write_text("")
    duckdb.sql(f"SELECT '{CANARY}' AS a").write_parquet(str(folder / "secret.parquet"))
    with duckdb.connect(str(folder / "other.duckdb")) as other:
        other.execute(f"CREATE TABLE t AS SELECT '{CANARY}' AS a").fetchall()
    lite = sqlite3.connect(folder / "other.sqlite", isolation_level=None)
    lite.execute(f"CREATE TABLE t AS SELECT '{CANARY}' AS a")
    lite.close()


@contextmanager
def _sqlite(folder: Path) -> Iterator[Playground]:
    path = folder / "shop.sqlite"
    owner = sqlite3.connect(path, isolation_level=None)
    for statement in (
        *(text.format(s="main", ref="") for text in SHOP),
        "CREATE VIRTUAL TABLE notes USING fts5(body)",
        "INSERT INTO notes VALUES ('blue sky'), ('red sky')",
        "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO counted VALUES (1)",
    ):
        owner.execute(statement)
    owner.close()
    adapter = make_adapter("shop", SQLiteSource(path=path, max_running=1))
    yield Playground("sqlite", "file", adapter, folder, state=lambda: None)  # the file lies in the folder
    adapter.close()


@contextmanager
def _duckdb(folder: Path, role: str) -> Iterator[Playground]:
    path = folder / "shop.duckdb"
    with duckdb.connect(str(path)) as owner:
        for statement in (
            *(text.format(s="main", ref="") for text in SHOP),
            "CREATE SEQUENCE counter",
            f"CREATE VIEW secrets_view AS SELECT * FROM read_text('{folder}/secret.txt')",
            f"CREATE MACRO outside() AS TABLE SELECT * FROM read_text('{folder}/secret.txt')",
        ):
            owner.execute(statement).fetchall()
        seeded = owner.execute("SELECT setseed(0.5)").execute("SELECT random()").fetchone()
        assert seeded is not None
        for table in ("customers", "orders", "spent"):
            owner.execute(f"COPY {table} TO '{folder}/{table}.csv'").fetchall()
    config = DuckDBSource(path=path, memory_limit_mb=128)
    if role == "files":
        files = tuple(folder / f"{table}.csv" for table in ("customers", "orders", "spent"))
        config = DuckDBSource(files=files, memory_limit_mb=128)
    adapter = make_adapter("shop", config)
    yield Playground(
        "duckdb", role, adapter, folder, state=lambda: None, fill=lambda: {"random": seeded[0]}
    )  # the file lies in the folder
    adapter.close()


_CLICKHOUSE = """
    SELECT groupArray(x) FROM (SELECT x FROM (
        SELECT toString(tuple(*)) AS x FROM shop.customers
        UNION ALL SELECT toString(tuple(*)) FROM shop.orders
        UNION ALL SELECT concat(database, name, toString(engine), create_table_query) FROM system.tables
                  WHERE database NOT IN ('INFORMATION_SCHEMA', 'information_schema', 'system')
        UNION ALL SELECT name FROM system.databases
        UNION ALL SELECT name FROM system.functions WHERE origin != 'System'
    ) ORDER BY x)
"""


@contextmanager
def _clickhouse(folder: Path) -> Iterator[Playground]:
    with tempfile.TemporaryDirectory(prefix="lockdown-") as apart:  # the engine's own files change all the time
        adapter = make_adapter("shop", clickhouse_shop(Path(apart)).config)
        yield Playground("clickhouse", "folder", adapter, folder, state=lambda: rows_of(adapter, _CLICKHOUSE))
        adapter.close()


_POSTGRES = (
    "CREATE SCHEMA shop",
    "CREATE SCHEMA hidden",
    *(text.format(s="shop", ref="shop.") for text in SHOP),
    f"CREATE TABLE hidden.secrets AS SELECT '{CANARY}'::text AS word",
    "CREATE MATERIALIZED VIEW shop.frozen AS SELECT count(*) FROM shop.orders",
    "CREATE SEQUENCE shop.counter",
    "SELECT lo_from_bytea(42, 'bait')",
    "CREATE FUNCTION shop.deletes() RETURNS int LANGUAGE sql AS 'DELETE FROM shop.orders RETURNING 1'",
    "CREATE FUNCTION shop.deletes_as_owner() RETURNS int LANGUAGE sql SECURITY DEFINER"
    " AS 'DELETE FROM shop.orders RETURNING 1'",
    "CREATE PROCEDURE shop.clears() LANGUAGE sql AS 'DELETE FROM shop.orders'",
    "CREATE FUNCTION shop.makes_a_table() RETURNS int LANGUAGE plpgsql"
    " AS 'BEGIN CREATE TABLE shop.made (a int); RETURN 1; END'",
    "CREATE FUNCTION shop.runs_a_program() RETURNS int LANGUAGE plpgsql"
    # a program that reads: one that ends before it is written to makes COPY fail, now and then
    " AS $$BEGIN COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'; RETURN 1; END$$",
    "CREATE FUNCTION shop.prepares() RETURNS int LANGUAGE plpgsql"
    " AS $$BEGIN EXECUTE 'PREPARE made AS SELECT 1'; RETURN 1; END$$",
    "CREATE FUNCTION shop.loops() RETURNS int LANGUAGE plpgsql AS 'BEGIN LOOP END LOOP; END'",
)
_STATE = """
    SELECT array_agg(x ORDER BY x) FROM (
        SELECT c::text AS x FROM shop.customers c
        UNION ALL SELECT o::text FROM shop.orders o
        UNION ALL SELECT f::text FROM shop.frozen f
        UNION ALL SELECT s::text FROM hidden.secrets s
        UNION ALL SELECT concat_ws(' ', last_value, is_called) FROM shop.counter
        UNION ALL SELECT concat_ws(' ', relnamespace, relname, relkind, relnatts, relacl, relfilenode) FROM pg_class
                  WHERE relnamespace IN ('shop'::regnamespace, 'hidden'::regnamespace, 'public'::regnamespace)
                     OR relpersistence = 't'
        UNION ALL SELECT concat_ws(' ', pronamespace, proname, proacl) FROM pg_proc WHERE oid > 16383
        UNION ALL SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%'
        UNION ALL SELECT loid || encode(data, 'hex') FROM pg_largeobject
        UNION ALL SELECT extname FROM pg_extension
        UNION ALL SELECT description FROM pg_description WHERE objoid > 16383
        UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname LIKE 'made%'
        UNION ALL SELECT 'set ' || setconfig::text FROM pg_db_role_setting
                  WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
        UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE slot_name = 'made'
        UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin WHERE roname = 'made'
        UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts WHERE database = current_database()
        UNION ALL SELECT 'lock ' || count(*) FROM pg_locks WHERE locktype = 'advisory'
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) AS all_of_it
"""


@contextmanager
def _postgres(folder: Path, url: str, role: str) -> Iterator[Playground]:
    token = uuid.uuid4().hex[:10]
    base, reader = f"lockdown_{token}", f"lockdown_reader_{token}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(base)))
    here = _with_base(url, base)
    try:
        with psycopg.connect(here, autocommit=True) as owner:
            for statement in _POSTGRES:
                owner.execute(statement.encode())
            parts = (
                ("CREATE EXTENSION dblink", "dblink"),
                ("SELECT query_to_xml('SELECT 1', true, true, '')", "_to_xml"),
            )
            lacks = "|".join(pattern for statement, pattern in parts if not _may(owner, statement))
            seeded = owner.execute("SELECT setseed(0.5)") and owner.execute("SELECT random()").fetchone()
            assert seeded is not None
            if role == "reader":  # made by exactly what doctor prints, but for its name
                text = safer_role(owner, base, ("shop",)).replace("awaitsql_reader", reader)
                owner.execute(text.encode())
            source = here.replace("postgres@", f"{reader}@") if role == "reader" else here
            adapter = make_adapter("shop", PostgresSource(url=source, max_running=1))
            values = {"database": base, "random": seeded[0], "self": _as_dsn(here)}
            yield Playground("postgres", role, adapter, folder, state=_looks(owner), fill=lambda: values, lacks=lacks)
            adapter.close()
    finally:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'made'"
            )
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(base)))
            server.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(reader)))


def _looks(owner: psycopg.Connection) -> Callable[[], object]:
    return lambda: owner.execute(_STATE.encode()).fetchone()


def _with_base(url: str, base: str) -> str:
    before, mark, after = url.partition("?")
    return f"{before.rsplit('/', 1)[0]}/{base}{mark}{after}"


def _as_dsn(url: str) -> str:
    return " ".join(f"{k}={v}" for k, v in psycopg.conninfo.conninfo_to_dict(url).items())


def _may(owner: psycopg.Connection, statement: str) -> bool:
    try:
        owner.execute(statement.encode())
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile):
        return False
    return True
