"""Nouns: what a profile says of a source's tables and columns, beyond their schema. They hold content of rows.

A profile is shared by all callers, so it is made only of tables that everyone who may see them sees whole: whoever asks
for one says which (`executor` knows no policy). Texts of values are what a page would show, cut.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from executor.source_schema import ForeignKey


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """What the rows read say of one column.

    Attributes:
        name: as the schema spells it.
        null_share: nulls per row read, 0 to 1; None where no row was read.
        distinct: different values; None where they were not counted.
        approximate: whether `null_share`, `distinct`, `least` and `greatest` come from a sample of the rows.
        least: the smallest value as text; None where there is none, or no order.
        greatest: the largest, likewise.
        values: all different values, the most frequent first, where there are at most 30; else nothing.
        examples: up to five values where `values` is empty.
    """

    name: str
    null_share: float | None = None
    distinct: int | None = None
    approximate: bool = False
    least: str | None = None
    greatest: str | None = None
    values: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableProfile:
    """What was read of one table.

    Attributes:
        schema: the table's, as in `executor.Table`.
        name: the table's.
        row_count: rows of the table, where `rows_read` is less about so many; None where nobody knows.
        rows_read: rows that the columns' figures come from.
        columns: in the table's order; none where the table could not be read.
        profiled_at: seconds since the epoch, by the broker's clock.
        made_of: changes with the table's columns and, as far as the database tells that cheaply, with its rows.
        version: names this reading of the table: another reading has another. Its listed values are kept under it.
        listed: columns whose distinct values are listed (see `executor.Executor.listed_values`), in the table's order.
    """

    schema: str
    name: str
    row_count: int | None = None
    rows_read: int = 0
    columns: tuple[ColumnProfile, ...] = ()
    profiled_at: float = 0.0
    made_of: str = ""
    version: str = ""
    listed: tuple[str, ...] = ()

    @classmethod
    def from_fields(cls, raw: dict[str, Any]) -> TableProfile:
        """From its fields, as `dataclasses.asdict` and JSON give them."""
        raw["columns"] = tuple(_column(c) for c in raw["columns"])
        raw["listed"] = tuple(raw["listed"])
        return cls(**raw)


@dataclass(frozen=True, slots=True)
class InferredKey:
    """A foreign key that no schema declares.

    Attributes:
        schema: of the table that points.
        table: that points.
        key: where it points.
        evidence: one short line for a reader: which names agree, which share of the values is found there.
    """

    schema: str
    table: str
    key: ForeignKey
    evidence: str


@dataclass(frozen=True, slots=True)
class SourceProfile:
    """All that was read of one source.

    Attributes:
        source: its name.
        schema_hash: `executor.SourceSchema.hash` of the schema it was made of.
        tables: the profiled ones.
        inferred: keys between them, where no declared key is.
        complete: False where not all tables were read, or not yet.
        version: another one whenever anything in here may be another; empty before the first reading.
    """

    source: str
    schema_hash: str
    tables: tuple[TableProfile, ...] = ()
    inferred: tuple[InferredKey, ...] = ()
    complete: bool = True
    version: str = ""

    def to_json(self) -> str:
        """Compact JSON; `from_json` reads it back to an equal value."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> SourceProfile:
        """The inverse of `to_json`."""
        raw: dict[str, Any] = json.loads(text)
        raw["tables"] = tuple(TableProfile.from_fields(t) for t in raw["tables"])
        raw["inferred"] = tuple(inferred_key(i) for i in raw["inferred"])
        return cls(**raw)


def _column(raw: dict[str, Any]) -> ColumnProfile:
    raw["values"], raw["examples"] = tuple(raw["values"]), tuple(raw["examples"])
    return ColumnProfile(**raw)


def inferred_key(raw: dict[str, Any]) -> InferredKey:
    """An inferred key from its fields, as `dataclasses.asdict` gives them."""
    key: dict[str, Any] = raw["key"]
    key["columns"], key["ref_columns"] = tuple(key["columns"]), tuple(key["ref_columns"])
    raw["key"] = ForeignKey(**key)
    return InferredKey(**raw)
