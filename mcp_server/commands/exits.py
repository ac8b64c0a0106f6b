"""Exit codes that scripts can use, and how a failure reads in a terminal. Listed in docs/commands.md."""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Protocol

from executor import EXIT_STUCK, ErrorCode, ExecutorError

if TYPE_CHECKING:
    from rich.console import Console


class Exit(IntEnum):
    """What the command's exit code says."""

    DONE = 0
    FAILED = 1
    """The job or its source failed."""
    USAGE = 2
    """The command line or the configuration is wrong."""
    REFUSED = 3
    """The guard refused the SQL."""
    UNAVAILABLE = 4
    """No broker or no worker; nothing is lost, try again."""
    UNFINISHED = 5
    """The job still runs after --wait; its handle was printed."""
    STUCK = EXIT_STUCK
    """A worker left by itself, its threads lost to statements that do not stop: start it again."""
    INTERRUPTED = 130
    """Ctrl-C; the job was cancelled."""


_UNAVAILABLE = {
    ErrorCode.EXECUTOR_UNAVAILABLE,
    ErrorCode.NO_WORKERS,
    ErrorCode.QUEUE_FULL,
    ErrorCode.RATE_LIMITED,
    ErrorCode.SOURCE_NOT_READY,
}


class Told(Protocol):
    """A failure that can be told: of the executor, of the guard, of a server elsewhere."""

    message: str
    hint: str
    position: int | None

    @property
    def code(self) -> str:
        """Stable, see docs/errors.md."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """For a program."""
        ...


def exit_of(error: ExecutorError) -> Exit:
    """The exit code that an executor's error ends with."""
    if error.code is ErrorCode.INVALID_SETTINGS:
        return Exit.USAGE
    return Exit.UNAVAILABLE if error.code in _UNAVAILABLE else Exit.FAILED


def caret(sql: str, position: int) -> str:
    """The line of `sql` that holds the 1-based `position`, and a caret under the place."""
    start = sql.rfind("\n", 0, position - 1) + 1
    end = sql.find("\n", position - 1)
    line = sql[start : end if end >= 0 else len(sql)].replace("\t", " ")
    before = position - 1 - start
    # a long line is shown around its place
    cut = max(before - 60, 0)
    return f"  {line[cut : cut + 100]}\n  {' ' * (before - cut)}^"


def say_error(console: Console, error: Told, *, sql: str = "", as_json: bool = False) -> None:
    """Prints a failure: to standard output as JSON for a program, else in words to standard error."""
    if as_json:
        told = error.as_dict()
        sys.stdout.write(json.dumps({"error": told}) + "\n")
        return
    console.print(f"[bold red]{error.code}[/]: ", end="")
    console.print(error.message, markup=False, highlight=False)
    if sql and error.position is not None:
        console.print(caret(sql, error.position), markup=False, highlight=False, soft_wrap=True)
    if error.hint:
        console.print(f"  {error.hint}", markup=False, highlight=False)
