"""Row filters as nodes. Values become literals of their type; nothing here is ever text that is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from sqlglot import exp

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
        exact = predicate.op in ("=", "<>") and _is_text(right)
        return _exactly(test, predicate.column, dialect) if exact else test
    if not predicate.values:
        if not predicate.negated:
            return _constant(value=False)
        return exp.Not(this=exp.Is(this=column, expression=exp.Null()))
    values = [literal(value) for value in predicate.values]
    among = exp.In(this=column, expressions=values)
    test = exp.Not(this=among) if predicate.negated else among
    return _exactly(test, predicate.column, dialect) if any(map(_is_text, values)) else test


def _constant(*, value: bool) -> exp.Expr:
    return exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(int(value)))


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _exactly(test: exp.Expr, column: str, dialect: str) -> exp.Expr:
    """`test`, held to the letters: under a collation that takes A for a, another tenant's rows would pass.

    The plain test stays beside the exact one where it is that which an index serves.
    """
    if dialect == "sqlite":
        for text in list(test.find_all(exp.Literal)):
            if text.is_string:
                text.replace(exp.Collate(this=text.copy(), expression=exp.Var(this="BINARY")))
        return test
    if dialect != "mysql":
        return test
    bytes_ = exp.Cast(this=named(column), to=exp.DataType.build("binary", dialect="mysql"))
    exact = test.copy()
    for found in list(exact.find_all(exp.Column)):
        found.replace(bytes_.copy())
    if isinstance(test, exp.NEQ | exp.Not):
        return exact
    return exp.Paren(this=exp.And(this=test, expression=exact))


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
