"""When an answer counts as right, shown on one small database."""

from __future__ import annotations

import sqlite3

import pytest

from mcp_server.evaluation.cells import compared
from mcp_server.evaluation.golds import NotRun, Rows, gold_of
from mcp_server.evaluation.verdicts import Verdict, verdict


@pytest.fixture(scope="module")
def execute():
    connection = sqlite3.connect(":memory:")
    connection.executescript("""
        CREATE TABLE t (id INTEGER, name TEXT, city TEXT, points INTEGER, share REAL);
        INSERT INTO t VALUES (1, 'ann', 'Rome', 9, 0.3333333333), (2, 'bob', 'Oslo', 7, 0.5),
            (3, 'cyd', 'Rome', 7, 1.5), (4, 'dan', 'Bern', 7, 2.25), (5, 'eve', 'Oslo', 3, NULL);
        CREATE TABLE empty (id INTEGER);
    """)

    async def run(sql: str) -> Rows:
        try:
            found = connection.execute(sql)
        except sqlite3.Error as error:
            raise NotRun("statement_failed", str(error), is_refusal=False) from error
        rows = [tuple(compared(value) for value in row) for row in found]
        return Rows(len(found.description), rows)

    return run


async def judged(execute, answer: str, *golds: str) -> Verdict:
    return verdict([await gold_of(gold, execute, dialect="sqlite") for gold in golds], await execute(answer))


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("SELECT name FROM t ORDER BY name DESC", "SELECT name FROM t"),
        ("SELECT city, name AS who FROM t", "SELECT name, city FROM t"),
        ("SELECT count(*) * 1.0 FROM t", "SELECT count(*) FROM t"),
        ("SELECT 0.333333333302", "SELECT share FROM t WHERE id = 1"),
        ("SELECT 'ann  '", "SELECT name FROM t WHERE id = 1"),
        ("SELECT '2024-03-01T00:00:00'", "SELECT '2024-03-01'"),
        ("SELECT NULL", "SELECT share FROM t WHERE id = 5"),
        ("SELECT id FROM empty", "SELECT name FROM t WHERE id > 9"),
    ],
)
async def test_the_order_of_rows_and_columns_names_and_types_of_numbers_are_free(execute, answer, gold):
    assert (await judged(execute, answer, gold)).why == "exact"


@pytest.mark.parametrize(
    ("answer", "gold", "why", "relaxed"),
    [
        ("SELECT name, city FROM t", "SELECT name FROM t", "extra_columns", True),
        ("SELECT DISTINCT city FROM t", "SELECT city FROM t", "duplicates", True),
        ("SELECT city FROM t", "SELECT DISTINCT city FROM t", "duplicates", True),
        ("SELECT 0.33", "SELECT share FROM t WHERE id = 1", "rounding2", True),
        ("SELECT 0.3", "SELECT share FROM t WHERE id = 1", "rounding1", False),
        ("SELECT name FROM t ORDER BY points", "SELECT name FROM t ORDER BY points DESC", "row_order", False),
        ("SELECT name FROM t", "SELECT name, city FROM t", "columns", False),
        ("SELECT name FROM t WHERE id < 3", "SELECT name FROM t WHERE id < 4", "row_count", False),
        ("SELECT name FROM t WHERE id = 1", "SELECT name FROM t WHERE id = 2", "values", False),
        ("SELECT '5'", "SELECT count(*) FROM t", "values", False),
        ("SELECT id FROM empty", "SELECT count(*) FROM t", "row_count", False),
        ("SELECT city, name FROM t WHERE id = 1", "SELECT name, name FROM t WHERE id = 1", "values", False),
    ],
)
async def test_what_is_not_the_same_is_told_by_the_nearest_thing(execute, answer, gold, why, relaxed):
    told = await judged(execute, answer, gold)
    assert (told.exact, told.why, told.relaxed) == (False, why, relaxed)


async def test_rows_of_equal_sort_keys_may_come_in_any_order_and_others_may_not(execute):
    gold = "SELECT name FROM t ORDER BY points DESC"
    assert (await judged(execute, "SELECT name FROM t ORDER BY points DESC, name DESC", gold)).exact
    assert not (await judged(execute, "SELECT name FROM t ORDER BY name DESC", gold)).exact


async def test_of_a_tie_that_crosses_the_limit_any_rows_may_come(execute):
    gold = "SELECT name FROM t ORDER BY points DESC LIMIT 2"
    for last in ("bob", "cyd", "dan"):
        assert (await judged(execute, f"SELECT 'ann' UNION ALL SELECT '{last}'", gold)).exact
    assert not (await judged(execute, "SELECT 'ann' UNION ALL SELECT 'eve'", gold)).exact
    assert not (await judged(execute, "SELECT 'bob' UNION ALL SELECT 'ann'", gold)).exact
    assert not (await judged(execute, "SELECT 'bob' UNION ALL SELECT 'cyd'", gold)).exact


async def test_sort_keys_are_seen_through_aliases_places_and_aggregates(execute):
    for order in ("n DESC", "2 DESC", "count(*) DESC"):
        gold = f"SELECT city, count(*) AS n FROM t GROUP BY city ORDER BY {order} LIMIT 1"
        assert (await judged(execute, "SELECT 'Oslo', 2", gold)).exact
        assert (await judged(execute, "SELECT 'Rome', 2", gold)).exact
        assert not (await judged(execute, "SELECT 'Bern', 1", gold)).exact


async def test_any_of_several_golds_will_do_and_the_best_verdict_counts(execute):
    golds = ("SELECT name FROM t WHERE id = 2", "SELECT name FROM t WHERE id = 1")
    assert (await judged(execute, "SELECT 'ann'", *golds)).exact
    told = await judged(execute, "SELECT 'ann', 7", *golds)
    assert (told.relaxed, told.why) == (True, "extra_columns")


async def test_the_score_of_bird_knows_no_order_of_rows_but_one_of_columns(execute):
    gold = "SELECT name, city FROM t ORDER BY name"
    assert (await judged(execute, "SELECT name, city FROM t ORDER BY name DESC", gold)).bird_ex
    assert not (await judged(execute, "SELECT city, name FROM t ORDER BY name", gold)).bird_ex


async def test_a_gold_that_does_not_run_is_none(execute):
    with pytest.raises(NotRun):
        await gold_of("SELECT nothing FROM t", execute, dialect="sqlite")
