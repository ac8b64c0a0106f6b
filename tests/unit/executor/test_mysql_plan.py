"""Plans as MySQL and older MariaDB servers write them; those of the server at hand are in the conformance tests."""

from __future__ import annotations

import json

from executor.adapters.mysql_plan import estimate_of


def table(name: str, rows: int, filtered: float = 100, **more: object) -> dict[str, object]:
    return {"table": {"table_name": name, "access_type": "ALL", "rows": rows, "filtered": filtered, **more}}


def cost(block: dict[str, object]) -> float:
    return estimate_of(json.dumps({"query_block": block})).cost


def test_tables_beside_each_other_are_loops_in_each_other():
    assert cost({"nested_loop": [table("a", 10, 50), table("b", 100), {"block-nl-join": table("c", 2)}]}) == (
        10 + 5 * 100 + 5 * 100 * 2
    )


def test_neighbours_of_one_name_are_all_counted():
    told = '{"query_block": {"table": {"table_name": "a", "rows": 10}, "table": {"table_name": "b", "rows": 3}}}'
    assert estimate_of(told).cost == 10 + 10 * 3


def test_mysqls_own_words_are_read():
    inner = {"materialized_from_subquery": {"query_block": {"table": {"table_name": "b", "rows_examined_per_scan": 7}}}}
    told = {
        "cost_info": {"query_cost": "5.00"},
        "ordering_operation": {
            "using_filesort": True,
            "nested_loop": [
                {"table": {"table_name": "a", "rows_examined_per_scan": 10, "filtered": "10.00"}},
                {"table": {"table_name": "<derived2>", "rows_examined_per_scan": 2, **inner}},
            ],
        },
    }
    assert cost(told) == 10 + 7 + 1 * 2


def test_a_subquery_counts_once_or_for_every_row_if_it_depends_on_it():
    once = {"query_block": table("s", 100)}
    each = {"expression_cache": {"query_block": table("s", 100)}}
    mysqls = {"dependent": True, "query_block": table("s", 100)}
    assert cost({"nested_loop": [table("a", 10)], "subqueries": [once]}) == 10 + 100
    for part in (each, mysqls):
        assert cost({"nested_loop": [table("a", 10)], "subqueries": [part]}) == 10 + 10 * 100
        assert cost({"nested_loop": [table("a", 10, attached_subqueries=[part])]}) == 10 + 10 * 100


def test_unions_add_up():
    parts = [{"query_block": table("a", 10)}, {"query_block": table("b", 5)}]
    assert cost({"union_result": {"query_specifications": parts}}) == 15


def test_what_reads_no_table_costs_something_and_has_a_line():
    told = estimate_of('{"query_block": {"select_id": 1, "table": {"message": "No tables used"}}}')
    assert (told.cost, told.rows, told.plan) == (1.0, None, ("No tables used",))
