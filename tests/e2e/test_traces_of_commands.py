"""Traces of processes that end: their last spans are sent, nothing waits for an endpoint, and none costs nothing."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from collector import collecting
from served import ROOT

SQL = "select name from customers where name <> 'somebody'"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as made:
        made.execute("create table customers (id integer primary key, name text not null)")
        made.execute("insert into customers values (1, 'Ada')")
        made.commit()
    return tmp_path


def started(folder: Path, **variables: str) -> subprocess.Popen[str]:
    """One statement from the command line, with a broker and a worker of its own."""
    known = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    command = [sys.executable, "-m", "mcp_server", "query", SQL, "--db", str(folder / "shop.sqlite"), "--format", "csv"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=known | variables, stdout=pipe, stderr=pipe, text=True)


def queried(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the command said, after its end."""
    with started(folder, **variables) as ran:
        out, told = ran.communicate(timeout=60)
    return subprocess.CompletedProcess(ran.args, ran.returncode, out, told)


def worker_log(folder: Path) -> str:
    (log,) = folder.glob("**/worker.log")
    return log.read_text()


def test_a_command_that_ends_has_sent_its_trace_with_the_sql_where_the_settings_say_so(folder: Path) -> None:
    with collecting() as collector:
        ran = queried(
            folder,
            AWAITSQL_EXECUTOR__TRACING__OTLP_ENDPOINT=collector.endpoint,
            AWAITSQL_EXECUTOR__TRACING__SQL_TEXT="true",
        )
        assert ran.stdout.split() == ['"name"', '"Ada"'], ran.stderr

        [sent] = [s for s in collector.spans if s.told.get("awaitsql.job.kind") == "query" and s.kind == "producer"]
        statement = collector.one(sent.trace_id, "SELECT", within_s=0)
    assert (statement.told["db.system.name"], statement.name) == ("sqlite", "SELECT main.customers")
    assert "somebody" in statement.told["db.query.text"]


def test_an_endpoint_that_never_answers_holds_up_nothing(folder: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started(folder, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as ran:
            assert ran.stdout is not None
            assert [ran.stdout.readline(), ran.stdout.readline()] == ['"name"\n', '"Ada"\n']
            began = time.monotonic()
            assert ran.wait(30) == 0
            assert time.monotonic() - began < 9, "the exporter's own patience is 10 s"
        silent.settimeout(0)
        silent.accept()[0].close()  # it was tried


def test_without_an_endpoint_no_process_loads_what_traces(folder: Path) -> None:
    ran = queried(folder, PYTHONPROFILEIMPORTTIME="1")
    assert ran.stdout.split() == ['"name"', '"Ada"'], ran.stderr
    log = worker_log(folder)
    assert " executor.tracing\n" in ran.stderr
    assert " executor.tracing\n" in log, "what the worker loads is in its log"
    for of_traces in ("opentelemetry.sdk.trace", "opentelemetry.exporter", "executor.tracing.spans"):
        assert of_traces not in ran.stderr
        assert of_traces not in log
