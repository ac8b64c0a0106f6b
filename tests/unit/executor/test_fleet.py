"""What the worker processes of a fleet are told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served import until

from executor import ExecutorSettings, Program, WorkerFleet


class InTheMiddle(dict[str, Any]):
    """What a program is told more, that calls something while it is being written."""

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__(a="b")
        self._calling = threading.Thread(target=call)

    def items(self) -> Any:
        if self._calling.ident is None:
            self._calling.start()
            self._calling.join(timeout=0.3)
        return super().items()


def test_a_worker_that_is_started_during_a_reload_goes_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    settings = ExecutorSettings(state_dir=tmp_path)
    changed = settings.model_copy(update={"concurrency": settings.concurrency + 1})
    program = Program("listening_worker", "listening")
    fleet = WorkerFleet(
        settings,
        "redis://127.0.0.1:1/0",
        1,
        program=Program("listening_worker", "listening", InTheMiddle(lambda: fleet.reload(changed, program))),
    )
    with fleet:

        def heard() -> list[int]:
            return [json.loads(line)["settings"]["concurrency"] for line in fleet.log_file.read_text().splitlines()]

        until(lambda: heard()[-1:] == [changed.concurrency], within_s=5)
