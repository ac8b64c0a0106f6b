"""The broker on a fresh machine: elects, starts, supervises and stops one embedded Valkey per configuration.

Several processes of one configuration share one Valkey. Whoever holds the lock file in the configuration's folder
starts it, and Valkey inherits the lock's descriptor, so the lock is free exactly when both are gone and its log can
be taken over by the next. The address stays the same through every change of owner. Knows nothing of jobs.

A second lock, held by the owner alone, tells a living owner from a Valkey that was left behind unwatched.
"""

from __future__ import annotations

import hashlib
import logging
import os
import selectors
import socket
import stat
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from executor.errors import ErrorCode, ExecutorError, SettingsInvalid
from executor.settings import ExecutorSettings
from executor.valkey import ValkeyProcess, connect, find_server, kill_stranger, shut_down

_log = logging.getLogger(__name__)

_READY_S = 60.0
"""How long a start may take: a log of some hundred MB is read in seconds."""

_TICK_S = 1.0
"""How often the supervisor looks for what no descriptor tells it: a removed socket, a Valkey without an owner."""

_SOCKET_PATH_BYTES = 103
"""What ``sockaddr_un`` holds on macOS, without the closing zero; Linux has four more."""


class EmbeddedBroker:
    """This configuration's Valkey, started or joined. Enter it once; its properties may be read from any thread.

    Leaving ends Valkey if this process owns it, its log written out; other processes that share it take over.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        self._settings = settings
        self._folder = settings.home / "broker"
        self._path: Path | None = None
        self._program: Path | None = None
        self._process: ValkeyProcess | None = None
        self._lock: int | None = None
        self._owner_lock: int | None = None
        self._connection: socket.socket | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._ownerless_since: float | None = None

    @property
    def url(self) -> str:
        """``unix:///….sock?db=0``, as redis-py reads it. The same as long as this object lives."""
        if self._path is None:
            raise RuntimeError("enter the EmbeddedBroker first")
        return f"unix://{quote(str(self._path))}?db=0"

    @property
    def owner(self) -> bool:
        """Whether Valkey is this process's child just now."""
        return self._process is not None

    def __enter__(self) -> Self:
        """Start or join, and return when PING is answered.

        Raises:
            SettingsInvalid: no server program, or a folder that cannot be used.
            ExecutorError: ``executor_unavailable``, when it does not start; says why and what to do.
        """
        self._program = find_server()
        _private_folder(self._folder, "[executor] state_dir")
        self._wake, self._woken = socket.socketpair()
        try:
            self._establish()
        except BaseException:
            self._release()
            self._wake.close()
            self._woken.close()
            raise
        self._thread = threading.Thread(target=self._supervise, name="awaitsql-broker", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End Valkey if it is ours, leave it alone if not."""
        self._closing.set()
        self._wake.close()
        if self._thread is not None:
            self._thread.join()
        self._release()
        self._woken.close()

    def _supervise(self) -> None:
        pause_s = 0.05
        while not self._closing.is_set():
            if self._connection is not None:
                self._watch()
                continue
            try:
                self._establish()
                pause_s = 0.05
            except (ExecutorError, OSError) as error:
                self._release()  # another process may fare better
                _log.error("broker_not_started", extra={"error": str(error), "retry_s": pause_s})
                self._closing.wait(pause_s)
                pause_s = min(pause_s * 2, 5.0)

    def _establish(self) -> None:
        """Become the owner of a running Valkey, or join one. Returns early only when closing."""
        began = time.monotonic()
        while not self._closing.is_set():
            if self._lock is None:
                self._lock = _take_lock(self._folder / "broker.lock")
            if self._lock is not None:
                self._start(self._lock)
                return
            path = self._path or self._recorded_path()
            connection = connect(path) if path else None
            if connection is not None:
                self._path = path
                self._connection = connection
                _log.info("broker_joined", extra={"socket": str(path)})
                return
            if path is not None and self._is_ownerless():
                self._end_orphan(path)
            if time.monotonic() - began > _READY_S:
                raise ExecutorError.of(
                    ErrorCode.EXECUTOR_UNAVAILABLE,
                    f"Another process holds {self._folder / 'broker.lock'}, but its broker does not answer.",
                    hint=f"See {self._folder / 'valkey.log'}; end the other awaitsql process if it hangs.",
                )
            self._closing.wait(0.01)

    def _start(self, lock: int) -> None:
        if self._program is None:
            raise RuntimeError("enter the EmbeddedBroker first")
        began = time.monotonic()
        if self._owner_lock is None:
            self._owner_lock = _take_lock(self._folder / "owner.lock", wait=True)  # waits for no more than a probe
        path = self._path or self._choose_path()
        _clear_socket(path)
        process = ValkeyProcess(
            self._program,
            path=path,
            folder=self._folder,
            lock=lock,
            fsync=self._settings.fsync,
            memory_mb=self._settings.embedded_memory_mb,
        )
        try:
            (self._folder / "valkey.pid").write_text(str(process.pid))
            self._connection = process.wait_ready(timeout_s=_READY_S)
        except BaseException:
            process.stop()
            raise
        self._path = path
        self._process = process
        took_ms = round((time.monotonic() - began) * 1000)
        _log.info("broker_started", extra={"socket": str(path), "pid": process.pid, "took_ms": took_ms})

    def _watch(self) -> None:
        """Wait for a tick or for something to happen; drop the connection when the broker is to be found again."""
        if self._connection is None or self._path is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            if self._process is not None:
                selector.register(self._process.watch, selectors.EVENT_READ)
            happened = {key.fileobj for key, _ in selector.select(_TICK_S)}
        if self._closing.is_set():
            return
        unwatched = self._process is not None and self._process.watch in happened
        gone = not self._path.exists()
        if self._connection in happened:
            self._connection.close()
            self._connection = connect(self._path)  # an administrator's CLIENT KILL is not the end of the broker
            gone = gone or self._connection is None
        if not happened and self._process is None and self._is_ownerless():
            self._end_orphan(self._path)
            gone = True
        if gone or unwatched:
            _log.warning("broker_lost", extra={"owner": self.owner, "unwatched": unwatched})
            self._drop()

    def _drop(self) -> None:
        """Forget a broker that is gone, and end what is left of it. The lock stays ours."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _release(self) -> None:
        self._drop()
        # Closed, never unlocked: unlocking would take the lock from a Valkey that is still writing.
        for descriptor in (self._owner_lock, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._owner_lock = self._lock = None

    def _is_ownerless(self) -> bool:
        """Whether a Valkey runs that nobody has owned for a tick: its owner and its watcher were both killed."""
        probe = _take_lock(self._folder / "owner.lock", shared=True)
        if probe is None:
            self._ownerless_since = None
            return False
        os.close(probe)
        now = time.monotonic()
        self._ownerless_since = self._ownerless_since or now
        return now - self._ownerless_since >= _TICK_S

    def _end_orphan(self, path: Path) -> None:
        self._ownerless_since = None
        ended = shut_down(path, timeout_s=2.0)
        if not ended:
            try:
                ended = kill_stranger(int((self._folder / "valkey.pid").read_text()), path)
            except (OSError, ValueError):
                ended = False
        _log.warning("broker_orphan_ended", extra={"socket": str(path), "ended": ended})

    def _recorded_path(self) -> Path | None:
        """Where the last owner put the socket: processes may differ in their idea of the temporary folder."""
        try:
            text = (self._folder / "socket").read_text().strip()
        except OSError:
            return None
        return Path(text) if text else None

    def _choose_path(self) -> Path:
        name = hashlib.blake2b(os.fsencode(self._folder.resolve()), digest_size=6).hexdigest() + ".sock"
        folder = f"awaitsql-{os.getuid()}"
        recorded = self._recorded_path()
        places = [Path(tempfile.gettempdir()) / folder / name, Path("/tmp") / folder / name]  # noqa: S108 - checked to be ours alone
        if recorded is not None and recorded.name == name and recorded.parent.name == folder:
            places.insert(0, recorded)  # others may be waiting for it there
        failure = SettingsInvalid(message=f"No temporary folder with a short path was found: tried {places[0].parent}.")
        for path in places:
            if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
                continue
            try:
                _private_folder(path.parent, "TMPDIR")
            except SettingsInvalid as error:
                failure = error
                continue
            _write_whole(self._folder / "socket", str(path))
            return path
        raise failure


def _private_folder(folder: Path, setting: str) -> None:
    """Make `folder` if need be, and see that it is ours alone.

    Raises:
        SettingsInvalid: naming the `setting` to change.
    """
    hint = f"Set {setting} to a folder that you own and may write to."
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise SettingsInvalid(message=f"{folder} is not a folder of this user.", hint=hint)
        if found.st_mode & 0o077:
            folder.chmod(0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SettingsInvalid(message=f"{folder} cannot be written to.", hint=hint)
    except OSError as error:
        raise SettingsInvalid(message=f"{folder} cannot be used: {error.strerror}.", hint=hint) from error


def _clear_socket(path: Path) -> None:
    """Remove what a dead Valkey left at `path`; nothing else. Only for the holder of the lock."""
    _private_folder(path.parent, "TMPDIR")
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SettingsInvalid(message=f"{path} is in the way and is not a socket.", hint="Move it away.")
        path.unlink()
    except FileNotFoundError:
        pass


def _write_whole(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)


def _take_lock(path: Path, *, wait: bool = False, shared: bool = False) -> int | None:
    """A descriptor that holds the lock at `path`, or None when another has it. Closing it gives it up."""
    if sys.platform == "win32":
        return None
    import fcntl  # noqa: PLC0415 - not there on Windows, where this module must still be importable

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        fcntl.flock(descriptor, kind)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except BlockingIOError:
        pass
    except FileNotFoundError:  # somebody cleared the folder under us: what we hold is no lock any more
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
