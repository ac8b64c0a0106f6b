"""The bundle for Claude Desktop and the registry's entry: that they are whole, and that what is in the bundle runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, str(ROOT / ".ci" / "bundle"), "--out", str(out), "--namespace", "io.github.example"]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(out.glob("*.mcpb"))) as bundle:
        bundle.extractall(out / "opened")
    return out


async def test_what_is_in_the_bundle_serves(built: Path, tmp_path: Path) -> None:
    manifest = json.loads((built / "opened" / "manifest.json").read_text())
    file = tmp_path / "shop.sqlite"
    with sqlite3.connect(file) as made:
        made.execute("create table orders (id integer primary key)")
    made.close()
    arguments = manifest["server"]["mcp_config"]["args"]
    # what uv does first is to install the folder; here its packages are imported from it as they are
    started = [a.replace("${user_config.database}", str(file)) for a in arguments[arguments.index("awaitsql") + 1 :]]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(built / "opened")}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_server", *started], env=env, cwd=str(tmp_path)
    )
    async with Client(server) as client:
        rows = (await client.call_tool("query", {"sql": "select count(*) as n from orders"})).structured_content
        prompts = (await client.list_prompts()).prompts

    assert rows is not None
    assert rows["rows"] == [[0]]
    assert len(prompts) == 4


def test_the_manifest_passes_the_formats_own_validator(built: Path) -> None:
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("npm is not here")
    command = [npx, "--yes", "@anthropic-ai/mcpb@2.1.2", "validate", str(built / "opened" / "manifest.json")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    if "ENOTFOUND" in done.stderr or "ECONNREFUSED" in done.stderr:
        pytest.skip("npm's registry cannot be reached")

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_registrys_entry_keeps_its_rules(built: Path) -> None:
    entry = json.loads((built / "server.json").read_text())
    package = entry["packages"][0]

    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", entry["name"])
    assert len(entry["description"]) <= 100
    assert entry["version"] == package["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
    assert package["transport"] == {"type": "stdio"}
    assert [a.get("value", a.get("name")) for a in package["packageArguments"]] == ["serve", "stdio", "--db"]
