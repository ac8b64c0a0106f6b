"""What a policy hides stays hidden on every kind of database: from the words of the file to the rows of the server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest
from databases import WITH_VIEWS, Database, rows_of
from policies import SALT, Policed, caller_with, policies_of
from shops import opened_shops

from executor import ErrorCode, SourceFailed
from executor.adapters.base import Adapter
from mcp_server.sql import StatementRefused

PEOPLE = (
    "CREATE TABLE {s}.people (id INTEGER PRIMARY KEY, tenant VARCHAR(20), region VARCHAR(20), email VARCHAR(80),"
    " born DATE, seen TIMESTAMP NULL, pay INTEGER, note VARCHAR(40))",
    "INSERT INTO {s}.people VALUES (1, 'acme', 'eu', 'ada@example.org', '1990-05-17', '2026-03-04 10:20:30', 10, 'x')",
    "INSERT INTO {s}.people VALUES (2, 'acme', 'us', 'bo', '2001-12-31', NULL, 20, NULL)",
    "INSERT INTO {s}.people VALUES (3, 'ACME', 'eu', 'cy@example.org', '1985-01-01', NULL, 30, 'hidden-canary')",
    "INSERT INTO {s}.people VALUES (4, 'other', 'eu', 'ada@example.org', '1990-05-17', NULL, 40, 'hidden-canary')",
    "INSERT INTO {s}.people VALUES (5, 'acme', 'eu', NULL, NULL, NULL, NULL, NULL)",
)
POLICY = """
[[mcp_server.policies.shop]]
roles = ["boss"]

[[mcp_server.policies.shop]]
name = "own tenant"
attributes = { level = [1, 2] }
tables = ["people", "customers"]
max_rows = 2
timeout_s = 5.0
[mcp_server.policies.shop.protect.people]
rows = "tenant = :principal.tenant"
deny = ["pay"]
masks = { email = "hash", note = "null" }

[[mcp_server.policies.shop]]
roles = ["partial"]
[mcp_server.policies.shop.protect.people]
rows = "region IN :principal.regions AND id < 5"
masks = { email = { kind = "partial", keep_start = 2, keep_end = 3 }, tenant = { kind = "constant", value = "***" } }

[[mcp_server.policies.shop]]
roles = ["dates"]
[mcp_server.policies.shop.protect.people]
columns = ["id", "born", "seen"]
masks = { born = { kind = "date", unit = "month" }, seen = { kind = "date", unit = "hour" } }

[[mcp_server.policies.shop]]
roles = ["quarters"]
[mcp_server.policies.shop.protect.people]
masks = { born = { kind = "date", unit = "quarter" }, seen = { kind = "date", unit = "year" } }

[[mcp_server.policies.shop]]
roles = ["others"]
[mcp_server.policies.shop.protect.people]
rows = "tenant <> :principal.not_of AND region IS NOT NULL"
masks = { tenant = { kind = "constant", value = "***" }, region = "null" }
"""


@pytest.fixture(scope="module")
def shops(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Database]:
    """Shops of this file's own, with a table of people."""
    opened = opened_shops(request, tmp_path_factory)
    furnished: set[str] = set()

    def get(kind: str) -> Database:
        shop = opened(kind)
        if kind not in furnished:
            furnished.add(kind)
            shop.as_owner(*(sql.format(s=shop.schema) for sql in PEOPLE))
        return shop

    return get


@pytest.fixture
def adapter(database: Database) -> Iterator[Adapter]:
    made = database.adapter()
    yield made
    made.close()


@pytest.fixture
def policed(adapter: Adapter, database: Database) -> Policed:
    text = (
        POLICY
        if database.schema == "main"
        else POLICY.replace('"people"', f'"{database.schema}.people"')
        .replace('"customers"', f'"{database.schema}.customers"')
        .replace("protect.people", f'protect."{database.schema}.people"')
    )
    return Policed(policies_of(text), adapter.inspect())


def people(database: Database) -> str:
    return database.table("people")


def test_a_caller_reads_the_rows_of_their_tenant_and_of_no_other_spelling_of_it(
    adapter: Adapter, policed: Policed, database: Database
) -> None:
    statement = policed.check(f"SELECT id FROM {people(database)} ORDER BY id", level=1, tenant="acme")
    assert rows_of(adapter, statement.sql) == [(1,), (2,), (5,)]
    assert "tenant" not in statement.shown_sql
    loud = policed.check(f"SELECT id FROM {people(database)}", level="2", tenant="ACME")
    assert rows_of(adapter, loud.sql) == [(3,)]


def test_an_attribute_with_several_values_gives_the_rows_of_each(
    adapter: Adapter, policed: Policed, database: Database
) -> None:
    both = policed.check(f"SELECT id FROM {people(database)} ORDER BY id", level=1, tenant=("acme", "other"))
    assert rows_of(adapter, both.sql) == [(1,), (2,), (4,)]
    none = policed.check(f"SELECT id FROM {people(database)}", level=1, tenant=())
    assert rows_of(adapter, none.sql) == []


def test_without_the_attribute_that_a_filter_asks_for_the_table_is_not_there(
    policed: Policed, database: Database
) -> None:
    with pytest.raises(StatementRefused) as refused:
        policed.check(f"SELECT id FROM {people(database)}", level=1)
    assert refused.value.code == "unknown_table"


def test_a_denied_column_is_as_unknown_as_one_that_is_not_there(policed: Policed, database: Database) -> None:
    texts: list[str] = []
    for column in ("pay", "pax"):
        with pytest.raises(StatementRefused) as refused:
            policed.check(f"SELECT {column} FROM {people(database)}", level=1, tenant="acme")
        assert refused.value.code == "unknown_column"
        texts.append(f"{refused.value.message} {refused.value.hint}".replace(column, "COLUMN"))
    assert texts[0] == texts[1]
    assert "pay" not in texts[1]


def test_hashed_values_join_and_group_and_tell_nothing_else(
    adapter: Adapter, policed: Policed, database: Database
) -> None:
    sql = f"SELECT email, count(*) FROM {people(database)} GROUP BY email ORDER BY count(*), email"
    caller = {"level": 1, "tenant": ("acme", "other")}
    rows = rows_of(adapter, policed.check(sql, **caller).sql)
    digest = hashlib.sha256(f"{SALT}ada@example.org".encode()).hexdigest()
    assert (digest, 2) in rows
    assert (None, 1) in rows
    joined = (
        f"SELECT a.id, b.id FROM {people(database)} a JOIN {people(database)} b ON a.email = b.email AND a.id < b.id"
    )
    assert rows_of(adapter, policed.check(joined, **caller).sql) == [(1, 4)]
    hidden = f"SELECT id FROM {people(database)} WHERE email = 'ada@example.org' OR note IS NOT NULL"
    assert rows_of(adapter, policed.check(hidden, **caller).sql) == []
    assert SALT not in policed.check(sql, **caller).shown_sql


def test_partial_and_constant_masks_show_what_they_keep(adapter: Adapter, policed: Policed, database: Database) -> None:
    statement = policed.check(
        f"SELECT id, email, tenant FROM {people(database)} ORDER BY id", roles=("partial",), regions=("eu", "us")
    )
    assert rows_of(adapter, statement.sql) == [
        (1, "ad***org", "***"),
        (2, "***", "***"),
        (3, "cy***org", "***"),
        (4, "ad***org", "***"),
    ]


def test_a_filter_goes_by_the_values_of_a_column_that_is_masked_and_not_by_the_mask(
    adapter: Adapter, policed: Policed, database: Database
) -> None:
    sql = f"SELECT id, tenant, region FROM {people(database)} ORDER BY id"
    statement = policed.check(sql, roles=("others",), not_of="other")
    assert rows_of(adapter, statement.sql) == [(i, "***", None) for i in (1, 2, 3, 5)]


@pytest.mark.parametrize(
    ("role", "born", "seen"),
    [
        ("dates", ["1985-01-01", "1990-05-01", "1990-05-01", "2001-12-01", None], "2026-03-04 10:00:00"),
        ("quarters", ["1985-01-01", "1990-04-01", "1990-04-01", "2001-10-01", None], "2026-01-01"),
    ],
)
def test_dates_are_cut_to_the_beginning_of_their_unit(
    adapter: Adapter, policed: Policed, database: Database, role: str, born: list[str | None], seen: str
) -> None:
    sql = f"SELECT born FROM {people(database)} ORDER BY CASE WHEN born IS NULL THEN 1 ELSE 0 END, born"
    found = [
        None if value is None else str(value) for (value,) in rows_of(adapter, policed.check(sql, roles=(role,)).sql)
    ]
    assert found == born
    ((moment,),) = rows_of(
        adapter, policed.check(f"SELECT seen FROM {people(database)} WHERE seen IS NOT NULL", roles=(role,)).sql
    )
    assert str(moment).startswith(seen)


def test_the_first_rule_that_fits_counts_and_where_none_does_the_source_is_not_there(
    adapter: Adapter, policed: Policed, database: Database
) -> None:
    whole = policed.check(f"SELECT count(*), sum(pay) FROM {people(database)}", roles=("boss",), level=1)
    assert [tuple(map(int, row)) for row in rows_of(adapter, whole.sql)] == [(5, 100)]  # pyright: ignore
    with pytest.raises(SourceFailed) as failed:
        policed.check("SELECT 1", level=3)
    assert failed.value.code is ErrorCode.SOURCE_NOT_READY
    assert not policed.policies.sees(caller_with(), "shop")


def test_tables_that_no_rule_grants_read_as_unknown(policed: Policed, database: Database) -> None:
    policed.check(f"SELECT name FROM {database.table('customers')}", level=1, tenant="acme")
    with pytest.raises(StatementRefused) as refused:
        policed.check(f"SELECT id FROM {database.table('orders')}", level=1, tenant="acme")
    assert refused.value.code == "unknown_table"
    assert "orders" not in refused.value.hint


def test_a_rule_lowers_the_limits_and_says_what_it_did(policed: Policed, database: Database) -> None:
    statement = policed.check(f"SELECT id FROM {people(database)}", level=1, tenant="acme")
    assert (statement.limits.max_rows, statement.limits.timeout_s) == (2, 5.0)
    (touch,) = statement.proof
    assert touch.table == people(database)
    assert touch.rule.startswith("own tenant (policy.toml:5: ")
    assert (touch.filtered, touch.masked, touch.denied) == (True, ("email", "note"), ("pay",))
    assert statement.is_filtered


def test_the_hash_of_a_grant_changes_with_the_callers_tenant_and_not_with_the_schema(
    adapter: Adapter, policed: Policed, database: Database
) -> None:
    sql = f"SELECT id FROM {people(database)}"
    mine = policed.check(sql, level=1, tenant="acme").policy_hash
    assert mine == policed.check(sql, level=2, tenant="acme").policy_hash
    assert mine != policed.check(sql, level=1, tenant="other").policy_hash
    adapter.close()
    database.as_owner(f"CREATE TABLE {database.table('more')} (id INTEGER)")
    later = Policed(policed.policies, adapter.inspect())
    adapter.close()
    database.as_owner(f"DROP TABLE {database.table('more')}")
    assert later.check(sql, level=1, tenant="acme").policy_hash == mine


@pytest.mark.parametrize("database", WITH_VIEWS, indirect=True)
def test_a_view_that_reaches_a_protected_table_is_read_only_where_the_rule_names_it(
    adapter: Adapter, database: Database
) -> None:
    adapter.close()
    view, above = database.table("everybody"), database.table("above")
    database.as_owner(
        f"CREATE VIEW {view} AS SELECT id, pay FROM {people(database)}",
        f"CREATE VIEW {above} AS SELECT id FROM {view}",
    )
    protected = f'[mcp_server.policies.shop.protect."{people(database)}"]\nrows = "id = 1"'
    schema = adapter.inspect()
    closed = Policed(policies_of(f"[[mcp_server.policies.shop]]\n{protected}"), schema)
    for name in (view, above):
        with pytest.raises(StatementRefused) as refused:
            closed.check(f"SELECT id FROM {name}")
        assert refused.value.code == "unknown_table"
    named = Policed(policies_of(f'[[mcp_server.policies.shop]]\nviews = ["{view}"]\n{protected}'), schema)
    assert rows_of(adapter, named.check(f"SELECT count(*) FROM {view}").sql) == [(5,)]
    with pytest.raises(StatementRefused):
        named.check(f"SELECT id FROM {above}")
    adapter.close()
    database.as_owner(f"DROP VIEW {above}", f"DROP VIEW {view}")


@pytest.mark.parametrize("partitioned", [True, False])
def test_a_partition_and_a_table_that_inherits_have_their_parents_rule(
    postgres_database: Database, partitioned: bool
) -> None:
    s = postgres_database.schema
    postgres_database.as_owner(
        f"CREATE TABLE {s}.log (id int, tenant text, secret text)"
        + (" PARTITION BY RANGE (id)" if partitioned else ""),
        f"CREATE TABLE {s}.log_1 PARTITION OF {s}.log FOR VALUES FROM (1) TO (100) PARTITION BY RANGE (id)"
        if partitioned
        else f"CREATE TABLE {s}.log_1 () INHERITS ({s}.log)",
        f"CREATE TABLE {s}.log_1_1 PARTITION OF {s}.log_1 FOR VALUES FROM (1) TO (50)"
        if partitioned
        else f"CREATE TABLE {s}.log_1_1 (more int) INHERITS ({s}.customers, {s}.log_1)",
        f"INSERT INTO {s}.log_1_1 (id, tenant, secret{'' if partitioned else ', name'}) VALUES "
        + ("(1, 'a', 'x'), (2, 'b', 'y')" if partitioned else "(1, 'a', 'x', 'n'), (2, 'b', 'y', 'n')"),
    )
    adapter = postgres_database.adapter()
    rule = f'[[mcp_server.policies.shop]]\n[mcp_server.policies.shop.protect."{s}.log"]\n'
    policed = Policed(policies_of(f'{rule}rows = "tenant = \'a\'"\ndeny = ["secret"]'), adapter.inspect())
    for table in ("log", "log_1", "log_1_1"):
        assert rows_of(adapter, policed.check(f"SELECT id FROM {s}.{table}").sql) == [(1,)]
        with pytest.raises(StatementRefused):
            policed.check(f"SELECT secret FROM {s}.{table}")
    adapter.close()


def test_a_view_over_a_function_of_the_databases_own_is_not_there_where_anything_is_protected(
    postgres_database: Database, duckdb_database: Database
) -> None:
    s = postgres_database.schema
    postgres_database.as_owner(
        f"CREATE FUNCTION {s}.told() RETURNS TABLE (id int) LANGUAGE plpgsql AS "
        f"$$ BEGIN RETURN QUERY SELECT c.id FROM {s}.customers c; END $$",
        f"CREATE VIEW {s}.through AS SELECT * FROM {s}.told()",
    )
    duckdb_database.as_owner(
        "CREATE MACRO told() AS TABLE SELECT id FROM customers", "CREATE VIEW through AS SELECT * FROM told()"
    )
    for database in (postgres_database, duckdb_database):
        adapter = database.adapter()
        rule = f'[mcp_server.policies.shop.protect."{database.table("customers")}"]\nrows = "id = 1"'
        policed = Policed(policies_of(f"[[mcp_server.policies.shop]]\n{rule}"), adapter.inspect())
        with pytest.raises(StatementRefused):
            policed.check(f"SELECT id FROM {database.table('through')}")
        whole = Policed(policies_of("[[mcp_server.policies.shop]]\nmax_rows = 10"), adapter.inspect())
        assert rows_of(adapter, whole.check(f"SELECT count(*) FROM {database.table('through')}").sql) == [(3,)]
        adapter.close()


def test_texts_are_compared_to_the_letter_whatever_the_columns_collation(
    sqlite_database: Database, duckdb_database: Database
) -> None:
    for database, collation in ((sqlite_database, "NOCASE"), (duckdb_database, "NOCASE")):
        database.as_owner(
            f"CREATE TABLE teams (id INTEGER, tenant VARCHAR COLLATE {collation})",
            "INSERT INTO teams VALUES (1, 'acme'), (2, 'ACME'), (3, 'other')",
        )
        adapter = database.adapter()
        for rows, found in (
            ("tenant = :principal.t", [(1,)]),
            ("tenant IN (:principal.t, 'x')", [(1,)]),
            ("tenant <> :principal.t", [(3,)]),
            ("tenant NOT IN (:principal.t, 'x')", [(3,)]),
        ):
            rule = f'[mcp_server.policies.shop.protect.teams]\nrows = "{rows}"'
            policed = Policed(policies_of(f"[[mcp_server.policies.shop]]\n{rule}"), adapter.inspect())
            assert rows_of(adapter, policed.check("SELECT id FROM teams ORDER BY id", t="acme").sql) == found, rows
        adapter.close()
