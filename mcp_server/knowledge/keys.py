"""How tables hang together: declared and inferred keys, as a graph and as join conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executor import ForeignKey, SourceProfile, SourceSchema, Table
from mcp_server.tables import shown_name

TableKey = tuple[str, str]
"""Schema and name of a table."""


@dataclass(frozen=True, slots=True)
class Join:
    """A key from one table to another.

    Attributes:
        table: schema and name of the one that points.
        key: where it points.
        evidence: why it is believed to be one; empty for a key that the database declares.
    """

    table: TableKey
    key: ForeignKey
    evidence: str = ""

    @property
    def target(self) -> TableKey:
        """Schema and name of the table that is pointed to."""
        return (self.key.ref_schema, self.key.ref_table)


class Joins:
    """All keys between the tables of one schema.

    Args:
        schema: only what the caller may see.
        profile: only of what the caller may see.
    """

    def __init__(self, schema: SourceSchema, profile: SourceProfile | None = None) -> None:
        self._tables: Mapping[TableKey, Table] = {(t.schema, t.name): t for t in schema.tables}
        self._schema = schema
        self._by_table: dict[TableKey, list[Join]] = {}
        declared = [Join((t.schema, t.name), key) for t in schema.tables for key in t.foreign_keys]
        inferred = (
            [Join((i.schema, i.table), i.key, i.evidence or "inferred") for i in profile.inferred] if profile else []
        )
        known = {(join.table, join.key.columns, join.target) for join in declared}
        for join in [*declared, *(j for j in inferred if (j.table, j.key.columns, j.target) not in known)]:
            if join.table in self._tables and join.target in self._tables:
                for end in {join.table, join.target}:
                    self._by_table.setdefault(end, []).append(join)

    def of(self, table: TableKey) -> Sequence[Join]:
        """Every key from or to `table`."""
        return self._by_table.get(table, ())

    def neighbours(self, table: TableKey) -> list[TableKey]:
        """The tables one key away, without `table` itself; those it points to first."""
        joins = self.of(table)
        ends = [j.target for j in joins if j.table == table] + [j.table for j in joins if j.table != table]
        return [end for end in dict.fromkeys(ends) if end != table]

    def conditions(self, tables: Sequence[TableKey]) -> list[str]:
        """How `tables` join each other, one line a key: ``orders.customer_id = customers.id``.

        A line about a key that no schema declares says so, and why it is believed.
        """
        among = set(tables)
        lines = [
            self.condition(join)
            for table in tables
            for join in self.of(table)
            if join.table == table and join.target in among and join.key.columns
        ]
        return list(dict.fromkeys(lines))

    def condition(self, join: Join) -> str:
        """One key as a join condition."""
        near, far = (shown_name(self._tables[end], self._schema) for end in (join.table, join.target))
        pairs = zip(join.key.columns, join.key.ref_columns or join.key.columns, strict=False)
        told = " AND ".join(f"{near}.{column} = {far}.{ref}" for column, ref in pairs)
        return f"{told} (inferred: {join.evidence})" if join.evidence else told
