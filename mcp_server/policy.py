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

from executor import PRIORITIES, CostGate

Constant = str | int | float | Decimal | bool | date | datetime
"""What a row filter may compare a column with."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """``:principal.name`` in a filter: the caller's attribute of that name, until the filter is bound to a caller."""

    name: str


Value = Constant | Attribute
"""A constant, or what becomes one. The guard is given bound filters only."""


@dataclass(frozen=True, slots=True)
class Compare:
    """``column op value``. A NULL in the column never passes."""

    column: str
    op: Literal["=", "<>", "<", "<=", ">", ">="]
    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """``column IN (values)``, or ``NOT IN`` when `negated`. A NULL in the column never passes.

    Without values nothing passes, or, negated, all but NULL does.
    """

    column: str
    values: tuple[Value, ...]
    negated: bool = False


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

    ``hash``, ``partial`` and ``date`` give equal values for equal ones, so that masked columns can be joined and
    grouped by; a NULL stays one, except under ``constant``.

    Attributes:
        kind: ``null``; ``constant`` (`value` in every row); ``hash`` (SHA-256 of the salt in `value` and the value);
            ``partial`` (the first `keep_start` and last `keep_end` characters, ``***`` between them; only ``***`` where
            that would be the whole); ``date`` (the beginning of the value's `unit`).
        value: see `kind`. A salt is a secret: it is never shown to a caller.
        keep_start: characters.
        keep_end: characters.
        unit: what a date or time is cut to.
    """

    kind: Literal["null", "constant", "hash", "partial", "date"] = "null"
    value: str | int | float | bool = ""
    keep_start: int = 0
    keep_end: int = 0
    unit: Literal["year", "quarter", "month", "day", "hour"] = "month"


@dataclass(frozen=True, slots=True)
class TableGrant:
    """What may be read of one table.

    Attributes:
        columns: the columns that exist for the principal; None: all of them.
        denied: columns that do not, even if `columns` names them.
        masks: ``(column, mask)`` pairs; a mask of a column that is not granted does nothing.
        rows: which rows exist for the principal; None: all of them.
        exists: False where nothing of the table is there for the principal.
    """

    columns: tuple[str, ...] | None = None
    masks: tuple[tuple[str, Mask], ...] = ()
    rows: Predicate | None = None
    denied: tuple[str, ...] = ()
    exists: bool = True

    @property
    def protects(self) -> bool:
        """Whether this hides anything of the table."""
        return self.columns is not None or bool(self.denied) or bool(self.masks) or self.rows is not None

    def gives(self, column: str) -> bool:
        """Whether the column exists for the principal."""
        return column not in self.denied and (self.columns is None or column in self.columns)


@dataclass(frozen=True, slots=True)
class Grant:
    """What one principal may read of one source. Catalogues are never in it.

    Attributes:
        schemas: the schemas that exist for the principal; None: all of them.
        tables: ``((schema, table), rule)`` pairs, names as the database spells them.
        others: the rule for every table that `tables` does not name; None: those do not exist for the principal.
        views: ``(schema, view)`` pairs that may be read although they reach a table with a rule.
        max_rows: the most rows of one result, or None for the server's own limit.
        max_bytes: the most bytes of one result, likewise.
        timeout_s: the most seconds of one statement, likewise.
        cost: what a statement may cost; None: whatever it costs.
        priority: the weight of the class in which the caller's jobs wait; see `executor.PRIORITIES`.
        session: ``(name, value)`` pairs that the database session is given for the caller.
        shared_with: whose equal statements may have the rows of one of the caller's: their own only, or those of all
            whose grant is equal (which tells them that somebody asked).
        label: which rule of the policy this is, and where it stands; empty without a policy.
        version: what `hash` is made of where the grant comes from a rule: the rule and the caller's attributes in it,
            and nothing of the source's schema.
    """

    schemas: tuple[str, ...] | None = None
    tables: tuple[tuple[tuple[str, str], TableGrant], ...] = ()
    others: TableGrant | None = None
    views: tuple[tuple[str, str], ...] = ()
    max_rows: int | None = None
    max_bytes: int | None = None
    timeout_s: float | None = None
    cost: CostGate | None = None
    priority: int = PRIORITIES["normal"]
    session: tuple[tuple[str, str], ...] = ()
    shared_with: Literal["principal", "equal_grant"] = "principal"
    label: str = ""
    version: str = ""

    @classmethod
    def everything(cls) -> Grant:
        """All tables of the source schema, whole."""
        return cls(others=TableGrant())

    @property
    def gives_all(self) -> bool:
        """Whether every table exists, whole."""
        return self.schemas is None and not self.tables and self.others == TableGrant()

    def rule(self, schema: str, table: str) -> TableGrant | None:
        """The rule for one table, or None when it does not exist for the principal."""
        if self.schemas is not None and schema not in self.schemas:
            return None
        for name, rule in self.tables:
            if name == (schema, table):
                return rule if rule.exists else None
        return self.others

    def hash(self) -> str:
        """Changes with anything that could change what a statement reads."""
        # A frozen dataclass's repr names every field and every value with its type's own spelling.
        told = self.version or repr(self)
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()
