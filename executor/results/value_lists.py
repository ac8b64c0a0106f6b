"""Lists of the distinct values of tables' columns, as a profile made them; kept where results are. Knows no database.

One file a reading of a table: ``profiles/<source>/<table>-<version>/values.arrow``, written once and never changed.
"""

# pyarrow ships no types: its tables are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from executor.results.places import Place

_FILE = "values.arrow"
_BATCH_ROWS = 8_192
_SCHEMA = pa.schema([("column", pa.string()), ("value", pa.string()), ("rows", pa.int64())])
_VERSION = re.compile(r"[0-9a-f]{1,40}")


@dataclass(frozen=True, slots=True)
class ListedValue:
    """One value that a column holds, and in how many of the rows read."""

    column: str
    value: str
    rows: int


class ValueLists:
    """The lists of all sources of one configuration."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def write(
        self,
        source: str,
        table: tuple[str, str],
        version: str,
        lists: Mapping[str, tuple[Sequence[str], Sequence[int]]],
    ) -> None:
        """Keeps the values of a table's columns, and in how many rows each is.

        Raises:
            ResultFailed: ``store_full``, ``store_unavailable``.
        """
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, _SCHEMA, options=pa.ipc.IpcWriteOptions(compression="zstd")) as file:
            for column, (values, rows) in lists.items():
                columns = [pa.array([column] * len(values), pa.string()), pa.array(values, pa.string())]
                whole = pa.table([*columns, pa.array(rows, pa.int64())], schema=_SCHEMA)
                file.write_table(whole, max_chunksize=_BATCH_ROWS)
        folder = _folder(source, table, version)
        self._place.begin(folder)
        self._place.put(f"{folder}/{_FILE}", sink.getvalue())

    def read(self, source: str, table: tuple[str, str], version: str) -> Iterator[list[ListedValue]]:
        """The table's values in blocks, column by column, the most frequent first; nothing where none are kept."""
        try:
            with (
                self._place.opened(f"{_folder(source, table, version)}/{_FILE}") as file,
                pa.ipc.open_file(file) as stored,
            ):
                for number in range(stored.num_record_batches):
                    columns = [column.to_pylist() for column in stored.get_batch(number).columns]
                    yield [ListedValue(*row) for row in zip(*columns, strict=True)]
        except FileNotFoundError:
            return

    def keep_only(self, source: str, known: Collection[tuple[tuple[str, str], str]]) -> int:
        """Removes the lists of all other tables and versions of the source; how many there were."""
        wanted = {_folder(source, table, version).rpartition("/")[2] for table, version in known if version}
        gone = [name for name in self._place.names(f"profiles/{source}") if name not in wanted]
        for name in gone:
            self._place.remove(f"profiles/{source}/{name}")
        return len(gone)


def _folder(source: str, table: tuple[str, str], version: str) -> str:
    if not _VERSION.fullmatch(version):
        raise ValueError("a version is hexadecimal digits")  # a path must never come from outside
    named = hashlib.blake2b("\0".join(table).encode(), digest_size=12).hexdigest()
    return f"profiles/{source}/{named}-{version}"
