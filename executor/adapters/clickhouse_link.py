"""What a session asks of ClickHouse, whichever way it is reached: one connection lent to one statement."""

# pyarrow ships no types: its batches are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from executor.adapters.base import BATCH_ROWS


def settings_for(token: str, timeout_s: float, *, memory_mb: int, threads: int) -> dict[str, str]:
    """Every setting that a statement runs under. The last one closes the door: no other can be changed after it.

    Args:
        token: marks the statement, so that it can be found and stopped.
        timeout_s: seconds that it may take.
        memory_mb: the most memory it may take of the server, in MB.
        threads: the most threads of it.
    """
    return {
        "log_comment": token,
        "max_execution_time": f"{timeout_s:.3f}",
        "timeout_overflow_mode": "throw",
        "timeout_before_checking_execution_speed": "0",
        "max_memory_usage": f"{memory_mb * 1_000_000}",
        "max_threads": f"{threads}",
        "max_block_size": f"{BATCH_ROWS}",
        "use_query_cache": "0",
        "print_pretty_type_names": "0",
        "output_format_json_quote_64bit_integers": "0",
        # Arrow: strings as the bytes that they are, no dictionaries, nothing packed
        "output_format_arrow_string_as_string": "0",
        "output_format_arrow_fixed_string_as_fixed_byte_array": "0",
        "output_format_arrow_low_cardinality_as_dictionary": "0",
        "output_format_arrow_compression_method": "none",
        "readonly": "1",
    }


class ClickHouseLink(ABC):
    """One connection, with the settings of one session."""

    def check(self, sql: str) -> None:
        """Fails where `sql` is not one statement: chDB would run several, one after another."""
        self.ask(f"SELECT ignore(formatQuery({literal(sql)}))")  # which reads one and no more

    @abstractmethod
    def ask(self, sql: str) -> list[list[Any]]:
        """The rows of a short answer, as JSON has their values."""

    @abstractmethod
    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The batches of a result as they come; closing the iterator ends the statement."""

    @abstractmethod
    def kill(self) -> None:
        """Stops what runs, over another connection. From any thread."""

    @abstractmethod
    def close(self) -> None:
        """Ends the connection, and what still runs on it."""


def kill_sql(token: str) -> str:
    """SQL that stops the statements marked with `token`; its rows are those that ran."""
    return f"KILL QUERY WHERE query_id IN ({running_sql(token)}) ASYNC"


def running_sql(token: str) -> str:
    """SQL for the ids of the statements marked with `token`. Raises `ValueError` for what is not one."""
    if not (token.isascii() and token.isalnum()):
        raise ValueError("not a token")
    return f"SELECT query_id FROM system.processes WHERE Settings['log_comment'] = '{token}'"  # noqa: S608 # checked


def literal(text: str) -> str:
    """`text` as a ClickHouse string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
