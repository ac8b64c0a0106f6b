"""The official suite's scenarios that a server without the suite's own tools, prompts and resources can be held to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp_suite import HERE, Suite, installed
from served import HttpServer, make_orders

EITHER_ERA = ["tools-list", "resources-list", "prompts-list", "server-sse-multiple-streams", "dns-rebinding-protection"]
HANDSHAKE = ["server-initialize", "server-session-lifecycle", "ping", *EITHER_ERA]
STATELESS = ["server-stateless", "sep-2164-resource-not-found", "caching", "http-header-validation", *EITHER_ERA]


@pytest.fixture(scope="module")
def suite() -> Suite:
    return installed()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    home = tmp_path_factory.mktemp("home")
    with HttpServer(home, ["--db", str(make_orders(home / "shop.sqlite"))]) as server:
        yield server


@pytest.mark.parametrize(
    ("version", "scenario"),
    [*(("2025-11-25", scenario) for scenario in HANDSHAKE), *(("2026-07-28", scenario) for scenario in STATELESS)],
)
def test_the_scenario_passes(suite: Suite, served: HttpServer, version: str, scenario: str, tmp_path: Path) -> None:
    known = ["--expected-failures", str(HERE / "expected_failures.yml")]
    checks = suite.run(served.url, scenario, tmp_path, "--spec-version", version, *known)
    assert any(check["status"] == "SUCCESS" and check["id"] != "wire-schema-valid" for check in checks)
