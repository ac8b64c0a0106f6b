"""The command ``awaitsql`` as a script calls it: what it prints, where, and what its exit code says."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet
import pytest
import warm_commands

FOR_EVER = (
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 4000000000) SELECT COUNT(*) AS n FROM r"
)


def furnished(folder: Path) -> Path:
    """A home and working folder with a database of 3,000 orders in it."""
    connection = sqlite3.connect(folder / "shop.sqlite")
    connection.execute('CREATE TABLE "Order Items" (id INTEGER PRIMARY KEY, name TEXT)')
    connection.executemany('INSERT INTO "Order Items" VALUES (?, ?)', ((i, f"näme {i}") for i in range(3000)))
    connection.commit()
    connection.close()
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For tests that look at every job."""
    return furnished(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests that look at what one command says."""
    return furnished(tmp_path_factory.mktemp("shared"))


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWAITSQL_")}
    return {**kept, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "COLUMNS": "120"}


def awaitsql(folder: Path, *arguments: str, **more: Any) -> subprocess.CompletedProcess[bytes]:
    return warm_commands.awaitsql(*arguments, cwd=folder, **{"env": environment(folder), **more})


def test_rows_go_to_standard_output_in_every_format_and_words_to_standard_error(shared):
    sql = 'SELECT id, name FROM "Order Items" ORDER BY id'
    as_csv = awaitsql(shared, "query", sql, "--db", "shop.sqlite", "--format", "csv")
    as_json = awaitsql(shared, "query", "-", "--db", "shop.sqlite", "--format", "json", typed=sql.encode())
    target = shared / "out.parquet"
    as_parquet = awaitsql(shared, "query", sql, "--db", "shop.sqlite", "--format", "parquet", "--output", str(target))
    as_table = awaitsql(shared, "query", sql, "--db", "shop.sqlite")

    rows = list(csv.reader(io.StringIO(as_csv.stdout.decode())))
    assert rows[0] == ["id", "name"]
    assert rows[2999] == ["2998", "näme 2998"]
    assert [json.loads(line)["id"] for line in as_json.stdout.splitlines()] == list(range(3000))
    assert pa.parquet.read_table(target).num_rows == 3000
    assert "näme 99" in as_table.stdout.decode()
    assert b"2,900 not shown" in as_table.stderr
    assert [r.returncode for r in (as_csv, as_json, as_parquet, as_table)] == [0, 0, 0, 0]


def test_a_result_is_queried_again_without_its_source(shared):
    sql = 'SELECT id, name FROM "Order Items" ORDER BY id'
    handle = json.loads(awaitsql(shared, "query", sql, "--db", "shop.sqlite", "--json").stdout)["job_id"]
    again = "select count(*) as n, max(name) as last from r1 where id < 10"
    counted = awaitsql(shared, "query", again, "--over", handle, "--db", "shop.sqlite", "--format", "csv")
    unclear = awaitsql(shared, "query", again, "--over", handle, "--db", "shop.sqlite", "--fresh")

    assert counted.stdout.decode().split() == ['"n","last"', '10,"näme', '9"']
    assert (unclear.returncode, b"--fresh is of a source" in unclear.stderr) == (2, True)


def test_a_refusal_exits_with_3_and_shows_the_place(shared):
    refused = awaitsql(shared, "check", 'SELECT nmae FROM "Order Items"', "--db", "shop.sqlite")
    as_json = awaitsql(shared, "check", 'DROP TABLE "Order Items"', "--db", "shop.sqlite", "--json")

    told = refused.stderr.decode().splitlines()
    line = next(i for i, text in enumerate(told) if text.strip().startswith("SELECT nmae"))
    assert told[line][told[line + 1].index("^") :].startswith("nmae")
    assert "name" in told[line + 2]
    assert (refused.returncode, as_json.returncode) == (3, 3)
    assert json.loads(as_json.stdout)["error"]["code"] == "not_read_only"


def test_check_prints_the_sql_that_would_run(shared):
    checked = awaitsql(shared, "check", 'select * from "order items" where id < 3', "--db", "shop.sqlite", "--json")

    told = json.loads(checked.stdout)
    assert "Order Items" in told["sql"]
    assert told["tables"] == ["main.Order Items"]
    assert checked.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "SELECT 1", "--db", "nothere.sqlite"],
        ["query", "SELECT 1", "--db", "notes.txt"],
        ["query", "SELECT 1", "--db", "shop.sqlite", "--source", "shoop"],
        ["query", "SELECT 1", "--db", "shop.sqlite", "--format", "table", "--output", "x"],
        ["query", "SELECT 1", "--db", "shop.sqlite", "--format", "csv", "--output", "."],
        ["serve", "--config", "misspelt.toml"],
        ["serve", "--db", "shop.sqlite", "--transport", "http", "--host", "0.0.0.0"],
    ],
)
def test_a_wrong_command_line_exits_with_2_and_says_what_to_do(shared, arguments):
    (shared / "notes.txt").write_text("these are notes")
    (shared / "misspelt.toml").write_text("[executor]\nleese_s = 3\n")
    told = awaitsql(shared, *arguments)

    assert told.returncode == 2
    assert b"invalid_settings" in told.stderr
    assert told.stdout == b""
    assert b"Traceback" not in told.stderr


def test_a_misspelt_environment_variable_is_refused(shared):
    variables = {**environment(shared), "AWAITSQL_EXECUTOR__LEESE_S": "3"}
    told = awaitsql(shared, "query", "SELECT 1", "--db", "shop.sqlite", "--json", env=variables)

    assert told.returncode == 2
    assert json.loads(told.stdout)["error"]["code"] == "invalid_settings"


def test_what_is_unfinished_after_the_wait_leaves_a_handle_that_goes_on_later(folder):
    slow = (
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 8000000) SELECT COUNT(*) AS n FROM r"
    )
    left = awaitsql(folder, "query", slow, "--db", "shop.sqlite", "--wait", "0.3", "--json")
    job_id = json.loads(left.stdout)["job_id"]
    listed = awaitsql(folder, "jobs", "list", "--db", "shop.sqlite", "--json")
    shown = awaitsql(folder, "jobs", "show", job_id, "--db", "shop.sqlite", "--wait", "40", "--json")
    rows = awaitsql(folder, "jobs", "rows", job_id, "--db", "shop.sqlite", "--json")

    assert left.returncode == 5
    assert [j["job_id"] for j in json.loads(listed.stdout)["jobs"]] == [job_id]
    assert json.loads(shown.stdout)["state"] == "succeeded"
    assert json.loads(rows.stdout)["rows"] == [[8_000_000]]


def test_jobs_that_the_broker_forgot_are_told_of_by_the_history(folder):
    kept = json.loads(awaitsql(folder, "query", "SELECT 7 AS n", "--db", "shop.sqlite", "--json").stdout)["job_id"]
    gone = json.loads(awaitsql(folder, "query", "SELECT 8 AS n", "--db", "shop.sqlite", "--json").stdout)["job_id"]
    left = awaitsql(folder, "query", FOR_EVER, "--db", "shop.sqlite", "--wait", "0.3", "--json")
    lost = json.loads(left.stdout)["job_id"]
    [home] = (folder / "state" / "awaitsql").iterdir()
    until = time.monotonic() + 30
    while not {kept, gone, lost} <= _recorded(home / "history.sqlite"):
        assert time.monotonic() < until
        awaitsql(folder, "jobs", "list", "--db", "shop.sqlite")
    shutil.rmtree(home / "broker")
    shutil.rmtree(home / "results" / gone)

    def jobs(*arguments: str) -> tuple[int, dict[str, Any]]:
        told = awaitsql(folder, "jobs", *arguments, "--db", "shop.sqlite", "--json")
        return told.returncode, json.loads(told.stdout)

    shown = {job_id: jobs("show", job_id) for job_id in (kept, gone, lost)}
    in_words = awaitsql(folder, "jobs", "show", lost, "--db", "shop.sqlite")
    listed = jobs("list")[1]["jobs"]
    rows = jobs("rows", kept)

    assert (shown[kept][0], shown[kept][1]["state"], shown[kept][1]["rows"]) == (0, "succeeded", [[7]])
    assert rows[1]["rows"] == [[7]]
    assert [(code, told["error"]["code"]) for code, told in (shown[gone], shown[lost])] == [
        (1, "result_expired"),
        (1, "job_lost"),
    ]
    assert "4000000000" in shown[lost][1]["sql"]
    assert b"job_lost" in in_words.stderr
    assert in_words.returncode == 1
    assert [job["job_id"] for job in listed] == [lost, gone, kept]
    assert [job["state"] for job in listed[1:]] == ["succeeded", "succeeded"]
    assert listed[0]["error"]["code"] == "job_lost"


def _recorded(history: Path) -> set[str]:
    """The jobs that the history has heard of."""
    with closing(sqlite3.connect(history)) as connection:
        return {job_id for (job_id,) in connection.execute("SELECT job_id FROM awaitsql_jobs")}


def test_ctrl_c_cancels_the_job_and_leaves_no_process(folder):
    command = [sys.executable, "-m", "mcp_server", "query", FOR_EVER, "--db", "shop.sqlite"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            worker = _busy_worker(process.pid)
        except BaseException:
            process.kill()
            raise
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
        _, alive = psutil.wait_procs(family, timeout=10)
    listed = awaitsql(folder, "jobs", "list", "--db", "shop.sqlite", "--json")

    assert process.returncode == 130
    assert b"cancelled; the database stopped" in told
    assert worker in family
    assert alive == []
    assert [j["state"] for j in json.loads(listed.stdout)["jobs"]] == ["cancelled"]


def _busy_worker(pid: int) -> psutil.Process:
    """The worker below `pid`, once it works hard: other work of this machine may slow it, and says nothing of it."""
    until = time.monotonic() + 30
    began: dict[psutil.Process, float] = {}
    while time.monotonic() < until:
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # a child that is short, as those that start others are
                if "executor.worker" in child.cmdline() and _has_statement(child):
                    took = child.cpu_times().user
                    if took - began.setdefault(child, took) > 0.3:
                        return child
        time.sleep(0.05)
    raise AssertionError("no worker got busy")


def _has_statement(worker: psutil.Process) -> bool:
    """Whether the worker has the database file open: it does not while it starts."""
    return any(file.path.endswith("shop.sqlite") for file in worker.open_files())


def test_doctor_says_what_is_there_and_what_is_wrong(shared):
    well = awaitsql(shared, "doctor", "--db", "shop.sqlite", "--json")
    ill = awaitsql(shared, "doctor", "--db", "nothere.sqlite", "--json")

    assert well.returncode == 0
    assert {check["level"] for check in json.loads(well.stdout)["checks"]} == {"ok"}
    assert ill.returncode == 1
    assert any(check["level"] == "error" and check["fix"] for check in json.loads(ill.stdout)["checks"])


def test_doctor_speaks_in_words_too_and_names_a_broker_and_a_history_that_do_not_answer(shared):
    config = """
        [executor]
        state_dir = "state"
        broker_url = "redis://127.0.0.1:1/0"
        [executor.sources.shop]
        kind = "sqlite"
        path = "shop.sqlite"
    """
    (shared / "no_broker.toml").write_text(config)
    away = config.replace('broker_url = "redis://127.0.0.1:1/0"', "")
    (shared / "no_history.toml").write_text(f'{away}\n[executor.history]\nurl = "postgresql://nobody@127.0.0.1:1/x"\n')
    (shared / "misspelt.toml").write_text("[executor]\nleese_s = 3\n")
    said = {}
    for name in ("no_broker", "no_history", "misspelt"):
        told = awaitsql(shared, "doctor", "--config", f"{name}.toml", "--json")
        said[name] = {c["about"]: c for c in json.loads(told.stdout)["checks"] if c["level"] == "error"}
        assert told.returncode == 1
        assert b"Traceback" not in told.stderr
    in_words = awaitsql(shared, "doctor", "--db", "shop.sqlite")

    assert {name: list(checks) for name, checks in said.items()} == {
        "no_broker": ["broker"],
        "no_history": ["history"],
        "misspelt": ["configuration"],
    }
    assert all(check["fix"] for checks in said.values() for check in checks.values())
    assert in_words.returncode == 0
    assert "source shop: 1 tables and views" in in_words.stdout.decode()


def test_the_version_is_told(shared):
    command = [sys.executable, "-m", "mcp_server", "--version"]
    told = subprocess.run(command, env=environment(shared), capture_output=True, timeout=60, check=False)

    assert told.stdout.startswith(b"awaitsql ")
    assert told.returncode == 0
