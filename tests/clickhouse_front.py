"""The part of ClickHouse's HTTP interface that a client needs, in front of chDB, as no package brings a server.

``python clickhouse_front.py FOLDER`` prints its port. Statements are run by ClickHouse's engine with the settings of
the request; a failure half way is written behind the rows, and hangs up, as a server does. One user, who may do
everything.
"""

from __future__ import annotations

import contextlib
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
from chdb.state.sqlitelike import connect

PATH = sys.argv[1]
_FORMAT = re.compile(r"\s+FORMAT\s+(ArrowStream|JSONCompactEachRow|Native|TabSeparated)\s*;?\s*$")
_OF_THE_TRANSPORT = frozenset(
    ("client_protocol_version", "compress", "database", "default_format", "enable_http_compression", "query_id",
     "http_headers_progress_interval_ms", "readonly", "send_progress_in_http_headers", "wait_end_of_query")
)  # fmt: skip


class Front(BaseHTTPRequestHandler):
    """One request: one statement on a connection of its own."""

    protocol_version = "HTTP/1.1"
    has_begun = False

    def log_message(self, *_: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Nothing."""

    def do_GET(self) -> None:
        """A request without a body."""
        self.do_POST()

    def do_POST(self) -> None:
        """Runs the statement."""
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        sql = f"{asked.pop('query', '')} {body}".strip()
        named = _FORMAT.search(sql)
        self.has_begun = False
        connection = connect(PATH)
        try:
            for name, value in asked.items():
                if name not in _OF_THE_TRANSPORT:
                    connection.query(f"SET {name} = '{value}'")
            if asked.get("database"):
                connection.query(f"USE `{asked['database']}`")
            if "readonly" in asked:
                connection.query(f"SET readonly = {asked['readonly']}")
            self.answer(connection, sql[: named.start()] if named else sql, named[1] if named else "TabSeparated")
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except Exception as error:  # noqa: BLE001 # every failure of a statement is told to the client
            with contextlib.suppress(OSError):
                self.fail(str(error)[str(error).find("Code: ") :])
        finally:
            connection.close()

    def answer(self, connection: Any, sql: str, form: str) -> None:
        """The rows, as one stream."""
        if form != "ArrowStream":
            self.send_chunk(connection.query(sql, form).bytes())
            return
        coming, stream = connection.send_query(sql, form), None
        while (block := coming.fetch()) is not None and (held := block.bytes()):
            reader = pa.ipc.open_stream(held)
            stream = stream or pa.ipc.new_stream(pa.PythonFile(self, mode="w"), reader.schema)
            for batch in reader:
                stream.write_batch(batch)
        if stream is None:
            self.send_chunk(connection.query(sql, form).bytes())
        else:
            stream.close()

    def fail(self, told: str) -> None:
        """What ClickHouse said, in an answer of its own or behind the rows that went before."""
        text = told.encode()
        if self.has_begun:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(text), text))
            self.close_connection = True
            return
        self.send_response(500)
        code = re.match(r"Code: (\d+)", told)
        self.send_header("X-ClickHouse-Exception-Code", code[1] if code else "0")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    closed = False

    def write(self, data: Any) -> int:
        """As a file that Arrow writes to."""
        self.send_chunk(bytes(data))
        return len(data)

    def flush(self) -> None:
        """As above: nothing is held back."""

    def close(self) -> None:
        """As above: the answer ends with the request."""

    def send_chunk(self, data: bytes) -> None:
        """Some of the answer."""
        if not self.has_begun:
            self.has_begun = True
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
        if data:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


if __name__ == "__main__":
    held = connect(PATH)  # the engine stays open between requests
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
