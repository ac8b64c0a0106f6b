"""``awaitsql reload``: this configuration's servers and workers on this machine read it again, and say how it went."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict

from rich.console import Console

from executor import ExecutorSettings, signing_key
from mcp_server.commands.exits import Exit
from mcp_server.commands.options import Where
from mcp_server.registered import Registration, registrations
from mcp_server.reloading import digest, read_again

_WITHIN_S = 15.0
_LOOK_EVERY_S = 0.05


def run_reload(where: Where, *, as_json: bool) -> int:
    """Exit code 0 when every process goes by the file as it is now, 1 where one does not, 4 where there is none.

    Raises:
        SettingsInvalid: the file is wrong; no process was told.
    """
    settings = where.settings()
    read_again(settings, lambda: settings, signing_key(settings.executor))
    asked = registrations(settings.executor)
    for each in asked:
        with suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGHUP)
    heard = _answers(settings.executor, {each.pid: each for each in asked})
    wanted = digest(settings)
    is_done = [each.digest == wanted and not each.trouble for each in heard]
    if as_json:
        told = [{**asdict(each), "reloaded": done} for each, done in zip(heard, is_done, strict=True)]
        sys.stdout.write(json.dumps({"processes": told}) + "\n")
    else:
        _say(heard, is_done)
    if not heard:
        return Exit.UNAVAILABLE
    return Exit.DONE if all(is_done) else Exit.FAILED


def _answers(settings: ExecutorSettings, asked: dict[int, Registration]) -> list[Registration]:
    """What each says after it was asked; one that ended meanwhile is left out."""
    until = time.monotonic() + _WITHIN_S
    while True:
        now = {each.pid: each for each in registrations(settings) if each.pid in asked}
        if time.monotonic() > until or all(each.times > asked[each.pid].times for each in now.values()):
            return list(now.values())
        time.sleep(_LOOK_EVERY_S)


def _say(heard: list[Registration], is_done: list[bool]) -> None:
    console = Console(highlight=False)
    if not heard:
        console.print(
            "No server or worker of this configuration that can be told runs on this machine; the file is right."
        )
    for each, done in zip(heard, is_done, strict=True):
        words = "goes by the file as it is now" if done else each.trouble or "has not answered"
        console.print(f"{each.what} {each.pid}: {words}", markup=False, soft_wrap=True)
        if each.at_restart:
            console.print(f"    counts when it is started again: {', '.join(each.at_restart)}", markup=False)
