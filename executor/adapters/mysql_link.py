"""One connection to a MariaDB or MySQL server, lent to one statement at a time. Knows no pool and no Arrow."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

import pymysql

from executor.adapters.mysql_address import MySQLAddress
from executor.adapters.mysql_errors import INTERRUPTED, connect_failed, number_of
from executor.adapters.mysql_wire import Field, MySQLWire
from executor.errors import ErrorCode, StatementFailed

_CONNECT_S = 10.0
_ASIDE_S = 5.0  # for what a cancel needs: it must not hang with the server that it is to stop
_GRACE_S = 30.0  # a server that is silent for this long beyond the statement's time is gone
_LOCK_WAIT_S = 10.0  # at most; never more than half of the statement's own time, or it would read as a timeout
_IDLE_S = 120  # of an open transaction between statements, and for a result store that is slow to take rows
_DRAIN_S = 5.0
_GB = 1 << 30
_IS_MARIADB = "max_statement_time"  # seconds; MySQL has no variable of that name
_QUERY = re.compile(r"\s*(?:\(\s*)*(?:select|with|values|table)\b", re.IGNORECASE)
_EXPLAIN = re.compile(
    r"\s*explain\s+(?:extended\s+|partitions\s+|format\s*=\s*\w+\s+)?(?:\(\s*)*(?:select|with|values|table)\b",
    re.IGNORECASE,
)
_SQL_MODE = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
_CAPS = {
    "max_session_mem_used": _GB,
    "tmp_disk_table_size": 8 * _GB,
    "max_tmp_session_space_usage": 8 * _GB,
}
"""MariaDB's limits, in bytes, of what one statement takes of the server: we only lower them."""


def settings_for(timeout_s: float, known: Mapping[str, str]) -> dict[str, str]:
    """Every session variable that a statement runs under, as SQL, as far as the server has it.

    Args:
        timeout_s: seconds that a statement may take.
        known: the server's variables and how it sets them itself.
    """
    lock_wait = f"{max(1, int(min(_LOCK_WAIT_S, timeout_s / 2)))}"
    whole_groups = "" if _IS_MARIADB in known else ",ONLY_FULL_GROUP_BY"  # the default of each of the two
    wanted = {
        # The guard's grammar is that of these modes: no ANSI_QUOTES, PIPES_AS_CONCAT, NO_BACKSLASH_ESCAPES.
        "sql_mode": f"'{_SQL_MODE}{whole_groups}'",
        "time_zone": "'+00:00'",
        "autocommit": "1",
        "tx_read_only": "1",
        "transaction_read_only": "1",
        "tx_isolation": "'REPEATABLE-READ'",  # a server of SERIALIZABLE would lock what is read
        "transaction_isolation": "'REPEATABLE-READ'",
        _IS_MARIADB: f"{timeout_s:.6f}",
        "max_execution_time": f"{max(1, round(timeout_s * 1000))}",  # MySQL, in milliseconds
        "lock_wait_timeout": lock_wait,
        "innodb_lock_wait_timeout": lock_wait,
        "net_write_timeout": f"{_IDLE_S}",
        "idle_transaction_timeout": f"{_IDLE_S}",
        "idle_readonly_transaction_timeout": f"{_IDLE_S}",
        "sql_select_limit": "18446744073709551615",
        "group_concat_max_len": "1048576",
    }
    for name, cap in _CAPS.items():
        own = int(known.get(name) or 0)  # 0 is no limit
        wanted[name] = f"{min(own, cap) if own else cap}"
    return {name: value for name, value in wanted.items() if name in known}


@contextmanager
def aside(address: MySQLAddress, *, answer_s: float = 60.0, connect_s: float = _CONNECT_S) -> Generator[MySQLWire]:
    """A connection of its own for questions of ours, closed at the end.

    Raises:
        SourceFailed: there is no connection.
    """
    wire = connected(address, connect_s)
    try:
        wire.wait_for_answers(answer_s)
        yield wire
    finally:
        with contextlib.suppress(pymysql.Error):  # the server closed it first
            wire.close()


class MySQLLink:
    """A connection that a session begins and ends on.

    Attributes:
        connection_id: the server's number for it.
    """

    def __init__(self, address: MySQLAddress) -> None:
        self._address = address
        self._wire = connected(address, _CONNECT_S)
        try:
            self.connection_id = int(self._wire.rows("SELECT CONNECTION_ID()")[0][0])
            self._variables = {str(name): str(value) for name, value in self._wire.rows("SHOW SESSION VARIABLES")}
        except BaseException as error:
            self._wire.close()
            if isinstance(error, pymysql.Error):
                raise connect_failed(address.source, error) from error
            raise
        self._token = ""

    def begin(self, token: str, timeout_s: float) -> None:
        """Opens a read-only transaction for statements of at most `timeout_s` seconds, marked with `token`."""
        self._token = token
        self._wire.wait_for_answers(_CONNECT_S)
        limits = settings_for(timeout_s, self._variables)
        told = ", ".join(f"SESSION {name} = {value}" for name, value in limits.items())
        self._wire.query("SET NAMES utf8mb4")
        self._wire.query(f"SET {told}")
        self._wire.query("START TRANSACTION READ ONLY")
        self._wire.wait_for_answers(timeout_s + _GRACE_S)

    def set_variables(self, values: Mapping[str, str]) -> None:
        """Gives the session user variables, by their plain names without @; each a text, written in hexadecimal."""
        told = ", ".join(f"@`{name}` = _utf8mb4 X'{value.encode().hex()}'" for name, value in values.items())
        self._wire.query(f"SET {told}")

    def start(self, sql: str) -> MySQLStream:
        """Starts one query, or one EXPLAIN of a query.

        Raises:
            StatementFailed: it is not one of those; no part of it has run.
        """
        explains = _EXPLAIN.match(sql) is not None
        if not explains and not _QUERY.match(sql):
            raise StatementFailed(ErrorCode.STATEMENT_FAILED, "Only statements that read tables may run here.")
        prepared = self._wire.prepare(f"{marked(self._token)} {sql}")
        if prepared.parameters:
            raise StatementFailed(ErrorCode.STATEMENT_FAILED, "The statement has a ? for which there is no value.")
        if not prepared.columns:  # SELECT … INTO a file or a variable
            raise StatementFailed(ErrorCode.STATEMENT_FAILED, "Only statements that read tables may run here.")
        return MySQLStream(self._wire, self._wire.execute(prepared))

    def kill(self) -> None:
        """Asks the server, on another connection, to stop what runs here if it is this session's; from any thread."""
        with aside(self._address, answer_s=_ASIDE_S, connect_s=_ASIDE_S) as wire:
            kill(wire, self.connection_id, self._token, connection_too=False)

    def end(self) -> None:
        """Ends the transaction, and leaves nothing of the session: locks, variables, prepared statements, settings."""
        self._wire.wait_for_answers(_ASIDE_S)
        try:
            self._wire.query("ROLLBACK")
        except pymysql.Error as error:
            if number_of(error) != INTERRUPTED:
                raise
            self._wire.query("ROLLBACK")  # a late cancel met the first one
        self._wire.reset()

    def close(self) -> None:
        """Closes the connection."""
        with contextlib.suppress(pymysql.Error):  # one that is closed already
            self._wire.close()


class MySQLStream:
    """The rows of one running statement."""

    def __init__(self, wire: MySQLWire, fields: list[Field]) -> None:
        self._wire = wire
        self._payloads = wire.payloads()
        self.fields = fields
        self.is_ended = False

    def next(self, most_rows: int, about_bytes: int) -> list[bytes]:
        """The next rows as the server packed them, at least one of them unless the stream is at its end."""
        found: list[bytes] = []
        size = 0
        try:
            for payload in self._payloads:
                found.append(payload)
                size += len(payload)
                if len(found) == most_rows or size >= about_bytes:
                    return found
        except BaseException:
            self.is_ended = True
            raise
        self.is_ended = True
        if self._wire.warned:
            self._refuse_lost_values()
        return found

    def _refuse_lost_values(self) -> None:
        """A value beyond ``max_allowed_packet`` comes as NULL and a warning: an answer that is not one."""
        self._wire.wait_for_answers(_ASIDE_S)
        if any(row[1] == _VALUE_TOO_LARGE for row in self._wire.rows("SHOW WARNINGS")):
            raise StatementFailed(
                ErrorCode.RESULT_TOO_LARGE,
                "A value of the statement is larger than the server lets through (max_allowed_packet).",
                hint="Ask for a part of it, as with substring().",
            )

    def drain(self) -> None:
        """Reads what the server has still to send. Raises `TimeoutError` if that does not come to an end soon."""
        self._wire.wait_for_answers(_DRAIN_S)
        ends = time.monotonic() + _DRAIN_S
        while not self.is_ended:
            self.next(10_000, 10_000_000)
            if time.monotonic() > ends:
                raise TimeoutError


def connected(address: MySQLAddress, wait_s: float) -> MySQLWire:
    """A connection. Raises `SourceFailed` when there is none."""
    try:
        return MySQLWire(address, connect_timeout_s=wait_s, answer_timeout_s=wait_s)
    except (pymysql.Error, OSError, RuntimeError) as error:
        raise connect_failed(address.source, error) from error


def marked(token: str) -> str:
    """The comment that stands before every statement of a session, by which a killer knows it again."""
    return f"/* awaitsql {token} */"


def is_running(wire: MySQLWire, connection_id: int, token: str) -> bool:
    """Whether a connection runs a statement of that session now."""
    return any(number == connection_id and (text or "").startswith(marked(token)) for number, _, text in _running(wire))


def kill(wire: MySQLWire, connection_id: int, token: str, *, connection_too: bool) -> bool:
    """Stops the statement that a connection runs, if it is one of that session's; with `connection_too` both.

    MariaDB can be told which statement to stop, so that a later one of the connection is never hit; MySQL is told the
    connection, a moment after it was seen to run that statement.
    """
    for number, query_id, text in _running(wire):
        if number == connection_id and (text or "").startswith(marked(token)):
            what = (
                f"CONNECTION {number}" if connection_too else f"QUERY ID {query_id}" if query_id else f"QUERY {number}"
            )
            try:
                wire.query(f"KILL {what}")
            except pymysql.Error as error:
                if number_of(error) in _NO_SUCH_THREAD:
                    return False
                raise
            return True
    return False


_VALUE_TOO_LARGE = 1301
_NO_SUCH_THREAD = frozenset({1094, 1915, 1957})


def _running(wire: MySQLWire) -> Iterator[tuple[int, int | None, str | None]]:
    """Connection, statement number (MariaDB's) and text of what runs now, as far as our user may see it: its own."""
    if "MariaDB" in str(wire.rows("SELECT VERSION()")[0][0]):
        yield from wire.rows("SELECT ID, QUERY_ID, INFO FROM information_schema.PROCESSLIST")
    else:
        for row in wire.rows("SHOW FULL PROCESSLIST"):
            yield row[0], None, row[7]
