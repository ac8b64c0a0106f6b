"""What a policy gives one principal on one source: tables, columns, masks, row filters. Pure data; reads no file.

Row filters are trees of typed values, never text, so that nothing a value holds can become SQL. How a grant is
applied to a statement is the guard's business (`mcp_server.sql`), not this module's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

Value = str | int | float | Decimal | bool | date | datetime
"""What a row filter may compare a column with."""


@dataclass(frozen=True, slots=True)
class Compare:
    """``column op value``. A NULL in the column never passes."""

    column: str
    op: Literal["=", "<>", "<", "<=", ">", ">="]
    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """``column IN (values)``. Without values nothing passes."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """``column IS NULL``, or ``IS NOT NULL`` when `negated`."""

    column: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part passes. Without parts everything does."""

    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part passes. Without parts nothing does."""

    parts: tuple[Predicate, ...]


Predicate = Compare | OneOf | IsNull | AllOf | AnyOf
"""A row filter."""


@dataclass(frozen=True, slots=True)
class Mask:
    """What is read in place of a column's values.

    Attributes:
        kind: ``null``, ``literal`` (`text` in every row) or ``hash`` (MD5 of `text`, the salt, and the value).
        text: see `kind`. A salt is a secret: it is never shown to a caller.
    """

    kind: Literal["null", "literal", "hash"] = "null"
    text: str = ""


@dataclass(frozen=True, slots=True)
class TableGrant:
    """What may be read of one table.

    Attributes:
        columns: the columns that exist for the principal; None: all of them.
        masks: ``(column, mask)`` pairs; a mask of a column that is not granted does nothing.
        rows: which rows exist for the principal; None: all of them.
    """

    columns: tuple[str, ...] | None = None
    masks: tuple[tuple[str, Mask], ...] = ()
    rows: Predicate | None = None

    @property
    def protects(self) -> bool:
        """Whether this hides anything of the table."""
        return self.columns is not None or bool(self.masks) or self.rows is not None


@dataclass(frozen=True, slots=True)
class Grant:
    """What one principal may read of one source. Catalogues are never in it.

    Attributes:
        schemas: the schemas that exist for the principal; None: all of them.
        tables: ``((schema, table), rule)`` pairs, names as the database spells them.
        others: the rule for every table that `tables` does not name; None: those do not exist for the principal.
        views: ``(schema, view)`` pairs that may be read although they reach a table with a rule.
        max_rows: the most rows of one result, or None for the server's own limit.
    """

    schemas: tuple[str, ...] | None = None
    tables: tuple[tuple[tuple[str, str], TableGrant], ...] = ()
    others: TableGrant | None = None
    views: tuple[tuple[str, str], ...] = ()
    max_rows: int | None = None

    @classmethod
    def everything(cls) -> Grant:
        """All tables of the source schema, whole."""
        return cls(others=TableGrant())

    def rule(self, schema: str, table: str) -> TableGrant | None:
        """The rule for one table, or None when it does not exist for the principal."""
        if self.schemas is not None and schema not in self.schemas:
            return None
        for name, rule in self.tables:
            if name == (schema, table):
                return rule
        return self.others

    def hash(self) -> str:
        """Changes with anything that could change what a statement reads."""
        # A frozen dataclass's repr names every field and every value with its type's own spelling.
        return hashlib.blake2b(repr(self).encode(), digest_size=16).hexdigest()
