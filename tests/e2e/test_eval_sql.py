"""``awaitsql eval sql`` as a script calls it, over a small set of questions of its own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from model_double import Reply, ask_back, model_server, sql
from warm_commands import awaitsql

QUESTIONS: list[dict[str, Any]] = [
    {"id": "q1", "set": "a", "question": "How many songs?", "gold_sql": ["SELECT count(*) FROM songs"]},
    {"id": "q2", "set": "a", "question": "Titles by length", "gold_sql": ["SELECT title FROM songs ORDER BY secs"]},
    {
        "id": "q3",
        "set": "b",
        "question": "Longest",
        "gold_sql": "SELECT title FROM songs ORDER BY secs DESC LIMIT 1",
    },
    {"id": "q4", "set": "b", "question": "Empty", "gold_sql": ["SELECT 1 WHERE 0"], "gold_empty": True},
    {"id": "q5", "set": "b", "question": "Of PostgreSQL", "gold_sql": ["SELECT 1"], "dialect": "postgres"},
    {"id": "q6", "set": "b", "question": "Wrong gold", "gold_sql": ["SELECT nothing FROM songs"]},
]
PREDICTIONS = [
    {"id": "q1", "model": "good", "sql": "SELECT count(title) FROM songs", "exact": True},
    {"id": "q2", "model": "good", "sql": "SELECT title FROM songs ORDER BY secs, title", "exact": False},
    {"id": "q3", "model": "good", "sql": "SELECT 'Coda'"},
    {"id": "q6", "model": "good", "sql": "SELECT 1"},
    {"id": "q1", "model": "bad", "sql": "DELETE FROM songs"},
    {"id": "q2", "model": "bad", "sql": "SELECT title, secs FROM songs ORDER BY secs"},
    {"id": "q3", "model": "bad", "sql": "SELECT abs(-9223372036854775807 - 1)"},
]


def made(folder: Path) -> Path:
    """The folder, with the questions, their database and the recorded SQL."""
    (folder / "dbs" / "Music-1").mkdir(parents=True)
    with closing(sqlite3.connect(folder / "dbs" / "Music-1" / "Music-1.sqlite")) as music:
        music.executescript(
            "CREATE TABLE songs (title TEXT, secs INT);"
            "INSERT INTO songs VALUES ('Air', 100), ('Bolero', 900), ('Coda', 900), ('Duo', 300);"
        )
    lines = (json.dumps({"db": "Music-1", "dialect": "sqlite", "evidence": "", **row}) for row in QUESTIONS)
    (folder / "questions.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "predictions.json").write_text(json.dumps(PREDICTIONS))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made(tmp_path)


def eval_sql(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWAITSQL_")}
    env = {**kept, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), **variables}
    return awaitsql("eval", "sql", *arguments, cwd=folder, env=env, timeout=90)


ASKS = ("--questions", "questions.jsonl", "--db-root", "dbs")
REPLAY = (*ASKS, "--predictions", "predictions.json")


@dataclass(frozen=True)
class Replayed:
    """A run of all that is recorded: what it told, and the lines it kept."""

    folder: Path
    told: dict[str, Any]
    lines: list[str]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Replayed:
    folder = made(tmp_path_factory.mktemp("replayed"))
    ran = eval_sql(folder, *REPLAY, "--out", "run.jsonl", "--json")
    assert ran.returncode == 0, ran.stderr
    lines = (folder / "run.jsonl").read_text().splitlines(keepends=True)
    return Replayed(folder, json.loads(ran.stdout.splitlines()[-1]), lines)


def test_recorded_sql_is_scored_per_set_and_model_and_its_verdicts_are_held_to_those_recorded(replayed):
    told = replayed.told
    counts = {(s["set"], s["model"]): [s[k] for k in ("items", "exact", "relaxed", "refused", "failed", "unscored")]
              for s in told["scores"]}  # fmt: skip
    assert counts == {
        ("a", "good"): [2, 2, 2, 0, 0, 0],
        ("b", "good"): [1, 1, 1, 0, 0, 1],
        ("a", "bad"): [2, 0, 1, 1, 0, 0],
        ("b", "bad"): [1, 0, 0, 0, 1, 1],
    }
    assert [one["id"] for one in told["recorded"]["differ"]] == ["q2"]
    assert told["recorded"]["agree"] == 1
    items = {(i["model"], i["id"]): i for i in map(json.loads, replayed.lines)}
    assert items["bad", "q1"]["refused"] == "not_read_only"
    assert items["bad", "q3"]["error"] == "statement_failed"
    assert items["bad", "q6"]["error"] == "no_prediction"
    assert items["good", "q6"]["gold_error"].startswith("unknown_column")
    assert "q4" not in {i for _, i in items}
    assert "q5" not in {i for _, i in items}


def test_a_run_goes_on_where_it_was_stopped_and_asks_nothing_twice(replayed):
    first, second = (
        line for line in replayed.lines if json.loads(line)["model"] == "good" and json.loads(line)["set"] == "a"
    )
    kept = json.loads(first) | {"run_s": 1234.5}
    (replayed.folder / "stopped.jsonl").write_text(json.dumps(kept) + "\n" + second[:30])
    again = eval_sql(replayed.folder, *REPLAY, "--model", "good", "--set", "a", "--out", "stopped.jsonl", "--json")

    assert again.returncode == 0, again.stderr
    assert [s["exact"] for s in json.loads(again.stdout.splitlines()[-1])["scores"]] == [2]
    items = [json.loads(line) for line in (replayed.folder / "stopped.jsonl").read_text().splitlines()]
    assert sorted(i["id"] for i in items) == ["q1", "q2"]
    assert items[0]["run_s"] == 1234.5


def test_two_runs_are_compared_without_running_anything(replayed):
    for model in ("good", "bad"):
        lines = (line for line in replayed.lines if json.loads(line)["model"] == model)
        (replayed.folder / f"{model}.jsonl").write_text("".join(lines))
    compared = eval_sql(replayed.folder, "--compare", "good.jsonl", "bad.jsonl", "--json")

    [a, b] = json.loads(compared.stdout.splitlines()[-1])["comparisons"]
    assert (a["set"], a["only_a"], a["only_b"], a["p"]) == ("a", 2, 0, 0.5)
    assert (b["set"], b["both"], b["only_a"], b["unpaired"]) == ("b", 0, 1, 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (ASKS, "--predictions"),
        ((*ASKS, "--model", "a", "--model", "b"), "--model NAME"),
        ((*ASKS, "--model", "scripted"), "base_url"),
        ((*ASKS, "--model", "openai:some"), "OPENAI_API_KEY"),
        (("--questions", "questions.jsonl"), "--db-root"),
        ((*REPLAY, "--set", "c"), "There is no set c"),
        ((*REPLAY, "--model", "better"), "Models: bad, good"),
        (
            ("--questions", "predictions.json", "--db-root", "dbs", "--predictions", "predictions.json"),
            "predictions.json",
        ),
        (("--questions", "questions.jsonl", "--db-root", ".", "--predictions", "predictions.json"), "Music-1.sqlite"),
        ((*ASKS, "--mcp", f"{sys.executable} -m mcp_server serve --db dbs/Music-1/Music-1.sqlite"), "no tool ask"),
        (("--compare", "nothere", "nothere"), "There is no file nothere"),
    ],
)
def test_a_wrong_command_line_says_what_to_do(folder, arguments, words):
    ran = eval_sql(folder, *arguments)

    assert ran.returncode == 2, ran.stderr
    assert words.encode() in ran.stderr
    assert b"Traceback" not in ran.stderr


def test_another_server_is_asked_through_its_tool_ask(folder):
    ran = eval_sql(folder, *ASKS, "--mcp", f"{sys.executable} {Path(__file__).with_name('asked_server.py')}", "--json")

    assert ran.returncode == 0, ran.stderr
    a, b = json.loads(ran.stdout.splitlines()[-1])["scores"]
    assert (a["items"], a["exact"], a["failed"]) == (2, 1, 1)
    assert (b["items"], b["exact"], b["unscored"]) == (1, 0, 1)


def test_a_model_is_asked_live_and_who_found_it_away_is_asked_anew(folder: Path) -> None:
    is_away = True

    def script(text: str) -> Reply:
        if "How many songs?" in text:
            assert "What is known: all of them" in text
            return sql("SELECT count(*) FROM song") if "<tried>" not in text else sql("SELECT count(*) FROM songs")
        if "Titles by length" in text:
            asked = "you_asked" in text
            return sql("SELECT title FROM songs ORDER BY secs DESC") if asked else ask_back("Which way?", "up", "down")
        return Reply(status=400) if is_away else sql("SELECT title FROM songs ORDER BY secs DESC LIMIT 1")

    lines = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()][:3]
    lines[0]["evidence"] = "all of them"
    (folder / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    live = (*ASKS, "--model", "scripted", "--out", "run.jsonl", "--json")
    with model_server(script) as (double, base_url):
        first = eval_sql(folder, *live, AWAITSQL_MCP_SERVER__ASK__BASE_URL=base_url)
        assert first.returncode == 0, first.stderr
        items = {i["id"]: i for i in map(json.loads, (folder / "run.jsonl").read_text().splitlines())}
        asked = len(double.requests)
        is_away = False
        again = eval_sql(folder, *live, AWAITSQL_MCP_SERVER__ASK__BASE_URL=base_url)
        assert len(double.requests) == asked + 1, "what was answered is not asked again"

    assert (items["q1"]["exact"], items["q1"]["calls"]) == (True, 2)
    assert (items["q1"]["input_tokens"], items["q1"]["output_tokens"]) == (200, 40)
    assert items["q1"]["write_s"] > 0
    assert (items["q2"]["exact"], items["q2"]["calls"]) == (False, 2)
    assert (items["q3"]["error"], items["q3"]["sql"]) == ("model_unavailable", None)
    assert [request for request in double.requests if "They would not say" in request]
    a, b = json.loads(again.stdout.splitlines()[-1])["scores"]
    assert (a["items"], a["exact"], a["calls"], a["input_tokens"]) == (2, 1, 4, 400)
    assert (b["items"], b["exact"], b["failed"]) == (1, 1, 0)
