"""How an error of ClickHouse, embedded or of a server, reads as ours: by its code, which its text begins with.

Both drivers give the server's error as one text, ``Code: 60. DB::Exception: …``: the code is its number.
Codes: https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
"""

from __future__ import annotations

import re

from executor.adapters.base import MAY_HAVE_CHANGED
from executor.adapters.wording import VALUES_HINT
from executor.errors import ErrorCode, ExecutorError, SourceFailed, StatementFailed

CANCELLED = 394

_CODE = re.compile(r"\bCode: (\d+)\b")
_WORDS = re.compile(r"DB::Exception: (?:Code: \d+\. DB::Exception: )?([^\n]*)")
# What follows shows SQL as it ran, with the policy's parts; names of other tables; the server's version.
_REST = re.compile(
    r":? In scope .*|: [Ww]hile (?:executing|processing|converting|reading) .*|\. Stack trace.*"
    r"|\s*\([A-Z][A-Z0-9_]+\).*|[.:]? Maybe you meant.*|: \(?[Vv]ersion .*|\. Failed to .*"
    r"|(?:[.:] (?:Actual|In query))? ?\b(?:SELECT|WITH)\b.*",
    re.DOTALL,
)
_TIMED_OUT = frozenset({159})
_BUSY = {
    202: "it runs as many statements as it may",
    201: "our user's quota is used up",
    473: "a lock was held",
    252: "it has too much to write",
}
_AWAY = frozenset(
    {3, 32, 33, 74, 76, 198, 209, 210, 225, 243, 245, 246, 279, 439, 499, 999}
)  # disks, networks, broken data, shutting down
_REFUSED = frozenset({192, 193, 194, 195, 516, 746})
"""User, password or address."""

_DENIED = frozenset({291, 497})
_READ_ONLY = frozenset({164, 392})
_FULL = frozenset({158, 173, 191, 241, 290, 307, 396})
_UNREADABLE = frozenset({62})
_CHANGED = frozenset({10, 16, 47, 60, 81})
_TOO_LARGE = frozenset({131})
_OF_THE_STATEMENT = _CHANGED | frozenset(
    {8, 35, 42, 43, 44, 46, 48, 50, 52, 53, 63, 70, 80, 108, 122, 125, 153, 179, 184, 206, 207, 208, 215, 223, 352, 386}
)
"""Errors that name tables, columns, functions and types, and hold no value of a row."""


def code_of(error: BaseException) -> int | None:
    """The code of ClickHouse's own error, or None where it is not one."""
    found = _CODE.search(str(error))  # the first: a statement may put others into its message
    return int(found[1]) if found else None


def connect_failed(source: str, error: BaseException) -> ExecutorError:
    """Why there is no connection. Names no host and no user."""
    code = code_of(error)
    if code in _REFUSED:
        return SourceFailed(
            ErrorCode.SOURCE_AUTH_FAILED,
            f"Source {source} refuses our user or password.",
            hint="Check the source's url and password where the workers run.",
        )
    if code in _CHANGED:
        return SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"The server of source {source} has no database of the name in its url.",
            hint="Check the source's url where the workers run.",
        )
    return SourceFailed(
        ErrorCode.SOURCE_UNAVAILABLE,
        f"Source {source} cannot be reached.",
        hint="Try again; if it stays so, check that the database runs and the workers can reach it.",
    )


def classified(source: str, error: BaseException) -> ExecutorError:
    """An error of a connection that was made, as ours."""
    code = code_of(error)
    if code in _TIMED_OUT:
        return StatementFailed(
            ErrorCode.STATEMENT_TIMEOUT,
            "The statement took longer than its time.",
            hint="Read fewer rows (a narrower WHERE, an aggregate), or ask for a longer timeout.",
        )
    if code in _TOO_LARGE:
        return StatementFailed(
            ErrorCode.RESULT_TOO_LARGE, "A value would be larger than the database makes one.", hint="Make it shorter."
        )
    if code in _REFUSED:
        return connect_failed(source, error)
    if code in _BUSY:
        return SourceFailed(
            ErrorCode.SOURCE_BUSY, f"Source {source} is busy: {_BUSY[code]}.", hint="Try again in a moment."
        )
    if code is None or code in _AWAY:
        return SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"Source {source} broke off.",
            hint="Try again; if it stays so, tell whoever runs the database.",
        )
    message, hint = _told(code, str(error))
    return StatementFailed(ErrorCode.STATEMENT_FAILED, message, hint=hint)


def _told(code: int, text: str) -> tuple[str, str]:
    """A message and a hint. ClickHouse's own words, where they hold nothing but the statement's."""
    if code == CANCELLED:
        return "The statement was stopped.", ""
    if code in _DENIED:
        return "The database does not let our user do this.", ""
    if code in _READ_ONLY:
        return "Only statements that read tables may run here.", ""
    if code in _FULL:
        return "The statement needs more memory, rows or disk than it may use.", "Aggregate or filter earlier."
    if code in _UNREADABLE:
        return "The database cannot read this statement.", ""
    if code not in _OF_THE_STATEMENT:
        # some of its sentences quote a value, some tell it as it is: nothing says where it ends
        return f"The database cannot work with a value, or with this statement (ClickHouse error {code}).", VALUES_HINT
    words = _WORDS.search(text)
    message = _REST.sub("", words[1]).strip() if words else ""
    return message or f"The database gave error {code}.", MAY_HAVE_CHANGED if code in _CHANGED else ""
