"""The processes of one configuration on this machine that read it again when they are told to: who, and how it went.

Each has a file in the configuration's own folder and holds a lock on it, which ends with the process: what is written
there is only believed of one that lives, and no signal goes to a stranger that was given its process id. The folder may
be shared by containers, which have the same process ids: a file is named by where its process is, and by chance.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from executor import ExecutorSettings


@dataclass(frozen=True, slots=True)
class Registration:
    """What a process tells of itself.

    Attributes:
        pid: its id.
        what: ``server``, ``worker`` or ``questions worker``.
        digest: of the configuration it goes by.
        times: how often it was told to read that again.
        trouble: why it did not go by it, the last time; or an empty text.
        at_restart: settings that will count when it is started again.
    """

    pid: int
    what: str
    digest: str
    times: int = 0
    trouble: str = ""
    at_restart: tuple[str, ...] = ()


class Entry:
    """This process's own."""

    def __init__(self, descriptor: int, what: str, digest: str) -> None:
        self._descriptor = descriptor
        self._told = Registration(os.getpid(), what, digest)
        self._write()

    def tell(self, digest: str, *, trouble: str = "", at_restart: tuple[str, ...] = ()) -> None:
        """The configuration was read again; `trouble` says why it is not gone by."""
        before = self._told
        self._told = Registration(before.pid, before.what, digest, before.times + 1, trouble, at_restart)
        self._write()

    def _write(self) -> None:
        told = json.dumps(asdict(self._told)).encode()
        # longer than before or not: whoever reads meanwhile finds one JSON text and spaces
        os.pwrite(self._descriptor, told.ljust(max(len(told), os.fstat(self._descriptor).st_size)), 0)


@contextmanager
def registered(settings: ExecutorSettings, what: str, digest: str) -> Generator[Entry]:
    """While inside, this process is one that `registrations` finds."""
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{_place()}.{secrets.token_hex(8)}"
    draft = path.with_name(f".{path.name}")
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        entry = Entry(descriptor, what, digest)
        # found once it is locked: a file without a lock is one that a dead process left
        draft.rename(path)
        yield entry
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def registrations(settings: ExecutorSettings) -> list[Registration]:
    """The processes that live, on this machine, by process id; what dead ones left is removed."""
    found: list[Registration] = []
    with suppress(FileNotFoundError):
        for path in sorted(_folder(settings).glob(f"{_place()}.*")):
            told = _read(path)
            if told is not None:
                found.append(told)
    return sorted(found, key=lambda each: each.pid)


def _place() -> str:
    """Where this process is: what it shares with those that its signals reach under their process ids."""
    told = socket.gethostname()
    with suppress(OSError):  # not every system keeps process ids apart
        told += str(Path("/proc/self/ns/pid").readlink())
    return hashlib.blake2b(told.encode(), digest_size=6).hexdigest()


def _folder(settings: ExecutorSettings) -> Path:
    return settings.home / "processes"


def _read(path: Path) -> Registration | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            told: dict[str, Any] = json.loads(os.pread(descriptor, 100_000, 0))
            told["at_restart"] = tuple(told["at_restart"])
            return Registration(**told)
        except ValueError:  # it is just being written
            return None
    else:
        path.unlink(missing_ok=True)
        return None
    finally:
        os.close(descriptor)
