"""A link to chDB, the ClickHouse within this process."""

# chdb and pyarrow ship no complete types: what they return is unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from executor.adapters.chdb_engine import ChDBConnection
from executor.adapters.clickhouse_link import ClickHouseLink, kill_sql, settings_for
from executor.errors import ErrorCode, StatementFailed

_READS_A_FILE = re.compile(r"\s*Function file\b", re.IGNORECASE)
"""In a line of ``EXPLAIN AST``."""


class EmbeddedLink(ClickHouseLink):
    """A connection of a session's own.

    Args:
        address: of the open folder.
        token: marks the session's statements.
        timeout_s: what one of them may take.
        memory_mb: as in `settings_for`.
        threads: as there.
    """

    def __init__(self, address: str, token: str, timeout_s: float, *, memory_mb: int, threads: int) -> None:
        self._address = address
        self._token = token
        self._settings = settings_for(token, timeout_s, memory_mb=memory_mb, threads=threads)
        self._connection = ChDBConnection(address, self._settings)
        self._killing = threading.Lock()

    def check(self, sql: str) -> None:
        """See `ClickHouseLink.check`. No grant and no setting keeps chDB's function ``file`` from a file: this does."""
        super().check(sql)
        if any(_READS_A_FILE.match(str(line)) for (line,) in self.ask(f"EXPLAIN AST {sql}")):
            raise StatementFailed(ErrorCode.STATEMENT_FAILED, "The function file is not there for statements.")

    def ask(self, sql: str) -> list[list[Any]]:
        """See `ClickHouseLink.ask`."""
        return self._connection.rows(sql)

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """See `ClickHouseLink.stream`. Each block comes as an Arrow stream of its own."""
        coming = self._connection.raw.send_query(sql, "ArrowStream")
        try:
            while (block := coming.fetch()) is not None and (held := block.bytes()):
                yield from pa.ipc.open_stream(held)
        finally:
            coming.close()

    def kill(self) -> None:
        """See `ClickHouseLink.kill`."""
        with self._killing:
            aside = ChDBConnection(self._address, {})
            try:
                aside.rows(kill_sql(self._token))
            finally:
                aside.close()

    def close(self) -> None:
        """See `ClickHouseLink.close`."""
        self._connection.close()
