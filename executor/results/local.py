"""A place for results in a local directory. Files appear by rename, folders leave by it.

Killed at any moment, what is left is understood: files with a temporary name are never read, and a folder on its way
out has a name that no result has.
"""

# pyarrow ships no types: its files and buffers are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from executor.results.places import FULL, KeptFile, store_full, unavailable

_GOING = ".going-"


class LocalPlace:
    """A `executor.results.places.Place` below one directory, which is made when it is first needed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self, folder: str) -> list[str]:
        """See `Place.names`."""
        try:
            return os.listdir(self._root / folder)  # noqa: PTH208 - names only: Path.iterdir makes an object for each
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, path: str) -> bytes | None:
        """See `Place.read`."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    @contextmanager
    def opened(self, path: str) -> Generator[pa.NativeFile]:
        """See `Place.opened`."""
        with pa.memory_map(str(self._root / path)) as file:
            yield file

    def put(self, path: str, content: bytes | pa.Buffer) -> None:
        """See `Place.put`."""
        target = self._root / path
        temporary = target.with_name(f".{target.name}.tmp")
        with _trouble_told():
            try:
                with temporary.open("wb", buffering=0) as file:
                    view = memoryview(content)
                    while view:
                        view = view[file.write(view) :]
                temporary.replace(target)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    def begin(self, folder: str) -> None:
        """See `Place.begin`."""
        target = self._root / folder
        with _trouble_told():
            if target.exists():
                shutil.rmtree(target)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # rows are for the job's owner
            target.mkdir(exist_ok=True)

    def remove(self, folder: str) -> None:
        """See `Place.remove`: out of sight at once, from the disk then."""
        going = self._root / f"{_GOING}{uuid.uuid4().hex}"
        try:
            (self._root / folder).rename(going)
        except FileNotFoundError:
            return
        shutil.rmtree(going, ignore_errors=True)

    def kept(self) -> Iterator[KeptFile]:
        """See `Place.kept`. Clears away what an interrupted `remove` left."""
        if not self._root.is_dir():
            return
        for name in os.listdir(self._root):  # noqa: PTH208 - names only, as above
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

    def free_bytes(self) -> int | None:
        """See `Place.free_bytes`."""
        try:
            return shutil.disk_usage(self._root).free
        except FileNotFoundError:
            return None


@contextmanager
def _trouble_told() -> Generator[None]:
    """Turn the operating system's troubles with a disk into ours.

    Raises:
        ResultFailed: ``store_full``, ``store_unavailable``.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise store_full() from error
        raise unavailable(error.strerror or type(error).__name__) from error
