"""How an error of SQLite, or of its driver, reads as ours: by its result code, its text only where codes say nothing.

Codes: https://sqlite.org/rescode.html
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from executor.adapters.wording import without_values
from executor.errors import ErrorCode, ExecutorError, SourceFailed, StatementFailed

MAX_CELL_BYTES = 10_000_000  # what makes a cell cannot be stopped in its middle, and printf makes 10 MB a second
HEAP_BYTES = 256_000_000
"""What SQLite itself may hold in memory in this process, over all sources: it has no bound for one connection."""

_OF_THE_STATEMENT = (
    *("no such ", "near ", "ambiguous column", "misuse of ", "wrong number of arguments", "unrecognized token"),
    *(
        "incomplete input",
        "no tables specified",
        "too many ",
        "not authorized",
        "a GROUP BY clause",
        "sub-select returns",
    ),
    *("SELECTs to the left", "ORDER BY term", "1st ", "GROUP BY term", "aggregate functions", "circular reference"),
)
"""How words begin that SQLite finds for a statement before it reads a row; its codes do not tell them apart."""

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})
_AWAY = frozenset(
    {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOTADB}
)
_NEEDS_OWNER = frozenset(
    {
        sqlite3.SQLITE_READONLY_RECOVERY,
        sqlite3.SQLITE_READONLY_CANTLOCK,
        sqlite3.SQLITE_READONLY_ROLLBACK,
        sqlite3.SQLITE_READONLY_CANTINIT,
        sqlite3.SQLITE_READONLY_DIRECTORY,
    }
)


def classified(path: Path, error: BaseException) -> ExecutorError:
    """An error that came of the file at `path`."""
    if isinstance(error, MemoryError):
        return StatementFailed(
            ErrorCode.STATEMENT_FAILED,
            f"The statement needs more than the {HEAP_BYTES // 10**6} MB that SQLite may use here.",
            hint="Read fewer or shorter columns, or aggregate earlier.",
        )
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(code, int):
        return StatementFailed(ErrorCode.STATEMENT_FAILED, _scrubbed(path, str(error)))
    if code in _NEEDS_OWNER:
        return SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"{path.name} has a journal of unfinished writes that only a writer may settle.",
            hint="Open and close it once with write access, or copy it together with its -wal and -journal files.",
        )
    primary = code & 0xFF
    if primary in _BUSY:
        return SourceFailed(
            ErrorCode.SOURCE_BUSY,
            f"{path.name} is locked by another program.",
            hint="Try again when its writer is done.",
        )
    if primary in _AWAY:
        return unavailable(path, primary)
    if primary == sqlite3.SQLITE_AUTH:
        return StatementFailed(ErrorCode.STATEMENT_FAILED, "Only statements that read tables may run here.")
    if primary == sqlite3.SQLITE_TOOBIG:
        return StatementFailed(
            ErrorCode.RESULT_TOO_LARGE, f"A cell of the result is larger than {MAX_CELL_BYTES // 10**6} MB."
        )
    return StatementFailed(ErrorCode.STATEMENT_FAILED, _scrubbed(path, str(error)))


def unavailable(path: Path, primary: int) -> SourceFailed:
    """Why the file cannot be read, by the first byte of the result code and what is there."""
    shown = path.name
    if not path.exists():
        message, hint = f"{shown} does not exist.", "Check the source's path where the workers run."
    elif primary == sqlite3.SQLITE_NOTADB:
        message, hint = f"{shown} is not a SQLite database.", "Check the source's path and kind."
    elif primary == sqlite3.SQLITE_CORRUPT:
        message, hint = f"{shown} is damaged.", "Run PRAGMA integrity_check on it, or restore a copy."
    elif _wal_without_index(path):
        message = f"{shown} is in WAL mode and its -shm file cannot be made beside it."
        hint = "Make its folder writable for the workers, or run PRAGMA journal_mode=DELETE on it."
    else:
        message, hint = f"{shown} cannot be opened or read.", "Check that the workers may read the file."
    return SourceFailed(ErrorCode.SOURCE_UNAVAILABLE, message, hint=hint)


def _scrubbed(path: Path, message: str) -> str:
    if not message.startswith(_OF_THE_STATEMENT):
        message = without_values(message)
    return message.replace(str(path.absolute()), path.name).replace(str(path), path.name)


def is_in_wal_mode(path: Path) -> bool:
    """Whether the file's header says WAL (read version 2)."""
    try:
        with path.open("rb") as file:
            header = file.read(20)
    except OSError:
        return False
    return len(header) == 20 and header[19] == 2


def _wal_without_index(path: Path) -> bool:
    """Whether the file is in WAL mode and no -shm file is there to share."""
    return is_in_wal_mode(path) and not Path(f"{path}-shm").exists()
