"""``awaitsql install``: writes this server into a client's own configuration file, after showing the change."""

from __future__ import annotations

import difflib
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.prompt import Confirm
from rich.syntax import Syntax

from executor import SettingsInvalid
from mcp_server.commands.clients import Client, clients
from mcp_server.commands.exits import Exit
from mcp_server.commands.options import Where


def run_install(client: str, where: Where, *, name: str, yes: bool, remove: bool) -> int:
    """Shows what would change in the client's file, asks, and writes it; the file as it was is kept beside it."""
    known = clients(Path.home(), os.environ)
    if client not in known:
        raise SettingsInvalid(message=f"There is no client {client[:40]}.", hint=f"Known: {', '.join(known)}.")
    told = known[client]
    console = Console(stderr=True, highlight=False)
    before = _read(told)
    entry = None if remove else told.entry(_command(), _arguments(where))
    after = _changed(before, told, name, entry)
    old, new = _text(before), _text(after)
    if old == new:
        console.print(f"{told.title} is as it should be: nothing to change in {told.file}.", soft_wrap=True)
        return Exit.DONE
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), "before", "after", lineterm="")
    console.print(f"In {told.file}:", soft_wrap=True)
    console.print(Syntax("\n".join(lines), "diff", background_color="default", word_wrap=True))
    if not yes and not _agreed(console):
        console.print("Nothing was written.")
        return Exit.USAGE
    _write(told.file, new)
    console.print(f"Written. {told.after}")
    return Exit.DONE


def _agreed(console: Console) -> bool:
    if not sys.stdin.isatty():
        raise SettingsInvalid(message="There is nobody to ask.", hint="Add --yes to write it without asking.")
    return Confirm.ask("Write it?", console=console)


def _read(client: Client) -> dict[str, Any]:
    try:
        text = client.file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(message=f"{client.file} cannot be read.", hint="Look at its owner and mode.") from error
    try:
        told: Any = json.loads(text) if text.strip() else {}
    except ValueError as error:
        # some clients allow comments there, which writing the file again would lose
        raise SettingsInvalid(
            message=f"{client.file} is not plain JSON; it is left alone.",
            hint="Add the entry by hand: docs/quick-start.md shows it.",
        ) from error
    if not isinstance(told, dict) or not isinstance(told.get(client.table, {}), dict):
        raise SettingsInvalid(message=f"{client.file} is not a configuration of {client.title}; it is left alone.")
    return told


def _changed(before: dict[str, Any], client: Client, name: str, entry: dict[str, object] | None) -> dict[str, Any]:
    servers: dict[str, Any] = {**before.get(client.table, {})}
    if entry is None:
        servers.pop(name, None)
    else:
        # what somebody added to it by hand, an environment for example, stays
        servers[name] = {**servers.get(name, {}), **entry}
    return {**before, client.table: servers}


def _command() -> str:
    """This very program: clients are started with another search path than a terminal's."""
    beside = Path(sys.executable).with_name("awaitsql")
    return str(beside if beside.exists() else Path(sys.argv[0]).absolute())


def _arguments(where: Where) -> list[str]:
    """The configuration is read once now, so that a client is not given one that cannot be started."""
    where.settings()
    arguments = ["serve", "--transport", "stdio"]
    if where.config is not None:
        arguments += ["--config", str(where.config.absolute())]
    for db in where.db:
        arguments += ["--db", db if "://" in db else str(Path(db).expanduser().absolute())]
    return arguments


def _text(told: dict[str, Any]) -> str:
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.awaitsql-{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        if file.exists():
            draft.chmod(file.stat().st_mode & 0o777)
            file.with_name(f"{file.name}.before-awaitsql").write_bytes(file.read_bytes())
        # a link is followed: whoever keeps the file elsewhere keeps it there
        draft.replace(file.resolve() if file.is_symlink() else file)
    except OSError as error:
        raise SettingsInvalid(
            message=f"{file} cannot be written: {error.strerror}.", hint="Nothing was changed."
        ) from error
