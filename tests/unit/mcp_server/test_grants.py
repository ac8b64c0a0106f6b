"""Rules that do not fit their source close it, and say where they stand."""

from __future__ import annotations

import pytest
from policies import caller_with, policies_of

from executor import Column, CostGate, ErrorCode, SettingsInvalid, SourceFailed, SourceSchema, Table
from mcp_server.grants import Policies
from mcp_server.principal import AttributeValue
from mcp_server.sql import granted_tables

SHOP = SourceSchema(
    "shop",
    "postgres",
    "public",
    (
        Table("public", "orders", columns=(Column("id", "integer"), Column("email", "text"), Column("day", "date"))),
        Table("public", "totals", kind="view", columns=(Column("n", "integer"),), reads=(("public", "orders"),)),
        Table("hr", "payroll", columns=(Column("iban", "text"),)),
    ),
)


def problems(rule: str) -> list[str]:
    """The line and the words of each problem of a rule, which begins on line 1."""
    policies = policies_of(f"[[mcp_server.policies.shop]]\n{rule}")
    return [f"{p.place.split(':')[1]}: {p.message}" for p in policies.problems(SHOP)]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('tables = ["orders", "hr.*", "totals"]\nviews = ["totals"]', []),
        ('schemas = ["publik"]', ["1: There is no schema publik. Did you mean public?"]),
        ('tables = ["ordes"]', ["1: No table is named ordes. Did you mean orders?"]),
        ('views = ["orders"]', ["1: There is no view orders. Did you mean orders?"]),
        ("[mcp_server.policies.shop.protect.order]", ["2: There is no table order. Did you mean orders?"]),
        (
            '[mcp_server.policies.shop.protect.orders]\ndeny = ["id", "emial"]',
            ["3: orders has no column emial. Did you mean email?"],
        ),
        (
            '[mcp_server.policies.shop.protect.orders]\nrows = "tenant = 3"',
            ["3: orders has no column tenant."],
        ),
        (
            "[mcp_server.policies.shop.protect.orders]\n\nrows = \"id = 'seven'\"",
            ["4: id is number: a number is needed."],
        ),
        (
            '[mcp_server.policies.shop.protect.orders]\nmasks = { email = { kind = "date", unit = "year" } }',
            ["3: email is text: only a date or a timestamp has a beginning of its month."],
        ),
        ('[mcp_server.policies.shop.protect."hr.payroll"]\nmasks = { iban = "hash" }', []),
    ],
)
def test_a_rule_is_held_to_the_schema(rule: str, said: list[str]) -> None:
    assert problems(rule) == said


def test_a_source_whose_rule_does_not_fit_gives_nothing_and_names_the_place_only() -> None:
    policies = policies_of(
        '[[mcp_server.policies.shop]]\n[mcp_server.policies.shop.protect.secret_plans]\ndeny = ["x"]'
    )
    with pytest.raises(SourceFailed) as failed:
        policies.grant(caller_with(), SHOP)
    assert failed.value.code is ErrorCode.SOURCE_NOT_READY
    assert "policy.toml:2" in failed.value.message


def test_a_filter_that_is_not_understood_is_an_error_of_the_configuration() -> None:
    with pytest.raises(SettingsInvalid) as invalid:
        policies_of('[[mcp_server.policies.shop]]\n[mcp_server.policies.shop.protect.orders]\nrows = "id = other"')
    assert invalid.value.message.startswith(
        "policy.toml:3: [mcp_server.policies.shop.protect.orders] rows: other should"
    )


def version_of(policies: Policies) -> str:
    return policies.version


def test_the_version_of_the_policies_changes_with_what_they_say_and_not_with_names() -> None:
    one = version_of(policies_of('[[mcp_server.policies.shop]]\nname = "a"\nmax_rows = 5'))
    assert one == version_of(policies_of('[[mcp_server.policies.shop]]\nname = "b"\nmax_rows = 5'))
    assert one != version_of(policies_of("[[mcp_server.policies.shop]]\nmax_rows = 6"))
    assert version_of(policies_of("")) == ""


@pytest.mark.parametrize(
    ("wanted", "has", "fits"),
    [
        ("attributes = { a = 7 }", {"a": "7"}, True),
        ("attributes = { a = [1, 2] }", {"a": (2, 3)}, True),
        ("attributes = { a = [1, 2] }", {"a": 3}, False),
        ("attributes = { a = 1, b = 2 }", {"a": 1}, False),
        ('roles = ["x", "y"]', {"roles": ("y",)}, True),
        ('roles = ["x"]\nattributes = { a = 1 }', {"roles": ("x",)}, False),
        ("attributes = { a = true }", {"a": True}, True),
    ],
)
def test_a_rule_is_for_callers_with_its_roles_and_attributes(
    wanted: str, has: dict[str, AttributeValue], fits: bool
) -> None:
    policies = policies_of(f"[[mcp_server.policies.shop]]\n{wanted}")
    assert policies.sees(caller_with(**has), "shop") is fits  # pyright: ignore[reportArgumentType]
    assert (policies.hash_of(caller_with(**has), "shop") is not None) is fits  # pyright: ignore[reportArgumentType]


def test_a_parent_of_a_table_that_hides_more_is_not_there_for_it_would_show_the_rows() -> None:
    columns = (Column("id", "integer"),)
    schema = SourceSchema(
        "shop",
        "postgres",
        "public",
        (
            Table("public", "log", columns=columns),
            Table("public", "log_1", columns=columns, inherits=(("public", "log"),)),
            Table("public", "log_2", columns=columns, inherits=(("public", "log_1"),)),
            Table("public", "other", columns=columns),
        ),
    )

    def seen(*protects: str) -> list[str]:
        rules = "".join(f'[mcp_server.policies.shop.protect.{name}]\nrows = "id = 1"\n' for name in protects)
        grant = policies_of(f"[[mcp_server.policies.shop]]\n{rules}").grant(caller_with(), schema)
        return [table.table.name for table in granted_tables(schema, grant)]

    assert seen("log_2") == ["log_2", "other"]
    assert seen("log") == ["log", "log_1", "log_2", "other"]
    assert seen("log", "log_2") == ["log", "log_1", "log_2", "other"]


def test_a_pattern_does_not_reach_over_the_dot_and_two_entries_for_one_table_are_a_mistake() -> None:
    schema = SourceSchema(
        "shop",
        "mysql",
        "app",
        (
            Table("app", "Users", columns=(Column("id", "int"),)),
            Table("app", "users", columns=(Column("id", "int"),)),
            Table("app", "Orders", columns=(Column("id", "int"),)),
            Table("admin", "pw", columns=(Column("id", "int"),)),
        ),
    )

    def seen(rule: str) -> list[str]:
        policies = policies_of(f"[[mcp_server.policies.shop]]\n{rule}")
        assert policies.problems(schema) == ()
        grant = policies.grant(caller_with(), schema)
        return [f"{t.table.schema}.{t.table.name}" for t in granted_tables(schema, grant)]

    assert seen('tables = ["*"]') == ["app.Users", "app.users", "app.Orders"]
    assert seen('tables = ["users", "orders"]') == ["app.users", "app.Orders"]
    assert seen('tables = ["ad*.p*"]') == ["admin.pw"]
    twice = policies_of(
        "[[mcp_server.policies.shop]]\n[mcp_server.policies.shop.protect.Orders]\nrows = 'id = 1'\n"
        '[mcp_server.policies.shop.protect."app.orders"]\ndeny = ["id"]'
    )
    assert [p.message for p in twice.problems(schema)] == [
        "app.orders and Orders are one table: write one entry for it."
    ]


def test_what_a_rule_does_not_say_of_costs_the_servers_own_limits_say() -> None:
    policies = policies_of(
        "[mcp_server.cost]\nwarn = 10\nrefuse = 1000\n[[mcp_server.policies.shop]]\n"
        'cost = { confirm = 100, confirm_by = "human" }'
    )
    gate = policies.grant(caller_with(), SHOP).cost
    assert gate == CostGate(10, 100, 1000, "human")


@pytest.mark.parametrize(
    ("told", "weight"), [("", 4), ('priority = "high"', 16), ('priority = "low"', 1), ("priority = 40", 40)]
)
def test_a_rule_gives_its_callers_jobs_their_class(told: str, weight: int) -> None:
    policies = policies_of(f"[[mcp_server.policies.shop]]\n{told}")
    grant = policies.grant(caller_with(), SHOP)

    assert grant.priority == weight
    # what a caller may read does not depend on it: rows that were read before can still be read
    assert policies.hash_of(caller_with(), "shop") == policies_of("[[mcp_server.policies.shop]]").hash_of(
        caller_with(), "shop"
    )


@pytest.mark.parametrize("told", ['"urgent"', "0", "101", "true"])
def test_a_priority_is_a_name_or_a_weight(told: str) -> None:
    with pytest.raises(ValueError, match="priority"):
        policies_of(f"[[mcp_server.policies.shop]]\npriority = {told}")


FAMILY = SourceSchema(
    "shop",
    "postgres",
    "public",
    (
        Table("public", "orders", columns=(Column("id", "integer"), Column("email", "text"))),
        Table("public", "orders_2025", columns=(Column("id", "integer"),), inherits=(("public", "orders"),)),
        Table("public", "events", columns=(Column("id", "integer"), Column("note", "text"))),
        Table("public", "events_2025", columns=(Column("id", "integer"),), inherits=(("public", "events"),)),
        Table("public", "totals", kind="view", columns=(Column("n", "integer"),), reads=(("public", "orders"),)),
        Table("public", "over", kind="view", columns=(Column("n", "integer"),), reads=(("public", "totals"),)),
        Table("public", "odd", kind="view", columns=(Column("n", "integer"),), reads=(("", "made_of()"),)),
        Table("public", "cities", columns=(Column("name", "text"),)),
        Table("public", "near", kind="view", columns=(Column("name", "text"),), reads=(("public", "cities"),)),
    ),
)


def shared(rules: str, **sources: dict[str, str]) -> set[str]:
    return {name for _, name in policies_of(rules, sessions=sources).shared_tables(FAMILY)}


def test_without_rules_every_table_is_shared() -> None:
    assert shared("") == {table.name for table in FAMILY.tables}


@pytest.mark.parametrize("what", ['rows = "id = 1"', 'masks = { email = "hash" }'])
def test_a_table_that_is_filtered_or_masked_for_any_role_is_shared_with_nobody(what: str) -> None:
    rules = f"""
[[mcp_server.policies.shop]]
roles = ["boss"]
views = ["totals"]
[[mcp_server.policies.shop]]
roles = ["clerk"]
[mcp_server.policies.shop.protect.orders]
{what}
"""
    assert shared(rules) == {"events", "events_2025", "cities", "near"}


def test_neither_is_what_a_protected_table_inherits_from() -> None:
    rules = '[[mcp_server.policies.shop]]\n[mcp_server.policies.shop.protect.events_2025]\nrows = "id = 1"'
    assert {"events", "events_2025"} & shared(rules) == set()


def test_a_denied_column_does_not_keep_a_tables_other_columns_from_being_shared() -> None:
    rules = '[[mcp_server.policies.shop]]\n[mcp_server.policies.shop.protect.orders]\ndeny = ["email"]'
    assert "orders" in shared(rules)


def test_nothing_is_shared_of_a_source_whose_rules_do_not_fit_or_whose_sessions_are_the_callers() -> None:
    assert shared('[[mcp_server.policies.shop]]\ntables = ["ordes"]') == set()
    assert shared("", shop={"app.tenant": ":principal.tenant"}) == set()
