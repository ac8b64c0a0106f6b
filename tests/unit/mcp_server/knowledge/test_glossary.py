"""Glossaries: read strictly, held to the source's tables, and told to each caller as far as their grant goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from executor import Column, ColumnProfile, SettingsInvalid, SourceProfile, SourceSchema, Table, TableProfile
from mcp_server.knowledge.drafting import drafted
from mcp_server.knowledge.glossary import Glossary, read_glossary
from mcp_server.knowledge.meanings import Meanings, about
from mcp_server.policy import Compare, Grant, TableGrant

WHOLE = Grant(others=TableGrant(), version="whole")


def table(name: str, *columns: str, comment: str = "") -> Table:
    return Table("main", name, columns=tuple(Column(c, "TEXT") for c in columns), comment=comment)


SHOP = SourceSchema(
    "shop",
    "sqlite",
    "main",
    (
        table("orders", "id", "customer_id", "status", "total", comment="One row\nan order."),
        table("customers", "id", "name", "ssn"),
        table("pay roll", "id", "salary"),
    ),
)

TEXT = """
terms:
- {name: big spender, synonyms: [whale], means: Spends much., tables: [customers, orders]}
- {name: fiscal year, means: Begins in April.}
metrics:
- {name: revenue, synonyms: [turnover], sql: sum(o.total), from: orders o, means: Before tax.}
- {name: wages, sql: sum(salary), from: '"pay roll"'}
- {name: insured, sql: count(ssn), from: customers}
filters:
- {name: paid, table: orders, sql: status = 'paid'}
tables:
  orders:
    note: Also those that were refunded.
    synonyms: [purchases]
    columns:
      total: In euros.
      status: {note: How far it is., synonyms: [stage]}
  customers: {columns: {name: As on the invoice., ssn: Secret.}}
  '"pay roll"': What people earn.
"""


def glossary(text: str) -> Glossary:
    return Glossary.model_validate(yaml.safe_load(text))


def told(grant: Grant, text: str = TEXT) -> list[dict[str, object]]:
    return [meaning.told for meaning in Meanings(glossary(text)).seen(SHOP, grant)]


def test_an_owner_of_everything_is_told_everything_in_the_files_order():
    assert Meanings(glossary(TEXT)).problems(SHOP) == []
    first, *rest = told(WHOLE)
    assert first == {"term": "big spender", "means": "Spends much.", "synonyms": ["whale"]}
    names = [next(iter(one.values())) for one in rest]
    assert names == ["fiscal year", "revenue", "wages", "insured", "paid", "orders", "customers", "pay roll"]
    orders = rest[5]
    assert orders["columns"] == {"total": "In euros.", "status": "How far it is. Also called stage."}


def test_what_is_not_granted_is_named_nowhere():
    only_orders = Grant(tables=((("main", "orders"), TableGrant()),), version="orders")
    names = {next(iter(one.values())) for one in told(only_orders)}
    assert names == {"fiscal year", "revenue", "paid", "orders"}

    without_ssn = TableGrant(denied=("ssn",))
    grant = Grant(tables=((("main", "customers"), without_ssn),), others=TableGrant(), version="no ssn")
    assert "ssn" not in json.dumps(told(grant))
    assert {"table": "customers", "columns": {"name": "As on the invoice."}} in told(grant)

    text = "terms: [{name: a, means: Ask whoever sees pay roll.}, {name: b, means: Not ssn.}, {name: c, means: Well.}]"
    assert [one["term"] for one in told(only_orders, text)] == ["c"]
    assert [one["term"] for one in told(WHOLE, text)] == ["a", "b", "c"]


def test_figures_over_filtered_tables_stay():
    rows = TableGrant(rows=Compare("status", "=", "paid"))
    grant = Grant(tables=((("main", "orders"), rows),), version="rows")
    assert {"metric": "revenue", "sql": "sum(o.total)", "from": "orders o", "means": "Before tax.",
            "synonyms": ["turnover"]} in told(grant)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("terms: [{name: a, means: b, tables: [oders]}]", "oders"),
        ("metrics: [{name: a, sql: sum(totl), from: orders}]", "totl"),
        ("metrics: [{name: a, sql: sum(total), from: order}]", "order"),
        ("metrics: [{name: a, sql: sum(, from: orders}]", "metric a"),
        ("metrics: [{name: a, sql: '1; DELETE FROM orders; SELECT 1', from: orders}]", "metric a"),
        ("filters: [{name: a, table: orders, sql: paid = 1}]", "paid"),
        ("filters: [{name: a, table: orders, sql: load_extension('x') = 1}]", "filter a"),
        ("tables: {oders: x}", "oders"),
        ("tables: {orders: {columns: {totl: x}}}", "totl"),
    ],
)
def test_what_the_source_has_not_is_said_and_told_to_nobody(text, word):
    [problem] = Meanings(glossary(text)).problems(SHOP)
    assert word in problem
    assert not any("totl" in json.dumps(one) or "a" in one.values() for one in told(WHOLE, text))


def test_entries_are_picked_by_table_and_by_word_and_bounded():
    seen = Meanings(glossary(TEXT)).seen(SHOP, WHOLE)
    names = [next(iter(one.values())) for one in about(seen, tables=[("main", "pay roll")])]
    assert names == ["fiscal year", "wages", "pay roll"]
    first, *_ = about(seen, tables=[], keywords=["What was our Turnover in May?"])
    assert first["metric"] == "revenue"
    assert len(about(seen, tables=[("main", "orders")], max_chars=100)) == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("terms: [{name: a, meaning: b}]", "terms, entry 1, meaning"),
        ("metrics: [{name: a, sql: x}]", "metrics, entry 1, from"),
        ("trems: []", "trems"),
        ("version: 2", "version"),
        ("tables: {a: x, a: y}", "twice"),
        ("a:\n  b: [", ":2"),
        ("- a", "dictionary"),
        ("!!python/object/apply:os.getcwd []", "python"),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_the_place(tmp_path: Path, text, word):
    path = tmp_path / "g.yaml"
    path.write_text(text)
    with pytest.raises(SettingsInvalid) as refused:
        read_glossary(path)
    assert word in refused.value.message


def test_a_draft_reads_back_and_fits_its_source(tmp_path: Path):
    values = ColumnProfile("status", distinct=2, values=("open", "paid"))
    profile = SourceProfile("shop", "", (TableProfile("main", "orders", columns=(values,)),))
    path = tmp_path / "g.yaml"
    path.write_text(drafted(SHOP, profile))
    read = read_glossary(path)
    assert Meanings(read).problems(SHOP) == []
    assert read.tables["orders"].note == "One row an order."
    assert read.tables["orders"].columns["status"].note == "One of: open, paid."
    assert set(read.tables) == {"orders", "customers", "pay roll"}
