"""Masks as nodes: what is read in place of a column's values, of a form that fails on no value.

``hash``, ``partial`` and ``date`` depend on the value alone, so that equal values stay equal and rows can be joined and
grouped by them.
"""

from __future__ import annotations

from sqlglot import Dialect, exp
from sqlglot.errors import SqlglotError

from executor import Column
from mcp_server.column_kinds import ColumnKind, column_kind
from mcp_server.policy import Mask
from mcp_server.sql.predicates import literal, named

_BETWEEN = "***"
_TYPED = frozenset({"postgres", "duckdb"})
"""Dialects in which a bare NULL or text in a sub-query would have no type, or another one."""

_CUTS: dict[str, dict[str, str]] = {
    "sqlite": {"year": "%Y-01-01", "month": "%Y-%m-01", "day": "%Y-%m-%d", "hour": "%Y-%m-%d %H:00:00"},
    "mysql": {"year": "%Y-01-01", "month": "%Y-%m-01", "day": "%Y-%m-%d", "hour": "%Y-%m-%d %H:00:00"},
}
"""Formats that keep only the beginning of a unit."""


def masked(column: Column, mask: Mask, dialect: Dialect, name: str) -> exp.Expr:
    """What is read in place of `column`, under the column's own name.

    Args:
        column: as the schema has it.
        mask: as the policy has it, a hash with its salt.
        dialect: to read the column's type with.
        name: sqlglot's name of it.

    Raises:
        LookupError: a mask that this database cannot make. The caller must then refuse the table.
    """
    if mask.kind == "constant":
        value = _constant(mask, name)
    elif mask.kind == "null":
        value = _null(column, dialect, name)
    elif mask.kind == "hash":
        value = _unless_null(column, _hash(_text(column, name), mask, name))
    elif mask.kind == "partial":
        value = _unless_null(column, _partial(_text(column, name), mask, name))
    else:
        value = _beginning(column, mask, dialect, name)
    return exp.Alias(this=value, alias=exp.to_identifier(column.name, quoted=True))


def _constant(mask: Mask, name: str) -> exp.Expr:
    value = literal(mask.value)
    if isinstance(mask.value, str) and name in _TYPED:
        return exp.Cast(this=value, to=exp.DataType.build("text"))
    return value


def _null(column: Column, dialect: Dialect, name: str) -> exp.Expr:
    if name in _TYPED:
        try:
            return exp.Cast(this=exp.Null(), to=exp.DataType.build(column.type, dialect=dialect))
        except (SqlglotError, ValueError):
            return exp.Null()
    return exp.Null()


def _text(column: Column, name: str) -> exp.Expr:
    return exp.Cast(this=named(column.name), to=exp.DataType.build("char" if name == "mysql" else "text"))


def _unless_null(column: Column, value: exp.Expr) -> exp.Expr:
    """A masked NULL stays one: functions such as concat() drop it."""
    absent = exp.Is(this=named(column.name), expression=exp.Null())
    return exp.Case(ifs=[exp.If(this=absent, true=exp.Null())], default=value)


def _hash(text: exp.Expr, mask: Mask, name: str) -> exp.Expr:
    salted = _joined(name, literal(str(mask.value)), text)
    if name == "postgres":
        digest = _call("sha256", _call("convert_to", salted, literal("UTF8")))
        return _call("encode", digest, literal("hex"))
    if name in ("duckdb", "sqlite"):
        return _call("sha256", salted)
    if name == "mysql":
        return _call("sha2", salted, literal(256))
    if name == "clickhouse":
        return _call("lower", _call("hex", _call("SHA256", salted)))
    raise LookupError("hash")


def _partial(text: exp.Expr, mask: Mask, name: str) -> exp.Expr:
    if name not in ("postgres", "duckdb", "mysql", "sqlite", "clickhouse"):
        raise LookupError("partial")
    of_letters = "UTF8" if name == "clickhouse" else ""  # there, functions without it count bytes
    parts: list[exp.Expr] = []
    if mask.keep_start:
        cut = "substringUTF8" if of_letters else "substr"
        parts.append(_call(cut, text.copy(), literal(1), literal(mask.keep_start)))
    parts.append(literal(_BETWEEN))
    if mask.keep_end:
        kept = literal(mask.keep_end)
        from_end = _call("substr", text.copy(), literal(-mask.keep_end))
        parts.append(from_end if name == "sqlite" else _call(f"right{of_letters}", text.copy(), kept))
    length = _call("char_length" if name in ("postgres", "mysql") else f"length{of_letters}", text.copy())
    short = exp.LTE(this=length, expression=literal(mask.keep_start + mask.keep_end))
    whole = literal(_BETWEEN)
    return exp.Case(ifs=[exp.If(this=short, true=whole)], default=_joined(name, *parts))


def _beginning(column: Column, mask: Mask, dialect: Dialect, name: str) -> exp.Expr:
    kind = column_kind(column.type)
    if name in _TYPED or name == "clickhouse":
        if kind not in (ColumnKind.DATE, ColumnKind.MOMENT):
            raise LookupError("date")
        cut = _call("date_trunc", literal(mask.unit), named(column.name))
        return exp.Cast(this=cut, to=exp.DataType.build(column.type, dialect=dialect))
    cuts = _CUTS.get(name)
    if cuts is None:
        raise LookupError("date")
    if mask.unit == "quarter":
        cut = _quarter(column, name)
    elif name == "mysql":
        cut = _call("date_format", named(column.name), literal(cuts[mask.unit]))
    else:
        cut = _call("strftime", literal(cuts[mask.unit]), named(column.name))
    if name == "mysql":
        return exp.Cast(this=cut, to=exp.DataType.build("date" if kind is ColumnKind.DATE else "datetime"))
    return cut


def _quarter(column: Column, name: str) -> exp.Expr:
    """The first day of a quarter, by the month it begins with."""
    if name == "mysql":
        year, month = _call("year", named(column.name)), _call("month", named(column.name))
    else:
        year = _call("strftime", literal("%Y"), named(column.name))
        month = exp.Cast(this=_call("strftime", literal("%m"), named(column.name)), to=exp.DataType.build("int"))
    begins = [
        exp.If(this=exp.LTE(this=month.copy(), expression=literal(last)), true=literal(f"-{first:02d}-01"))
        for first, last in ((1, 3), (4, 6), (7, 9), (10, 12))
    ]
    absent = exp.Is(this=month.copy(), expression=exp.Null())
    first_day = exp.Case(ifs=begins, default=exp.Null())
    return exp.Case(ifs=[exp.If(this=absent, true=exp.Null())], default=_joined(name, year, first_day))


def _joined(name: str, *parts: exp.Expr) -> exp.Expr:
    """The parts as one text. SQLite had no concat() before 3.44."""
    if name != "sqlite":
        return _call("concat", *parts)
    joined = parts[0]
    for part in parts[1:]:
        joined = exp.DPipe(this=joined, expression=exp.Paren(this=part) if isinstance(part, exp.Case) else part)
    return joined


def _call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))
