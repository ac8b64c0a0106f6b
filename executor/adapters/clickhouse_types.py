"""ClickHouse's types, read from their names: which of them Arrow holds exactly, and what the others are cast to.

Knows no connection and no rows. Names: https://clickhouse.com/docs/sql-reference/data-types
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_EXACT = frozenset(
    ("Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64",
     "Decimal", "Decimal32", "Decimal64", "Decimal128", "Decimal256", "String", "FixedString", "Nothing")
)  # fmt: skip
_TIMES = frozenset({"Date", "Date32", "DateTime64"})
"""Exact as a column of their own; in a list or a tuple, where one that Python cannot hold could not be told, text."""

_WRAPPERS = frozenset({"Nullable", "LowCardinality"})


@dataclass(frozen=True, slots=True)
class ClickHouseType:
    """A type's name, and what stands in its parentheses: texts as they were, types as far as they are types."""

    name: str
    arguments: tuple[str, ...] = ()

    @property
    def children(self) -> tuple[tuple[str, ClickHouseType], ...]:
        """The types within, each with its name in a Tuple, or none."""
        return tuple((label, parsed(text)) for label, text in map(_labelled, self.arguments))


def parsed(text: str) -> ClickHouseType:
    """The type that ``Array(Nullable(DateTime('UTC')))`` names, what only wraps a value taken off."""
    name, bracket, rest = text.strip().partition("(")
    arguments = tuple(_split(rest.removesuffix(")"))) if bracket else ()
    if name in _WRAPPERS and len(arguments) == 1:
        return parsed(arguments[0])
    if name == "SimpleAggregateFunction" and len(arguments) == 2:
        return parsed(arguments[1])
    return ClickHouseType(name, arguments)


def cast(kind: ClickHouseType, column: str) -> str:
    """SQL that gives `column` in a form that Arrow holds exactly; the column itself if it has that already.

    Lists stay lists, tuples tuples and maps maps, with text in the place of what is not exact.
    """
    if kind.name in _EXACT or kind.name in _TIMES:
        return column
    if kind.name == "DateTime":
        return f"toDateTime64({column}, 0, 'UTC')"
    if kind.name == "BFloat16":
        return f"toFloat32({column})"
    if kind.name.startswith("Interval"):
        return f"toInt64({column})"
    if kind.name == "AggregateFunction":  # the state of a sum that has not ended: bytes of no meaning to a reader
        return f"hex({column})"
    if kind.name in ("Array", "Tuple", "Map"):
        return column if _is_exact(kind) else f"CAST({column}, '{_quoted(_exact_form(kind))}')"
    return f"toString({column})"


def _is_exact(kind: ClickHouseType) -> bool:
    if kind.name in ("Array", "Tuple", "Map"):
        return all(_is_exact(child) for _, child in kind.children)
    return kind.name in _EXACT


def _exact_form(kind: ClickHouseType) -> str:
    """The type with what is not exact replaced; NULLs are allowed wherever a value stands, but for a map's keys."""
    if kind.name in ("Array", "Tuple", "Map"):
        forms = [
            f"{label} {form}".strip()
            for place, (label, child) in enumerate(kind.children)
            for form in [_exact_form(child) if kind.name == "Map" and not place else _nullable(child)]
        ]
        return f"{kind.name}({', '.join(forms)})"
    arguments = f"({', '.join(kind.arguments)})" if kind.arguments else ""
    return f"{kind.name}{arguments}" if kind.name in _EXACT else "String"


def _nullable(kind: ClickHouseType) -> str:
    form = _exact_form(kind)
    return form if kind.name in ("Array", "Tuple", "Map") else f"Nullable({form})"


def _labelled(argument: str) -> tuple[str, str]:
    """``a Int8`` as its two parts; a type alone has no label. A label may be quoted, and have anything in it."""
    end = 0
    if argument.startswith("`"):
        end = next(i for i, _ in _outside(argument) if i and argument[i - 1] == "`")
    else:
        end = next((i for i, sign in _outside(argument) if sign in " ("), 0)
    if end and argument[end] == " ":
        return argument[:end], argument[end + 1 :]
    return "", argument


def _split(text: str) -> Iterator[str]:
    """What stands between the commas that are in no parentheses and no quotes."""
    depth = begin = 0
    for i, sign in _outside(text):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            yield text[begin:i].strip()
            begin = i + 1
    if text[begin:].strip():
        yield text[begin:].strip()


def _outside(text: str) -> Iterator[tuple[int, str]]:
    """Every character that is in no quotes, with its place; a backslash takes the next one's meaning away."""
    quote = ""
    is_escaped = False
    for i, sign in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif quote:
            is_escaped = sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "'`":
            quote = sign
        else:
            yield i, sign


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
