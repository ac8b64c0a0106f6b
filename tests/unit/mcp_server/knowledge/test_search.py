"""Which tables keywords and questions find, and that nothing hidden finds, moves or joins anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from executor import Column, ColumnProfile, ForeignKey, InferredKey, SourceProfile, SourceSchema, Table, TableProfile
from mcp_server.knowledge.context import context_for
from mcp_server.knowledge.glossary import Glossary
from mcp_server.knowledge.known import Known, known
from mcp_server.knowledge.meanings import Meanings
from mcp_server.policy import Compare, Grant, Mask, TableGrant

WHOLE = TableGrant()


def table(name: str, *columns: str, schema: str = "main", comment: str = "", **keys: str) -> Table:
    """A table; `keys` are its foreign keys to the ``id`` of another."""
    return Table(
        schema,
        name,
        columns=tuple(Column(c, "text") for c in (*columns, *keys)),
        primary_key=("id",) if "id" in columns else (),
        foreign_keys=tuple(ForeignKey((column,), schema, to, ("id",)) for column, to in keys.items()),
        comment=comment,
    )


SHOP = (
    table("customers", "id", "full_name", "email"),
    table("orders", "id", "ordered_at", "status", customer_id="customers"),
    table("order_lines", "id", "qty", "unit_price", order_id="orders", product_id="products"),
    table("products", "id", "title", "category"),
    table("staff", "id", "full_name", "salary"),
    table("custcomplainttext", "id", "body"),
    table("gauge", "id", "reading", comment="temperature of the warehouse"),
)
FILLER = tuple(table(f"t_{n}", "id", *(f"f_{n}_{c}" for c in range(40))) for n in range(70))


def large(*tables: Table) -> SourceSchema:
    """A schema too large to be shown whole."""
    return SourceSchema("shop", "sqlite", "main", (*tables, *(replace(t, columns=t.columns * 4) for t in FILLER)))


def names(found: Known, *keywords: str, limit: int = 5) -> list[str]:
    return [t.name for t in found.find(keywords, limit=limit).tables]


@pytest.mark.parametrize(
    ("keyword", "found"),
    [
        ("orders", "orders"),
        ("order", "orders"),
        ("CUSTOMER", "customers"),
        ("clients", "customers"),
        ("complaints", "custcomplainttext"),
        ("temperature", "gauge"),
        ("who earns the most?", "staff"),
        ("quantity", "order_lines"),
        ("prodcts", "products"),
    ],
)
def test_a_table_is_found_by_its_name_columns_comment_and_what_people_say_for_them(keyword: str, found: str) -> None:
    assert names(Known(large(*SHOP)), keyword)[0] == found


def test_a_question_finds_the_tables_between_as_well_and_how_they_join() -> None:
    found = Known(large(*SHOP)).find(["Which customers bought products of the category toys?"], limit=4)
    assert not found.whole
    assert {t.name for t in found.tables} == {"customers", "orders", "order_lines", "products"}
    assert set(found.joins) == {
        "orders.customer_id = customers.id",
        "order_lines.order_id = orders.id",
        "order_lines.product_id = products.id",
    }


def test_keys_that_lead_out_of_what_was_found_are_told() -> None:
    found = Known(large(*SHOP)).find(["customers"], limit=1)
    assert (found.joins, found.near) == ((), ("orders.customer_id = customers.id",))


def test_a_small_schema_comes_whole_with_the_likeliest_first() -> None:
    found = Known(SourceSchema("shop", "sqlite", "main", SHOP)).find(["salary"])
    assert found.whole
    assert found.tables[0].name == "staff"
    assert {t.name for t in found.tables} == {t.name for t in SHOP}
    assert len(found.cards) == len(SHOP)


def test_words_that_nothing_has_find_nothing() -> None:
    assert names(Known(large(*SHOP)), "xylophone", "") == []


def test_tables_of_one_database_schema_are_found_together() -> None:
    pool = [
        table(name, "id", "name", schema=schema)
        for schema, tables in {
            "hospital": ("patient", "ward"),
            "school": ("pupil", "ward"),
            "jail": ("cell", "ward"),
        }.items()
        for name in tables
    ]
    found = Known(large(*pool)).find(["the wards of each patient"], limit=2)
    assert {(t.schema, t.name) for t in found.tables} == {("hospital", "patient"), ("hospital", "ward")}


PROFILE = SourceProfile(
    "shop",
    "",
    tables=(
        TableProfile("main", "orders", 7, 7, (ColumnProfile("status", 0.0, 2, values=("refunded", "zebra")),)),
        TableProfile("main", "staff", 3, 3, (ColumnProfile("salary", 0.5, 3, least="17", greatest="99"),)),
    ),
    inferred=(InferredKey("main", "gauge", ForeignKey(("id",), "main", "products", ("id",)), "all values are found"),),
)


def test_values_of_a_profile_find_their_table_and_inferred_keys_say_that_they_are() -> None:
    found = Known(large(*SHOP), PROFILE)
    assert names(found, "zebra")[0] == "orders"
    assert found.joins.conditions([("main", "gauge"), ("main", "products")]) == [
        "gauge.id = products.id (inferred: all values are found)"
    ]


WORDS = Glossary.model_validate(
    {
        "terms": [{"name": "grumble", "means": "x", "synonyms": ["moan letter"], "tables": ["custcomplainttext"]}],
        "metrics": [{"name": "turnover", "sql": "sum(unit_price)", "from": "order_lines"}],
        "tables": {
            "gauge": {"note": "Also tells how humid it is.", "columns": {"reading": {"synonyms": ["fahrenheit"]}}},
            "staff": {"columns": {"salary": {"note": "wergeld", "synonyms": ["lucre"]}}},
        },
    }
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("turnover in May", "order_lines"),
        ("grumbles", "custcomplainttext"),
        ("How many moan letters came?", "custcomplainttext"),
        ("humid", "gauge"),
        ("fahrenheit", "gauge"),
        ("lucres", "staff"),
    ],
)
def test_words_of_the_glossary_find_the_tables_that_they_are_about(asked: str, found: str) -> None:
    mine = known(large(*SHOP), Grant.everything(), meanings=Meanings(WORDS))
    assert names(mine, asked)[0] == found
    assert found not in names(Known(large(*SHOP)), asked, limit=3)


def test_words_of_the_glossary_that_a_caller_may_not_read_find_nothing() -> None:
    grant = Grant(tables=((("main", "staff"), TableGrant(denied=("salary",))),), others=WHOLE)
    mine = known(large(*SHOP), grant, meanings=Meanings(WORDS))
    for asked in ("wergeld", "lucre"):
        assert names(mine, asked) == []
        assert "staff" in names(known(large(*SHOP), Grant.everything(), meanings=Meanings(WORDS)), asked)


HIDDEN = tuple(table(f"customer_salary_{n}", "id", "customers", "salary", "zorgqxv_date") for n in range(80))


@pytest.mark.parametrize("asked", ["customers", "salary of the staff", "zorgqxvdate", "order products", "anything"])
def test_what_is_not_granted_neither_appears_nor_moves_anything(asked: str) -> None:
    leads = table("leads", "id", "note", hidden_id="customer_salary_1")
    schema = large(*SHOP, leads, *HIDDEN)
    granted = tuple(t for t in schema.tables if t not in HIDDEN)
    grant = Grant(tables=tuple(((t.schema, t.name), WHOLE) for t in granted))
    alone = replace(schema, tables=tuple(replace(t, foreign_keys=()) if t is leads else t for t in granted))
    assert known(schema, grant).find([asked]) == Known(alone).find([asked])
    assert known(schema, Grant.everything()).find(["salary"]).tables[0] in HIDDEN


@pytest.mark.parametrize(
    "rule",
    [
        TableGrant(rows=Compare("status", "=", "open")),
        TableGrant(masks=(("status", Mask()),)),
        TableGrant(denied=("status",)),
    ],
)
def test_what_a_profile_says_of_a_protected_table_is_not_known(rule: TableGrant) -> None:
    schema = large(*SHOP)
    grant = Grant(tables=((("main", "orders"), rule),), others=WHOLE)
    mine = known(schema, grant, PROFILE)
    assert names(mine, "zebra") == []
    orders = next(t for t in mine.schema.tables if t.name == "orders")
    assert "zebra" not in mine.cards.card(orders)
    assert "17 … 99" in mine.cards.card(next(t for t in mine.schema.tables if t.name == "staff"))
    assert "zebra" not in context_for("zebra orders", schema, grant, profile=PROFILE)


def test_callers_who_see_the_same_share_one_index() -> None:
    schema = large(*SHOP)
    one, other = (Grant(others=WHOLE, version=version) for version in ("one", "other"))
    assert known(schema, one) is known(schema, one) is known(schema, other)
    assert known(replace(schema, inspected_at=5.0), one) is known(schema, one)
    assert known(schema, Grant(others=WHOLE, schemas=(), version="none")) is not known(schema, one)


def test_the_context_of_a_question_holds_cards_joins_and_notes() -> None:
    told = context_for(
        "orders of each customer", large(*SHOP), Grant.everything(), dialect_notes="No FULL JOIN.\n", tables=2
    )
    assert "customers (table)" in told
    assert "orders.customer_id = customers.id" in told
    assert "order_lines.order_id = orders.id" in told
    assert "salary" not in told
    assert told.endswith("SQL here:\nNo FULL JOIN.")
    assert "all its tables" in context_for("orders", SourceSchema("s", "sqlite", "main", SHOP), Grant.everything())


@pytest.mark.parametrize(("tables", "columns", "whole"), [(60, 500, True), (100, 5, True), (100, 200, False)])
def test_a_schema_is_whole_when_it_has_few_tables_or_little_text(tables: int, columns: int, whole: bool) -> None:
    made = tuple(table(f"measure_{n}", *(f"reading_number_{c}" for c in range(columns))) for n in range(tables))
    found = Known(SourceSchema("s", "sqlite", "main", made)).find(["reading"])
    assert found.whole is whole
    assert sum(len(card) for card in found.cards) <= 80_000
