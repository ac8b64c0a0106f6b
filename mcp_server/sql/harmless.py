"""Whether a statement could fail on a row that it may not see. Where not, no fence has to keep it from an index.

The database may try every condition of a statement on any row of a table, in any order; a condition that fails then
tells of the row. Comparing a plain column with a constant or with another plain column of the same sort cannot fail,
and most keyed lookups and joins consist of nothing else. What is not known to be harmless is not.
"""

from __future__ import annotations

from sqlglot import exp

from mcp_server.column_kinds import ColumnKind, column_kind
from mcp_server.sql.checked import Checked
from mcp_server.sql.granted import GrantedTable
from mcp_server.sql.scopes import Scope, Source, innermost

_DIALECTS = frozenset({"postgres", "sqlite", "mysql"})
"""Where a fence keeps indexes from being used, and it was tried that without one these conditions raise nothing."""

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_UNFOLLOWED = (
    exp.Lateral, exp.Unnest, exp.Pivot, exp.TableSample, exp.Qualify, exp.JSONTable, exp.Values, exp.Parameter,
    exp.Placeholder,
)  # fmt: skip
_AGGREGATES = frozenset({"avg", "count", "max", "min", "sum"})
_PLAIN_KINDS = frozenset({ColumnKind.NUMBER, ColumnKind.TEXT, ColumnKind.DATE, ColumnKind.MOMENT, ColumnKind.BOOLEAN})


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
        return _kind(checked, scope, node) is ColumnKind.BOOLEAN
    if isinstance(node, exp.Is):
        return isinstance(node.expression, exp.Null) and _kind(checked, scope, node.this) is not None
    if isinstance(node, exp.Like):
        pattern = node.expression
        plain = isinstance(pattern, exp.Literal) and bool(pattern.is_string) and "\\" not in pattern.name
        return plain and _kind(checked, scope, node.this) is ColumnKind.TEXT
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
    kind = _kind(checked, scope, node.this)
    return kind is not None and kind is _kind(checked, inner, item)


def _are_alike(checked: Checked, scope: Scope, nodes: list[exp.Expr]) -> bool:
    kinds = {_kind(checked, scope, node) for node in nodes}
    return len(kinds) == 1 and None not in kinds


def _kind(checked: Checked, scope: Scope, node: exp.Expr) -> ColumnKind | None:
    """The sort of a plain column, a constant or an aggregate; None for whatever else may stand there."""
    if isinstance(node, exp.Paren):
        return _kind(checked, scope, node.this)
    if isinstance(node, exp.Literal):
        return ColumnKind.TEXT if node.is_string else ColumnKind.NUMBER
    if isinstance(node, exp.Boolean):
        return ColumnKind.BOOLEAN
    if isinstance(node, exp.Neg):
        return ColumnKind.NUMBER if _kind(checked, scope, node.this) is ColumnKind.NUMBER else None
    if isinstance(node, exp.Add | exp.Sub | exp.Mul):
        # of constants only: whether they fail does not depend on a row
        constant = all(isinstance(part, exp.Literal) and not part.is_string for part in (node.this, node.expression))
        return ColumnKind.NUMBER if constant else None
    if isinstance(node, exp.Anonymous):
        # what an aggregate is made of are rows that passed the conditions
        is_count = str(node.this).lower() in _AGGREGATES and not node.find(exp.Query)
        return ColumnKind.NUMBER if is_count and node.find_ancestor(exp.Having) is not None else None
    return _column_kind(checked, scope, node) if isinstance(node, exp.Column) else None


def _column_kind(checked: Checked, scope: Scope, column: exp.Column) -> ColumnKind | None:
    if not isinstance(column.this, exp.Identifier) or column.args.get("db") is not None:
        return None
    any_case = checked.rules.folds == "any"
    name = column.name.lower() if any_case else column.name
    table = column.args.get("table")
    here: Scope | None = scope
    while here is not None:
        if table is not None:
            source = here.sources.get(table.name.lower() if any_case else table.name)
            if source is not None:
                return _kind_in(source, name, any_case=any_case)
        else:
            # SQLite and MySQL take an alias of the select list for a column, and with it what it stands for
            if name in here.aliases or any(source.columns is None for source in here.sources.values()):
                return None
            having = [source for source in here.sources.values() if name in (source.columns or {})]
            if having:
                return _kind_in(having[0], name, any_case=any_case) if len(having) == 1 else None
        here = here.parent
    return None


def _kind_in(source: Source, name: str, *, any_case: bool) -> ColumnKind | None:
    granted = source.base
    alias = source.node.args.get("alias")
    if not isinstance(granted, GrantedTable) or (isinstance(alias, exp.TableAlias) and alias.args.get("columns")):
        return None
    found = next((c for c in granted.columns if (c.name.lower() if any_case else c.name) == name), None)
    if found is None or found.name in granted.masks:
        return None
    kind = column_kind(found.type)
    return kind if kind in _PLAIN_KINDS else None
