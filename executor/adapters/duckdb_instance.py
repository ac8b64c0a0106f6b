"""An open DuckDB instance with its doors closed: no writes, no other files, no network, no extensions, no settings.

Knows no sessions and no statements.
"""

# duckdb and pyarrow ship no complete types: what they take is unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from executor.adapters.duckdb_files import READERS, Stamps, stamped, tables_of_files, unavailable, unglobbed
from executor.adapters.duckdb_spill import SpillFolder
from executor.errors import ErrorCode, SourceFailed
from executor.sources import DuckDBSource

_SPILL_GB = 10
_MAGIC = b"DUCK"  # bytes 8 to 12 of every DuckDB file


class DuckDBInstance:
    """One database, open; `close` it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, spill: SpillFolder, stamps: Stamps) -> None:
        self._connection = connection
        self._spill = spill
        self._stamps = stamps

    @classmethod
    def open(cls, source: str, config: DuckDBSource) -> DuckDBInstance:
        """Opens the file read-only, or makes one view a file.

        Raises:
            SourceFailed: ``source_busy`` when a writer holds the file; ``source_unavailable`` when a file is missing,
                is not what it should be, or two files would make tables of one name.
        """
        files = tables_of_files(source, config.files)
        spill = SpillFolder()
        settings = _settings(spill, config.memory_limit_mb, config.threads)
        try:
            if config.path is not None:
                if not config.path.is_file():
                    told = "is not a file" if config.path.exists() else "does not exist"
                    raise unavailable(f"{config.path.name} {told}.")
                connection = duckdb.connect(str(config.path), read_only=True, config=settings)
            else:
                connection = duckdb.connect(":memory:", config=settings)
        except duckdb.Error as error:
            spill.remove()
            raise _why_closed(source, config.path) from error
        except SourceFailed:
            spill.remove()
            raise
        instance = cls(connection, spill, stamped(files.values()))
        try:
            instance._close_doors(files)
        except BaseException:
            instance.close()
            raise
        return instance

    @classmethod
    def of_rows(cls, tables: Mapping[str, pa.RecordBatchReader], *, memory_mb: int, threads: int) -> DuckDBInstance:
        """A database in memory, and in its spill folder, that holds the rows of each reader as a table."""
        spill = SpillFolder()
        instance = cls(duckdb.connect(":memory:", config=_settings(spill, memory_mb, threads)), spill, {})
        try:
            for name, rows in tables.items():
                instance._connection.register("incoming", rows)
                instance._do(f'CREATE TABLE "{name}" AS SELECT * FROM incoming')  # noqa: S608 # names made by us
                instance._connection.unregister("incoming")
            instance._close_doors({})
        except BaseException:
            instance.close()
            raise
        return instance

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to this instance, for one thread."""
        return self._connection.cursor()

    def changed(self) -> Path | None:
        """A file of the source that is not what it was when the instance was opened, if there is one."""
        now = stamped(self._stamps)
        return next((path for path, stamp in self._stamps.items() if now[path] != stamp), None)

    def close(self) -> None:
        """Closes the instance and removes what it spilled."""
        with contextlib.suppress(duckdb.Error):  # a broken instance is as good as closed
            self._connection.close()
        self._spill.remove()

    def _close_doors(self, files: dict[str, Path]) -> None:
        self._do("SET TimeZone='UTC'")
        if files:
            paths = sorted({p for path in files.values() for p in (str(path), unglobbed(path))})
            self._do(f"SET allowed_paths=[{', '.join(map(_quoted, paths))}]")
        self._do("SET enable_external_access=false")
        for table, path in files.items():
            reader = READERS[path.suffix.lower()].format(_quoted(unglobbed(path)))
            try:
                self._do(f'CREATE VIEW "{table}" AS SELECT * FROM {reader}')  # noqa: S608 # quoted, names made by us
            except duckdb.Error as error:
                raise unavailable(f"{path.name} cannot be read as {path.suffix.lower()[1:]}.") from error
        self._do("SET lock_configuration=true")

    def _do(self, sql: str) -> None:
        self._connection.execute(sql).complete()


def _settings(spill: SpillFolder, memory_mb: int, threads: int) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": f"{memory_mb}MB",
        "threads": threads,
        "temp_directory": str(spill.path),
        "max_temp_directory_size": f"{_SPILL_GB}GB",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "allow_unsigned_extensions": False,
        "allow_persistent_secrets": False,
        "secret_directory": str(spill.path / "secrets"),  # current_setting tells it: not where the worker's home is
        "enable_external_file_cache": False,  # files may change, and what they hold is read once a statement
        "pivot_limit": 1000,
        "python_enable_replacements": False,
    }


def _why_closed(source: str, path: Path | None) -> SourceFailed:
    """DuckDB says IOException for everything; the file itself tells more."""
    if path is None:
        return unavailable(f"Source {source} cannot be opened.")
    try:
        with path.open("rb") as file:
            header = file.read(12)
    except OSError:
        return unavailable(f"{path.name} cannot be read.", "Check that the workers may read the file.")
    if header[8:12] != _MAGIC:
        return unavailable(f"{path.name} is not a DuckDB database.", "Check the source's path and kind.")
    if _is_locked(path):
        return SourceFailed(
            ErrorCode.SOURCE_BUSY,
            f"{path.name} is held by a program that writes to it.",
            hint="Try again when its writer is done.",
        )
    return unavailable(
        f"{path.name} cannot be opened.", f"It may be damaged, or of a DuckDB newer than {duckdb.__version__}."
    )


def _is_locked(path: Path) -> bool:
    try:
        import fcntl  # noqa: PLC0415 # there is none on Windows, where a held file cannot even be read
    except ImportError:
        return True
    with path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
