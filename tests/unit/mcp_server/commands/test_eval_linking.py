"""``awaitsql eval linking`` on files of tables and questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_server.cli import run

TABLES = [
    {"id": "shop.orders", "db": "shop", "table": "orders", "columns": ["id", "client"], "fks": ["shop.clients"]},
    {"id": "shop.clients", "db": "shop", "table": "clients", "columns": ["id", "surname"], "desc": "", "values": "x"},
    {"id": "zoo.animals", "db": "zoo", "table": "animals", "columns": ["id", "species"], "fks": ["zoo.cages"]},
    {"id": "zoo.cages", "db": "zoo", "table": "cages", "columns": ["id", "size"]},
]
QUESTIONS = [
    {"id": 1, "db": "zoo", "question": "Which species are there?", "gold": ["zoo.animals"]},
    {"id": 2, "db": "shop", "question": "What did each client order?", "gold": ["shop.orders", "shop.clients"]},
    {"id": 3, "db": "zoo", "question": "The species of the orders?", "gold": ["zoo.animals", "zoo.cages"]},
    {"id": 4, "db": "zoo", "question": "Where is nothing like this?", "gold": ["zoo.cages"]},
]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    for name, rows in (("tables", TABLES), ("questions", QUESTIONS)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
    return str(tmp_path / "tables"), str(tmp_path / "questions")


def exit_code(*arguments: str) -> object:
    """What the command ends with; one that is done ends the process."""
    try:
        return run(["eval", "linking", *arguments])
    except SystemExit as ended:
        return ended.code


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_recall_is_the_share_of_questions_with_all_their_tables_among_the_first(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    tables, questions = files
    assert exit_code("--tables", tables, "--questions", questions, "--json", "--k", "1,2,4") == 0
    assert told(capsys) == {"recall@1": 0.25, "recall@2": 0.5, "recall@4": 0.75}


def test_without_json_the_figures_are_told_in_words(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    tables, questions = files
    assert exit_code("--tables", tables, "--questions", questions, "--k", "2") == 0
    assert capsys.readouterr().out == "4 questions over 4 tables\nrecall@2: 0.500\n"


@pytest.mark.parametrize("k", ["0", "ten", "5,", "-1", ""])
def test_a_number_of_tables_is_above_nought(files: tuple[str, str], capsys: pytest.CaptureFixture[str], k: str) -> None:
    tables, questions = files
    assert exit_code("--tables", tables, "--questions", questions, f"--k={k}", "--json") == 2
    assert told(capsys)["error"]["code"] == "invalid_settings"


def test_a_wrong_line_is_named(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    tables, questions = files
    Path(questions).write_text('{"question": "all", "gold": ["shop.orders"]}\n{"question": "none"}\n')
    assert exit_code("--tables", tables, "--questions", questions, "--json") == 2
    assert "line 2" in told(capsys)["error"]["message"]
    assert exit_code("--tables", "/no/such/file", "--questions", questions, "--json") == 2
    assert "/no/such/file" in told(capsys)["error"]["message"]
