"""The command line in front of a server elsewhere: the same output and exit codes as where it does the work itself."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pyarrow as pa
import pyarrow.parquet
import pytest
import warm_commands
from served import ROOT, HttpServer, make_shop

SLOW = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 400000000) select count(*) as n from r"
FIVE_THOUSAND = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 5000) select n from r"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    with HttpServer(home, ["--db", str(make_shop(home / "shop.sqlite"))]) as server:
        yield server.origin


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return {**kept, "HOME": str(home), "COLUMNS": "120", **more}


def awaitsql(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return warm_commands.awaitsql(*arguments, cwd=ROOT, env=environment(home, **more))


def test_rows_come_in_every_format_and_nothing_is_made_here(origin: str, tmp_path: Path) -> None:
    as_csv = awaitsql(tmp_path, "query", FIVE_THOUSAND, "--server", origin, "--format", "csv")
    as_json = awaitsql(tmp_path, "query", FIVE_THOUSAND, "--server", f"{origin}/mcp", "--format", "json")
    target = tmp_path / "out.parquet"
    as_parquet = awaitsql(
        tmp_path, "query", FIVE_THOUSAND, "--server", origin, "--format", "parquet", "--output", str(target)
    )
    as_table = awaitsql(tmp_path, "query", "select * from customers", "--server", origin)

    assert [r.returncode for r in (as_csv, as_json, as_parquet, as_table)] == [0, 0, 0, 0]
    assert [row[0] for row in csv.reader(io.StringIO(as_csv.stdout.decode()))][1:] == [str(n) for n in range(1, 5_001)]
    assert [json.loads(line)["n"] for line in as_json.stdout.splitlines()] == list(range(1, 5_001))
    assert pa.parquet.read_table(target).num_rows == 5_000
    assert "Grace" in as_table.stdout.decode()
    assert b"2 rows" in as_table.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_a_refusal_exits_with_3_and_shows_the_place(origin: str, tmp_path: Path) -> None:
    refused = awaitsql(tmp_path, "query", "SELECT nmae FROM customers", "--server", origin)
    as_json = awaitsql(tmp_path, "query", "drop table customers", "--server", origin, "--json")

    told = refused.stderr.decode().splitlines()
    line = next(i for i, text in enumerate(told) if text.strip().startswith("SELECT nmae"))
    assert told[line][told[line + 1].index("^") :].startswith("nmae")
    assert (refused.returncode, as_json.returncode) == (3, 3)
    assert json.loads(as_json.stdout)["error"]["code"] == "not_read_only"


def test_what_is_unfinished_leaves_a_handle_that_can_be_shown_listed_and_cancelled(origin: str, tmp_path: Path) -> None:
    left = awaitsql(tmp_path, "query", SLOW, "--server", origin, "--wait", "0.3", "--json")
    handle = json.loads(left.stdout)["job_id"]
    listed = awaitsql(tmp_path, "jobs", "list", "--server", origin, "--json")
    shown = awaitsql(tmp_path, "jobs", "show", handle.lower().replace("-", " "), "--server", origin)
    cancelled = awaitsql(tmp_path, "jobs", "cancel", handle, "--server", origin)
    table = awaitsql(tmp_path, "jobs", "list", "--server", origin)

    assert left.returncode == 5
    assert json.loads(listed.stdout)["jobs"][0]["job_id"] == handle
    assert (shown.returncode, handle.encode() in shown.stderr) == (5, True)
    assert b"cancelled; the database stopped" in cancelled.stdout
    assert handle in table.stdout.decode()


def test_rows_are_paged(origin: str, tmp_path: Path) -> None:
    done = awaitsql(tmp_path, "query", FIVE_THOUSAND, "--server", origin, "--json")
    handle = json.loads(done.stdout)["job_id"]
    first = json.loads(awaitsql(tmp_path, "jobs", "rows", handle, "--server", origin, "--limit", "3", "--json").stdout)
    following = awaitsql(tmp_path, "jobs", "rows", handle, "--server", origin, "--cursor", first["next_cursor"])
    whole = awaitsql(tmp_path, "jobs", "rows", handle, "--server", origin, "--format", "csv")

    assert first["rows"] == [[1], [2], [3]]
    assert following.stdout.decode().split()[-1] == "103"
    assert len(whole.stdout.splitlines()) == 5_001


def test_results_there_are_queried(origin: str, tmp_path: Path) -> None:
    done = awaitsql(tmp_path, "query", FIVE_THOUSAND, "--server", origin, "--json")
    handle = json.loads(done.stdout)["job_id"]
    sql = "select count(*) as n, max(n) as last from r1"
    counted = awaitsql(tmp_path, "query", sql, "--over", handle, "--server", origin, "--format", "csv")
    refused = awaitsql(tmp_path, "query", "select * from orders", "--over", handle, "--server", origin)
    unclear = awaitsql(tmp_path, "query", sql, "--over", handle, "--source", "shop", "--server", origin)

    assert counted.stdout.decode().split() == ['"n","last"', "5000,5000"]
    assert (refused.returncode, b"unknown_table" in refused.stderr) == (3, True)
    assert unclear.returncode == 2
    assert b"--source is of a source" in unclear.stderr


def test_a_dry_run_shows_the_plan(origin: str, tmp_path: Path) -> None:
    told = awaitsql(tmp_path, "query", "select * from orders", "--server", origin, "--dry-run")

    assert told.returncode == 0
    assert "SCAN main.orders" in told.stdout.decode()
    assert "rows touched" in told.stdout.decode()


def test_ctrl_c_cancels_the_job_there(origin: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mcp_server", "query", SLOW, "--server", origin]
    before = httpx2.get(f"{origin}/v1/jobs").json()["jobs"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while (jobs := httpx2.get(f"{origin}/v1/jobs").json()["jobs"]) == before or jobs[0]["state"] != "running":
            assert process.poll() is None
        view = httpx2.get(f"{origin}/v1/jobs/{jobs[0]['job_id']}?wait_seconds=2").json()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    ended = httpx2.get(f"{origin}/v1/jobs/{view['job_id']}?wait_seconds=20").json()

    assert process.returncode == 130
    assert b"cancelled" in told
    assert ended["state"] == "cancelled"


def test_who_is_not_there_or_does_not_let_in_is_told(origin: str, tmp_path: Path) -> None:
    nobody = awaitsql(tmp_path, "jobs", "list", "--server", "http://127.0.0.1:1")
    no_address = awaitsql(tmp_path, "jobs", "list", "--server", "127.0.0.1")
    both = awaitsql(tmp_path, "query", "select 1", "--server", origin, "--db", "x.sqlite")
    unknown = awaitsql(tmp_path, "jobs", "show", "00000-00000-00000-00000-0", "--server", origin)
    wrong = awaitsql(tmp_path, "query", "select 1", "--server", origin, "--source", "shopp")
    no_limit = awaitsql(tmp_path, "jobs", "list", "--limit", "0", "--server", origin)

    assert [r.returncode for r in (nobody, no_address, both, unknown, wrong, no_limit)] == [4, 2, 2, 1, 2, 2]
    assert b"job_not_found" in unknown.stderr
    assert b"shop" in wrong.stderr
    for told in (nobody, no_address, both, unknown, wrong, no_limit):
        assert b"Traceback" not in told.stderr


def test_a_token_in_the_environment_is_sent_and_disturbs_no_other_command(tmp_path: Path) -> None:
    config = tmp_path / "awaitsql.toml"
    config.write_text(f'[executor]\nstate_dir = "{tmp_path}/state"\n[mcp_server.auth]\n')
    here = ["--config", str(config), "--db", str(make_shop(tmp_path / "shop.sqlite"))]
    made = awaitsql(tmp_path, "token", "create", "ada", *here, "--json", AWAITSQL_TOKEN="other")
    token = json.loads(made.stdout)["token"]
    with HttpServer(tmp_path, here) as server:
        origin = server.origin
        without = awaitsql(tmp_path, "jobs", "list", "--server", origin)
        by_variable = awaitsql(tmp_path, "query", "select 7 as n", "--server", origin, "--json", AWAITSQL_TOKEN=token)
        by_option = awaitsql(tmp_path, "jobs", "list", "--server", origin, "--token", token, "--json")

    assert without.returncode == 2
    assert b"sign_in_required" in without.stderr
    assert json.loads(by_variable.stdout)["rows"] == [[7]]
    assert [job["state"] for job in json.loads(by_option.stdout)["jobs"]] == ["succeeded"]
