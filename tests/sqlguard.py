"""The guard as a plain function ``guard(sql, dialect, policy) -> sql``, for scoring it against a corpus of rows.

`policy` is a mapping: ``default_schema``, ``max_rows`` and ``tables``, each with ``columns`` (name and type),
``row_filter`` (``column = number`` or ``column = 'text'``), ``mask`` (column to a literal) and ``deny`` (columns).
Everything else is the product's own code.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from executor import Column, Limits, SourceSchema, Table
from mcp_server.policy import Compare, Grant, Mask, Predicate, TableGrant
from mcp_server.sql import check

_FILTER = re.compile(r"\s*(\w+)\s*=\s*(?:(-?\d+)|'([^']*)')\s*")


def guard(sql: str, dialect: str, policy: dict[str, Any]) -> str:
    """The text to run, or an exception."""
    schema, grant, limits = _translated(dialect, _Policy(policy))
    return check(sql, source_schema=schema, grant=grant, limits=limits).sql


class _Policy:
    """A policy as a key of the cache: two are the same when they are the same object."""

    def __init__(self, policy: dict[str, Any]) -> None:
        self.policy = policy

    def __hash__(self) -> int:
        return id(self.policy)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Policy) and other.policy is self.policy


@lru_cache(maxsize=64)
def _translated(dialect: str, key: _Policy) -> tuple[SourceSchema, Grant, Limits]:
    policy = key.policy
    schema_name = policy["default_schema"]
    tables: list[Table] = []
    rules: list[tuple[tuple[str, str], TableGrant]] = []
    for name, told in policy["tables"].items():
        columns = tuple(Column(column, kind) for column, kind in told["columns"])
        tables.append(Table(schema_name, name, columns=columns))
        denied = set(told.get("deny", ()))
        kept = tuple(c.name for c in columns if c.name not in denied) if denied else None
        masks = tuple((column, Mask("constant", text.strip("'"))) for column, text in told.get("mask", {}).items())
        rows = _predicate(told["row_filter"]) if told.get("row_filter") else None
        rules.append(((schema_name, name), TableGrant(kept, masks, rows)))
    schema = SourceSchema("corpus", dialect, schema_name, tuple(tables))
    grant = Grant(schemas=tuple(policy["allowed_schemas"]), tables=tuple(rules))
    # The policy's cap counts every row that comes back, the one row that tells of truncation among them.
    return schema, grant, Limits(max_rows=policy["max_rows"] - 1)


def _predicate(text: str) -> Predicate:
    match = _FILTER.fullmatch(text)
    if match is None:
        raise ValueError(text)
    column, number, string = match.groups()
    return Compare(column, "=", int(number) if number is not None else string)
