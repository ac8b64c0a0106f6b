"""The driver's connection with prepared statements, which the driver itself does not have.

Why prepared: the server takes one statement and no more; it says how many columns that would give before anything of
it runs, so that what is not a query (``SELECT … INTO OUTFILE`` too) is refused unrun; and it sends FLOAT and DOUBLE in
binary, where its text protocol rounds them. Format: https://mariadb.com/kb/en/3-binary-protocol-prepared-statements/
Knows no session, no Arrow and no errors of ours.
"""

# The driver's types describe its public members only.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymysql.connections import Connection
from pymysql.constants import COMMAND, CR
from pymysql.err import OperationalError
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from executor.adapters.mysql_address import MySQLAddress

_COM_RESET_CONNECTION = 0x1F
_NO_CURSOR, _ONCE = 0, 1
_CLEAR_TEXT = (b"mysql_clear_password", b"dialog", b"mysql_old_password")
_LONGEST_PACKET = 0xFFFFFF
_EOF, _ERROR = 0xFE, 0xFF
_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement that the server holds: its number there, how many columns it gives, how many ``?`` it has."""

    statement: int
    columns: int
    parameters: int


@dataclass(frozen=True, slots=True)
class Field:
    """What the server says of a column.

    Attributes:
        name: as the statement gives it.
        charset: the number of its character set; 63 for what is not text.
        length: the most that its text takes: digits, point and sign of a decimal, bits of a BIT.
        type_code: of ``pymysql.constants.FIELD_TYPE``.
        flags: of ``pymysql.constants.FLAG``.
        scale: digits behind the point.
    """

    name: str
    charset: int
    length: int
    type_code: int
    flags: int
    scale: int


if TYPE_CHECKING:
    _Connection = Connection[Any]
else:
    _Connection = Connection  # has its parameter in the types only


class MySQLWire(_Connection):
    """One connection. `Connection`'s protected methods are used: the protocol has no public ones in the driver."""

    def __init__(self, address: MySQLAddress, *, connect_timeout_s: float, answer_timeout_s: float) -> None:
        self._tls = address.tls
        self.warned = False  # of the rows that were read to their end last
        super().__init__(
            host=address.host,
            port=address.port,
            unix_socket=address.unix_socket,  # type: ignore[arg-type] # None is its default
            user=address.user,
            password=address.password,
            database=address.database,
            charset="utf8mb4",
            autocommit=True,
            local_infile=False,
            connect_timeout=connect_timeout_s,
            read_timeout=answer_timeout_s,
            write_timeout=answer_timeout_s,
            program_name="awaitsql",
            ssl=address.tls if address.needs_tls else None,  # type: ignore[arg-type] # takes a context as well
            ssl_disabled=address.tls is None,
            defer_connect=True,
        )
        opened = _socket(address, connect_timeout_s)
        try:
            self._secure = address.unix_socket is not None
            self.connect(opened)
        except BaseException:
            opened.close()
            raise

    def wait_for_answers(self, seconds: float) -> None:
        """A server that says nothing for `seconds` from now on counts as gone."""
        self._read_timeout = seconds

    def prepare(self, sql: str) -> Prepared:
        """Hands one statement to the server, which reads and resolves it and runs no part of it."""
        self._execute_command(COMMAND.COM_STMT_PREPARE, sql.encode())
        told = self._read_packet().get_all_data()
        statement, columns, parameters = struct.unpack_from("<IHH", told, 1)
        for count in (parameters, columns):
            for _ in range(count + 1 if count else 0):  # and the end of the list
                self._read_packet()
        return Prepared(statement, columns, parameters)

    def execute(self, prepared: Prepared) -> list[Field]:
        """Starts a prepared query, and says what columns it gives. Its rows have to be read to the end."""
        self._execute_command(COMMAND.COM_STMT_EXECUTE, struct.pack("<IBI", prepared.statement, _NO_CURSOR, _ONCE))
        first = self._read_packet()
        if not first.is_resultset_packet() and first.get_all_data()[:1] != b"\xfc":
            raise OperationalError(CR.CR_COMMANDS_OUT_OF_SYNC, "a query gave no result")
        count = first.read_length_encoded_integer()
        told = [self._read_packet(FieldDescriptorPacket) for _ in range(count)]
        fields = [Field(f.name, f.charsetnr, f.length, f.type_code, f.flags, f.scale) for f in told]
        self._read_packet()
        return fields

    def payloads(self) -> Iterator[bytes]:
        """The rows that come, each as the server packed it."""
        read = self._rfile.read
        self._sock.settimeout(self._read_timeout)
        self._current_timeout = self._read_timeout
        try:
            while True:
                head = read(4)
                length = head[0] | head[1] << 8 | head[2] << 16
                payload = read(length)
                if len(payload) < length:
                    raise EOFError  # noqa: TRY301 # told below, with the other ways to break off
                if length == _LONGEST_PACKET:
                    payload += self._rest_of_packet()
                first = payload[0]
                if first == _EOF and length < 9:
                    self.warned = payload[1:3] != b"\0\0"
                    return
                if first == _ERROR:
                    MysqlPacket(payload, self.encoding).raise_for_error()
                yield payload
        except (OSError, EOFError, IndexError) as error:
            self._force_close()
            raise OperationalError(CR.CR_SERVER_LOST, "the connection broke off between rows") from error

    def reset(self) -> None:
        """Back to how the connection was made: no transaction, lock, variable, setting, prepared statement is left."""
        self._execute_command(_COM_RESET_CONNECTION, b"")
        self._read_packet()

    def rows(self, sql: str, arguments: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a statement of ours, buffered, through the text protocol."""
        with self.cursor() as cursor:
            cursor.execute(sql, arguments)
            return list(cursor.fetchall())

    def _rest_of_packet(self) -> bytes:
        """What follows a packet of the greatest length: it goes on in the next one."""
        parts: list[bytes] = []
        length = _LONGEST_PACKET
        while length == _LONGEST_PACKET:
            head = self._read_bytes(4)
            length = head[0] | head[1] << 8 | head[2] << 16
            parts.append(self._read_bytes(length))
        return b"".join(parts)

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        """The address's own context. The driver would read the system's certificates anew for every connection."""
        return self._tls if self._tls is not None else super()._create_ssl_ctx(sslp)

    def _process_auth(self, plugin_name: bytes, auth_packet: MysqlPacket, handler: Any = None) -> Any:
        """As the driver does, but a server does not get the password in the clear only because it asks for it."""
        if plugin_name in _CLEAR_TEXT and not self._secure:
            raise OperationalError(CR.CR_AUTH_PLUGIN_CANNOT_LOAD, "the server asks for the password in the clear")
        return super()._process_auth(plugin_name, auth_packet, handler)


def _socket(address: MySQLAddress, timeout_s: float) -> socket.socket:
    """The driver would leave its own open when nobody answers, and wait for hours for a machine that is gone."""
    if address.unix_socket is None:
        opened = socket.create_connection((address.host, address.port), timeout_s)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            if hasattr(socket, option):
                opened.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        return opened
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        opened.settimeout(timeout_s)
        opened.connect(address.unix_socket)
    except BaseException:
        opened.close()
        raise
    return opened
