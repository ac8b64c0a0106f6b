"""Reads a row filter as a policy's author writes it, ``tenant_id = :principal.tenant AND NOT is_test``, into a tree.

Only what a filter may be is understood: columns against constants and the caller's attributes, with =, <>, <, <=, >,
>=, IN, BETWEEN, IS NULL, AND, OR, NOT. The syntax is standard SQL whatever the source's dialect: ``"…"`` is a name and
``'…'`` a text. Knows no table.
"""

from __future__ import annotations

from decimal import Decimal

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from mcp_server.policy import AllOf, AnyOf, Attribute, Compare, IsNull, OneOf, Predicate, Value

_OPS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_NOT = {"=": "<>", "<>": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_TURNED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def row_filter(text: str) -> Predicate:
    """The filter that `text` says. Negations are moved down to the comparisons, where a NULL never passes.

    Raises:
        ValueError: one sentence on what is not understood.
    """
    try:
        tree = parse_one(text, into=exp.Condition)
    except (SqlglotError, RecursionError) as error:
        raise ValueError("it is not a condition such as tenant_id = :principal.tenant") from error
    return _predicate(tree, is_negated=False)


def _predicate(node: exp.Expr, *, is_negated: bool) -> Predicate:
    if isinstance(node, exp.Paren):
        return _predicate(node.this, is_negated=is_negated)
    if isinstance(node, exp.Not):
        return _predicate(node.this, is_negated=not is_negated)
    if isinstance(node, exp.And | exp.Or):
        parts = tuple(_predicate(part, is_negated=is_negated) for part in node.flatten())
        return AllOf(parts) if isinstance(node, exp.And) is not is_negated else AnyOf(parts)
    if isinstance(node, exp.Is):
        return _is(node, is_negated=is_negated)
    if isinstance(node, exp.In):
        return _in(node, is_negated=is_negated)
    if isinstance(node, exp.Between):
        column = _column(node.this)
        low, high = _value(node.args["low"]), _value(node.args["high"])
        if is_negated:
            return AnyOf((Compare(column, "<", low), Compare(column, ">", high)))
        return AllOf((Compare(column, ">=", low), Compare(column, "<=", high)))
    if isinstance(node, exp.Column):
        return Compare(_column(node), "=", not is_negated)
    op = _OPS.get(type(node))
    if op is None:
        raise ValueError(f"{node.sql()[:60]} is not something that a row filter may say")
    return _compare(node, _NOT[op] if is_negated else op)


def _compare(node: exp.Expr, op: str) -> Compare:
    left, right = node.this, node.args["expression"]
    if not isinstance(left, exp.Column):
        left, right, op = right, left, _TURNED[op]
    return Compare(_column(left), op, _value(right))  # pyright: ignore[reportArgumentType] - one of _OPS


def _is(node: exp.Is, *, is_negated: bool) -> Predicate:
    test = node.expression
    if isinstance(test, exp.Not):
        test, is_negated = test.this, not is_negated
    if not isinstance(test, exp.Null):
        raise ValueError("IS is followed by NULL or NOT NULL")
    return IsNull(_column(node.this), negated=is_negated)


def _in(node: exp.In, *, is_negated: bool) -> Predicate:
    field = node.args.get("field")
    values = tuple(_value(part) for part in ([field] if field is not None else node.expressions))
    if not values:
        raise ValueError("IN needs its values in parentheses")
    column = _column(node.this)
    if is_negated:
        return OneOf(column, values, negated=True)
    return OneOf(column, values)


def _column(node: exp.Expr) -> str:
    if not isinstance(node, exp.Column) or node.args.get("table") is not None:
        raise ValueError(f"{node.sql()[:60]} should be a column of the table itself, by its bare name")
    return node.name


def _value(node: exp.Expr) -> Value:
    if isinstance(node, exp.Paren):
        return _value(node.this)
    if isinstance(node, exp.Dot):
        head = node.this
        if (
            isinstance(head, exp.Placeholder)
            and head.name == "principal"
            and isinstance(node.expression, exp.Identifier)
        ):
            return Attribute(node.expression.name)
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Literal):
        return str(node.this) if node.is_string else _number(node)
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return -_number(node.this)
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.this.is_string:
        return str(node.this.this)  # date '2024-01-01': the column's type says what it is
    raise ValueError(f"{node.sql()[:60]} should be a constant or :principal.ATTRIBUTE")


def _number(node: exp.Literal) -> int | Decimal:
    text = str(node.this)
    return int(text) if text.isdigit() else Decimal(text)
