"""What sort of value a column holds, from the database's own word for its type; and constants of that sort. Pure."""

from __future__ import annotations

import math
import re
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from mcp_server.policy import Constant


class ColumnKind(StrEnum):
    """Sorts of values between which a comparison cannot fail. OTHER promises nothing."""

    NUMBER = "number"
    TEXT = "text"
    DATE = "date"
    MOMENT = "moment"
    """A date with a time of day, with or without a zone."""
    BOOLEAN = "boolean"
    OTHER = "other"
    UNTYPED = "untyped"
    """SQLite's columns without a type, which convert nothing."""


_NUMERAL = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")
_WORDS: tuple[tuple[ColumnKind, re.Pattern[str]], ...] = (
    (
        ColumnKind.NUMBER,
        re.compile(
            r"(tiny|small|medium|big|huge|u|utiny|usmall|ubig|uhuge)?int(eger)?[0-9]*( unsigned)?|numeric|decimal|real"
            r"|double( precision)?|float[0-9]*|(small|big)?serial|(tiny|small|medium|big)?int( unsigned)? zerofill"
        ),
    ),
    (ColumnKind.TEXT, re.compile(r"(tiny|medium|long)?text|n?varchar|character varying|string|clob|n?char|character")),
    (ColumnKind.DATE, re.compile(r"date(32)?")),
    (ColumnKind.MOMENT, re.compile(r"datetime(64)?|timestamp(_[a-z]+)?( with(out)? time zone)?|timestamptz")),
    (ColumnKind.BOOLEAN, re.compile(r"bool(ean)?")),
)


def column_kind(type_: str) -> ColumnKind:
    """The sort of a column of the type `type_`: ``varchar(20)``, ``timestamp with time zone``, ``Nullable(String)``."""
    if not type_:
        return ColumnKind.UNTYPED
    bare = re.sub(r"^(?:(?:nullable|lowcardinality)\()+", "", type_.lower()).rstrip(")")  # ClickHouse's wrappers
    word = re.sub(r"\s*\([^)]*\)?", "", bare).strip()
    return next((kind for kind, pattern in _WORDS if pattern.fullmatch(word)), ColumnKind.OTHER)


def as_kind(value: Constant, kind: ColumnKind) -> Constant:
    """`value` as a constant of the sort `kind`, so that the database compares like with like.

    Raises:
        ValueError: it is none.
    """
    if kind is ColumnKind.NUMBER:
        return _number(value)
    if kind is ColumnKind.TEXT:
        if isinstance(value, bool):
            raise ValueError("a text is not true or false")
        return str(value)
    if kind is ColumnKind.BOOLEAN:
        if value in (0, 1):
            return bool(value)
        words = {"true": True, "false": False}
        given = words.get(value.lower()) if isinstance(value, str) else value
        if not isinstance(given, bool):
            raise ValueError("true or false is needed")
        return given
    if kind in (ColumnKind.DATE, ColumnKind.MOMENT):
        if isinstance(value, date):
            return value
        if not isinstance(value, str):
            raise ValueError("a date such as 2026-01-31 is needed")
        return date.fromisoformat(value) if kind is ColumnKind.DATE else datetime.fromisoformat(value)
    # nothing is known of how the database would convert anything else
    if not isinstance(value, str) and not (kind is ColumnKind.UNTYPED and not isinstance(value, bool)):
        raise ValueError("a text is needed")
    return value


def _number(value: Constant) -> int | float | Decimal:
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, str | int | float | Decimal):
        raise ValueError("a number is needed")
    if not isinstance(value, str):
        if not math.isfinite(value):
            raise ValueError("a finite number is needed")
        return value
    if not _NUMERAL.fullmatch(value.strip()):
        raise ValueError("a number is needed")
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise ValueError("a number is needed") from None
    if not found.is_finite():
        raise ValueError("a number is needed")
    return int(found) if found == found.to_integral_value() and abs(found) < Decimal(10) ** 30 else found
