"""Clients written by others, to the same text, against the product: each takes a query from its handle to its rows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from mcp_suite import HERE, Suite, installed
from python_client import FASTMCP, MCP_1, PythonClient
from served import HttpServer, make_orders
from the_loop import counting, loop

TRANSPORTS = ["http", "stdio"]
SEEN = {"handle": True, "ended": "succeeded", "rows": [[2_000_000]], "goes on": True, "cancelled": "cancelled"}
TOOLS = {"query", "get_job", "get_rows", "cancel_job"}
"""What the loop calls, of the tools there are."""


@dataclass(frozen=True)
class Product:
    """A server over HTTP; those over stdio, which clients start themselves, share its jobs."""

    http: HttpServer

    def target(self, transport: str) -> list[str]:
        """The address, or the command that a client starts."""
        if transport == "http":
            return [self.http.url]
        return [sys.executable, "-m", "mcp_server", "serve", "--transport", "stdio", *self.http.arguments]

    @property
    def env(self) -> dict[str, str]:
        return self.http.environment()


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    home = tmp_path_factory.mktemp("home")
    with HttpServer(home, ["--db", str(make_orders(home / "shop.sqlite"))]) as server:
        yield Product(server)


@pytest.mark.timeout(300)  # installing takes its time, once
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("client", "version"), [(MCP_1, "2025-11-25"), (FASTMCP, "2026-07-28")])
def test_a_python_client_polls_a_query_to_its_rows_and_cancels_another(
    product: Product, client: PythonClient, version: str, transport: str
) -> None:
    seen = client.run(product.target(transport), product.env)
    tools = seen.pop("tools")
    assert seen == {"version": version, **SEEN}
    assert set(tools) > TOOLS


@dataclass(frozen=True)
class Inspector:
    """The command line of the MCP Inspector, which connects anew for each call."""

    suite: Suite
    product: Product
    transport: str
    era: str

    def run(self, *asked: str) -> tuple[dict[str, Any], str]:
        """The result, and what was said beside it."""
        script = self.suite.modules / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build"
        target = self.product.target(self.transport)
        for_server = [f"-e{name}={value}" for name, value in self.product.env.items()]
        ran = subprocess.run(
            [self.suite.node, str(script / "index.js"), "--cli", "--quiet", "--protocol-era", self.era]
            # of its own accord it gives a server, which starts for each call, 15 seconds on whatever machine
            + ["--connect-timeout", "45000", *asked]
            + (target if self.transport == "http" else [*for_server, "--", *target]),
            env=self.product.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout), ran.stderr

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The structured content of a tool's answer."""
        call = ["--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments)]
        return self.run(*call)[0]["structuredContent"]


@pytest.fixture
def inspector(product: Product, transport: str, era: str) -> Inspector:
    return Inspector(installed(), product, transport, era)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("transport", "era"), [(t, era) for t in TRANSPORTS for era in ("legacy", "modern")])
def test_the_inspector_finds_nothing_in_the_tools_schemas_to_complain_of(inspector: Inspector) -> None:
    told, complaints = inspector.run("--method", "tools/list", "--strict")
    assert {tool["name"] for tool in told["tools"]} > TOOLS
    assert complaints == ""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("transport", "era"), [(transport, "legacy") for transport in TRANSPORTS])
async def test_the_inspector_polls_a_query_to_its_rows_and_cancels_another(inspector: Inspector) -> None:
    assert await loop(inspector.call) == SEEN


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("transport", "era"), [(transport, "modern") for transport in TRANSPORTS])
async def test_the_inspector_follows_the_task_of_a_query_to_its_rows(inspector: Inspector) -> None:
    view = await inspector.call("query", {"sql": counting(2_000_000), "wait_seconds": 0, "fresh": True})
    assert (view["state"], view["rows"]) == ("succeeded", [[2_000_000]])
    paged = await inspector.call("get_rows", {"job_id": view["job_id"]})
    assert paged["rows"] == [[2_000_000]]


@pytest.mark.timeout(300)
def test_the_official_client_follows_a_query_to_its_rows_and_cancels_another(product: Product) -> None:
    suite = installed()
    # a script finds its packages from where it lies
    script = shutil.copy(HERE / "tasks_client.mjs", suite.modules.parent)
    command = [suite.node, str(script), product.http.url]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "version": "2026-07-28",
        "kinds": ["task", "task"],
        "rows": [[2_000_000]],
        "cancelled": "cancelled",
    }
