from __future__ import annotations

from mcp_server.policy import AllOf, Compare, Grant, IsNull, Mask, OneOf, TableGrant


def test_a_grant_of_everything_has_the_same_rule_for_every_table() -> None:
    rule = Grant.everything().rule("any", "table")
    assert rule is not None
    assert not rule.protects


def test_a_schema_that_is_not_named_does_not_exist() -> None:
    grant = Grant(schemas=("sales",), others=TableGrant())
    assert grant.rule("hr", "payroll") is None
    assert grant.rule("sales", "orders") is not None


def test_a_table_that_is_not_named_does_not_exist_unless_others_have_a_rule() -> None:
    named = ((("main", "orders"), TableGrant()),)
    assert Grant(tables=named).rule("main", "customers") is None
    assert Grant(tables=named, others=TableGrant()).rule("main", "customers") is not None


def test_the_hash_changes_with_everything_that_changes_what_is_read() -> None:
    key = ("main", "orders")
    grants = [
        Grant.everything(),
        Grant(tables=((key, TableGrant()),)),
        Grant(tables=((key, TableGrant(columns=("id",))),)),
        Grant(tables=((key, TableGrant(rows=Compare("id", "=", 1))),)),
        Grant(tables=((key, TableGrant(rows=Compare("id", "=", "1"))),)),
        Grant(tables=((key, TableGrant(rows=AllOf((Compare("id", "=", 1), IsNull("note"))))),)),
        Grant(tables=((key, TableGrant(rows=OneOf("id", (1, 2)))),)),
        Grant(tables=((key, TableGrant(masks=(("email", Mask("hash", "a")),))),)),
        Grant(tables=((key, TableGrant(masks=(("email", Mask("hash", "b")),))),)),
        Grant(others=TableGrant(), max_rows=5),
    ]
    assert len({grant.hash() for grant in grants}) == len(grants)
    assert Grant.everything().hash() == Grant.everything().hash()
