"""A link to a ClickHouse server, over HTTP by clickhouse-connect: each statement is a request of its own."""

# clickhouse-connect and pyarrow ship no complete types: what they return is unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
import pyarrow as pa
import urllib3
from clickhouse_connect.driver.exceptions import ClickHouseError

from executor.adapters.clickhouse_errors import code_of, connect_failed
from executor.adapters.clickhouse_link import ClickHouseLink, kill_sql, settings_for
from executor.errors import ErrorCode, SourceFailed
from executor.secrets import resolve_secret
from executor.sources import ClickHouseSource

_CONNECT_S = 10
_SILENT_S = 330  # of a request: a server that says nothing for so long is gone
_TAIL = 16_384
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"

ServerError = (ClickHouseError, urllib3.exceptions.HTTPError, OSError)
"""What the driver raises."""


class BrokenStream(OSError):
    """A result that ended before its end, with what the server said of it, if it did."""


class _Client(Protocol):
    """The part of clickhouse-connect's client that is used here."""

    server_settings: dict[str, Any]

    def raw_query(self, query: str, *, settings: dict[str, Any], fmt: str) -> bytes: ...
    def raw_stream(self, query: str, *, settings: dict[str, Any], fmt: str) -> io.IOBase: ...
    def close(self) -> None: ...


class ClickHouseServer:
    """One server: requests to it may run side by side."""

    def __init__(self, source: str, config: ClickHouseSource) -> None:
        assert config.url is not None  # noqa: S101 # the adapter looked
        parts = urlsplit(config.url)
        options = dict(parse_qsl(parts.query))
        secure = options.get("secure") == "true"
        password = resolve_secret(source, config.password) if config.password is not None else ""
        try:
            client = clickhouse_connect.get_client(
                host=parts.hostname or "localhost",
                port=parts.port or (8443 if secure else 8123),
                username=unquote(parts.username or "default"),
                password=password,
                database=unquote(parts.path.strip("/")),
                secure=secure,
                ca_cert=options.get("ca-cert"),
                connect_timeout=_CONNECT_S,
                send_receive_timeout=_SILENT_S,
                autogenerate_session_id=False,
                query_retries=0,
                show_clickhouse_errors=True,
                dedicated_pool=True,
            )
        except ServerError as error:
            raise connect_failed(source, error) from error
        self._client = cast("_Client", client)
        readonly = self._client.server_settings.get("readonly")
        if readonly is not None and getattr(readonly, "readonly", 0):
            self._client.close()
            raise SourceFailed(
                ErrorCode.SOURCE_AUTH_FAILED,
                f"The user of source {source} may not change settings, so that no limit can be set for a statement.",
                hint="Give its profile readonly = 2 instead of readonly = 1; grants keep it from writing.",
            )

    def known(self, settings: dict[str, str]) -> dict[str, Any]:
        """Those of `settings` that this server's version has, and lets our user change."""
        there = self._client.server_settings
        return {name: value for name, value in settings.items() if not getattr(there.get(name, True), "readonly", True)}

    def ask(self, sql: str, settings: dict[str, Any]) -> list[list[Any]]:
        """The rows of a short answer, as JSON has their values."""
        return list(_lines(self._client.raw_query(sql, settings=settings, fmt="JSONCompactEachRow")))

    def stream(self, sql: str, settings: dict[str, Any]) -> io.IOBase:
        """An Arrow stream, as it comes."""
        return self._client.raw_stream(sql, settings=settings, fmt="ArrowStream")

    def close(self) -> None:
        """Closes every connection."""
        self._client.close()


class ServerLink(ClickHouseLink):
    """A session's requests. `token`, `timeout_s`, `memory_mb` and `threads` as in `settings_for`."""

    def __init__(self, server: ClickHouseServer, token: str, timeout_s: float, *, memory_mb: int, threads: int) -> None:
        self._server = server
        self._token = token
        told = settings_for(token, timeout_s, memory_mb=memory_mb, threads=threads)
        told["cancel_http_readonly_queries_on_client_close"] = "1"
        self._settings = server.known(told)

    def ask(self, sql: str) -> list[list[Any]]:
        """See `ClickHouseLink.ask`."""
        return self._server.ask(sql, self._settings)

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """See `ClickHouseLink.stream`."""
        with contextlib.closing(_Tail(self._server.stream(sql, self._settings))) as coming:
            try:
                yield from pa.ipc.open_stream(pa.PythonFile(coming, mode="r"))
                coming.check()
            except (pa.ArrowException, *ServerError) as error:
                raise BrokenStream(coming.rest() or str(error)) from error

    def kill(self) -> None:
        """See `ClickHouseLink.kill`."""
        self._server.ask(kill_sql(self._token), {})

    def close(self) -> None:
        """See `ClickHouseLink.close`: the end of a request's stream ended it."""


class _Tail(io.RawIOBase):
    """An answer's bytes, whose last ones are kept: a server that fails half way writes there why."""

    def __init__(self, answer: io.IOBase) -> None:
        super().__init__()
        self._answer = cast("Any", answer)
        self._kept = b""

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """See `io.RawIOBase.read`."""
        parts: list[bytes] = []
        left = size if size >= 0 else sys.maxsize
        while left:
            # what has come, as it comes: a larger read would lose it where the server then hangs up
            got: bytes = self._answer.read1(min(left, _TAIL * 4))
            if not got:
                break
            self._kept = (self._kept + got)[-_TAIL:]
            parts.append(got)
            left -= len(got)
        return b"".join(parts)

    def rest(self) -> str:
        """What the server says of its failure at the end, or nothing."""
        with contextlib.suppress(*ServerError):
            while self.read(_TAIL):
                pass
        text = self._kept.decode("utf-8", "replace")
        at = text.rfind("Code: ", 0, text.rfind("DB::Exception"))
        return text[at:] if at >= 0 and code_of(RuntimeError(text[at:])) is not None else ""

    def check(self) -> None:
        """Raises `OSError` if the stream had no end of its own: Arrow takes a cut one for a whole one."""
        while self.read(_TAIL):
            pass
        if not self._kept.endswith(_END_OF_STREAM):
            raise OSError("the result broke off")

    def close(self) -> None:
        """Hangs up, which ends the statement."""
        with contextlib.suppress(*ServerError):
            self._answer.close()
        super().close()


def _lines(told: bytes) -> Iterator[list[Any]]:
    for line in told.decode("utf-8", "replace").splitlines():
        if line:
            yield json.loads(line)
