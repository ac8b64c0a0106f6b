"""``awaitsql worker`` processes as a user starts them, over the configuration of a running machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machines import Machine
from served import ROOT, until


def write_config(file: Path, machine: Machine, rest: str = "") -> Path:
    """The machine's settings as a user would have written them."""
    told = machine.settings.model_dump(mode="json", exclude_defaults=True)
    sources = told.pop("sources")
    lines = ["[executor]", *(f"{name} = {json.dumps(value)}" for name, value in told.items())]
    for name, source in sources.items():
        lines.append(f"[executor.sources.{name}]")
        lines += [
            f"{key} = {json.dumps(value)}"
            for key, value in {"kind": machine.settings.sources[name].kind, **source}.items()
        ]
    file.write_text("\n".join([*lines, rest]) + "\n")
    return file


class WorkerProcess:
    """One worker, and what it has logged."""

    def __init__(self, config: Path, log: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self.log = log
        path = os.pathsep.join(filter(None, [(environment or {}).get("PYTHONPATH"), str(ROOT)]))
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mcp_server", "worker", "--config", str(config), *arguments],
                cwd=ROOT,
                env={**os.environ, **(environment or {}), "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        until(lambda: bool(self.said("worker_started")) or self.process.poll() is not None, within_s=30)
        assert self.process.poll() is None, log.read_text()

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of that event."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def ask_to_leave(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self, timeout_s: float = 20) -> int:
        return self.process.wait(timeout_s)


def slow_to_begin(seconds: float) -> dict[str, str]:
    """The environment of a worker that begins what it has claimed so late; see tests/slow_claim."""
    return {"PYTHONPATH": str(ROOT / "tests" / "slow_claim"), "TEST_SLOW_CLAIM_S": str(seconds)}


@contextmanager
def worker_process(config: Path, log: Path, *arguments: str, **more: Any) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(config, log, *arguments, **more)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.process.kill()
            worker.process.wait(10)
