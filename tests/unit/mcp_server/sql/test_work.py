"""No text keeps the guard busy: what it reads is bounded, and ordinary statements are far from the bound."""

from __future__ import annotations

import random
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "fuzz"))
from extremes import EXPRESSIONS, TYPES, Extreme, extremes, nested
from invariants import verdict
from mutated import DIALECTS

from mcp_server.sql import StatementRefused, dialect_names
from mcp_server.sql.intake import MAX_LINKS, MAX_NESTING
from mcp_server.sql.translate import translated

PROCESSOR_S = 2.0
"""What one text may take. The texts tried here take a tenth of it; what tries all readings takes minutes."""
TRIED = 12


def hold(extreme: Extreme, dialect: str) -> None:
    began = time.process_time()
    verdict(extreme.sql, dialect)
    took = time.process_time() - began
    assert took < PROCESSOR_S, f"{dialect}: {extreme.family} × {extreme.size} took {took:.1f} s: {extreme.sql[:200]}"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_extreme_texts_are_checked_or_refused_in_bounded_time(dialect: str) -> None:
    texts = [text for text in extremes(7, depths=(40,)) if len(text.sql) < 4_000 and not text.family.startswith("text")]
    for extreme in random.Random(dialect).sample(texts, TRIED * 4):
        hold(extreme, dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_opener_that_makes_a_parser_go_back_is_stopped(dialect: str) -> None:
    for opener in ("STRUCT(", "ARRAY[", "MAP(", "ROW(", "OBJECT(", "UNION(", "{'a':", "x -> ("):
        pair = next(pair for pair in EXPRESSIONS if pair[0] == opener)
        for closed in (True, False):
            sql = f"SELECT {nested([pair], 'id', 50, closed=closed)} FROM orders"
            hold(Extreme(opener, 50, sql), dialect)
    for pair in TYPES[:12]:
        hold(Extreme(pair[0], 50, f"SELECT CAST(id AS {nested([pair], 'INT', 50, closed=True)}) FROM orders"), dialect)
    for joins in (40, 400):
        hold(Extreme("LEFT JOIN", joins, "SELECT 1 FROM orders " + "LEFT JOIN customers " * joins), dialect)


def test_a_type_in_a_quoted_name_counts_too() -> None:
    inner = nested([("STRUCT(a", ")")], "INT", 300, closed=True).replace('"', "")
    for dialect in dialect_names():
        hold(Extreme("quoted", 300, f'SELECT CAST(id AS "{inner}") FROM orders'), dialect)


def test_a_refusal_says_that_it_is_too_complex() -> None:
    said = verdict("SELECT " + "STRUCT(" * 40 + "id" + ")" * 40 + " FROM orders", "duckdb")
    assert isinstance(said, StatementRefused)
    assert said.code == "too_complex"


def test_links_and_levels_are_counted_to_the_one_that_is_too_many() -> None:
    def code(sql: str) -> str | None:
        said = verdict(sql, "duckdb")
        return str(said.code) if isinstance(said, StatementRefused) else None

    assert code(f"SELECT ([1]){'[1]' * (MAX_LINKS - 1)} FROM orders") != "too_complex"
    assert code(f"SELECT ([1]){'[1]' * (MAX_LINKS + 1)} FROM orders") == "too_complex"
    # Many short ones are no long one.
    assert code(f"SELECT {', '.join(['orders.id + orders.id'] * 200)} FROM orders") is None
    assert code(f"SELECT {'(' * MAX_NESTING}id{')' * MAX_NESTING} FROM orders") is None
    assert code(f"SELECT {'(' * (MAX_NESTING + 1)}id{')' * (MAX_NESTING + 1)} FROM orders") == "too_complex"
    # A name END closes no bracket.
    assert code("SELECT " + "( end " * 100 + " FROM orders") == "too_complex"


def test_what_would_be_written_twice_over_and_over_is_refused_first() -> None:
    hold(Extreme("->", 300, "SELECT coalesce(" + "x -> " * 300 + "id, 1) FROM orders"), "tsql")
    hold(Extreme("DIV", 600, "SELECT id FROM orders WHERE id " + "DIV id " * 600), "tsql")
    with pytest.raises(StatementRefused, match="JSON operators"):
        translated("SELECT a " + "-> 'b' " * 30 + "FROM t", "postgres", "tsql")


def test_threads_count_for_themselves() -> None:
    said: dict[int, object] = {}

    def work(number: int) -> None:
        for _ in range(20):
            sql = "SELECT " + "STRUCT(" * 40 if number % 2 else "SELECT id + id + id AS a FROM orders"
            said[number] = verdict(sql, "duckdb")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [isinstance(said[number], StatementRefused) for number in range(4)] == [False, True, False, True]
