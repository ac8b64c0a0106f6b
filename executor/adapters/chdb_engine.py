"""chDB, ClickHouse within this process: it opens one folder at a time, and no other process can open that one beside.

So a folder is lent to sessions, closed soon after the last of them, and another one waits for that. The engine is
started with rights of our own making: its one user may read tables and stop statements. It may not write, and neither
files, the network nor other databases are there for it, whatever a statement or a view says.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import tempfile
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import chdb
from chdb.state.sqlitelike import Connection

from executor.errors import ErrorCode, SourceFailed
from executor.timers import Later, Timers

IDLE_S = 5.0
"""Seconds without a session after which the folder is closed, so that its owner can write."""

_WAIT_S = 5.0
_SYSTEM_TABLES = ("processes", "databases", "tables", "columns", "functions", "one", "numbers", "zeros")
_GRANTS = (
    "GRANT SELECT ON *.*",
    "REVOKE SELECT ON system.*",
    *(f"GRANT SELECT ON system.{table}" for table in _SYSTEM_TABLES),
    "GRANT KILL QUERY ON *.*",
)
_USERS = f"""<clickhouse>
<profiles><default/></profiles><quotas><default/></quotas>
<users><default><password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
<grants>{"".join(f"<query>{grant}</query>" for grant in _GRANTS)}</grants></default></users>
</clickhouse>
"""
# merges would rewrite the owner's files while we only read
_CONFIG = """<clickhouse><users_config>{users}</users_config>
<remote_url_allow_hosts/><shutdown_wait_unfinished>0</shutdown_wait_unfinished>
<merge_tree><merge_selecting_sleep_ms>86400000</merge_selecting_sleep_ms></merge_tree>
</clickhouse>
"""

ChDBError = (chdb.ChdbError, RuntimeError)
"""What the engine raises; RuntimeError where it is being opened."""


class ChDBConnection:
    """One connection to the engine, for one thread at a time."""

    def __init__(self, address: str, settings: Mapping[str, str]) -> None:
        self.raw = Connection(address)
        try:
            for name, value in settings.items():
                text = value.replace("\\", "\\\\").replace("'", "\\'")
                self.raw.query(f"SET {name} = '{text}'")
        except BaseException:
            self.raw.close()
            raise

    def rows(self, sql: str) -> list[list[Any]]:
        """The rows of `sql`, as JSON has their values."""
        told = self.raw.query(sql, "JSONCompactEachRow").bytes()
        return [json.loads(line) for line in told.decode("utf-8", "replace").splitlines() if line]

    def close(self) -> None:
        """Ends it."""
        self.raw.close()


class _Open:
    """A folder that is open: its address, and the connection that keeps it so."""

    def __init__(self, source: str, path: Path) -> None:
        self.path = path
        _check(source, path)
        self._folder = tempfile.TemporaryDirectory(prefix="awaitsql-chdb-")
        config, users = Path(self._folder.name) / "config.xml", Path(self._folder.name) / "users.xml"
        users.write_text(_USERS, encoding="utf-8")
        config.write_text(_CONFIG.format(users=users), encoding="utf-8")
        self.address = f"file:{quote(str(path))}?config-file={quote(str(config))}"
        try:
            self._anchor = ChDBConnection(self.address, {})
        except ChDBError as error:
            self._folder.cleanup()
            raise SourceFailed(
                ErrorCode.SOURCE_UNAVAILABLE,
                f"chDB cannot open the folder of source {source}.",
                hint="Its files must be a chDB database that the workers' user may read and write: chDB locks it so.",
            ) from error

    def close(self) -> None:
        self._anchor.close()
        self._folder.cleanup()


def _check(source: str, path: Path) -> None:
    """What chDB would not say: it makes a database of any folder, and tells of a locked one only that it failed."""
    if not (path / "metadata").is_dir() and not (path / "store").is_dir():
        told = "holds no chDB database" if path.is_dir() else "does not exist"
        raise SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"The folder {path.name} of source {source} {told}.",
            hint="Check the source's path where the workers run.",
        )
    with contextlib.suppress(FileNotFoundError), (path / "status").open("rb") as status:
        try:
            fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SourceFailed(
                ErrorCode.SOURCE_BUSY,
                f"The folder of source {source} is open in another process: chDB lets only one have it.",
                hint="Try again in a moment; close it in the program that holds it.",
            ) from error


class ChDBEngine:
    """The engine of this process. `idle_s` as `IDLE_S`; a folder waits `wait_s` seconds for another one's sessions."""

    def __init__(self, *, idle_s: float = IDLE_S, wait_s: float = _WAIT_S) -> None:
        self._idle_s = idle_s
        self._wait_s = wait_s
        self._timers = Timers()
        self._changed = threading.Condition()
        self._open: _Open | None = None
        self._users = 0
        self._closing: Later | None = None
        self._idle_at = 0.0

    @contextmanager
    def lent(self, source: str, path: Path) -> Generator[str]:
        """The address of the open folder at `path`, for `ChDBConnection`.

        Raises:
            SourceFailed: ``source_busy`` where another process has it, or sessions of this one have another folder;
                ``source_unavailable`` where there is no database.
        """
        with self._changed:
            opened = self._opened(source, path.resolve())
            self._users += 1
        try:
            yield opened.address
        finally:
            with self._changed:
                self._users -= 1
                if not self._users:
                    self._idle_at = time.monotonic()
                    self._closing = self._timers.call_later(self._idle_s, self._close_idle)
                    self._changed.notify_all()

    def close(self, path: Path) -> None:
        """Closes the folder at `path`, if it is open and no session has it."""
        with self._changed:
            if self._open is not None and self._open.path == path.resolve() and not self._users:
                self._close()

    def _opened(self, source: str, path: Path) -> _Open:
        is_free = self._changed.wait_for(
            lambda: self._open is None or self._open.path == path or not self._users, self._wait_s
        )
        if not is_free:
            raise SourceFailed(
                ErrorCode.SOURCE_BUSY,
                f"Source {source} waits for statements of another chDB source: a worker opens one of them at a time.",
                hint="Try again in a moment.",
            )
        if self._open is not None and self._open.path != path:
            self._close()
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self._open is None:
            self._open = _Open(source, path)
        return self._open

    def _close(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        if self._open is not None:
            self._open.close()
            self._open = None

    def _close_idle(self) -> None:
        with self._changed:
            # a call that was already being made when a statement cancelled it finds a younger idleness
            if not self._users and time.monotonic() - self._idle_at >= self._idle_s:
                self._close()


PROCESS = ChDBEngine()
"""chDB keeps what it has opened in variables of the process; so do we."""
