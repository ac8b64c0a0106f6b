"""A source's tables in words: found by name or pattern, bounded however many there are."""

from __future__ import annotations

import json

import pytest

from executor import Column, ForeignKey, SourceSchema, Table
from mcp_server.policy import Compare, Grant, TableGrant
from mcp_server.tables import detailed, listed, matching, near, shown_name, visible, with_columns

ORDERS = Table(
    schema="main",
    name="Orders",
    columns=(Column("id", "INTEGER", nullable=False), Column("customer_id", "INTEGER", comment="who bought")),
    primary_key=("id",),
    foreign_keys=(ForeignKey(("customer_id",), "main", "customers", ("id",)),),
    row_estimate=7,
    comment="one row an order",
)
CUSTOMERS = Table(schema="main", name="customers", columns=(Column("id", "INTEGER"),), primary_key=("id",))
OLD = Table(schema="archive", name="orders", kind="view", columns=(Column("id", "INTEGER"),))
SHOP = SourceSchema("shop", "postgres", "main", (ORDERS, CUSTOMERS, OLD))


def large(tables: int, columns: int) -> SourceSchema:
    made = tuple(
        Table("main", f"table_number_{n}", columns=tuple(Column(f"column_{c}", "text") for c in range(columns)))
        for n in range(tables)
    )
    return SourceSchema("large", "postgres", "main", made)


def test_a_table_outside_the_default_schema_is_shown_with_its_schema() -> None:
    assert [shown_name(t, SHOP) for t in SHOP.tables] == ["Orders", "customers", "archive.orders"]


def test_a_name_finds_its_tables_in_any_case_and_with_quotes() -> None:
    assert matching('"ORDERS"', SHOP) == [ORDERS, OLD]
    assert matching("archive.Orders", SHOP) == [OLD]
    assert matching("nothing", SHOP) == []


def test_a_star_stands_for_any_letters() -> None:
    assert matching("cust*", SHOP) == [CUSTOMERS]
    assert matching("archive.*", SHOP) == [OLD]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("net[eur]", ["net[EUR]"]),
        ('"NET*"', ["net[EUR]", "net_total"]),
        ("*?", ["paid?"]),
        ("`paid?`", ["paid?"]),
        ("net_tota?", []),
        ("net", []),
    ],
)
def test_only_a_star_stands_for_other_letters(pattern: str, names: list[str]) -> None:
    columns = tuple(Column(name, "int") for name in ("net[EUR]", "net_total", "paid?"))
    assert [c.name for c in with_columns(Table("main", "t", columns=columns), pattern).columns] == names
    shop = SourceSchema("shop", "sqlite", "main", tuple(Table("main", c.name, columns=(c,)) for c in columns))
    assert [table.name for table in matching(pattern, shop)] == names


def test_a_misspelt_name_has_near_ones() -> None:
    assert near("costumers", SHOP) == ["customers"]
    assert near("qqqqqq", SHOP) == []


def test_details_tell_types_keys_comments_and_estimates() -> None:
    [told] = detailed([ORDERS], SHOP)
    assert told == {
        "name": "Orders",
        "kind": "table",
        "comment": "one row an order",
        "row_estimate": 7,
        "columns": [
            {"name": "id", "type": "INTEGER", "nullable": False},
            {"name": "customer_id", "type": "INTEGER", "comment": "who bought"},
        ],
        "primary_key": ["id"],
        "foreign_keys": [{"columns": ["customer_id"], "references": "customers", "ref_columns": ["id"]}],
    }


def test_a_small_source_is_listed_with_its_columns() -> None:
    assert [line["columns"] for line in listed(SHOP.tables, SHOP)] == [["id", "customer_id"], ["id"], ["id"]]


def test_a_larger_source_is_listed_with_counts_then_names_then_as_many_as_fit() -> None:
    counted, named, cut = large(40, 60), large(150, 60), large(5_000, 3)
    assert listed(counted.tables, counted)[0]["columns"] == 60
    assert listed(named.tables, named)[0] == {"name": "table_number_0"}
    assert len(listed(named.tables, named)) == 150
    assert 100 < len(listed(cut.tables, cut)) < 5_000
    assert len(json.dumps(listed(cut.tables, cut))) <= 6_000


def test_details_stay_bounded_and_tell_at_least_one_table() -> None:
    wide, many = large(1, 5_000), large(100, 50)
    [told] = detailed(wide.tables, wide)
    assert len(json.dumps(told)) <= 12_000
    assert len(told["columns"]) + told["more_columns"] == 5_000
    assert 1 <= len(detailed(many.tables, many)) < 100


def test_what_is_not_granted_is_not_there() -> None:
    seen = visible(
        SHOP,
        Grant(
            tables=(
                (("main", "Orders"), TableGrant(columns=("id",), rows=Compare("customer_id", "=", 1))),
                (("main", "customers"), TableGrant()),
            )
        ),
    )
    assert [t.name for t in seen.tables] == ["Orders", "customers"]
    orders = seen.tables[0]
    assert [c.name for c in orders.columns] == ["id"]
    assert orders.foreign_keys == ()
    assert orders.row_estimate is None


def test_a_view_over_a_protected_table_is_there_only_by_name() -> None:
    view = Table("main", "totals", kind="view", columns=(Column("n", "int"),), reads=(("main", "Orders"),))
    schema = SourceSchema("shop", "postgres", "main", (ORDERS, view))
    rules = ((("main", "Orders"), TableGrant(columns=("id",))),)
    assert visible(schema, Grant(tables=rules, others=TableGrant())).tables[1:] == ()
    named = Grant(tables=rules, others=TableGrant(), views=(("main", "totals"),))
    assert visible(schema, named).tables[1:] == (view,)


def test_everything_is_there_for_who_may_read_everything() -> None:
    assert visible(SHOP, Grant.everything()) is SHOP
