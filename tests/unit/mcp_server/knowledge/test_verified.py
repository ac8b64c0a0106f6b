"""Verified queries: kept, reviewed, found by words and tables, and shown only while they hold and may be run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from executor import Column, ExecutorError, ExecutorSettings, Limits, SettingsInvalid, SourceSchema, Table
from mcp_server.knowledge import verified
from mcp_server.knowledge.examples import best, examples
from mcp_server.knowledge.verified import VerifiedQueries, VerifiedQuery, columns_used
from mcp_server.policy import Grant, TableGrant
from mcp_server.sql import check

WHOLE = Grant(others=TableGrant(), version="whole")


def schema(**changed: str) -> SourceSchema:
    kinds = {"id": "INTEGER", "status": "TEXT", "total": "REAL"} | changed
    orders = Table("main", "orders", columns=tuple(Column(n, k) for n, k in kinds.items() if k))
    people = Table("main", "people", columns=(Column("id", "INTEGER"), Column("salary", "REAL")))
    return SourceSchema("shop", "sqlite", "main", (orders, people))


def settings(folder: Path, **more: object) -> ExecutorSettings:
    told = {"state_dir": folder, "sources": {"shop": {"kind": "sqlite", "path": folder / "shop.sqlite"}}, **more}
    return ExecutorSettings.model_validate(told)


@pytest.fixture(params=["a file", "PostgreSQL"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VerifiedQueries]:
    if request.param == "a file":
        yield VerifiedQueries(settings(tmp_path))
        return
    url = request.getfixturevalue("postgres_url")
    yield VerifiedQueries(settings(tmp_path, history={"url": url}))
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE awaitsql_verified"))
    engine.dispose()


def kept(
    store: VerifiedQueries, question: str, sql: str, *, is_verified: bool = True, by: str = "ann"
) -> VerifiedQuery:
    statement = check(sql, source_schema=schema(), grant=WHOLE, limits=Limits())
    read = columns_used(sql, statement, schema())
    return store.add("shop", question, sql, read=read, by=by, is_verified=is_verified)


def test_what_is_kept_is_there_for_the_next_process_and_removed_once(store):
    one = kept(store, "  How many\norders? ", "SELECT count(*) FROM orders;")
    assert (one.question, one.sql, one.state, one.reviewed_by) == (
        "How many orders?", "SELECT count(*) FROM orders", "verified", "ann")  # fmt: skip
    again = VerifiedQueries(store._settings)
    assert again.of("shop") == [one]
    assert again.find(one.id) == one
    assert again.remove(one.id)
    assert not again.remove(one.id)
    assert store.of("shop") == []


def test_a_proposal_waits_until_a_person_has_looked_at_it(store):
    asked = kept(store, "Open ones", "SELECT id FROM orders WHERE status = 'open'", is_verified=False, by="a/b/c")
    assert (asked.state, store.of("shop", state="verified")) == ("pending", [])
    assert kept(store, "Open ones", "SELECT id FROM orders WHERE status = 'open'", is_verified=False).id == asked.id
    said = store.review(asked.id, accept=True, by="ann")
    assert said is not None
    assert (said.state, said.reviewed_by, said.proposed_by) == ("verified", "ann", "a/b/c")
    other = kept(store, "Wrong", "SELECT 1", is_verified=False)
    refused = store.review(other.id, accept=False, by="ann")
    assert refused is not None
    assert refused.state == "rejected"
    assert store.review("nothere", accept=True, by="ann") is None
    assert [q.id for q in store.of("shop", state="verified")] == [asked.id]


def test_one_caller_cannot_fill_the_desk_of_whoever_reviews(store, monkeypatch):
    monkeypatch.setattr(verified, "MOST_PENDING", 2)
    for number in range(2):
        kept(store, f"q{number}", "SELECT 1", is_verified=False, by="eve")
    with pytest.raises(ExecutorError) as refused:
        kept(store, "q3", "SELECT 1", is_verified=False, by="eve")
    assert refused.value.code == "queue_full"
    assert kept(store, "q3", "SELECT 1", is_verified=False, by="bob").state == "pending"


@pytest.mark.parametrize(("question", "sql"), [("", "SELECT 1"), ("q", " ; "), ("q" * 1_001, "SELECT 1")])
def test_what_is_empty_or_too_long_is_not_kept(tmp_path, question, sql):
    with pytest.raises(SettingsInvalid):
        VerifiedQueries(settings(tmp_path)).add("shop", question, sql, read={}, by="ann", is_verified=True)


def test_another_database_under_the_same_name_has_its_own(tmp_path):
    kept(VerifiedQueries(settings(tmp_path)), "q", "SELECT 1")
    moved = settings(tmp_path, sources={"shop": {"kind": "sqlite", "path": tmp_path / "other.sqlite"}})
    assert VerifiedQueries(moved).of("shop") == []
    added = {"shop": {"kind": "sqlite", "path": tmp_path / "shop.sqlite"}, "b": {"kind": "sqlite", "path": "b.sqlite"}}
    assert len(VerifiedQueries(settings(tmp_path, sources=added)).of("shop")) == 1


@pytest.fixture
def queries(tmp_path: Path) -> list[VerifiedQuery]:
    store = VerifiedQueries(settings(tmp_path))
    kept(store, "What did we earn per status?", "SELECT status, sum(total) FROM orders GROUP BY status")
    kept(store, "How many orders are open?", "SELECT count(*) FROM orders WHERE status = 'open'")
    kept(store, "Who earns most?", "SELECT id FROM people ORDER BY salary DESC")
    kept(store, "Everything", "SELECT * FROM orders")
    kept(store, "Open orders, not yet looked at", "SELECT id FROM orders", is_verified=False)
    return store.of("shop")


def asked(
    queries: list[VerifiedQuery], *keywords: str, grant: Grant = WHOLE, now: SourceSchema | None = None
) -> list[str]:
    return [one["question"] for one in examples(queries, keywords, schema=now or schema(), grant=grant)]


def test_words_find_the_likest_first_in_any_of_their_forms(queries):
    assert asked(queries, "count of the open order")[0] == "How many orders are open?"
    assert asked(queries, "earnings") == ["Who earns most?", "What did we earn per status?"]
    assert asked(queries, "weather") == []
    assert asked(queries, '"; DROP TABLE q; -- * NEAR(') == []


def test_tables_in_common_count_and_few_are_shown(queries):
    found = best(queries, [], tables=["main.people"])
    assert [q.question for q in found] == ["Who earns most?"]
    assert len(examples(queries, ["orders status people id"], schema=schema(), grant=WHOLE)) == 3


def test_what_is_pending_is_shown_to_nobody(queries):
    assert "Open orders, not yet looked at" not in asked(queries, "orders not yet looked at")


def test_what_the_caller_could_not_run_is_not_there(queries):
    only_orders = Grant(tables=((("main", "orders"), TableGrant(denied=("total",))),), version="o")
    found = asked(queries, "earn open everything", grant=only_orders)
    assert set(found) == {"How many orders are open?", "Everything"}


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"total": "TEXT"}, {"How many orders are open?"}),
        ({"total": ""}, {"How many orders are open?"}),
        ({"status": "INTEGER"}, set()),
        ({"note": "TEXT"}, {"How many orders are open?", "Everything", "What did we earn per status?"}),
    ],
)
def test_a_column_that_changed_ends_what_uses_it(queries, change, left):
    found = set(asked(queries, "earn per status", "open", "everything", now=schema(**change)))
    assert found - {"Who earns most?"} == left


def test_who_and_when_are_said(queries):
    [one] = examples(queries, ["everything"], schema=schema(), grant=WHOLE)
    assert one["verified_by"] == "ann"
    assert len(one["verified_at"]) == len("2026-01-31")
