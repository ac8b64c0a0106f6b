"""``awaitsql doctor --deep`` on things that are well, and on things that are made ill one by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis
from served import ROOT, free_port, make_orders, until
from warm_commands import awaitsql

from executor.valkey import find_server


def doctor(folder: Path, config: Path) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code, and the checks by what they are about."""
    command = ("doctor", "--deep", "--json", "--config", str(config))
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    ran = awaitsql(*command, cwd=folder, env=env, timeout=100)
    assert b"Traceback" not in ran.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for check in json.loads(ran.stdout)["checks"]:
        assert check["level"] == "ok" or check["fix"], check
        found.setdefault(check["about"], []).append(check)
    return ran.returncode, found


@contextmanager
def broker_without_a_log() -> Iterator[str]:
    port = free_port()
    command = [find_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            with redis.Redis(port=port) as connection:

                def answers() -> bool:
                    try:
                        return bool(connection.ping())
                    except redis.exceptions.ConnectionError:
                        return False

                until(answers, within_s=10)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()


def test_connections_that_do_not_suffice_and_weak_secrets_are_told(tmp_path: Path, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS few_connections")
        owner.execute("CREATE ROLE few_connections LOGIN PASSWORD 'changeme' CONNECTION LIMIT 5")
        reader = psycopg.conninfo.make_conninfo(postgres_url, user="few_connections", password=None)
        told = psycopg.conninfo.conninfo_to_dict(reader)
        host = told.get("host", "127.0.0.1")
        place = (
            f"@/{told['dbname']}?host={host}"
            if host.startswith("/")
            else f"@{host}:{told.get('port', 5432)}/{told['dbname']}"
        )
        (tmp_path / "password").write_text("changeme\n")
        (tmp_path / "password").chmod(0o604)
        config = tmp_path / "a.toml"
        config.write_text(
            f'[executor]\nstate_dir = "state"\nconcurrency = 8\n[executor.sources.shop]\nkind = "postgres"\n'
            f'url = "postgresql://few_connections{place}"\npassword = {{ file = "password" }}\n'
        )
        try:
            code, found = doctor(tmp_path, config)
        finally:
            owner.execute("DROP ROLE few_connections")

    assert code == 0, found
    [connections] = found["connections of shop"]
    assert (connections["level"], "1 workers may open 10" in connections["message"]) == ("warning", True), connections
    secrets = [check["message"] for check in found["secret executor.sources.shop.password"]]
    assert any("tried first" in message for message in secrets)
    assert any("every user of this machine" in message for message in secrets)
    assert "changeme" not in json.dumps(found)
    [statement] = found["statement on shop"]
    assert statement["level"] == "ok"
    assert found["results"][0]["level"] == found["broker log"][0]["level"] == found["clocks"][0]["level"] == "ok"


def test_a_broker_that_forgets_and_a_worker_with_a_wrong_clock_are_told(tmp_path: Path) -> None:
    make_orders(tmp_path / "orders.sqlite")
    config = tmp_path / "a.toml"
    with broker_without_a_log() as url:
        config.write_text(
            f'[executor]\nstate_dir = "state"\nbroker_url = "{url}"\n'
            '[executor.sources.orders]\nkind = "sqlite"\npath = "orders.sqlite"\n'
        )
        turns = tmp_path / "turns"
        turns.touch()
        wrong = {
            "PYTHONPATH": f"{ROOT / 'tests' / 'wrong_clock'}:{ROOT}",
            "TEST_CLOCK_OFFSETS": "[100]",
            "TEST_CLOCK_TURNS": str(turns),
        }
        with (tmp_path / "log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "mcp_server", "worker", "--config", str(config)],
                cwd=tmp_path,
                env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **wrong},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            until(lambda: b"worker_started" in (tmp_path / "log").read_bytes(), within_s=30)
            code, found = doctor(tmp_path, config)
        finally:
            worker.kill()
            worker.wait(10)

    assert code == 0, found
    [clock] = found["clocks"]
    assert (clock["level"], str(worker.pid) in clock["message"]) == ("warning", True)
    assert found["broker log"][0]["level"] == "warning"
    assert "nothing bounds it" in found["broker memory"][0]["message"]
    answered = [check["message"] for check in found["statement on orders"] if check["level"] == "ok"]
    assert any(str(worker.pid) in message for message in answered)
