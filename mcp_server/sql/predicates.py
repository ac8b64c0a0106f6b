"""Row filters and masks as nodes. Values become literals of their type; nothing here is ever text that is parsed."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlglot import Dialect, exp
from sqlglot.errors import SqlglotError

from executor import Column
from mcp_server.policy import AllOf, AnyOf, Compare, IsNull, Mask, Predicate, Value

_OPS: dict[str, type[exp.Binary]] = {
    "=": exp.EQ,
    "<>": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}


def condition(predicate: Predicate, columns: frozenset[str]) -> exp.Expr:
    """`predicate` over a table that has `columns`.

    Raises:
        LookupError: it names a column that the table has not. The caller must then refuse the table.
    """
    if isinstance(predicate, AllOf | AnyOf):
        parts = [condition(part, columns) for part in predicate.parts]
        if not parts:
            return exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(isinstance(predicate, AllOf)))
        joined = parts[0]
        for part in parts[1:]:
            kind = exp.And if isinstance(predicate, AllOf) else exp.Or
            joined = kind(this=joined, expression=part)
        return exp.Paren(this=joined) if len(parts) > 1 else joined
    if predicate.column not in columns:
        raise LookupError(predicate.column)
    column = named(predicate.column)
    if isinstance(predicate, Compare):
        return _OPS[predicate.op](this=column, expression=literal(predicate.value))
    if isinstance(predicate, IsNull):
        test = exp.Is(this=column, expression=exp.Null())
        return exp.Not(this=test) if predicate.negated else test
    if not predicate.values:
        return exp.EQ(this=exp.Literal.number(1), expression=exp.Literal.number(0))
    return exp.In(this=column, expressions=[literal(value) for value in predicate.values])


def named(column: str) -> exp.Column:
    """A column by its exact name."""
    return exp.Column(this=exp.to_identifier(column, quoted=True))


def literal(value: Value) -> exp.Expr:
    """`value` as a literal of its type."""
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, int | float | Decimal):
        text = str(abs(value)) if not isinstance(value, float) else repr(abs(value))
        number = exp.Literal(this=text, is_string=False)
        return exp.Neg(this=number) if value < 0 else number
    if isinstance(value, datetime):
        return exp.Literal.string(value.isoformat(sep=" "))
    if isinstance(value, date):
        return exp.Literal.string(value.isoformat())
    return exp.Literal.string(value)


def masked(column: Column, mask: Mask, dialect: Dialect, name: str) -> exp.Expr:
    """What is read in place of `column`, under the column's own name.

    Raises:
        LookupError: a hash on a database that has none.
    """
    if mask.kind == "literal":
        value: exp.Expr = exp.Literal.string(mask.text)
        if name in {"postgres", "duckdb"}:
            value = exp.Cast(this=value, to=exp.DataType.build("text"))
    elif mask.kind == "hash":
        if name not in {"postgres", "duckdb", "mysql"}:
            raise LookupError("hash")
        text = exp.Cast(this=named(column.name), to=exp.DataType.build("char" if name == "mysql" else "text"))
        salted = [exp.Literal.string(mask.text), text]
        value = exp.Anonymous(this="md5", expressions=[exp.Anonymous(this="concat", expressions=salted)])
        # concat() drops a NULL; a masked NULL must stay one.
        absent = exp.Is(this=named(column.name), expression=exp.Null())
        value = exp.Case(ifs=[exp.If(this=absent, true=exp.Null())], default=value)
    else:
        value = exp.Null()
        if name in {"postgres", "duckdb"}:
            try:
                value = exp.Cast(this=value, to=exp.DataType.build(column.type, dialect=dialect))
            except (SqlglotError, ValueError):
                value = exp.Null()
    return exp.Alias(this=value, alias=exp.to_identifier(column.name, quoted=True))
