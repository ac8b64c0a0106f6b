"""What is done at a terminal is on record, and the record can be taken elsewhere and checked there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcp_server.cli import run
from mcp_server.commands.exits import Exit

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(tmp_path: Path, shop: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command of a configuration of the test's own: its exit code and what it printed."""
    file = tmp_path / "awaitsql.toml"
    file.write_text(f'[executor]\nstate_dir = "state"\n[executor.sources.shop]\nkind = "sqlite"\npath = "{shop}"\n')

    def typed(*words: str) -> tuple[int, str]:
        try:
            code = run([*words, "--config", str(file)])
        except SystemExit as exited:
            code = int(exited.code or 0)
        return code, capsys.readouterr().out

    return typed


def exported(command: Command, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in command("audit", "export", *words)[1].splitlines()]


def test_tokens_and_keys_are_on_record_with_who_did_it(command: Command) -> None:
    created = json.loads(command("token", "create", "ada", "--role", "analyst", "--days", "30", "--json")[1])
    rotated = json.loads(command("token", "rotate", "ada", "--overlap-hours", "2", "--json")[1])
    listed = json.loads(command("token", "list", "--json")[1])["tokens"]
    command("token", "revoke", created["id"])
    before, after = json.loads(command("keys", "rotate", "--json")[1])["keys"]
    refused = command("keys", "remove", after["id"])[0]
    removed = json.loads(command("keys", "remove", before["id"], "--json")[1])["keys"]
    lines = exported(command)

    assert [(one["id"], one["roles"]) for one in listed] == [(one["id"], ["analyst"]) for one in (created, rotated)]
    assert listed[0]["expires"] < listed[1]["expires"]
    assert [before["state"], after["state"]] == ["accepted", "signing"]
    assert [one["state"] for one in removed] == ["removed", "signing"]
    assert refused == Exit.USAGE
    assert [(line["what"], line["told"].get("token", {}).get("id") or line["told"]["key"]) for line in lines[:-1]] == [
        ("token_created", created["id"]),
        ("token_rotated", rotated["id"]),
        ("token_revoked", created["id"]),
        ("key_rotated", after["id"]),
        ("key_removed", before["id"]),
    ]
    assert {line["who"]["client"] for line in lines[:-1]} == {"cli"}
    assert created["token"] not in json.dumps(lines)
    assert command("audit", "verify")[0] == Exit.DONE


def test_an_export_is_verified_by_its_file_and_a_changed_one_is_not(command: Command, tmp_path: Path) -> None:
    command("token", "create", "ada")
    command("token", "create", "ben")
    file = tmp_path / "audit.jsonl"
    written = command("audit", "export", "--output", str(file))[0]
    whole = json.loads(command("audit", "verify", str(file), "--json")[1])
    file.write_text(file.read_text().replace('"ada"', '"eve"'))
    changed = command("audit", "verify", str(file), "--without-key")

    assert (written, whole["holds"], whole["lines"]) == (Exit.DONE, True, 2)
    assert (changed[0], "Line 1" in changed[1]) == (Exit.FAILED, True)
    assert exported(command, "--since", "2100-01-01")[:-1] == []
    assert command("audit", "export", "--since", "soon")[0] == Exit.USAGE
    assert command("audit", "verify", str(tmp_path / "none"))[0] == Exit.USAGE


def test_what_cannot_be_put_on_record_is_not_done(command: Command, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.write_text("a file where a folder should be")
    config = tmp_path / "awaitsql.toml"
    text = config.read_text()
    config.write_text(f'{text}[executor.history]\nurl = "sqlite:///{nowhere}/history.sqlite"\n')
    codes = [command(*words)[0] for words in (("token", "create", "ada"), ("keys", "rotate"))]
    config.write_text(text)

    assert codes == [Exit.UNAVAILABLE, Exit.UNAVAILABLE]
    assert json.loads(command("token", "list", "--json")[1])["tokens"] == []
    assert len(json.loads(command("keys", "list", "--json")[1])["keys"]) == 1
