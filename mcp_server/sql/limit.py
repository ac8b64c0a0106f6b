"""Rule 7: the root gives at most one row more than is kept, so that it can be told whether there were more.

The limit is set on the root itself: wrapping the query would lose its order and the names of its columns.
"""

from __future__ import annotations

from sqlglot import exp

from mcp_server.sql.checked import Checked, position_of
from mcp_server.sql.limit_by import keep_limit, kept_limit
from mcp_server.sql.refusal import RefusalCode, StatementRefused


def limit(checked: Checked) -> None:
    """Set, or lower, the root's LIMIT.

    Raises:
        StatementRefused: ``construct_not_allowed`` for a limit that is no number.
    """
    cap = checked.limits.max_rows + 1
    root = _unwrap(checked.tree)
    checked.tree = root
    if isinstance(root, exp.Values) and not root.args.get("alias") and len(root.expressions) <= cap:
        return
    if isinstance(root, exp.Values):
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED, f"VALUES has more than {cap - 1:,} rows.", hint="Write fewer rows."
        )
    node = root.args.get("limit")
    if node is None and checked.rules.name == "tsql" and isinstance(root, exp.SetOperation):
        # TOP would need a derived table, whose columns must all have names that differ.
        if not root.args.get("order"):
            root.set("order", exp.Order(expressions=[exp.Ordered(this=exp.Literal.number(1), nulls_first=True)]))
        root.set("offset", root.args.get("offset") or exp.Offset(expression=exp.Literal.number(0)))
        root.set("limit", exp.Fetch(direction="FIRST", count=exp.Literal.number(cap)))
        return
    if node is None:
        root.set("limit", exp.Limit(expression=exp.Literal.number(cap)))
        return
    if isinstance(node, exp.Fetch):
        _lower(node, "count", cap, checked.rules.name)
        return
    if node.expressions and checked.rules.name != "clickhouse":
        raise _refused(node)
    if node.expressions:
        # ClickHouse's LIMIT n BY is another thing, and leaves no place for the limit itself in the tree.
        rows, offset = kept_limit(root) or (cap, 0)
        keep_limit(root, (min(rows, cap), offset))
        return
    if node.args.get("limit_options"):
        raise _refused(node)
    _lower(node, "expression", cap, checked.rules.name)


def _unwrap(tree: exp.Expr) -> exp.Expr:
    """``((SELECT …))`` without parentheses that say nothing: two limits on one query are an error in PostgreSQL."""
    while isinstance(tree, exp.Subquery) and isinstance(tree.this, exp.Query | exp.Values):
        rest = {key for key, value in tree.args.items() if value and key != "this"}
        if rest:
            break
        tree = tree.this
    return tree


def _lower(node: exp.Expr, key: str, cap: int, dialect: str) -> None:
    given = node.args.get(key)
    options = node.args.get("limit_options")
    if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
        raise _refused(node)
    if isinstance(given, exp.Null) or (isinstance(given, exp.Var) and given.name.lower() == "all"):
        node.set(key, exp.Literal.number(cap))
    elif (given is None and key == "count") or _is_lowered(given, cap, dialect):
        return
    elif isinstance(given, exp.Literal) and not given.is_string and given.name.isdigit():
        if int(given.name) > cap:
            node.set(key, exp.Literal.number(cap))
    elif isinstance(given, exp.Parameter | exp.Placeholder) and dialect in {"postgres", "duckdb"}:
        node.set(key, exp.Anonymous(this="least", expressions=[given, exp.Literal.number(cap)]))
    elif given is not None and dialect == "duckdb" and not isinstance(given, exp.Literal):
        # Any expression without columns may stand here, a sub-query too.
        node.set(key, exp.Anonymous(this="least", expressions=[given, exp.Literal.number(cap)]))
    elif isinstance(given, exp.Parameter | exp.Placeholder) and dialect == "sqlite":
        # A negative limit is none in SQLite: without its sign's bit it is a large one.
        bits = exp.BitwiseAnd(this=given, expression=exp.Literal.number(2**63 - 1))
        node.set(key, exp.Anonymous(this="min", expressions=[bits, exp.Literal.number(cap)]))
    elif isinstance(given, exp.Expr) and dialect == "postgres":
        # No column can stand in it; and NULL, which would be no limit, is no value for least().
        node.set(key, exp.Anonymous(this="least", expressions=[given, exp.Literal.number(cap)]))
    elif isinstance(given, exp.Neg):
        # SQLite: a negative limit is none.
        node.set(key, exp.Literal.number(cap))
    else:
        raise _refused(node)


def _is_lowered(given: object, cap: int, dialect: str) -> bool:
    """Whether it is what `_lower` makes of an expression, so that what runs is the end of rewriting."""
    name = {"postgres": "least", "duckdb": "least", "sqlite": "min"}.get(dialect)
    if not isinstance(given, exp.Anonymous) or str(given.this).lower() != name or len(given.expressions) != 2:
        return False
    what, most = given.expressions
    if not isinstance(most, exp.Literal) or most.is_string or not most.name.isdigit() or int(most.name) > cap:
        return False
    # in SQLite a negative number would be no limit, and nothing one that fails
    return name == "least" or (
        isinstance(what, exp.BitwiseAnd)
        and isinstance(what.this, exp.Parameter | exp.Placeholder)
        and what.expression == exp.Literal.number(2**63 - 1)
    )


def _refused(node: exp.Expr) -> StatementRefused:
    return StatementRefused(
        RefusalCode.CONSTRUCT_NOT_ALLOWED,
        "The outermost LIMIT must be a plain number.",
        hint="Write LIMIT and a number.",
        position=position_of(node),
    )
