"""Items counted and kept."""

from __future__ import annotations

import pytest

from executor import SettingsInvalid
from mcp_server.evaluation.items import Item, ItemFile, read_items
from mcp_server.evaluation.scores import compare, mcnemar, scores


def item(number: int, *, model: str = "m", group: str = "s", **more: object) -> Item:
    return Item.model_validate(
        {"id": str(number), "set": group, "db": "d", "model": model, "question": "?", "sql": "SELECT 1", **more}
    )


def test_sets_and_models_are_counted_apart_and_what_has_no_gold_is_in_no_share():
    items = [
        item(1, exact=True, relaxed=True),
        item(2, refused="unparseable"),
        item(3, gold_error="gold_empty: no rows"),
        item(4, group="t", exact=True, relaxed=True, input_tokens=7),
        item(1, model="n", error="statement_failed"),
    ]
    first, other, second = scores(items)
    assert (first.set, first.model, first.items, first.exact, first.refused, first.unscored) == ("s", "m", 2, 1, 1, 1)
    assert first.as_dict()["accuracy"] == {"exact": 0.5, "relaxed": 0.5, "bird_ex": 0.0}
    assert (other.set, other.exact, other.input_tokens, first.input_tokens) == ("t", 1, 7, None)
    assert (second.model, second.failed, second.exact) == ("n", 1, 0)


@pytest.mark.parametrize(("b", "c", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (0, 6, 2 / 64), (1, 9, 22 / 1024)])
def test_mcnemar_is_the_two_sided_binomial_test_of_the_pairs_that_differ(b, c, p):
    assert mcnemar(b, c) == pytest.approx(p)
    assert mcnemar(c, b) == pytest.approx(p)


def test_runs_are_compared_over_the_questions_that_both_have():
    a = [item(1, exact=True), item(2, exact=True), item(3), item(4), item(5, group="t", exact=True)]
    b = [item(1, exact=True), item(2), item(3, exact=True), item(6), item(5, group="t", exact=True)]
    one, other = compare(a, b)
    assert (one.both, one.only_a, one.only_b, one.neither, one.unpaired) == (1, 1, 1, 0, 2)
    assert (other.set, other.both, other.p) == ("t", 1, 1.0)
    with pytest.raises(ValueError, match="several models"):
        compare(a, [item(1), item(1, model="n")])


def test_a_line_that_a_killed_run_did_not_finish_is_left_out_and_written_over(tmp_path):
    path = tmp_path / "run.jsonl"
    ItemFile(path).add(item(1))
    with path.open("a") as out:
        out.write(item(2).model_dump_json()[:40])
    again = ItemFile(path)
    assert [kept.id for kept in again.items] == ["1"]
    again.add(item(3))
    assert [kept.id for kept in read_items(path)] == ["1", "3"]


def test_a_file_of_something_else_is_not_written_into(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text('{"id": 1}\n')
    with pytest.raises(SettingsInvalid, match="line 1"):
        ItemFile(path)
