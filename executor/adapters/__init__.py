"""kind -> adapter: the one place where a database kind is added. Modules are imported when a source is first used."""

from __future__ import annotations

import importlib
from typing import Protocol, cast

from executor.adapters.base import Adapter
from executor.errors import ErrorCode, SourceFailed
from executor.sources import AnySource


class _MakesAdapter(Protocol):
    """An adapter's class, called with its source's name and its own configuration model."""

    def __call__(self, name: str, config: AnySource) -> Adapter: ...


_MODULES: dict[str, tuple[str, str]] = {
    "duckdb": ("executor.adapters.duckdb", "DuckDBAdapter"),
    "sqlite": ("executor.adapters.sqlite", "SQLiteAdapter"),
    "postgres": ("executor.adapters.postgres", "PostgresAdapter"),
    "mysql": ("executor.adapters.mysql", "MySQLAdapter"),
    "clickhouse": ("executor.adapters.clickhouse", "ClickHouseAdapter"),
    "trino": ("executor.adapters.generic", "GenericAdapter"),
    "snowflake": ("executor.adapters.generic", "GenericAdapter"),
    "bigquery": ("executor.adapters.generic", "GenericAdapter"),
    "mssql": ("executor.adapters.generic", "GenericAdapter"),
}


def kinds() -> tuple[str, ...]:
    """The kinds there are, in the documents' order."""
    return tuple(_MODULES)


def make_adapter(name: str, config: AnySource) -> Adapter:
    """The adapter of a source's kind, not yet connected.

    Raises:
        SourceFailed: ``source_unavailable`` when the kind's driver is not installed; the hint names what to install.
    """
    module, cls = _MODULES[config.kind]
    try:
        return cast("_MakesAdapter", getattr(importlib.import_module(module), cls))(name, config)
    except ImportError as error:
        raise SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"Source {name} is of kind {config.kind}, whose driver is not installed ({error.name}).",
            hint=f"pip install 'awaitsql[{config.kind}]' where the workers run.",
        ) from error
