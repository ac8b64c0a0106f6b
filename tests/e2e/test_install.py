"""``awaitsql install``: what it writes into a client's configuration, and what it leaves alone."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "claude-code": ".claude.json",
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "cursor": ".cursor/mcp.json",
    "gemini": ".gemini/settings.json",
    "vscode": ".config/Code/User/mcp.json",
    "windsurf": ".codeium/windsurf/mcp_config.json",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "shop.sqlite") as made:
        made.execute("create table orders (id integer primary key)")
    made.close()
    return tmp_path


def install(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mcp_server", "install", *arguments]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, check=False, cwd=home, env=env, input="", capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="the files lie elsewhere on other systems")
@pytest.mark.parametrize("client", FILES)
def test_the_entry_that_is_written_starts_a_server_on_that_database(home: Path, client: str) -> None:
    done = install(home, client, "--db", "shop.sqlite", "--yes")
    told = json.loads((home / FILES[client]).read_text())
    entry = (told.get("mcpServers") or told["servers"])["awaitsql"]
    again = install(home, client, "--db", "shop.sqlite", "--yes")

    assert done.returncode == 0, done.stderr
    assert entry["args"] == ["serve", "--transport", "stdio", "--db", str(home / "shop.sqlite")]
    assert Path(entry["command"]).is_absolute()
    assert "+" in done.stderr
    assert "nothing to change" in " ".join(again.stderr.split())


def test_what_else_stands_in_the_file_stays_and_the_file_as_it_was_is_kept(home: Path) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    before = {
        "theme": "dark",
        "mcpServers": {"other": {"command": "x"}, "awaitsql": {"command": "old", "env": {"TOKEN": "t"}}},
    }
    file.write_text(json.dumps(before))
    file.chmod(0o600)
    install(home, "cursor", "--db", "shop.sqlite", "--yes")
    told = json.loads(file.read_text())
    kept = json.loads((file.parent / "mcp.json.before-awaitsql").read_text())
    install(home, "cursor", "--remove", "--yes")
    removed = json.loads(file.read_text())

    assert kept == before
    assert told["theme"] == "dark"
    assert told["mcpServers"]["other"] == {"command": "x"}
    assert told["mcpServers"]["awaitsql"]["env"] == {"TOKEN": "t"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert removed == {"theme": "dark", "mcpServers": {"other": {"command": "x"}}}


@pytest.mark.parametrize("text", ['{"a": 1, // why\n}', "[1]", '{"mcpServers": []}'])
def test_a_file_that_is_not_understood_is_left_alone(home: Path, text: str) -> None:
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text(text)
    done = install(home, "cursor", "--db", "shop.sqlite", "--yes")

    assert done.returncode == 2
    assert "left alone" in " ".join(done.stderr.split())
    assert file.read_text() == text


@pytest.mark.parametrize(
    "arguments",
    [
        ("nosuch", "--yes"),
        ("cursor", "--db", "shop.sqlite"),  # nobody to ask
        ("cursor", "--db", "missing.sqlite", "--yes"),
    ],
)
def test_nothing_is_written_where_something_is_wrong(home: Path, arguments: tuple[str, ...]) -> None:
    assert install(home, *arguments).returncode == 2
    assert not (home / ".cursor").exists()
