"""A place for results in a local directory. Files appear by rename, but for those that tell their end.

Killed at any moment, what is left is understood: files with a temporary name are never read, one without its end counts
as none, and a folder on its way out has a name that no result has.
"""

# pyarrow ships no types: its files and buffers are unknown to the checker.
# pyright: reportUnknownParameterType=false
# A small result is a handful of calls of the system: a `Path` for each would cost more than the calls.
# ruff: noqa: PTH102, PTH103, PTH105, PTH108, PTH120, PTH208

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from executor.results.places import FULL, KeptFile, store_full, unavailable

_GOING = ".going-"
_OWNERS = 0o700  # rows are for the job's owner


class LocalPlace:
    """A `executor.results.places.Place` below one directory, which is made when it is first needed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._text = str(root)

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        try:
            return os.listdir(self._root / folder)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, path: str) -> bytes | None:
        """See `Place.read`."""
        with _trouble_told(), contextlib.suppress(FileNotFoundError):
            return (self._root / path).read_bytes()
        return None

    @contextmanager
    def opened(self, path: str) -> Generator[pa.NativeFile]:
        """See `Place.opened`."""
        with _trouble_told(may_be_missing=True):
            file = pa.memory_map(str(self._root / path))
        with file:
            yield file

    def put(self, path: str, content: bytes | pa.Buffer) -> None:
        """See `Place.put`."""
        folder, _, name = path.rpartition("/")
        temporary = f"{self._text}/{folder}/.{name}.tmp"
        with _trouble_told():
            try:
                _write(temporary, content)
                os.replace(temporary, f"{self._text}/{path}")
            except OSError:
                Path(temporary).unlink(missing_ok=True)
                raise

    def put_ended(self, path: str, content: bytes | pa.Buffer) -> None:
        """See `Place.put_ended`."""
        target = f"{self._text}/{path}"
        with _trouble_told():
            self._make_above(target)
            try:
                _write(target, content)
            except OSError:
                Path(target).unlink(missing_ok=True)
                raise

    def begin(self, folder: str) -> None:
        """See `Place.begin`."""
        target = f"{self._text}/{folder}"
        with _trouble_told():
            try:
                self._make(target)
            except FileExistsError:
                shutil.rmtree(target)
                self._make(target)

    def _make(self, target: str) -> None:
        self._make_above(target)
        os.mkdir(target)

    def _make_above(self, target: str) -> None:
        above = os.path.dirname(target)
        try:
            os.mkdir(above, _OWNERS)
        except FileExistsError:
            pass
        except FileNotFoundError:
            os.makedirs(above, _OWNERS, exist_ok=True)

    def remove(self, folder: str) -> None:
        """See `Place.remove`: out of sight at once, from the disk then."""
        going = self._root / f"{_GOING}{uuid.uuid4().hex}"
        try:
            (self._root / folder).rename(going)
        except FileNotFoundError:
            return
        shutil.rmtree(going, ignore_errors=True)

    def drop(self, path: str) -> None:
        """See `Place.drop`."""
        with _trouble_told(), contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._text}/{path}")

    def kept(self) -> Iterator[KeptFile]:
        """See `Place.kept`. Clears away what an interrupted `remove` left."""
        if not self._root.is_dir():
            return
        for name in os.listdir(self._root):
            if name.startswith(_GOING):
                shutil.rmtree(self._root / name, ignore_errors=True)
                continue
            for folder, _, files in os.walk(self._root / name):
                for file in files:
                    path = Path(folder) / file
                    try:
                        found = path.stat()
                    except FileNotFoundError:
                        continue
                    yield KeptFile(path.relative_to(self._root).as_posix(), found.st_size, found.st_mtime)

    def now(self) -> float:
        """See `Place.now`: a file server stamps with its own clock, so it is asked to stamp the directory."""
        with _trouble_told():
            self._root.mkdir(_OWNERS, parents=True, exist_ok=True)
            os.utime(self._root)
            return self._root.stat().st_mtime

    def free_bytes(self) -> int | None:
        """See `Place.free_bytes`."""
        try:
            return shutil.disk_usage(self._root).free
        except FileNotFoundError:
            return None


def _write(path: str, content: bytes | pa.Buffer) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(file, view) :]
    finally:
        os.close(file)


@contextmanager
def _trouble_told(*, may_be_missing: bool = False) -> Generator[None]:
    """Turn the operating system's troubles with a disk into ours.

    Raises:
        FileNotFoundError: no such file, where there may be none.
        ResultFailed: ``store_full``, ``store_unavailable``.
    """
    try:
        yield
    except OSError as error:
        if may_be_missing and isinstance(error, FileNotFoundError):
            raise
        if error.errno in FULL:
            raise store_full() from error
        # a library's own words for it hold the path
        raise unavailable(os.strerror(error.errno) if error.errno else type(error).__name__) from error
