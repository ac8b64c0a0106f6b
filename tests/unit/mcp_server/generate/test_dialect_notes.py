"""What the model is told of each SQL dialect: short, and nothing that the guard would refuse."""

from __future__ import annotations

import re

import pytest

from executor import Column, Limits, SourceSchema, Table
from mcp_server.policy import Grant
from mcp_server.prompt_files import load_prompts, prompt_folder
from mcp_server.sql import check

NOTES = {prompt.name: prompt for prompt in load_prompts(prompt_folder() / "ask" / "dialects")}
COLUMNS = (Column("ts", "timestamp"), Column("day", "date"), Column("n", "integer"), Column("name", "text"))


def test_each_dialect_of_a_kind_has_its_notes() -> None:
    assert set(NOTES) == {"sqlite", "postgres", "mysql", "duckdb", "clickhouse"}
    assert all(notes.version for notes in NOTES.values())


@pytest.mark.parametrize("dialect", NOTES)
def test_notes_are_ten_lines_whose_examples_pass_the_guard(dialect: str) -> None:
    text = NOTES[dialect].text
    schema = SourceSchema("s", dialect, "main", (Table("main", "events", columns=COLUMNS),))
    assert len(text.strip().splitlines()) <= 10
    examples = re.findall(r"`([^`]+)`", text)
    assert len(examples) > 10
    for example in examples:
        is_order = re.search(r"NULLS (FIRST|LAST)$", example)
        sql = f"SELECT n FROM events ORDER BY {example}" if is_order else f"SELECT {example} FROM events"
        check(sql, source_schema=schema, grant=Grant.everything(), limits=Limits())
