"""Row filters as nodes. Values become literals of their type; nothing here is ever text that is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from sqlglot import exp

from mcp_server.column_kinds import ColumnKind, column_kind
from mcp_server.policy import AllOf, AnyOf, Attribute, Compare, IsNull, Predicate, Value

_OPS: dict[str, type[exp.Binary]] = {
    "=": exp.EQ,
    "<>": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}


def condition(predicate: Predicate, columns: Mapping[str, str], dialect: str) -> exp.Expr:
    """`predicate`, bound, over a table with `columns` (name to type).

    Raises:
        LookupError: it names a column that the table has not, or was not bound. The caller must then refuse the table.
    """
    if isinstance(predicate, AllOf | AnyOf):
        parts = [condition(part, columns, dialect) for part in predicate.parts]
        if not parts:
            return _constant(value=isinstance(predicate, AllOf))
        joined = parts[0]
        for part in parts[1:]:
            kind = exp.And if isinstance(predicate, AllOf) else exp.Or
            joined = kind(this=joined, expression=part)
        return exp.Paren(this=joined) if len(parts) > 1 else joined
    if predicate.column not in columns:
        raise LookupError(predicate.column)
    column = named(predicate.column)
    if isinstance(predicate, IsNull):
        test = exp.Is(this=column, expression=exp.Null())
        return exp.Not(this=test) if predicate.negated else test
    if isinstance(predicate, Compare):
        right = literal(predicate.value)
        test = _OPS[predicate.op](this=column, expression=right)
        if predicate.op not in ("=", "<>"):
            return _of_its_type(test, predicate.column, right) if dialect == "sqlite" else test
        type_ = columns[predicate.column]
        return _exactly(test, predicate.column, type_, dialect) if _is_text(right) else test
    if not predicate.values:
        if not predicate.negated:
            return _constant(value=False)
        return exp.Not(this=exp.Is(this=column, expression=exp.Null()))
    values = [literal(value) for value in predicate.values]
    among = exp.In(this=column, expressions=values)
    test = exp.Not(this=among) if predicate.negated else among
    type_ = columns[predicate.column]
    return _exactly(test, predicate.column, type_, dialect) if any(map(_is_text, values)) else test


def _constant(*, value: bool) -> exp.Expr:
    return exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(int(value)))


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _exactly(test: exp.Expr, column: str, type_: str, dialect: str) -> exp.Expr:
    """`test`, and the same held to the letters: under a collation that takes A for a, another tenant's rows would pass.

    Both have to pass, also where the test is negative; the plain one is that which an index serves.
    """
    letters = _letters(column, type_, dialect)
    if letters is None:
        return test
    exact = test.copy()
    for found in list(exact.find_all(exp.Column)):
        found.replace(letters.copy())
    if dialect == "duckdb":
        for text in list(exact.find_all(exp.Literal)):
            text.replace(exp.Anonymous(this="encode", expressions=[text.copy()]))
    return exp.Paren(this=exp.And(this=test, expression=exact))


def _letters(column: str, type_: str, dialect: str) -> exp.Expr | None:
    """`column` as something that is equal only to the same letters; None where it is that already."""
    if dialect == "sqlite":
        return exp.Collate(this=named(column), expression=exp.Var(this="BINARY"))
    if dialect == "mysql":
        text = exp.Cast(this=named(column), to=exp.DataType.build("char"))  # in the connection's character set
        return exp.Cast(this=text, to=exp.DataType.build("binary", dialect="mysql"))
    if dialect == "postgres" and type_.lower() == "citext":
        return exp.Cast(this=named(column), to=exp.DataType.build("text"))
    if dialect == "duckdb" and column_kind(type_) is ColumnKind.TEXT:
        return exp.Anonymous(this="encode", expressions=[named(column)])
    return None


def _of_its_type(test: exp.Expr, column: str, right: exp.Expr) -> exp.Expr:
    """SQLite orders every number before every text, whatever a column is declared as: like is compared with like."""
    kinds = ("text",) if _is_text(right) else ("integer", "real")
    types = exp.In(
        this=exp.Anonymous(this="typeof", expressions=[named(column)]),
        expressions=[exp.Literal.string(kind) for kind in kinds],
    )
    return exp.Paren(this=exp.And(this=test, expression=types))


def named(column: str) -> exp.Column:
    """A column by its exact name."""
    return exp.Column(this=exp.to_identifier(column, quoted=True))


def literal(value: Value) -> exp.Expr:
    """`value` as a literal of its type.

    Raises:
        LookupError: it is an attribute that nobody has bound.
    """
    if isinstance(value, Attribute):
        raise LookupError(value.name)
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int | float | Decimal):
        text = f"{abs(value):f}" if isinstance(value, Decimal) else repr(abs(value))
        number = exp.Literal(this=text, is_string=False)
        return exp.Neg(this=number) if value < 0 else number
    if isinstance(value, datetime):
        return exp.Literal.string(value.isoformat(sep=" "))
    if isinstance(value, date):
        return exp.Literal.string(value.isoformat())
    return exp.Literal.string(value)
