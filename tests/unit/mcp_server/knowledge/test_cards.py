"""A table's card: all that a model needs of it, in few characters, whatever the table is like."""

from __future__ import annotations

from executor import Column, ColumnProfile, ForeignKey, InferredKey, SourceProfile, SourceSchema, Table, TableProfile
from mcp_server.knowledge.cards import CARD_CHARS, Cards
from mcp_server.knowledge.keys import Joins

ORDERS = Table(
    "public",
    "orders",
    columns=(
        Column("id", "integer", nullable=False),
        Column("customer_id", "integer", comment="who bought"),
        Column("clerk", "integer"),
        Column("status", "text"),
        Column("total", "numeric(10,2)"),
        Column("zip", "text"),
    ),
    primary_key=("id",),
    foreign_keys=(ForeignKey(("customer_id",), "sales", "customers", ("id",)),),
    row_estimate=12_000,
    comment="one row\nan order",
)
CUSTOMERS = Table("sales", "customers", columns=(Column("id", "integer"),), primary_key=("id",))
STAFF = Table("public", "staff", columns=(Column("id", "integer"),), primary_key=("id",))
SHOP = SourceSchema("shop", "postgres", "public", (ORDERS, CUSTOMERS, STAFF))
PROFILE = SourceProfile(
    "shop",
    SHOP.hash(),
    tables=(
        TableProfile(
            "public",
            "orders",
            row_count=12_345,
            rows_read=12_345,
            columns=(
                ColumnProfile("id", 0.0, 12_345, least="1", greatest="12345", examples=("1", "2")),
                ColumnProfile("status", 0.25, 2, values=("open", "it's\npaid")),
                ColumnProfile("total", 0.001, 800, approximate=True, least="0.5", greatest="99.0", examples=("12.5",)),
                ColumnProfile("zip", 0.0, 900, examples=("04109",)),
            ),
        ),
    ),
    inferred=(InferredKey("public", "orders", ForeignKey(("clerk",), "public", "staff", ("id",)), "99 % are found"),),
)


def cards(schema: SourceSchema, profile: SourceProfile | None = None) -> Cards:
    return Cards(schema, Joins(schema, profile), profile)


def test_a_card_tells_types_keys_figures_values_and_comments() -> None:
    assert cards(SHOP, PROFILE).card(ORDERS).splitlines() == [
        "orders (table, ~12,345 rows): one row an order",
        "id integer PK; 12,345 distinct; 1 … 12345; e.g. 1, 2",
        "customer_id integer → sales.customers.id; -- who bought",
        "clerk integer → staff.id (inferred)",
        "status text; 25% null; in ('open', 'it''s paid')",
        "total numeric(10,2); ~<1% null; ~800 distinct; ~0.5 … 99.0; e.g. 12.5",
        "zip text; 900 distinct; e.g. '04109'",
    ]


def test_a_card_without_a_profile_tells_the_schema() -> None:
    assert cards(SHOP).card(ORDERS).splitlines()[:3] == [
        "orders (table, ~12,000 rows): one row an order",
        "id integer PK",
        "customer_id integer → sales.customers.id; -- who bought",
    ]
    assert cards(SHOP).card(CUSTOMERS).splitlines() == ["sales.customers (table)", "id integer PK"]


def test_a_key_of_several_columns_has_a_line_of_its_own() -> None:
    line = Table(
        "public",
        "lines",
        columns=(Column("a", "int"), Column("b", "int")),
        foreign_keys=(ForeignKey(("a", "b"), "public", "orders", ("id", "clerk")),),
    )
    schema = SourceSchema("shop", "postgres", "public", (ORDERS, line))
    assert cards(schema).card(line).splitlines()[-1] == "lines.a = orders.id AND lines.b = orders.clerk"


def wide(columns: int) -> tuple[SourceSchema, SourceProfile]:
    """A table about which there is much to say."""
    made = Table(
        "public",
        "wide",
        columns=tuple(
            Column(f"measured_value_{n}", "character varying(255)", comment="c" * 300) for n in range(columns)
        ),
        comment="t" * 900,
    )
    figures = tuple(
        ColumnProfile(c.name, 0.5, 30, values=tuple("v" * 60 + str(n) for n in range(30))) for c in made.columns
    )
    schema = SourceSchema("wide", "postgres", "public", (made,))
    return schema, SourceProfile("wide", "", tables=(TableProfile("public", "wide", 9, 9, figures),))


def test_a_card_of_twenty_columns_tells_each_of_them_within_its_bound() -> None:
    schema, profile = wide(20)
    card = cards(schema, profile).card(schema.tables[0])
    assert len(card) <= CARD_CHARS
    assert all(f"measured_value_{n} character varying(255)" in card for n in range(20))


def test_a_card_of_a_thousand_columns_says_how_many_are_missing() -> None:
    schema, profile = wide(1_000)
    card = cards(schema, profile).card(schema.tables[0])
    told = card.count("measured_value_")
    assert len(card) <= CARD_CHARS
    assert card.endswith(f"… {1_000 - told} more columns")


def test_a_card_stays_within_any_bound() -> None:
    schema, profile = wide(30)
    for bound in (1, 60, 300, 2_000):
        assert len(cards(schema, profile).card(schema.tables[0], max_chars=bound)) <= bound
