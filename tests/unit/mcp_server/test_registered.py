"""Processes that share a folder and a process id, as containers do, are told apart, and none waits for another."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from pathlib import Path

from executor import ExecutorSettings
from mcp_server.registered import registered, registrations


def test_two_processes_of_one_id_are_both_registered_and_neither_waits(tmp_path: Path) -> None:
    settings = ExecutorSettings(state_dir=tmp_path)
    found: list[str] = []

    def both() -> None:
        with ExitStack() as stack:
            # each has a lock of its own, as two containers have whose first process is number 1
            for what in ("server", "worker"):
                stack.enter_context(registered(settings, what, "d"))
            found.extend(each.what for each in registrations(settings))

    thread = threading.Thread(target=both, daemon=True)
    thread.start()
    thread.join(timeout=5)

    assert sorted(found) == ["server", "worker"]
    assert registrations(settings) == []


def test_one_of_another_machine_is_neither_found_nor_removed(tmp_path: Path) -> None:
    settings = ExecutorSettings(state_dir=tmp_path)
    with registered(settings, "server", "d"):
        [mine] = (settings.home / "processes").iterdir()
        elsewhere = mine.with_stem("elsewhere")
        elsewhere.write_bytes(mine.read_bytes())

        assert [each.pid for each in registrations(settings)] == [os.getpid()]
        assert elsewhere.exists()
