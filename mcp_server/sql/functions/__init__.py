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

    `outputs` gives the column names of those table functions that have fixed ones.
    """

    scalar: frozenset[str]
    table: frozenset[str]
    outputs: dict[str, tuple[str, ...]]


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
    return Functions(frozenset(module.SCALAR.split()), frozenset(module.TABLE.split()), module.OUTPUTS)
