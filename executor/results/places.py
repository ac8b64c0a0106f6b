"""Where the files of results lie: a folder for each attempt, files that are whole or tell that they are not.

`executor.results.local` keeps them in a directory, `executor.results.objects` in an object store. Paths are
``<job>/<attempt>/<name>`` and ``<job>/<name>``, with ``/`` on every system.
"""

# pyarrow ships no types: its files and buffers are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from executor.errors import ErrorCode, ResultFailed

if TYPE_CHECKING:
    import pyarrow as pa


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""How an operating system says that there is no room."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file that is there: its path, its size in bytes, and when it was last written, in Unix seconds."""

    path: str
    bytes: int
    written_at: float


class Place(Protocol):
    """Keeps whole files by path. May be shared by threads; others may write and delete at the same time."""

    def names(self, folder: str) -> list[str]:
        """The names of the files and folders directly in `folder`; none where there is no such folder."""
        ...

    def read(self, path: str) -> bytes | None:
        """A small file's content; None where there is none."""
        ...

    def opened(self, path: str) -> AbstractContextManager[pa.NativeFile]:
        """A file to read from at any offset.

        Raises:
            FileNotFoundError: it is not there.
        """
        ...

    def put(self, path: str, content: bytes | pa.Buffer) -> None:
        """Write a file so that a reader sees all of it or none.

        Raises:
            ResultFailed: ``store_full``, ``store_unavailable``.
        """
        ...

    def put_ended(self, path: str, content: bytes | pa.Buffer) -> None:
        """Write a file by whose end a reader knows that it is whole; until then its beginning may be seen.

        Its folder is made where there is none. Raises as `put`.
        """
        ...

    def begin(self, folder: str) -> None:
        """Make `folder` and see that it is empty.

        Raises:
            ResultFailed: ``store_full``, ``store_unavailable``.
        """
        ...

    def remove(self, folder: str) -> None:
        """Remove everything in `folder`; nothing to remove is no error. What is half removed is never complete."""
        ...

    def drop(self, path: str) -> None:
        """Remove one file; nothing to remove is no error."""
        ...

    def kept(self) -> Iterator[KeptFile]:
        """Every file there is, those of one folder together."""
        ...

    def now(self) -> float:
        """The time by the clock that `KeptFile.written_at` is of, in Unix seconds.

        Raises:
            ResultFailed: ``store_unavailable``.
        """
        ...

    def free_bytes(self) -> int | None:
        """How much more there is room for; None where there is no telling."""
        ...


def unavailable(why: str) -> ResultFailed:
    """``store_unavailable``, in words; `why` names a kind of failure and no address."""
    return ResultFailed(
        ErrorCode.STORE_UNAVAILABLE,
        f"The place where results are kept cannot be used ({why}).",
        hint="Nothing half-written is shown as a result. Whoever runs the workers should look at [executor] "
        "results_dir or object_store; then run the query again.",
    )


def store_full() -> ResultFailed:
    """``store_full``, in words."""
    return ResultFailed(
        ErrorCode.STORE_FULL,
        "There is no room left where results are kept.",
        hint="Ask for fewer rows, or free space in the results folder; old results go by themselves.",
    )
