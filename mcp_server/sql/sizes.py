"""How large a value a call makes, as far as the numbers written out in it tell. Folds constants; runs nothing.

The database's own memory limit is what stops the rest: this refuses early, and with a hint, what would surely fail.
"""

from __future__ import annotations

import math
import re

from sqlglot import exp

from mcp_server.sql.checked import position_of
from mcp_server.sql.refusal import RefusalCode, StatementRefused

MOST = 10_000_000
"""The most characters of a string, or items of a list or series, that one call with constants may make."""

# function -> which argument, from 0, says how long the result is.
_LENGTH_AT: dict[str, int] = {
    "array_resize": 1, "arrayresize": 1, "arraywithconstant": 0, "bar": 3, "bitstring": 1, "equi_width_bins": 2,
    "leftpad": 1, "leftpadutf8": 1, "list_resize": 1, "lpad": 1, "randomblob": 0, "randomfixedstring": 0,
    "randomprintableascii": 0, "randomstring": 0, "randomstringutf8": 0, "repeat": 1, "replicate": 1, "rightpad": 1,
    "rightpadutf8": 1, "rpad": 1, "space": 0, "tofixedstring": 1, "zeroblob": 0, "zeros": 0,
}  # fmt: skip
_REPEATS = frozenset({"repeat", "replicate"})
_SERIES = frozenset(
    {"array_generate_range", "generate_array", "generate_series", "generateseries", "range", "sequence"}
)
_ENDLESS = frozenset({"numbers", "zeros"})
"""ClickHouse's, which end only where they are told to."""

_FORMATS = frozenset({"format", "printf"})
_BRACES = re.compile(r"\{[^{}]*:[^{}]*?(\d+)(?:\.(\d+))?[^{}]*\}|\{[^{}]*:[^{}]*?\.(\d+)[^{}]*\}")
_PERCENT = re.compile(r"%(?:\d+\$)?[-+ #0,']*(\d+)?(?:\.(\d+))?")
_WIDTH_IN_ARGUMENT = re.compile(r"%[^%a-zA-Z]*\*|\{[^{}]*:[^{}]*\{")


def refuse_large(call: exp.Expr, name: str) -> None:
    """Refuse the call of the function `name` if its constants say that the result is longer than `MOST`.

    Raises:
        StatementRefused: ``too_complex``.
    """
    size = _size(call, name)
    if size is not None and size > MOST:
        shown = f"{size:,.0f}" if size < 1e18 else "so many"
        raise StatementRefused(
            RefusalCode.TOO_COMPLEX,
            f"{name} would make {shown} characters or items and fill the memory; {MOST:,} is the most.",
            hint="Use a smaller number.",
            position=position_of(call),
        )


def _arguments(call: exp.Expr) -> list[exp.Expr]:
    """The arguments; in DuckDB's ``'x'.repeat(3)`` what stands before the dot is the first."""
    dot = call.parent
    if isinstance(dot, exp.Dot) and dot.expression is call:
        return [dot.this, *call.expressions]
    return call.expressions


def _size(call: exp.Expr, name: str) -> float | None:
    given = _arguments(call)
    if name in _FORMATS:
        return _format_size(given)
    if name in _SERIES:
        return _series_size(given)
    if name in _ENDLESS and not given:
        return math.inf
    if name == "numbers":
        # ``numbers(count)`` and ``numbers(offset, count)``.
        return _number(given[min(1, len(given) - 1)])
    if name == "array_fill" and len(given) > 1 and isinstance(given[1], exp.Array):
        sides = [_number(side) for side in given[1].expressions]
        return math.prod(side for side in sides if side is not None)
    place = _LENGTH_AT.get(name)
    if place is None or place >= len(given):
        return None
    times = _number(given[place])
    if times is None or name not in _REPEATS:
        return times
    return times * max(1.0, _length(given[0]))


def _series_size(given: list[exp.Expr]) -> float | None:
    numbers = [_number(argument) for argument in given[:3]]
    if len(numbers) == 1:
        return numbers[0]
    start, stop = numbers[0], numbers[1]
    if stop is None:
        return None
    step = numbers[2] if len(numbers) > 2 else 1.0
    return abs(stop - (start or 0.0)) / max(abs(step or 1.0), 1e-9)


def _format_size(given: list[exp.Expr]) -> float | None:
    pattern = _text(given[0]) if given else None
    if pattern is None:
        return None
    sizes = [float(digits) for found in _BRACES.findall(pattern) for digits in found if digits]
    sizes += [float(digits) for found in _PERCENT.findall(pattern) for digits in found if digits]
    if _WIDTH_IN_ARGUMENT.search(pattern):
        sizes += [abs(number) for argument in given[1:] if (number := _number(argument)) is not None]
    return max(sizes, default=None)


def _length(node: exp.Expr) -> float:
    """At least how many characters or items `node` has, 0 if that cannot be told."""
    if isinstance(node, exp.Paren | exp.Cast):
        return _length(node.this)
    if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Anonymous):
        node = node.expression
    text = _text(node)
    if text is not None:
        return len(text)
    if isinstance(node, exp.DPipe):
        return _length(node.this) + _length(node.expression)
    if isinstance(node, exp.Array):
        return len(node.expressions)
    if isinstance(node, exp.Anonymous):
        name = str(node.this).lower()
        if name in {"concat", "concat_ws"}:
            return sum(_length(argument) for argument in node.expressions)
        return _size(node, name) or max((_length(argument) for argument in _arguments(node)), default=0.0)
    return 0.0


def _text(node: exp.Expr) -> str | None:
    if isinstance(node, exp.Literal | exp.ByteString | exp.RawString):
        return str(node.this)
    if isinstance(node, exp.Paren | exp.Cast):
        return _text(node.this)
    parts: list[exp.Expr] = []
    if isinstance(node, exp.DPipe):
        parts = [node.this, node.expression]
    elif isinstance(node, exp.Anonymous) and str(node.this).lower() == "concat":
        parts = node.expressions
    texts = [_text(part) for part in parts]
    known = [text for text in texts if text is not None]
    return "".join(known) if texts and len(known) == len(texts) else None


def _number(node: exp.Expr) -> float | None:
    """The value of an expression of constants, or None."""
    try:
        return _fold(node)
    except (ValueError, OverflowError, ZeroDivisionError):
        return math.inf


def _fold(node: exp.Expr) -> float | None:
    if isinstance(node, exp.Literal):
        return _literal(node)
    if isinstance(node, exp.Paren | exp.Cast):
        return _fold(node.this)
    if isinstance(node, exp.Neg):
        value = _fold(node.this)
        return None if value is None else -value
    if isinstance(node, exp.HexString):
        return float(int(str(node.this), 16))
    if isinstance(node, exp.Anonymous):
        name, given = str(node.this).lower(), [_fold(argument) for argument in node.expressions]
    elif isinstance(node, exp.Binary):
        name, given = type(node).__name__.lower(), [_fold(node.this), _fold(node.expression)]
    else:
        return None
    known = [value for value in given if value is not None]
    return _compute(name, known) if known and len(known) == len(given) else None


def _literal(node: exp.Literal) -> float | None:
    try:
        return float(node.name)
    except ValueError:
        return None


def _compute(name: str, given: list[float]) -> float | None:
    first, last = given[0], given[-1]
    if name in {"pow", "power"}:
        return first**last
    if name == "factorial":
        return math.factorial(int(first)) if first < 170 else math.inf
    if name in {"greatest", "abs"}:
        return max(abs(value) for value in given)
    if name in {"ceil", "ceiling", "floor", "round", "trunc", "toint32", "toint64", "touint32", "touint64"}:
        return first
    if len(given) != 2:
        return None
    if name in {"add", "plus"}:
        return first + last
    if name in {"sub", "minus"}:
        return first - last
    if name in {"mul", "multiply"}:
        return first * last
    if name in {"div", "intdiv", "divide"}:
        return first / last
    if name == "bitwiseleftshift":
        return first * 2.0**last
    return None
