"""The official suite's scenarios of the Tasks extension, against the product's own over a real worker."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp_suite import Suite, installed
from served import ROOT, HttpServer, make_orders, until

SCENARIOS = [
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
]
"""All of them but ``tasks-status-notifications``, in which this version of the suite checks nothing yet."""


@pytest.fixture(scope="module")
def suite() -> Suite:
    return installed()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(Path(__file__).with_name("fixture_server.py")), str(port)]
    env = {**HttpServer(home, []).environment(), "PYTHONPATH": str(ROOT)}
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, str(make_orders(home / "shop.sqlite"))], cwd=ROOT, env=env, stderr=log, stdout=log
        )
    try:
        until(lambda: answers(port) or server.poll() is not None, within_s=60)
        assert server.poll() is None, (home / "log").read_text()
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.terminate()
        server.wait(20)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_check_of_the_scenario_succeeds(suite: Suite, url: str, scenario: str, tmp_path: Path) -> None:
    checks = suite.run(url, scenario, tmp_path)
    wrong = [check for check in checks if check["status"] not in {"SUCCESS", "INFO"}]
    assert not wrong
    assert any(check["status"] == "SUCCESS" and check["id"] != "wire-schema-valid" for check in checks)
