"""Cells as they are compared: numbers by value, dates as their ISO text, trailing blanks gone. Knows no rows."""

from __future__ import annotations

import math
import re
from typing import Any

SIGNIFICANT_DIGITS = 9
"""Two numbers are the same where they agree in so many digits."""

Cell = tuple[str, Any] | None
"""``("n", number)``, ``("s", text)``, ``("l", values)`` or ``("d", pairs)``: hashable; None for NULL and NaN."""

_NUMBERS = re.compile(r"(u?(tiny|small|big|huge)?int|integer|float|double|real|decimal|numeric|half)", re.IGNORECASE)
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[T ]00:00:00(\.0+)?(Z|\+00:00)?")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d.*)")


def is_number(kind: str) -> bool:
    """Whether a result column of this type holds numbers, though its cells may be text to keep all digits."""
    return _NUMBERS.match(kind) is not None


def compared(value: Any, *, number: bool = False) -> Cell:
    """The cell that `value` is compared as.

    Args:
        value: a JSON-ready cell of a result page.
        number: whether its column is one of numbers, see `is_number`.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _number(value) if number else ("s", _text(value))
    if isinstance(value, bool | int | float):
        return _number(value)
    if isinstance(value, list):
        return ("l", tuple(compared(part) for part in value))
    return ("d", tuple(sorted((str(key), compared(part)) for key, part in value.items())))


def _number(value: str | float) -> Cell:
    try:
        number = float(value)
    except ValueError:
        return ("s", str(value))
    if math.isnan(number):
        return None
    return ("n", 0.0 if number == 0 else float(f"{number:.{SIGNIFICANT_DIGITS}g}"))


def _text(value: str) -> str:
    text = value.rstrip()
    midnight = _MIDNIGHT.fullmatch(text)
    if midnight is not None:
        return midnight.group(1)
    instant = _INSTANT.fullmatch(text)
    return text if instant is None else f"{instant.group(1)} {instant.group(2).removesuffix('Z')}"


def rounded(cell: Cell, places: int) -> Cell:
    """A number rounded to `places` after the point; anything else as it is."""
    return ("n", round(cell[1], places)) if cell is not None and cell[0] == "n" else cell


def has_fraction(cell: Cell) -> bool:
    """Whether it is a number that is not whole."""
    return cell is not None and cell[0] == "n" and math.isfinite(cell[1]) and cell[1] != round(cell[1])
