"""One server with its workers goes through a bad day; afterwards no secret is anywhere it must not be.

Each secret is a text of its own that is found nowhere else. What is searched is everything that was written: logs, the
broker's keys and its whole log of commands, the history, answers, command lines.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest
import redis
from model_double import Reply, model_server, sql
from served import ROOT, HttpServer, make_shop, until
from warm_commands import awaitsql

from executor import open_broker
from mcp_server.settings import load_settings

WRONG_PASSWORD = "canary-wrong-password-5cc1"
RIGHT_PASSWORD = "canary-right-password-81f0"
MODEL_KEY = "canary-model-key-27bd"
SIGNING_KEY = "canary-signing-key-4a7e-0123456789abcdef0123456789"
WRONG_TOKEN = "canary-wrong-token-c93d"
SECRETS = {WRONG_PASSWORD, RIGHT_PASSWORD, MODEL_KEY, SIGNING_KEY, WRONG_TOKEN}

OWN_VALUE = "canary-value-e20c"
"""Stands in statements of the caller."""

HIDDEN_VALUE = "canary-tenant-b55a"
"""Stands in a row filter that the caller is not told of."""

SLOW = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 400000000) select count(*) as n from r"


@dataclass
class Evidence:
    """What was written in the course of the day.

    Attributes:
        secrets: every text that must not be found, the token that was made included.
        written: every file below the state folder, by its name.
        keys: what stood in the broker's keys.
        history: every row of the history.
        answers: whatever a caller was told.
        figures: what a Prometheus was told.
        command_lines: of every process.
        environments: of the workers, by their program.
    """

    secrets: set[str] = field(default_factory=lambda: set(SECRETS))
    written: dict[str, bytes] = field(default_factory=dict)
    keys: str = ""
    history: str = ""
    answers: list[str] = field(default_factory=list)
    figures: str = ""
    command_lines: str = ""
    environments: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def logs(self) -> bytes:
        return b"".join(text for name, text in self.written.items() if name.endswith("log"))


CONFIGURATION = """
[executor]
signing_key = {{ file = "{home}/signing.key" }}
state_dir = "{home}/state"
lease_s = 2
beat_s = 0.5

[executor.sources.shop]
kind = "sqlite"
path = "shop.sqlite"

[executor.sources.broken]
kind = "sqlite"
path = "broken.sqlite"

[executor.sources.locked]
kind = "postgres"
url = "{locked}"
password = {{ file = "{home}/locked.password" }}

[executor.sources.open]
kind = "postgres"
url = "{opened}"
password = {{ env = "OPEN_PASSWORD" }}

[mcp_server.auth]
tokens = true

[mcp_server.ask]
model = "scripted"
base_url = "{model}"
api_key = {{ env = "MODEL_KEY" }}
request_retries = 0

[[mcp_server.policies.shop]]
[mcp_server.policies.shop.protect.customers]
rows = "name <> :principal.tenant"
"""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Day]:
    home = tmp_path_factory.mktemp("home")
    make_shop(home / "shop.sqlite")
    (home / "broken.sqlite").write_text("this is no database")
    (home / "signing.key").write_text(SIGNING_KEY)
    (home / "locked.password").write_text(WRONG_PASSWORD)
    let_in_with_a_password(postgres_url)
    with model_server(lambda asked: Reply(status=401) if "fails" in asked else sql("SELECT 1 AS one")) as (_, model):
        config = home / "awaitsql.toml"
        locked = postgres_url.replace("postgres@", "needs_password@")
        opened = postgres_url.replace("postgres@", "canary@")
        config.write_text(CONFIGURATION.format(home=home, locked=locked, opened=opened, model=model))
        day = Day(home, config)
        day.live()
    yield day
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE canary")


@pytest.fixture
def evidence(day: Day) -> Evidence:
    return day.evidence


def let_in_with_a_password(url: str) -> None:
    """Makes a role that has to give the right password."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE canary LOGIN PASSWORD '{RIGHT_PASSWORD}'".encode())
        row = connection.execute("SHOW hba_file").fetchone()
        assert row is not None
        rules = Path(row[0])
        rules.write_text("local all canary scram-sha-256\n" + rules.read_text())
        connection.execute("SELECT pg_reload_conf()")


class Server(HttpServer):
    """As it is started where secrets are in the environment."""

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "OPEN_PASSWORD": RIGHT_PASSWORD, "MODEL_KEY": MODEL_KEY}


class Day:
    """One server's day, with everything that goes wrong in it."""

    def __init__(self, home: Path, config: Path) -> None:
        self._home = home
        self.config = config
        self.headers: dict[str, str] = {}
        self.evidence = Evidence()

    def live(self) -> None:
        scopes = [f"--scope=awaitsql:{scope}" for scope in ("read", "query", "export", "metrics")]
        made = self._command("token", "create", "ada", "--attribute", f"tenant={HIDDEN_VALUE}", *scopes)
        token = made.stdout.decode().strip()
        self.evidence.secrets.add(token)
        self.headers = {"Authorization": f"Bearer {token}"}
        with Server(self._home, ["--config", str(self.config)]) as server:
            with httpx2.Client(base_url=server.origin, timeout=60, headers=self.headers) as client:
                self._ask(client)
                self._processes()
                self._lose_a_worker(client)
                self._answer(client.get("/v1/jobs", headers={"Authorization": f"Bearer {WRONG_TOKEN}"}), 401)
                self.evidence.figures = client.get("/metrics").text
            self._doctor()
            self._broker()
        self._files()

    def _ask(self, client: httpx2.Client) -> None:
        asked = [
            ("shop", f"SELECT '{OWN_VALUE}' AS v, name FROM customers", 200),
            ("shop", f"SELECT nmae FROM customers WHERE name = '{OWN_VALUE}'", 422),
            ("shop", f"DELETE FROM customers WHERE name = '{OWN_VALUE}'", 422),
            ("shop", f"SELECT abs(-9223372036854775808) AS n FROM customers WHERE name <> '{OWN_VALUE}'", 200),
            ("open", f"SELECT '{OWN_VALUE}' AS v", 200),
            ("open", f"SELECT CAST(CONCAT('{OWN_VALUE}', current_date) AS INTEGER) AS n", 200),
            ("locked", "SELECT 1 AS one", 502),
            ("broken", "SELECT 1 AS one", 502),
        ]
        for source, text, status in asked:
            sent = {"sql": text, "source": source, "wait_seconds": 30}
            self._answer(client.post("/v1/jobs", json=sent), status)
        for question in ("What is one?", "What fails?"):
            sent = {"question": question, "source": "shop", "wait_seconds": 30}
            self._answer(client.post("/v1/jobs", json=sent), 200)

    def _answer(self, answer: httpx2.Response, status: int) -> dict[str, Any]:
        assert answer.status_code == status, answer.text
        self.evidence.answers.append(answer.text)
        return answer.json()

    def _lose_a_worker(self, client: httpx2.Client) -> None:
        sent = {"sql": f"{SLOW} where '{OWN_VALUE}' <> ''", "source": "shop"}
        handle = self._answer(client.post("/v1/jobs", json=sent), 202)["job_id"]
        until(lambda: client.get(f"/v1/jobs/{handle}").json()["state"] == "running", within_s=30)
        killed = self._workers()["executor.worker"]
        killed.kill()
        until(lambda: self._workers().get("executor.worker", killed) != killed, within_s=30)
        self._answer(client.delete(f"/v1/jobs/{handle}"), 200)

    def _workers(self) -> dict[str, psutil.Process]:
        """The processes below this one that run a module, by its name."""
        found: dict[str, psutil.Process] = {}
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                words = process.cmdline()
                if "-m" in words:
                    found[words[words.index("-m") + 1]] = process
        return found

    def _processes(self) -> None:
        every = psutil.Process().children(recursive=True)
        self.evidence.command_lines = json.dumps([process.cmdline() for process in every])
        for program in ("executor.worker", "mcp_server.generate.worker"):
            self.evidence.environments[program] = self._workers()[program].environ()

    def _doctor(self) -> None:
        told = self._command("doctor")
        assert told.returncode == 1
        self.evidence.answers += [told.stdout.decode(), told.stderr.decode()]

    def _broker(self) -> None:
        environ = {"HOME": str(self._home)}
        settings = load_settings(config=self.config, databases=(), environ=environ).executor
        with open_broker(settings) as url, redis.Redis.from_url(url) as broker:
            self.evidence.keys = "\n".join(repr(value_of(broker, key)) for key in broker.scan_iter())

    def _files(self) -> None:
        for file in (self._home / "state").rglob("*"):
            if file.is_file():
                self.evidence.written[file.name] = self.evidence.written.get(file.name, b"") + file.read_bytes()
        self.evidence.written["server.log"] = (self._home / "log").read_bytes()
        [history] = (self._home / "state").rglob("history.sqlite")
        with closing(sqlite3.connect(history)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            rows = [connection.execute(f'SELECT * FROM "{name}"').fetchall() for (name,) in tables]
        self.evidence.history = repr(rows)

    def _command(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        env = Server(self._home, []).environment()
        return awaitsql(*arguments, "--config", str(self.config), cwd=ROOT, env=env)


def value_of(broker: redis.Redis, key: bytes) -> Any:
    """All that a key holds."""
    match broker.type(key):
        case b"string":
            return broker.get(key)
        case b"hash":
            return broker.hgetall(key)
        case b"list":
            return broker.lrange(key, 0, -1)
        case b"set":
            return broker.smembers(key)
        case b"zset":
            return broker.zrange(key, 0, -1, withscores=True)
        case b"stream":
            return broker.xrange(key)
        case other:
            raise AssertionError(f"{key!r} is a {other!r}, which nobody looks into")


def found(told: str | bytes, texts: set[str]) -> set[str]:
    """Those of `texts` that stand in what was told."""
    data = told.encode() if isinstance(told, str) else told
    return {text for text in texts if text.encode() in data}


def test_no_secret_is_in_a_log(evidence: Evidence) -> None:
    assert {"server.log", "worker.log", "questions.log"} <= set(evidence.written)
    assert not found(evidence.logs, evidence.secrets)


def test_no_value_of_a_statement_is_in_a_log(evidence: Evidence) -> None:
    assert not found(evidence.logs, {OWN_VALUE, HIDDEN_VALUE})


def test_no_secret_is_in_the_broker(evidence: Evidence) -> None:
    commands = b"".join(text for name, text in evidence.written.items() if name.endswith(".aof"))
    assert found(evidence.keys, {OWN_VALUE, HIDDEN_VALUE}) == {OWN_VALUE, HIDDEN_VALUE}
    assert OWN_VALUE.encode() in commands
    assert not found(evidence.keys, evidence.secrets)
    assert not found(commands, evidence.secrets)


def test_no_secret_is_in_the_history(evidence: Evidence) -> None:
    assert OWN_VALUE in evidence.history
    assert not found(evidence.history, {*evidence.secrets, HIDDEN_VALUE})


def test_no_secret_is_in_an_answer(evidence: Evidence) -> None:
    told = "\n".join(evidence.answers)
    for code in ("source_auth_failed", "source_unavailable", "statement_failed", "model_unavailable"):
        assert f'"code":"{code}"' in told
    assert not found(told, {*evidence.secrets, HIDDEN_VALUE})


def test_no_secret_and_no_value_is_in_a_figure(evidence: Evidence) -> None:
    assert 'code="source_auth_failed"' in evidence.figures
    assert not found(evidence.figures, {*evidence.secrets, OWN_VALUE, HIDDEN_VALUE})


def test_no_secret_is_on_a_command_line(evidence: Evidence) -> None:
    assert "executor.worker" in evidence.command_lines
    assert not found(evidence.command_lines, evidence.secrets)


def test_no_secret_is_in_any_file_that_was_written(evidence: Evidence) -> None:
    assert len(evidence.written) > 5
    assert not {name for name, text in evidence.written.items() if found(text, evidence.secrets)}


def test_each_worker_is_given_only_the_secrets_it_needs(evidence: Evidence) -> None:
    statements = evidence.environments["executor.worker"]
    questions = evidence.environments["mcp_server.generate.worker"]

    assert statements["OPEN_PASSWORD"] == RIGHT_PASSWORD
    assert questions["MODEL_KEY"] == MODEL_KEY
    assert not found(json.dumps(statements), {MODEL_KEY, SIGNING_KEY})
    assert not found(json.dumps(questions), {WRONG_PASSWORD, RIGHT_PASSWORD, SIGNING_KEY})


def test_a_server_that_is_given_no_password_has_statements_run_by_workers_that_are(day: Day, tmp_path: Path) -> None:
    config = ["--config", str(day.config)]
    command = [sys.executable, "-m", "mcp_server", "worker", *config]
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env=Server(tmp_path, []).environment(), stdout=log, stderr=log)
    try:
        with HttpServer(tmp_path, [*config, "--workers", "0"]) as server:
            assert not set(server.environment()) & {"OPEN_PASSWORD", "MODEL_KEY"}
            sent = {"sql": "SELECT 1 AS one", "source": "open", "fresh": True, "wait_seconds": 40}
            view = httpx2.post(f"{server.origin}/v1/jobs", json=sent, headers=day.headers, timeout=60).json()
            assert view.get("rows") == [[1]], view
    finally:
        worker.terminate()
        worker.wait(20)
