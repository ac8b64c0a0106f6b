"""What may be compared with what so that no row whatever makes the comparison fail. Pure.

Databases convert the two sides of a comparison to one type, row by row: DuckDB's widest integers do not fit its
decimals, PostgreSQL's numerics reach further than its doubles. A failing conversion would tell of the row that it
failed on. Two things are of one sort when whichever way a database converts, it cannot fail.
"""

from __future__ import annotations

import re
from datetime import datetime

from sqlglot import exp

from mcp_server.column_kinds import ColumnKind, column_kind

Sorts = frozenset[str]
"""The sorts that a column or a constant is of; things with one in common may be compared."""

NONE: Sorts = frozenset()
ANY_NUMBER: Sorts = frozenset({"exact", "float"})

_FLOATS = re.compile(r"real|double( precision)?|float[0-9]*")
_DUCKDB_INTEGERS = re.compile(r"u?(tiny|small|big)?int(eger)?")
_DUCKDB_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_DUCKDB_MOMENTS = {
    "timestamp": "timestamp", "datetime": "timestamp", "timestamp with time zone": "timestamptz",
    "timestamptz": "timestamptz",
}  # fmt: skip
_WHOLE, _FRACTION = 20, 10
"""The digits before and after the point with which any two of DuckDB's decimals and integers have a common type."""

_NUMERAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?")
_MOMENT = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?")
_MOMENTS: Sorts = frozenset({"date", "moment", "timestamp", "timestamptz"})


def sorts_of_type(type_: str, dialect: str) -> Sorts:
    """The sorts of a column whose type the database of `dialect` calls `type_`."""
    kind = column_kind(type_)
    word = type_.lower()
    if kind is ColumnKind.NUMBER:
        if _FLOATS.fullmatch(word):
            return frozenset({"float"})
        if dialect == "duckdb" and not _DUCKDB_INTEGERS.fullmatch(word):
            found = _DUCKDB_DECIMAL.fullmatch(word)
            if found is None or int(found[1]) - int(found[2]) > _WHOLE or int(found[2]) > _FRACTION:
                return NONE
        return frozenset({"exact"})
    if kind is ColumnKind.MOMENT and dialect == "duckdb":
        return frozenset({_DUCKDB_MOMENTS[word]}) if word in _DUCKDB_MOMENTS else NONE
    return frozenset({kind.value}) if kind not in (ColumnKind.OTHER, ColumnKind.UNTYPED) else NONE


def sorts_of_constant(node: exp.Expr) -> Sorts:
    """The sorts of a constant as it is written; none for what is no constant, or one that a database may not take."""
    if isinstance(node, exp.Paren | exp.Neg):
        sorts = sorts_of_constant(node.this)
        return sorts if isinstance(node, exp.Paren) or sorts is ANY_NUMBER else NONE
    if isinstance(node, exp.Boolean):
        return frozenset({"boolean"})
    if isinstance(node, exp.Add | exp.Sub | exp.Mul):
        digits = 4 if isinstance(node, exp.Mul) else 9  # what comes of them is an integer of 32 bits
        are_small = all(_is_integer(part, digits) for part in (node.this, node.expression))
        return ANY_NUMBER if are_small else NONE
    if isinstance(node, exp.Cast):
        text, to = node.this, node.args["to"]
        is_date = isinstance(to, exp.DataType) and to.this == exp.DType.DATE and not to.expressions
        return frozenset({"date"}) if is_date and _is_moment(text) and len(text.name) == len("2026-01-31") else NONE
    if not isinstance(node, exp.Literal):
        return NONE
    if not node.is_string:
        return ANY_NUMBER if _NUMERAL.fullmatch(node.name) else NONE
    # what a date is compared with is read as a date
    return _MOMENTS | {"text"} if _is_moment(node) else frozenset({"text"})


def _is_integer(node: exp.Expr, digits: int) -> bool:
    is_number = isinstance(node, exp.Literal) and not node.is_string
    return is_number and node.name.isdecimal() and len(node.name) <= digits


def _is_moment(node: exp.Expr) -> bool:
    if not isinstance(node, exp.Literal) or not node.is_string or not _MOMENT.fullmatch(node.name):
        return False
    try:
        datetime.fromisoformat(node.name)
    except ValueError:
        return False
    return True
