"""Finds the conjuncts of a WHERE that may be copied inside a policy's sub-query, so that an index still serves.

A conjunct may be copied when trying it on a hidden row can raise nothing and tell nothing: an unmasked column against
constants of its own kind of type, with =, <, >, <=, >=, IN or BETWEEN. The original stays where it was; and as each of
these is false on NULL, copying it is right on either side of any join.
"""

from __future__ import annotations

from sqlglot import exp

from mcp_server.sql.checked import Checked
from mcp_server.sql.granted import GrantedTable
from mcp_server.sql.scopes import Scope
from mcp_server.sql.sorts import sorts_of_constant, sorts_of_type

_MOST_CONSTANTS = 200
_PLAIN_JOINS = (None, "", "INNER", "OUTER", "CROSS")


def copied(checked: Checked, scope: Scope, key: str, granted: GrantedTable) -> list[exp.Expr]:
    """Conjuncts for the table that `scope` knows as `key`, with columns written bare."""
    where = scope.query.args.get("where")
    # ClickHouse puts a select list's alias before a column of that name.
    if where is None or key.startswith("\0") or checked.rules.name == "clickhouse":
        return []
    if scope.sources[key].node.args.get("pivots") or not all(
        _is_plain(join) for join in scope.query.find_all(exp.Join)
    ):
        return []
    found: list[exp.Expr] = []
    waiting: list[exp.Expr] = [where.this]
    while waiting:
        part = waiting.pop()
        if isinstance(part, exp.And):
            waiting.extend((part.expression, part.this))
        elif isinstance(part, exp.Paren) and isinstance(part.this, exp.And | exp.Paren):
            waiting.append(part.this)
        else:
            bare = part.this if isinstance(part, exp.Paren) else part
            one = _copy(checked, scope, key, granted, bare)
            if one is not None:
                found.append(one)
    return found


def _is_plain(join: exp.Join) -> bool:
    """Whether fewer rows on a side of `join` give fewer rows of the result, and never others."""
    return join.args.get("method") in (None, "", "NATURAL") and join.args.get("kind") in _PLAIN_JOINS


def _copy(checked: Checked, scope: Scope, key: str, granted: GrantedTable, part: exp.Expr) -> exp.Expr | None:
    if isinstance(part, exp.EQ | exp.LT | exp.GT | exp.LTE | exp.GTE):
        column, constants = part.this, [part.expression]
        if not isinstance(column, exp.Column) and isinstance(part.expression, exp.Column):
            column, constants = part.expression, [part.this]
    elif isinstance(part, exp.In) and 0 < len(part.expressions) <= _MOST_CONSTANTS and not part.args.get("query"):
        column, constants = part.this, part.expressions
    elif isinstance(part, exp.Between) and not part.args.get("symmetric"):
        column, constants = part.this, [part.args["low"], part.args["high"]]
    else:
        return None
    if not isinstance(column, exp.Column):
        return None
    name = _own_column(checked, scope, key, granted, column)
    if name is None:
        return None
    declared = next(c for c in granted.columns if c.name == name)
    sorts = sorts_of_type(declared.type, checked.rules.name)
    if declared.name in granted.masks or not all(sorts_of_constant(constant) & sorts for constant in constants):
        return None
    copy = part.copy()
    for inner in copy.find_all(exp.Column):
        inner.replace(exp.Column(this=exp.to_identifier(declared.name, quoted=True)))
    return copy


def _own_column(checked: Checked, scope: Scope, key: str, granted: GrantedTable, column: exp.Column) -> str | None:
    """The exact name of `column` if it is certainly this table's."""
    any_case = checked.rules.folds == "any"

    def fold(name: str) -> str:
        return name.lower() if any_case else name

    wanted = fold(column.name)
    table = column.args.get("table")
    if column.args.get("db") is not None:
        return None
    if table is not None:
        if fold(table.name) != key:
            return None
    else:
        for other, source in scope.sources.items():
            if other != key and (source.columns is None or wanted in source.columns):
                return None
    alias = scope.sources[key].node.args.get("alias")
    if isinstance(alias, exp.TableAlias) and alias.args.get("columns"):
        return None
    return next((c.name for c in granted.columns if fold(c.name) == wanted), None)
