"""How an error of a MariaDB or MySQL server, or of the driver, reads as ours: by its number, never by its text.

Numbers: https://mariadb.com/kb/en/mariadb-error-codes/ and
https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html; 2000 to 2999 are the client's own.
"""

from __future__ import annotations

import re
import ssl

import pymysql

from executor.adapters.base import MAY_HAVE_CHANGED, unreadable
from executor.adapters.wording import VALUES_HINT, without_values
from executor.errors import ErrorCode, ExecutorError, SourceFailed, StatementFailed

INTERRUPTED = 1317
"""A statement that somebody stopped: we, or an operator."""

_TIMED_OUT = frozenset({1969, 3024})  # MariaDB's and MySQL's
STOPPED = frozenset({INTERRUPTED, *_TIMED_OUT})
_BUSY = {
    1040: "it has no free connection",
    1203: "our user has no free connection",
    1226: "our user has used up what it may use",
    1205: "a lock was held for too long",
    1213: "its locks stood against each other",
    3572: "a lock was held",
    1461: "it has no place for another prepared statement",
}
_REFUSED = frozenset({1044, 1045, 1130, 1227, 1251, 1396, 1449, 1524, 1698, 1820, 1862, 2049, 2059, 3118, 3159, 4151})
"""Of a connection that is being made: user, password, host, database or plugin."""

_NO_DATABASE = 1049
_CHANGED = frozenset({1054, 1146})
_AWAY = frozenset({1053, 1077, 1079, 1129, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 3169, 4031})
"""The server shuts down, closed the connection, or lost bytes on the way."""

_DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1345, 1370, 1410, 1419, 1698})
"""Their messages name the user, its host and what the policy may hide."""

_READ_ONLY = frozenset({1792, 1836})
_UNREADABLE = frozenset({1064, 1149})
_OF_THE_STATEMENT = frozenset(
    {1052, 1054, 1055, 1056, 1060, 1066, 1109, 1111, 1115, 1128, 1136, 1140, 1146, 1221, 1222, 1235, 1241, 1242}
    | {1247, 1248, 1250, 1253, 1267, 1270, 1271, 1273, 1305, 1318, 1582, 1583, 1630, 3065, 4078}
)
"""Errors found before a row is read: they name tables, columns, functions and types, and hold no value."""

_OF_VALUES = frozenset({1292, 1300, 1365, 1366, 1367, 1411, 1690, 3140, 3141, 3143, 4038})
_NEAR = re.compile(r"near '([A-Za-z_]+|[^\s\w'\"`])")
_CLIENT = range(2000, 3000)
_FULL = frozenset({1021, 1037, 1038, 1041, 1114, 1135})
_AGAIN = "Try again; if it stays so, tell whoever runs the database."


def number_of(error: BaseException) -> int | None:
    """The number of a driver's error: the server's, the client library's, 0 for a closed connection, or None."""
    first = error.args[0] if isinstance(error, pymysql.Error) and error.args else None
    return first if isinstance(first, int) else None


def connect_failed(source: str, error: BaseException) -> ExecutorError:
    """Why there is no connection. Names no host and no user."""
    number = number_of(error)
    if number in _REFUSED:
        return SourceFailed(
            ErrorCode.SOURCE_AUTH_FAILED,
            f"Source {source} refuses our user or password.",
            hint="Check the source's url and password where the workers run.",
        )
    if number in _BUSY:
        return classified(source, error)
    if number == _NO_DATABASE:
        return SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"The server of source {source} has no database of the name in its url.",
            hint="Check the source's url where the workers run.",
        )
    if isinstance(error, ssl.SSLError) or isinstance(getattr(error, "original_exception", None), ssl.SSLError):
        return SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"Source {source} and we do not agree on TLS.",
            hint="Check ssl-mode and ssl-ca in the source's url.",
        )
    if isinstance(error, RuntimeError):  # the driver asks for a package that the server's way to sign in needs
        return SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"Source {source} wants a way to sign in whose library is not installed.",
            hint="pip install 'pymysql[rsa,ed25519]' where the workers run, or connect with ssl-mode=required.",
        )
    return SourceFailed(
        ErrorCode.SOURCE_UNAVAILABLE,
        f"Source {source} cannot be reached.",
        hint="Try again; if it stays so, check that the database runs and the workers can reach it.",
    )


def classified(source: str, error: BaseException) -> ExecutorError:
    """An error of a connection that was made, as ours."""
    number = number_of(error)
    if number in _TIMED_OUT:
        return StatementFailed(
            ErrorCode.STATEMENT_TIMEOUT,
            "The statement took longer than its time.",
            hint="Read fewer rows (a narrower WHERE, an aggregate), or ask for a longer timeout.",
        )
    if number in _BUSY:
        return SourceFailed(
            ErrorCode.SOURCE_BUSY, f"Source {source} is busy: {_BUSY[number]}.", hint="Try again in a moment."
        )
    if number == 0 or number in _AWAY or number in _CLIENT or isinstance(error, OSError):
        return SourceFailed(ErrorCode.SOURCE_UNAVAILABLE, f"Source {source} broke off.", hint=_AGAIN)
    if number is None:
        return unreadable(source, error, text_type="char")
    message, hint = _told(number, error)
    return StatementFailed(ErrorCode.STATEMENT_FAILED, message, hint=hint)


def _told(number: int, error: BaseException) -> tuple[str, str]:
    """A message and a hint. The server's own words, where they hold nothing but the statement's."""
    words = str(error.args[1]) if len(error.args) > 1 else ""
    if number == INTERRUPTED:
        return "The statement was stopped.", ""
    if number in _DENIED:
        return "The database does not let our user do this.", ""
    if number in _READ_ONLY:
        return "Only statements that read tables may run here.", ""
    if number in _FULL:
        return (
            "The statement needs more memory or disk than it may use.",
            "Aggregate or filter earlier, sort fewer rows.",
        )
    if number in _UNREADABLE:
        # the words behind `near` are the statement as it runs, with the policy's parts
        near = _NEAR.search(words)
        return f"The database cannot read this statement{f', at or near {near[1]}' if near else ''}.", ""
    if number not in _OF_THE_STATEMENT:
        return without_values(words) or "The database gave no reason", VALUES_HINT if number in _OF_VALUES else ""
    return words.split("\n", 1)[0] or "The database gave no reason", MAY_HAVE_CHANGED if number in _CHANGED else ""
