"""Whether a rule fits a source's schema: what it names and the source has not, or cannot do. Changes nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from executor import SourceSchema, Table
from mcp_server.binding import Unbound, bound
from mcp_server.column_kinds import ColumnKind, column_kind
from mcp_server.policy import Mask
from mcp_server.rules import Protection, Rule

_ANY_CASE = frozenset({"sqlite", "duckdb", "mysql"})
_HASHES = frozenset({"postgres", "duckdb", "mysql", "sqlite", "clickhouse"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the place in the configuration, and a sentence for whoever wrote it."""

    place: str
    message: str

    @property
    def line(self) -> str:
        """The file and line of `place` alone: what else it says may name what a caller may not know of."""
        return self.place.partition(": ")[0]


def named_table(name: str, schema: SourceSchema) -> Table | None:
    """The table that a rule calls `name`: its own name in the default schema, or ``schema.name``."""
    exact = [table for table in schema.tables if name in _names(table, schema)]
    if exact or schema.dialect not in _ANY_CASE:
        return exact[0] if exact else None
    # where letters' case is free, a name that could be two tables' is nobody's
    folded = [t for t in schema.tables if name.lower() in [spelled.lower() for spelled in _names(t, schema)]]
    return folded[0] if len(folded) == 1 else None


def table_matches(pattern: str, table: Table, schema: SourceSchema) -> bool:
    """Whether `pattern`, a name or ``schema.name``, with ``*`` for any letters, names the table."""
    if "*" not in pattern:
        return named_table(pattern, schema) is table
    of_schema, dot, of_table = pattern.rpartition(".")
    if not dot:
        return table.schema == schema.default_schema and _matches(of_table, table.name)
    return _matches(of_schema, table.schema) and _matches(of_table, table.name)


def _matches(pattern: str, name: str) -> bool:
    """Letter for letter, but for ``*``, which stands for any of them."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None


def problems_of(rule: Rule, schema: SourceSchema) -> Iterator[Problem]:
    """Everything of `rule` that does not fit."""
    settings = rule.settings
    schemas = {table.schema for table in schema.tables}
    for name in settings.schemas or ():
        if name not in schemas:
            yield Problem(rule.place, f"There is no schema {name}.{_closest(name, schemas)}")
    for pattern in settings.tables or ():
        if not any(table_matches(pattern, table, schema) for table in schema.tables):
            yield Problem(rule.place, f"No table is named {pattern}.{_closest(pattern, _all_names(schema))}")
    for name in settings.views:
        view = named_table(name, schema)
        if view is None or not (view.kind == "view" or view.reads):
            yield Problem(rule.place, f"There is no view {name}.{_closest(name, _all_names(schema))}")
    seen: dict[tuple[str, str], str] = {}
    for protection in rule.protections:
        table = named_table(protection.table, schema)
        if table is not None and (table.schema, table.name) in seen:
            first = seen[table.schema, table.name]
            yield Problem(protection.place, f"{protection.table} and {first} are one table: write one entry for it.")
        if table is not None:
            seen[table.schema, table.name] = protection.table
        yield from _of_protection(protection, schema)


def _of_protection(protection: Protection, schema: SourceSchema) -> Iterator[Problem]:
    table = named_table(protection.table, schema)
    if table is None:
        yield Problem(
            protection.place, f"There is no table {protection.table}.{_closest(protection.table, _all_names(schema))}"
        )
        return
    types = {column.name: column.type for column in table.columns}
    missing = False
    for name, place in protection.named_columns():
        if name not in types:
            missing = True
            yield Problem(place, f"{protection.table} has no column {name}.{_closest(name, types)}")
    if missing:
        return
    for name, mask in protection.masks:
        told = _of_mask(mask, types[name], schema.dialect)
        if told:
            yield Problem(protection.places[f"masks.{name}"], f"{name} is {types[name]}: {told}")
    if protection.rows is not None:
        try:
            bound(protection.rows, table, None)
        except Unbound:  # pragma: no cover - nothing is bound without a caller
            return
        except ValueError as error:
            yield Problem(protection.places["rows"], f"{error}.")


def _of_mask(mask: Mask, type_: str, dialect: str) -> str:
    if dialect not in _HASHES:
        return f"masks are not available on {dialect}." if mask.kind not in ("null", "constant") else ""
    # SQLite columns hold what they are given, whatever they are declared as
    if mask.kind == "date" and dialect != "sqlite" and column_kind(type_) not in (ColumnKind.DATE, ColumnKind.MOMENT):
        return "only a date or a timestamp has a beginning of its month."
    return ""


def _names(table: Table, schema: SourceSchema) -> tuple[str, ...]:
    whole = f"{table.schema}.{table.name}"
    return (table.name, whole) if table.schema == schema.default_schema else (whole,)


def _all_names(schema: SourceSchema) -> list[str]:
    return [name for table in schema.tables for name in _names(table, schema)]


def _closest(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {found[0]}?" if found else ""
