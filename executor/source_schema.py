"""What a source was found to hold: its tables, their columns and keys. Reads no database.

The same nouns from whichever database, for the guard, for what callers are told, and for the broker, where they lie as
JSON.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table. `type` is the database's own word for it."""

    name: str
    type: str
    nullable: bool = True
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`columns` of this table point to `ref_columns` of ``ref_schema.ref_table``, in order."""

    columns: tuple[str, ...]
    ref_schema: str
    ref_table: str
    ref_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table or view of a source, names as the database spells them.

    `schema` is ``main`` where the database has no schemas (SQLite). `inherits` names, as ``(schema, table)`` pairs, the
    tables that this one is a partition of or inherits from: its rows are theirs too. `reads` names what a view reads,
    likewise.
    """

    schema: str
    name: str
    kind: Literal["table", "view"] = "table"
    columns: tuple[Column, ...] = ()
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    row_estimate: int | None = None
    comment: str = ""
    inherits: tuple[tuple[str, str], ...] = ()
    reads: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SourceSchema:
    """The tables of a source as a worker found them.

    `default_schema` is where an unqualified name is looked up first; `functions` holds the lower-case names of
    functions that users defined in the database (never allowed, whatever they shadow).
    """

    source: str
    dialect: str
    default_schema: str
    tables: tuple[Table, ...] = ()
    functions: tuple[str, ...] = ()
    server_version: str = ""
    inspected_at: float = 0.0
    fingerprint: str = field(default="")

    def hash(self) -> str:
        """Changes with what the guard goes by (tables, columns, types, what views read); not with estimates or time."""
        told = [
            [t.schema, t.name, t.kind, [[c.name, c.type] for c in t.columns], t.primary_key, t.inherits, t.reads]
            for t in self.tables
        ]
        return hashlib.blake2b(json.dumps([told, self.functions]).encode(), digest_size=8).hexdigest()

    def to_json(self) -> str:
        """Compact JSON; `from_json` reads it back to an equal value."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> SourceSchema:
        """The inverse of `to_json`."""
        raw: dict[str, Any] = json.loads(text)
        tables = tuple(
            Table(
                schema=t["schema"],
                name=t["name"],
                kind=t["kind"],
                columns=tuple(Column(**c) for c in t["columns"]),
                primary_key=tuple(t["primary_key"]),
                foreign_keys=tuple(
                    ForeignKey(tuple(f["columns"]), f["ref_schema"], f["ref_table"], tuple(f["ref_columns"]))
                    for f in t["foreign_keys"]
                ),
                row_estimate=t["row_estimate"],
                comment=t["comment"],
                inherits=tuple((s, n) for s, n in t["inherits"]),
                reads=tuple((s, n) for s, n in t["reads"]),
            )
            for t in raw["tables"]
        )
        return cls(
            source=raw["source"],
            dialect=raw["dialect"],
            default_schema=raw["default_schema"],
            tables=tables,
            functions=tuple(raw["functions"]),
            server_version=raw["server_version"],
            inspected_at=raw["inspected_at"],
            fingerprint=raw["fingerprint"],
        )
