"""Whether a statement could fail on a row that it may not see. Where not, no fence has to keep it from an index.

The database may try every condition of a statement on any row of a table, in any order; a condition that fails then
tells of the row. Comparing a plain column with a constant or with another plain column of the same sort cannot fail,
and most keyed lookups and joins consist of nothing else. What is not known to be harmless is not.
"""

from __future__ import annotations

from sqlglot import exp

from mcp_server.sql.checked import Checked
from mcp_server.sql.granted import GrantedTable
from mcp_server.sql.scopes import Scope, Source, innermost
from mcp_server.sql.sorts import ANY_NUMBER, NONE, Sorts, sorts_of_constant, sorts_of_type

_DIALECTS = frozenset({"postgres", "sqlite", "mysql", "duckdb"})
"""Where it was tried that without a fence these conditions raise nothing."""

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_UNFOLLOWED = (
    exp.Lateral, exp.Unnest, exp.Pivot, exp.TableSample, exp.Qualify, exp.JSONTable, exp.Values, exp.Parameter,
    exp.Placeholder,
)  # fmt: skip
_AGGREGATES = frozenset({"avg", "count", "max", "min", "sum"})
_LONGEST_PATTERN = 1_000


def is_harmless(checked: Checked) -> bool:
    """Whether no condition anywhere in the statement can fail on any row."""
    if checked.rules.name not in _DIALECTS or checked.tree.find(*_UNFOLLOWED):
        return False
    if any(isinstance(table.this, exp.Anonymous) for table in checked.tree.find_all(exp.Table)):
        return False
    return all(_is_harmless_scope(checked, scope) for scope in checked.scopes)


def _is_harmless_scope(checked: Checked, scope: Scope) -> bool:
    query = scope.query
    conditions: list[exp.Expr] = []
    for clause in ("where", "having"):
        found = query.args.get(clause)
        if found is not None:
            conditions.append(found.this)
    for join in query.args.get("joins") or ():
        if join.args.get("using") or join.args.get("method") or join.args.get("expressions"):
            return False
        if join.args.get("on") is not None:
            conditions.append(join.args["on"])
    return all(_is_harmless_condition(checked, scope, condition) for condition in conditions)


def _is_harmless_condition(checked: Checked, scope: Scope, root: exp.Expr) -> bool:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.And | exp.Or):
            waiting += [node.this, node.expression]
        elif isinstance(node, exp.Not | exp.Paren):
            waiting.append(node.this)
        elif not _is_harmless_test(checked, scope, node):
            return False
    return True


def _is_harmless_test(checked: Checked, scope: Scope, node: exp.Expr) -> bool:
    if isinstance(node, exp.Exists | exp.Boolean):
        return True  # its query is a scope of its own
    if isinstance(node, exp.Column):
        return "boolean" in _sorts_of_column(checked, scope, node)
    if isinstance(node, exp.Is):
        return isinstance(node.expression, exp.Null) and bool(_sorts(checked, scope, node.this))
    if isinstance(node, exp.Like):
        pattern = node.expression
        plain = isinstance(pattern, exp.Literal) and bool(pattern.is_string) and "\\" not in pattern.name
        # SQLite fails on a very long one, once there is a row to hold to it
        return plain and len(pattern.name) <= _LONGEST_PATTERN and "text" in _sorts(checked, scope, node.this)
    if isinstance(node, exp.Between):
        return _are_alike(checked, scope, [node.this, node.args["low"], node.args["high"]])
    if isinstance(node, exp.In):
        if node.args.get("query") is not None:
            return _is_harmless_query(checked, scope, node)
        return not node.args.get("field") and _are_alike(checked, scope, [node.this, *node.expressions])
    if isinstance(node, _COMPARISONS):
        return _are_alike(checked, scope, [node.this, node.expression])
    return False


def _is_harmless_query(checked: Checked, scope: Scope, node: exp.In) -> bool:
    """``a IN (SELECT b …)`` may become a join: then a = b is a condition like any other."""
    select = innermost(node.args["query"])
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return False
    inner = next((found for found in checked.scopes if found.query is select), None)
    item = select.expressions[0].unalias()
    if inner is None or not isinstance(item, exp.Column):
        return False
    return bool(_sorts(checked, scope, node.this) & _sorts_of_column(checked, inner, item))


def _are_alike(checked: Checked, scope: Scope, nodes: list[exp.Expr]) -> bool:
    return bool(frozenset.intersection(*(_sorts(checked, scope, node) for node in nodes)))


def _sorts(checked: Checked, scope: Scope, node: exp.Expr) -> Sorts:
    """The sorts of a plain column, a constant or an aggregate; none for whatever else may stand there."""
    if isinstance(node, exp.Paren):
        return _sorts(checked, scope, node.this)
    if isinstance(node, exp.Column):
        return _sorts_of_column(checked, scope, node)
    if isinstance(node, exp.Anonymous):
        # what an aggregate is made of are rows that passed the conditions
        is_number = str(node.this).lower() in _AGGREGATES and not node.find(exp.Query)
        return ANY_NUMBER if is_number and node.find_ancestor(exp.Having) is not None else NONE
    return sorts_of_constant(node)


def _sorts_of_column(checked: Checked, scope: Scope, column: exp.Column) -> Sorts:
    if not isinstance(column.this, exp.Identifier) or column.args.get("db") is not None:
        return NONE
    name = _fold(checked, column.name)
    table = column.args.get("table")
    here: Scope | None = scope
    while here is not None:
        if table is not None:
            source = here.sources.get(_fold(checked, table.name))
            if source is not None:
                return _sorts_in(checked, source, name)
        else:
            # SQLite and MySQL take an alias of the select list for a column, and with it what it stands for
            if name in here.aliases:
                return NONE
            if any(source.columns is None or name in source.columns for source in here.sources.values()):
                return _sorts_among(checked, here, name)
        here = here.parent
    return NONE


def _fold(checked: Checked, name: str) -> str:
    return name.lower() if checked.rules.folds == "any" else name


def _sorts_among(checked: Checked, scope: Scope, name: str) -> Sorts:
    """The sorts of a bare column that certainly is one source's."""
    if any(source.columns is None for source in scope.sources.values()):
        return NONE
    having = [source for source in scope.sources.values() if name in (source.columns or {})]
    return _sorts_in(checked, having[0], name) if len(having) == 1 else NONE


def _sorts_in(checked: Checked, source: Source, name: str) -> Sorts:
    granted = source.base
    alias = source.node.args.get("alias")
    if isinstance(alias, exp.TableAlias) and alias.args.get("columns"):
        return NONE
    if not isinstance(granted, GrantedTable):
        return _sorts_within(checked, source.node, name)
    found = next((c for c in granted.columns if _fold(checked, c.name) == name), None)
    if found is None or found.name in granted.masks:
        return NONE
    return sorts_of_type(found.type, checked.rules.name)


def _sorts_within(checked: Checked, node: exp.Expr, name: str) -> Sorts:
    """The sorts of a plain column that a sub-query or a WITH entry hands on: a condition on it may move inside."""
    select = innermost(node) if isinstance(node, exp.Subquery) else _entry(checked, node)
    inner = next((found for found in checked.scopes if found.query is select), None)
    if inner is None or not isinstance(select, exp.Select):
        return NONE
    items = [item for item in select.expressions if _fold(checked, item.alias_or_name) == name]
    stars = [item for item in select.expressions if item.is_star]
    if len(items) == 1 and not stars:
        item = items[0].unalias()
        return _sorts_of_column(checked, inner, item) if isinstance(item, exp.Column) else NONE
    if items or len(stars) != 1 or not isinstance(stars[0], exp.Star) or any(stars[0].args.values()):
        return NONE
    return _sorts_among(checked, inner, name)


def _entry(checked: Checked, node: exp.Expr) -> exp.Expr | None:
    """The query of the WITH entry that `node` names. By now no two entries have the same name."""
    if not isinstance(node, exp.Table) or node.args.get("db") is not None:
        return None
    for entry in checked.tree.find_all(exp.CTE):
        alias = entry.args["alias"]
        if alias.name == node.name:
            with_ = entry.find_ancestor(exp.With)
            is_plain = with_ is not None and not with_.args.get("recursive") and not alias.args.get("columns")
            return innermost(entry.this) if is_plain else None
    return None
