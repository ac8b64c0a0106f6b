"""What sort of value a column holds, from the database's own word for its type; and constants of that sort. Pure."""

from __future__ import annotations

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


_WORDS: tuple[tuple[ColumnKind, re.Pattern[str]], ...] = (
    (
        ColumnKind.NUMBER,
        re.compile(
            r"(tiny|small|medium|big|huge|u|utiny|usmall|ubig|uhuge)?int(eger)?[0-9]*( unsigned)?|numeric|decimal|real"
            r"|double( precision)?|float[0-9]*|(small|big)?serial"
        ),
    ),
    (ColumnKind.TEXT, re.compile(r"(tiny|medium|long)?text|n?varchar|character varying|string|clob|n?char|character")),
    (ColumnKind.DATE, re.compile(r"date")),
    (ColumnKind.MOMENT, re.compile(r"datetime|timestamp(_[a-z]+)?( with(out)? time zone)?|timestamptz")),
    (ColumnKind.BOOLEAN, re.compile(r"bool(ean)?")),
)


def column_kind(type_: str) -> ColumnKind:
    """The sort of a column of the type `type_`: ``varchar(20)``, ``numeric(38,9)``, ``timestamp with time zone``."""
    word = re.sub(r"\s*\([^)]*\)", "", type_.lower()).strip()
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
        words = {"true": True, "false": False}
        given = words.get(value.lower()) if isinstance(value, str) else value
        if not isinstance(given, bool):
            raise ValueError("true or false is needed")
        return given
    if kind is ColumnKind.DATE and isinstance(value, str):
        return date.fromisoformat(value)
    if kind is ColumnKind.MOMENT and isinstance(value, str):
        return datetime.fromisoformat(value)
    return value


def _number(value: Constant) -> int | float | Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ValueError("a number is needed")
    if not isinstance(value, str):
        return value
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise ValueError("a number is needed") from None
    if not found.is_finite():
        raise ValueError("a number is needed")
    return int(found) if found == found.to_integral_value() and abs(found) < Decimal(10) ** 30 else found
