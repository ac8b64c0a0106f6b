"""Raw attacks on a real database through its adapter, without the guard, judged by what they did.

A `Playground` is one kind of database, set up with something to steal and something to break. It says what a statement
may have done (`effects`) by looking from outside: as the database's owner, at the folder, at a listening socket, at
the next session. A fourth kind is one more playground and one more fixture file.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from executor.adapters.base import Adapter

FIXTURES = Path(__file__).parents[1] / "fixtures" / "lockdown"
GROUPS = (
    "write",
    "ddl",
    "file read",
    "file write",
    "program",
    "network",
    "session state",
    "lock",
    "catalogue",
    "sleep",
    "memory",
    "extension",
)
ALTERS = frozenset({"write", "ddl", "file read", "file write", "program", "session state", "lock", "extension"})
"""The groups of which a role that only reads may run none."""
ANSWERS = frozenset({"catalogue", "extension", "program"})
"""The groups where an answer is an effect by itself."""
CANARY = "canary-7d1f"
TIMEOUT_S = 0.5
GRACE_S = 20.0
"""How much longer than its timeout a statement may take on a busy machine."""
MEMORY_MB = 1300
"""How much this process may grow during one statement."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One block of a fixture file.

    Attributes:
        group: what it would do.
        sql: the statement, with ``{folder}``, ``{port}`` and ``{pid}`` to be filled in.
        leaves: a query for the next session on the same connection; true there: something was left.
        runs: why it runs, by role (``any`` for all); a role that is not named stops it.
    """

    group: str
    sql: str
    leaves: str = ""
    runs: dict[str, str] = field(default_factory=dict)

    def why_it_runs(self, role: str) -> str:
        return self.runs.get(role) or self.runs.get("any", "")


def attacks(kind: str) -> list[Attack]:
    """The attacks on a kind. Format: the README of the fixture folder."""
    found: list[Attack] = []
    group, leaves, runs = "", "", dict[str, str]()
    for line in (FIXTURES / f"{kind}.sql").read_text(encoding="utf-8").splitlines():
        if line.startswith("--- "):
            group = line[4:]
            assert group in GROUPS, line
        elif line.startswith("-- leaves: "):
            leaves = line.removeprefix("-- leaves: ")
        elif line.startswith("-- "):
            role, _, why = line[3:].partition(" runs: ")
            assert why, line
            runs[role] = why
        elif line:
            found.append(Attack(group, line, leaves, runs))
            leaves, runs = "", {}
    return found


@dataclass
class Playground:
    """One database to attack.

    Attributes:
        kind: names the fixture file.
        role: whom the expectations are looked up for.
        adapter: as the product makes it.
        folder: where files may be stolen from and appear; its files are part of the state.
        state: what the owner sees, as one comparable value.
        fill: values for the placeholders of the statements.
        lacks: a pattern of the statements that cannot be tried here, because an extension is not there.
    """

    kind: str
    role: str
    adapter: Adapter
    folder: Path
    state: Callable[[], object]
    fill: Callable[[], dict[str, object]] = dict
    lacks: str = ""

    def effects(self, attack: Attack) -> list[str]:
        """What the statement did; empty when the adapter or the database stopped it."""
        with listening() as (port, callers):
            values = {"folder": self.folder, "port": port, **self.fill()}
            sql, leaves = (_filled(text, values) for text in (attack.sql, attack.leaves))
            before, files = self.state(), _files(self.folder)
            with watched() as told:
                text, error = self._run(sql, TIMEOUT_S)
            found: list[str] = []
            if self.state() != before:
                found.append("the state changed")
            if _files(self.folder) != files:
                found.append("files changed")
            if CANARY in text or CANARY in error or CANARY[::-1] in text or CANARY.encode().hex() in text:
                found.append("the canary came back")
            if callers:
                found.append("a connection was opened")
        if told.seconds > TIMEOUT_S + GRACE_S:
            found.append(f"it took {told.seconds:.1f} s")
        if told.grown_mb > MEMORY_MB:
            found.append(f"the process grew by {told.grown_mb:.0f} MB")
        if attack.group in ANSWERS and not error:
            found.append("it was answered")
        if attack.group == "sleep" and not error and told.seconds > TIMEOUT_S:
            found.append("it slept")
        if leaves:
            left, why = self._run(leaves, 30.0)
            if "True" in left or "[1]" in left:
                found.append("something was left for the next session")
            assert not why, why
        return found

    def _run(self, sql: str, timeout_s: float) -> tuple[str, str]:
        """The rows as text, and how it failed."""
        text = ""
        try:
            with self.adapter.session(timeout_s=timeout_s) as session:
                for batch in session.run(sql).batches:
                    text += "".join(str(column.to_pylist())[:100_000] for column in batch.columns)
                    if len(text) > 1_000_000:
                        break
        except Exception as error:  # noqa: BLE001 # whatever stops it is welcome
            return text, str(self.adapter.classify(error)) or "it failed"
        return text, ""


@dataclass
class Watch:
    """What a statement cost: seconds, and the most by which this process grew meanwhile, in MB."""

    seconds: float = 0.0
    grown_mb: float = 0.0


@contextlib.contextmanager
def watched() -> Iterator[Watch]:
    """Watches this process while inside."""
    told, done, process = Watch(), threading.Event(), psutil.Process()
    before = process.memory_info().rss

    def look() -> None:
        while True:
            told.grown_mb = max(told.grown_mb, (process.memory_info().rss - before) / 1e6)
            if done.wait(0.01):
                return

    thread = threading.Thread(target=look)
    thread.start()
    began = time.monotonic()
    try:
        yield told
    finally:
        told.seconds = time.monotonic() - began
        done.set()
        thread.join()


@contextlib.contextmanager
def listening() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine, and who has called it so far; callers are hung up on at once."""
    callers: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):  # closed: the end
                while True:
                    caller, address = server.accept()
                    callers.append(address)
                    caller.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1], callers
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _filled(text: str, values: dict[str, object]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
