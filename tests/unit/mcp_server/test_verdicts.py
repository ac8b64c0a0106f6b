"""A verdict of the guard is given again for the same of everything it depends on, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from executor import Column, Limits, SourceSchema, Table
from mcp_server.policy import Compare, Grant, TableGrant
from mcp_server.sql import check
from mcp_server.verdicts import Given, keep, known


def schema() -> SourceSchema:
    table = Table("main", "orders", "table", (Column("id", "INTEGER"), Column("paid", "INTEGER")))
    return SourceSchema("shop", "sqlite", "main", (table,))


def filtered(value: bool | float) -> Grant:
    return Grant(tables=((("main", "orders"), TableGrant(rows=Compare("paid", "=", value))),))


@pytest.fixture
def given() -> Given:
    return Given("SELECT id FROM orders", schema(), filtered(1), Limits(), None, {})


def remembered(given: Given) -> None:
    statement = check(given.sql, source_schema=given.schema, grant=given.grant, limits=given.limits)
    keep(given, statement)
    assert known(given) is statement


def test_the_same_again_is_known(given: Given) -> None:
    remembered(given)
    again = replace(given, grant=filtered(1), limits=Limits(), telling={})
    assert known(again) is known(given)


@pytest.mark.parametrize(
    "changed",
    [
        lambda g: replace(g, sql="SELECT id FROM orders "),
        lambda g: replace(g, schema=schema()),
        lambda g: replace(g, grant=Grant.everything()),
        lambda g: replace(g, grant=filtered(2)),
        lambda g: replace(g, grant=filtered(True)),  # equal to 1 in Python, and not in SQL
        lambda g: replace(g, grant=filtered(1.0)),
        lambda g: replace(g, grant=replace(g.grant, max_rows=5)),
        lambda g: replace(g, grant=replace(g.grant, label="another rule")),
        lambda g: replace(g, limits=Limits(max_rows=5)),
        lambda g: replace(g, dialect="postgres"),
        lambda g: replace(g, telling={("main", "orders"): {"paid": ("0",)}}),
    ],
)
def test_anything_else_is_checked(given: Given, changed: Callable[[Given], Given]) -> None:
    remembered(given)
    other = changed(given)
    assert known(other) is None
    remembered(other)


def test_a_grant_that_names_one_version_for_two_contents_is_told_apart(given: Given) -> None:
    given = replace(given, grant=replace(given.grant, version="1"))
    remembered(given)
    assert known(replace(given, grant=replace(filtered(2), version="1"))) is None


def test_what_came_of_a_schema_goes_with_it(given: Given) -> None:
    remembered(given)
    remembered(replace(given, sql="SELECT 1 FROM orders", schema=schema()))
    assert known(given) is None


def test_only_the_latest_are_remembered(given: Given) -> None:
    remembered(given)
    for n in range(300):
        remembered(replace(given, sql=f"SELECT {n} FROM orders"))
    assert known(given) is None
    assert known(replace(given, sql="SELECT 299 FROM orders")) is not None
