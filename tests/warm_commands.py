"""The command ``awaitsql`` in processes that need not load its libraries again: most of what a short command costs.

A process that has loaded them, and done nothing else, is split for each command. What runs is the command's own
``main`` in a process of its own: with its arguments, folder, environment, three streams and exit code, as it has them
where a shell starts it. A test that is about the start itself, or about a process that is signalled, starts one.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

_CLIENT = """#!{python} -IS
import array, json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    asked.sendmsg([b"%10d" % len(told)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
    asked.sendall(told)
    code = asked.recv(1)
os._exit(code[0] if code else 70)
"""


@cache
def warm_awaitsql() -> Path:
    """A folder for ``PATH`` with an ``awaitsql`` in it, which is served until the tests end."""
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    address = folder / "socket"
    client = folder / "awaitsql"
    client.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
    client.chmod(client.stat().st_mode | stat.S_IXUSR)
    # libraries that start threads as they load would start them here
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    server = subprocess.Popen(
        [sys.executable, __file__, str(address)],
        env=environ,
        stdin=subprocess.PIPE,  # it ends with whoever holds the other end
        stdout=subprocess.DEVNULL,
    )

    def end() -> None:
        server.communicate(timeout=20)
        shutil.rmtree(folder)

    atexit.register(end)
    until = time.monotonic() + 100
    while not address.exists():
        assert server.poll() is None, "the commands could not be loaded"
        assert time.monotonic() < until, "the commands were not loaded in time"
        time.sleep(0.05)
    return folder


def awaitsql(
    *arguments: str, cwd: Path, env: dict[str, str], typed: bytes = b"", timeout: float = 60
) -> subprocess.CompletedProcess[bytes]:
    """What a command printed, and its exit code. `typed` is its standard input."""
    command = [str(warm_awaitsql() / "awaitsql"), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, input=typed, capture_output=True, timeout=timeout, check=False)


def _load() -> None:
    for name in ("mcp_server.cli", "mcp_server.commands"):
        for module in pkgutil.iter_modules(importlib.import_module(name).__path__, f"{name}."):
            importlib.import_module(module.name)
    for name in ("mcp_server.wire", "executor.client", "executor.results.opening", "executor.history"):
        importlib.import_module(name)


def _serve(address: str) -> None:
    """Splits this process for each that asks. Returns in the split ones, which are then to run the command."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{address}.new")
        listening.listen(64)
        Path(f"{address}.new").rename(address)
        gc.collect()
        gc.freeze()
        # whoever has ended is gone at once: tests count the processes that are left
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while listening in select.select([listening, sys.stdin], [], [])[0]:
            asked, _ = listening.accept()
            if os.fork() == 0:
                break
            asked.close()
        else:
            with contextlib.suppress(ChildProcessError):
                os.wait()  # for all of them, since none is left to be waited for
            os._exit(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(asked, 10, 3)
    told = b""
    while len(told) < int(length):
        told += asked.recv(1 << 16)
    command = os.fork()
    if command:
        for stream in (0, 1, 2, *streams):
            os.close(stream)
        _, ended = os.waitpid(command, 0)
        code = os.waitstatus_to_exitcode(ended)
        with contextlib.suppress(OSError):
            asked.sendall(bytes([code if code >= 0 else 128 - code]))
        os._exit(0)
    asked.close()
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    arguments, folder, environ = json.loads(told)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv[:] = ["awaitsql", *arguments]


if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # in the place of this file's folder
    _load()
    _serve(sys.argv[1])
    from mcp_server.__main__ import main

    main()
