"""What the guard must know of a dialect beyond sqlglot's grammar: case, fences, odd names. Data, no rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mcp_server.sql.functions import Functions, functions_of


@dataclass(frozen=True, slots=True)
class DialectRules:
    """One dialect.

    Attributes:
        name: sqlglot's name for it.
        folds: what an unquoted name means: ``lower`` (quoted ones keep their case), ``exact``, or ``any`` case.
        unquoted: the case in which unquoted names are written, where quoting a name makes its case count.
        functions: what may be called.
        fence: what ends a policy's sub-query so that no outer predicate is tried on hidden rows.
        row_ids: column names that every plain table has without declaring them.
        double_quoted_strings: whether ``"x"`` means a string when there is no such column.
        recursive_by_default: whether a CTE may name itself without RECURSIVE.
        strict_fields: whether ``a.f`` may call the function ``f``, so that every field must be known.
        whole_rows: whether a table's name stands for its row.
    """

    name: str
    folds: Literal["lower", "exact", "any"]
    functions: Functions
    unquoted: Literal["", "lower", "upper"] = ""
    fence: Literal["offset", "limit_offset", "limit"] = "offset"
    row_ids: frozenset[str] = frozenset()
    double_quoted_strings: bool = False
    recursive_by_default: bool = False
    strict_fields: bool = False
    whole_rows: bool = False


_FOLDS: dict[str, Literal["lower", "exact", "any"]] = {
    "postgres": "lower",
    "sqlite": "any",
    "duckdb": "any",
    "mysql": "any",
    "clickhouse": "exact",
    "snowflake": "any",
    "bigquery": "any",
    "trino": "any",
    "tsql": "any",
}
# ClickHouse takes OFFSET 0 away and tries the outer predicate beside the filter; a LIMIT it keeps (see its EXPLAIN).
_FENCES: dict[str, Literal["offset", "limit_offset", "limit"]] = {
    "sqlite": "limit_offset",
    "mysql": "limit",
    "clickhouse": "limit",
}
_ROW_IDS = {"sqlite": frozenset({"rowid", "_rowid_", "oid"}), "duckdb": frozenset({"rowid"})}
# Pseudo-columns of BigQuery's partitioned tables: when a row was loaded.
_ROW_IDS["bigquery"] = frozenset({"_partitiontime", "_partitiondate"})
_UNQUOTED: dict[str, Literal["lower", "upper"]] = {"postgres": "lower", "snowflake": "upper"}


def dialect_names() -> tuple[str, ...]:
    """The dialects that the guard knows, by sqlglot's names."""
    return tuple(_FOLDS)


def dialect_rules(name: str) -> DialectRules | None:
    """The rules of sqlglot's dialect `name`, or None for one that the guard does not know."""
    folds = _FOLDS.get(name)
    if folds is None:
        return None
    return DialectRules(
        name=name,
        folds=folds,
        functions=functions_of(name),
        unquoted=_UNQUOTED.get(name, ""),
        fence=_FENCES.get(name, "offset"),
        row_ids=_ROW_IDS.get(name, frozenset()),
        double_quoted_strings=name == "sqlite",
        recursive_by_default=name in {"sqlite", "tsql", "snowflake"},
        strict_fields=name == "postgres",
        whole_rows=name in {"postgres", "duckdb", "bigquery"},
    )
