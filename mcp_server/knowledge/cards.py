"""Cards: one table in a few hundred characters, as a model reads it best. Pure; made of what the caller may see.

orders (table, ~12,000 rows): one row an order
id integer PK
customer_id integer → customers.id; 89 distinct
status text; in ('open', 'paid', 'shipped')
total numeric; 2% null; 0.5 … 999; e.g. 12.5, 18
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from executor import Column, ColumnProfile, SourceProfile, SourceSchema, Table, TableProfile
from mcp_server.knowledge.keys import Join, Joins, TableKey
from mcp_server.tables import shown_name

CARD_CHARS = 1_500
"""The most characters of one card."""

_TYPE_CHARS = 60
_NAME_CHARS = 120
_TEXT_TYPE = re.compile(r"char|text|string|enum|uuid|json|clob", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+(\.\d+)?\Z")


@dataclass(frozen=True, slots=True)
class _Form:
    """How much a card tells, in characters a column; 0 leaves the thing out."""

    comment: int = 0
    values: int = 0
    examples: int = 0
    figures: bool = False
    types: bool = True


_FORMS = (
    _Form(comment=200, values=400, examples=120, figures=True),
    _Form(comment=100, values=160, examples=60, figures=True),
    _Form(comment=60, values=80, examples=24, figures=True),
    _Form(comment=40, values=40, figures=True),
    _Form(comment=24, values=24),
    _Form(),
    _Form(types=False),
)
"""From the fullest; the first that fits is taken."""


class Cards:
    """The cards of a schema's tables.

    Args:
        schema: only what the caller may see.
        joins: its keys.
        profile: only of what the caller may see.
    """

    def __init__(self, schema: SourceSchema, joins: Joins, profile: SourceProfile | None = None) -> None:
        self._schema = schema
        self._joins = joins
        self._profiles: Mapping[TableKey, TableProfile] = (
            {(t.schema, t.name): t for t in profile.tables} if profile is not None else {}
        )
        self._names = {(t.schema, t.name): shown_name(t, schema) for t in schema.tables}

    def card(self, table: Table, *, max_chars: int = CARD_CHARS) -> str:
        """The card of one table, in the fullest form that fits into `max_chars`; else with its first columns only."""
        profile = self._profiles.get((table.schema, table.name))
        figures = {c.name: c for c in profile.columns} if profile is not None else {}
        lines: list[str] = []
        for form in _FORMS:
            lines = [
                self._head(table, profile, form),
                *(self._line(table, column, figures.get(column.name), form) for column in table.columns),
                *self._wide_keys(table),
            ]
            if sum(len(line) + 1 for line in lines) <= max_chars + 1:
                return "\n".join(lines)
        return _first_lines(lines, max_chars)

    def _head(self, table: Table, profile: TableProfile | None, form: _Form) -> str:
        count = profile.row_count if profile is not None and profile.row_count is not None else table.row_estimate
        told = table.kind if count is None else f"{table.kind}, ~{count:,} rows"
        comment = f": {_one_line(table.comment, form.comment)}" if table.comment and form.comment else ""
        return f"{self._names[table.schema, table.name]} ({told}){comment}"

    def _line(self, table: Table, column: Column, figures: ColumnProfile | None, form: _Form) -> str:
        head = _one_line(column.name, _NAME_CHARS)
        if form.types and column.type:
            head += f" {_one_line(column.type, _TYPE_CHARS)}"
        if column.name in table.primary_key:
            head += " PK"
        targets = [
            self._target(join) for join in self._joins.of((table.schema, table.name)) if _is_of(join, table, column)
        ]
        head += "".join(f" → {target}" for target in dict.fromkeys(targets))
        told = [head]
        if figures is not None:
            told += _figures(column, figures, form)
        if column.comment and form.comment:
            told.append(f"-- {_one_line(column.comment, form.comment)}")
        return "; ".join(told)

    def _target(self, join: Join) -> str:
        column = join.key.ref_columns[0] if join.key.ref_columns else ""
        place = f"{self._names[join.target]}.{column}" if column else self._names[join.target]
        return f"{place} (inferred)" if join.evidence else place

    def _wide_keys(self, table: Table) -> list[str]:
        """A line for each key of several columns."""
        return [
            self._joins.condition(join)
            for join in self._joins.of((table.schema, table.name))
            if join.table == (table.schema, table.name) and len(join.key.columns) > 1
        ]


def _is_of(join: Join, table: Table, column: Column) -> bool:
    return join.table == (table.schema, table.name) and join.key.columns == (column.name,)


def _figures(column: Column, figures: ColumnProfile, form: _Form) -> list[str]:
    """What the rows say of a column: null share, distinct values, range, values or examples."""
    about = "~" if figures.approximate else ""
    told: list[str] = []
    if form.figures:
        if figures.null_share:
            told.append(f"{about}{_percent(figures.null_share)} null")
        if figures.distinct is not None and not figures.values:
            told.append(f"{about}{figures.distinct:,} distinct")
        if figures.least is not None and figures.greatest is not None and not figures.values:
            least, greatest = (_one_line(text, 30) for text in (figures.least, figures.greatest))
            told.append(f"{about}{least} … {greatest}")
    if figures.values and form.values:
        told.append(f"in ({_listed(column, figures.values, form.values)})")
    elif figures.examples and form.examples:
        told.append(f"e.g. {_listed(column, figures.examples, form.examples)}")
    return told


def _listed(column: Column, values: Sequence[str], limit: int) -> str:
    """As many values as fit, at least one, each as a literal; … where there are more."""
    told: list[str] = []
    used = 0
    for value in values:
        literal = _literal(column, value)
        used += len(literal) + 2
        if told and used > limit:
            return ", ".join([*told, "…"])
        told.append(literal)
    return ", ".join(told)


def _literal(column: Column, value: str) -> str:
    if _NUMBER.match(value) and not _TEXT_TYPE.search(column.type):
        return value
    return "'" + _one_line(value, 40).replace("'", "''") + "'"


def _percent(share: float) -> str:
    percent = share * 100
    return f"{percent:.0f}%" if percent >= 1 else "<1%"


def _one_line(text: str, limit: int) -> str:
    """`text` in one line of at most `limit` characters: what a database holds must not look like a card's own lines."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def _first_lines(lines: Sequence[str], max_chars: int) -> str:
    kept: list[str] = []
    used = 40  # what the last line takes
    for line in lines:
        used += len(line) + 1
        if used > max_chars and kept:
            break
        kept.append(line)
    return "\n".join([*kept, f"… {len(lines) - len(kept)} more columns"])[:max_chars]
