"""How a query sorts its rows, and the same query with its sort keys as columns. Knows no rule and runs nothing."""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError


@dataclass(frozen=True, slots=True)
class Sorting:
    """What is known of a sorted query.

    Attributes:
        limited: whether it has a LIMIT.
        keys: how many columns `with_keys` has more than the query.
        with_keys: the query without its LIMIT and with its sort keys behind its own columns; None where they cannot be
            shown (DISTINCT, an OFFSET, a set operation).
    """

    limited: bool
    keys: int = 0
    with_keys: str | None = None


def sorting_of(sql: str, dialect: str) -> Sorting | None:
    """How `sql` sorts; None where it does not, or cannot be read."""
    try:
        tree = parse_one(sql, dialect=dialect)
    except (SqlglotError, RecursionError):
        return None
    order = tree.args.get("order")
    if order is None:
        return None
    limited = tree.args.get("limit") is not None
    shows = isinstance(tree, exp.Select) and tree.args.get("distinct") is None and not tree.args.get("offset")
    if not shows:
        return Sorting(limited)
    items = list(tree.expressions)
    aliases = {item.alias: item.this for item in items if isinstance(item, exp.Alias)}
    keys: list[exp.Expr] = []
    for number, sort in enumerate(order.expressions):
        key = _key(sort.this, items, aliases)
        if key is None:
            return Sorting(limited)
        keys.append(exp.alias_(key, f"sort_key_{number}"))
    tree.set("expressions", items + keys)
    tree.set("limit", None)
    return Sorting(limited, len(keys), tree.sql(dialect=dialect))


def _key(key: exp.Expr, items: list[exp.Expr], aliases: dict[str, exp.Expr]) -> exp.Expr | None:
    """What a sort key stands for: a place in the select list, a name given there, or itself."""
    if isinstance(key, exp.Literal) and not key.is_string:
        place = int(key.name) - 1 if key.name.isdigit() else -1
        if not 0 <= place < len(items) or items[place].is_star:
            return None
        item = items[place]
        return (item.this if isinstance(item, exp.Alias) else item).copy()
    if isinstance(key, exp.Column) and not key.table and key.name in aliases:
        return aliases[key.name].copy()
    return key.copy()
