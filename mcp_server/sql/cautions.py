"""What a statement's text says of rows that may mislead: products, sums over multiplied rows, a LIMIT at random.

Refuses nothing and changes nothing. What it cannot be sure of, it does not say: a caution that is often wrong is read
by nobody.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from executor import Caution
from mcp_server.sql.aggregates import AGGREGATES, SUMS, aggregates, call_of
from mcp_server.sql.checked import Checked
from mcp_server.sql.granted import GrantedTable
from mcp_server.sql.joined import Fold, Joined, alias_of, joined
from mcp_server.sql.scopes import Scope, innermost
from mcp_server.sql.telling import Telling, unfiltered

MOST_SOURCES = 30
"""A SELECT that reads from more is not looked at: what is done for each pair would take its time."""

MOST_CAUTIONS = 4

_COMMA_IS_CROSS = frozenset({"bigquery", "clickhouse", "sqlite"})
"""The dialects of which sqlglot reads a comma in FROM as CROSS JOIN."""

_NOT_SUMMED = (exp.Query, exp.Distinct, exp.Case, exp.If, exp.Filter, exp.Predicate, exp.Not, exp.And, exp.Or)


def cautions(checked: Checked, telling: Telling) -> tuple[Caution, ...]:
    """What is to be said of the statement's rows; after its columns were looked up, before its LIMIT is lowered.

    Args:
        checked: the statement.
        telling: the columns that say which rows usually do not count.
    """
    if checked.explain:
        return ()

    def fold(identifier: exp.Expr) -> str:
        return identifier.name.lower() if checked.rules.folds == "any" else identifier.name

    told: list[Caution] = []
    bodies: dict[str, exp.Expr] | None = None
    for scope in checked.scopes:
        if isinstance(scope.query, exp.Select) and 2 <= len(scope.sources) <= MOST_SOURCES:
            if bodies is None:
                bodies = _with_entries(checked.tree)
            found = joined(scope, fold, comma_is_cross=checked.rules.name in _COMMA_IS_CROSS)
            told += [] if _may_mean_products(checked) else _products(scope, found, bodies)
            told += _fan_outs(scope, found, fold)
        if telling:
            told += unfiltered(scope, telling, fold)
    told += _limits(innermost(checked.tree))
    return tuple(dict.fromkeys(told))[:MOST_CAUTIONS]


def _with_entries(tree: exp.Expr) -> dict[str, exp.Expr]:
    return {cte.alias: cte.this for cte in tree.find_all(exp.CTE)}


# Products


def _may_mean_products(checked: Checked) -> bool:
    """Whether the tree no longer tells a comma from the CROSS JOIN that the caller has written somewhere."""
    return checked.rules.name in _COMMA_IS_CROSS and any(
        token.token_type is TokenType.CROSS for token in checked.tokens
    )


def _products(scope: Scope, found: Joined, bodies: dict[str, exp.Expr]) -> list[Caution]:
    """Two groups of sources that no condition ties: every row of one meets every row of the other."""
    many = [alias for alias in scope.sources if _has_many_rows(scope, alias, found, bodies)]
    if len(many) < 2:
        return []
    group = {alias: alias for alias in scope.sources}

    def root(alias: str) -> str:
        while group[alias] != alias:
            alias = group[alias]
        return alias

    for left, right in found.ties:
        group[root(left)] = root(right)
    first = many[0]
    apart = next((alias for alias in many if root(alias) != root(first)), None)
    if apart is None:
        return []
    return [
        Caution(
            "cartesian_product",
            f"No condition joins {_shown(first)} and {_shown(apart)}: every row of one meets every row of the other, "
            "so counts and sums are multiplied. Add the join's condition, or write CROSS JOIN if it is meant.",
        )
    ]


def _has_many_rows(scope: Scope, alias: str, found: Joined, bodies: dict[str, exp.Expr]) -> bool:
    """Whether the source is a table or query that may give several rows, and stands there by itself."""
    node, base = scope.sources[alias].node, scope.sources[alias].base
    if isinstance(base, GrantedTable):
        return not (base.table.primary_key and _covers(found.pinned.get(alias, set()), base.table.primary_key))
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        body = bodies.get(node.name)
        return body is not None and not _is_one_row(body)
    return isinstance(node, exp.Subquery) and not _is_one_row(node)


def _is_one_row(query: exp.Expr) -> bool:
    inner = innermost(query)
    if not isinstance(inner, exp.Select):
        # a recursive entry and VALUES are series of their maker's own, and joined as such
        return True
    limit = inner.args.get("limit")
    if isinstance(limit, exp.Limit) and limit.expression is not None and limit.expression.name == "1":
        return True
    if inner.args.get("from_") is None:
        return True
    if inner.args.get("group") is not None:
        return False
    return any(aggregates(item) for item in inner.expressions)


# Sums over multiplied rows


def _fan_outs(scope: Scope, found: Joined, fold: Fold) -> list[Caution]:
    """Sums and averages of one table's column, where a join repeats that table's rows for nothing else."""
    told: list[Caution] = []
    grouped = _grouped(scope, fold)
    for column in scope.columns:
        call = _summed(column)
        alias = alias_of(column, scope, fold)
        if call is None or alias not in found.tables:
            continue
        if any(alias_of(other, scope, fold) != alias for other in call.find_all(exp.Column)):
            continue
        key = found.tables[alias].table.primary_key
        word = call_of(call)
        if word == "avg" and key and _covers({c for a, c in grouped if a == alias}, key):
            continue
        many = _multiplied_by(alias, found, {a for a, _ in grouped})
        if many is not None:
            told.append(
                Caution(
                    "fan_out_join",
                    f"{word} over {_shown(alias)}.{column.name[:60]} counts a row of {_shown(alias)} once for each of "
                    f"its rows in {_shown(many)}. Aggregate before the join, or leave {_shown(many)} out.",
                )
            )
    return told[:1]


def _summed(column: exp.Column) -> exp.Expr | None:
    """The SUM or AVG over rows, not over a window or distinct values, whose argument `column` stands in."""
    above = column.parent
    while above is not None and call_of(above) not in SUMS:
        # a sum of conditions counts rows, which a join is free to give more of
        if isinstance(above, _NOT_SUMMED) or call_of(above) in AGGREGATES:
            return None
        above = above.parent
    return None if above is None or isinstance(above.parent, exp.Window | exp.Filter) else above


def _grouped(scope: Scope, fold: Fold) -> set[tuple[str, str]]:
    """The columns that GROUP BY names, itself or through a place or a name of the select list."""
    group = scope.query.args.get("group")
    if group is None:
        return set()
    items = scope.query.expressions
    named = {item.alias: item.this for item in items if isinstance(item, exp.Alias)}
    keys: list[exp.Expr] = [group]
    for key in group.expressions:
        if isinstance(key, exp.Literal) and key.name.isdigit() and 0 < int(key.name) <= len(items):
            keys.append(items[int(key.name) - 1])
        elif isinstance(key, exp.Column) and key.args.get("table") is None and key.name in named:
            keys.append(named[key.name])
    columns = (column for key in keys for column in key.find_all(exp.Column))
    return {(alias, fold(c.this)) for c in columns if (alias := alias_of(c, scope, fold)) is not None}


def _multiplied_by(start: str, found: Joined, grouped: set[str]) -> str | None:
    """The table of which several rows meet one of `start`, where nothing beyond it is grouped by or held to a value."""
    seen, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for there in sorted(_neighbours(here, found) - seen):
            if there not in found.tables:
                continue
            if _is_many(here, there, found, near=here == start):
                beyond = _reached(there, found, without={*seen, here})
                if not (beyond & grouped or beyond & found.pinned.keys()):
                    return there
            else:
                waiting.append(there)
            seen.add(there)
    return None


def _neighbours(alias: str, found: Joined) -> set[str]:
    return {b if a == alias else a for a, _, b, _ in found.equal if alias in (a, b)}


def _reached(start: str, found: Joined, *, without: set[str]) -> set[str]:
    reached, waiting = {start}, [start]
    while waiting:
        for other in _neighbours(waiting.pop(), found) - reached - without:
            reached.add(other)
            waiting.append(other)
    return reached


def _is_many(here: str, there: str, found: Joined, *, near: bool) -> bool:
    """Whether the keys say that one row of `here` can meet several of `there`. Without keys nothing is said.

    Farther off, where a join is seldom the question's own, only a declared foreign key counts.
    """
    ours, theirs = set[str](), set[str]()
    for a, x, b, y in found.equal:
        if (a, b) == (here, there):
            ours.add(x)
            theirs.add(y)
        elif (b, a) == (here, there):
            ours.add(y)
            theirs.add(x)
    one, many = found.tables[here].table, found.tables[there].table
    if not many.primary_key or _covers(theirs | found.pinned.get(there, set()), many.primary_key):
        return False
    if near and one.primary_key and _covers(ours, one.primary_key):
        return True
    return any(
        (key.ref_schema, key.ref_table) == (one.schema, one.name) and _covers(theirs, key.columns)
        for key in many.foreign_keys
    )


def _covers(columns: set[str], key: tuple[str, ...]) -> bool:
    return {name.lower() for name in key} <= {name.lower() for name in columns}


# LIMIT


def _limits(root: exp.Expr) -> list[Caution]:
    """A LIMIT without an order, and one whose last rows may be part of a tie: told when it is seen to have cut."""
    limit = root.args.get("limit")
    if not isinstance(root, exp.Select) or not isinstance(limit, exp.Limit):
        return []
    count = limit.expression.name if isinstance(limit.expression, exp.Literal) else ""
    if not count.isdigit() or int(count) < 1:
        return []
    order = root.args.get("order")
    if order is None:
        return [_without_order(int(count))] if _order_matters(root) else []
    keys = [_place(sort.this, root.expressions) for sort in order.expressions]
    if int(count) < 2 or any(key is None for key in keys):
        return []
    return [
        Caution(
            "limit_tie",
            f"The last rows within LIMIT {count} sort equal, so others that do as well may have been left out. "
            "Raise the LIMIT to see them all, or sort by one more column.",
            rows=int(count),
            tied=tuple(key for key in keys if key is not None),
        )
    ]


def _without_order(count: int) -> Caution:
    return Caution(
        "limit_without_order",
        f"LIMIT {count} without ORDER BY: which rows came is up to the database. Add ORDER BY if it matters.",
        rows=count,
    )


def _order_matters(root: exp.Select) -> bool:
    """Whether rows are picked, and not just looked at, as ``SELECT * FROM t LIMIT 5`` does."""
    from_ = root.args.get("from_")
    if from_ is None or from_.find(exp.Order) is not None or _is_one_row(root):
        return False
    if root.args.get("group") is not None:
        return True
    return not any(item.is_star for item in root.expressions)


def _place(key: exp.Expr, items: list[exp.Expr]) -> int | str | None:
    """Where the sort key stands in the result, by place or by name; None where it does not."""
    starred = any(item.is_star for item in items)
    if isinstance(key, exp.Literal):
        return int(key.name) - 1 if key.name.isdigit() and not starred else None
    for place, item in enumerate(items):
        inner = item.this if isinstance(item, exp.Alias) else item
        names = isinstance(key, exp.Column) and not key.table and key.name == item.alias_or_name
        if (names or inner == key) and not item.is_star:
            return item.alias_or_name if starred else place
    return key.name if starred and isinstance(key, exp.Column) else None


def _shown(alias: str) -> str:
    return "a sub-query" if alias.startswith("\0") else alias[:60]
