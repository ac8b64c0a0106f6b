"""The functions that SQL may call, per dialect, as data. Whatever is not named here is refused.

A name is listed when it only computes on its arguments: no files, no network, no sleep, no locks, no session state,
no settings, no SQL in strings, no catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass

from mcp_server.sql.functions import bigquery, clickhouse, duckdb, mysql, postgres, snowflake, sqlite, trino, tsql


@dataclass(frozen=True, slots=True)
class Functions:
    """Lower-case names: `scalar` stand where an expression stands, `table` where a table stands.

    `outputs` gives the column names of those table functions that have fixed ones. `suffixes` may be put after the
    names in `aggregates`, one after another, as ClickHouse's combinators are.
    """

    scalar: frozenset[str]
    table: frozenset[str]
    outputs: dict[str, tuple[str, ...]]
    aggregates: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()

    def allows(self, name: str) -> bool:
        """Whether the lower-case `name` may be called where an expression stands."""
        return name in self.scalar or self._aggregates(name)

    def _aggregates(self, name: str) -> bool:
        return name in self.aggregates or any(
            name.endswith(suffix) and self._aggregates(name.removesuffix(suffix)) for suffix in self.suffixes
        )


_MODULES = {
    "bigquery": bigquery,
    "clickhouse": clickhouse,
    "duckdb": duckdb,
    "mysql": mysql,
    "postgres": postgres,
    "snowflake": snowflake,
    "sqlite": sqlite,
    "trino": trino,
    "tsql": tsql,
}


def functions_of(dialect: str) -> Functions:
    """The allowed functions of `dialect`, one of sqlglot's names."""
    module = _MODULES[dialect]
    return Functions(
        frozenset(module.SCALAR.split()),
        frozenset(module.TABLE.split()),
        module.OUTPUTS,
        frozenset(getattr(module, "AGGREGATES", "").split()),
        tuple(getattr(module, "SUFFIXES", ())),
    )
