"""Counts and sums over a table with a column that says which rows usually do not count, and that nobody looked at.

What such columns are, and their values, is told to it: it knows no profile.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from executor import Caution
from mcp_server.sql.aggregates import AGGREGATES, aggregates, call_of
from mcp_server.sql.granted import GrantedTable
from mcp_server.sql.joined import Fold, alias_of
from mcp_server.sql.scopes import Scope

Telling = Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]]
"""By schema and name of a table, by column, the values of rows that usually do not count."""

_MOST_VALUES = 3


def unfiltered(scope: Scope, telling: Telling, fold: Fold) -> list[Caution]:
    """What is counted in `scope` with rows that usually do not count. At most one is told."""
    query = scope.query
    if not isinstance(query, exp.Select) or not any(aggregates(item) for item in query.expressions):
        return []
    for alias, source in scope.sources.items():
        base = source.base
        if not isinstance(base, GrantedTable) or not base.plain or base.key not in telling:
            continue
        if len(scope.sources) > 1 and not _is_aggregated(scope, alias, fold):
            continue
        named = {column.name.lower() for column in scope.columns if alias_of(column, scope, fold) == alias}
        for column, values in telling[base.key].items():
            if column.lower() not in named and any(one.name == column for one in base.columns):
                shown = ", ".join(repr(value) for value in values[:_MOST_VALUES])
                return [
                    Caution(
                        "unfiltered_enum",
                        f"{base.table.name[:60]}.{column[:60]} is not looked at: rows where it is {shown} are counted, "
                        "too. Filter on it, or group by it, unless they are meant.",
                    )
                ]
    return []


def _is_aggregated(scope: Scope, alias: str, fold: Fold) -> bool:
    """Whether a column of `alias` stands in an aggregate."""
    for column in scope.columns:
        if alias_of(column, scope, fold) == alias:
            above = column.parent
            while above is not None and above is not scope.query:
                if call_of(above) in AGGREGATES:
                    return True
                above = above.parent
    return False
