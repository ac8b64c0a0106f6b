"""Installs what the independent clients need: once on a machine, in a folder named by its pins, for all processes."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

WITHIN_S = 240


def once(name: str, pins: bytes, install: Callable[[Path], None]) -> Path:
    """The folder that `install` has filled, now or for an earlier test.

    Args:
        name: of what is installed, for the folder's name.
        pins: what exactly is installed; other pins, another folder.
        install: fills the folder that it is given, or skips the test.
    """
    pinned = hashlib.sha256(pins).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"awaitsql-{name}-{pinned}"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests run in several processes
        if not (folder / "installed").exists():
            install(folder)
            (folder / "installed").touch()
    return folder


def run_installer(command: list[str], *, cwd: Path, what: str) -> None:
    """Run a package manager. The test is skipped where it cannot get `what`."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{what} could not be installed within {WITHIN_S} s")
    if done.returncode:
        pytest.skip(f"{what} could not be installed: {done.stderr.strip()[-300:]}")
