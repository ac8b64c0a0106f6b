"""What ties the sources of one SELECT to each other: equal columns, equal constants, whatever else names two.

Reads a resolved scope and changes nothing. Where it cannot tell which source a column is of, it says so and is not
guessed at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from mcp_server.sql.granted import GrantedTable
from mcp_server.sql.scopes import Scope

Fold = Callable[[exp.Expr], str]
"""The key of an identifier."""


@dataclass(slots=True)
class Joined:
    """The sources of one SELECT by alias, and what is known of them.

    Attributes:
        tables: the aliases that are tables of the source.
        ties: pairs of aliases that a condition names together, USING, NATURAL and an explicit CROSS JOIN among them.
        equal: ``(alias, column, alias, column)`` of every condition ``a.x = b.y`` that must hold.
        pinned: the columns that conditions hold to constants, by alias.
    """

    tables: dict[str, GrantedTable] = field(default_factory=dict)
    ties: list[tuple[str, str]] = field(default_factory=list)
    equal: list[tuple[str, str, str, str]] = field(default_factory=list)
    pinned: dict[str, set[str]] = field(default_factory=dict)


def joined(scope: Scope, fold: Fold, *, comma_is_cross: bool) -> Joined:
    """What `scope`, of a SELECT with columns already looked up, says of its sources.

    With `comma_is_cross` a CROSS JOIN of the tree may be a comma, and ties nothing.
    """
    found = Joined({alias: source.base for alias, source in scope.sources.items()
                    if isinstance(source.base, GrantedTable)})  # fmt: skip
    held: dict[str, str] = {}
    for part in _conditions(scope.query):
        named = {alias for column in part.find_all(exp.Column) if (alias := alias_of(column, scope, fold)) is not None}
        _tie(found, sorted(named))
        _read(part, scope, fold, found, held)
    aliases = {id(source.node): alias for alias, source in scope.sources.items()}
    for join in scope.query.args.get("joins") or ():
        alias = aliases.get(id(join.this))
        if alias is not None:
            _read_join(join, alias, scope, fold, found, comma_is_cross=comma_is_cross)
    return found


def alias_of(column: exp.Column, scope: Scope, fold: Fold) -> str | None:
    """The alias of the source that `column` is of; None where it is another SELECT's, or may be of several."""
    table = column.args.get("table")
    if table is not None:
        key = fold(table)
        return key if key in scope.sources else None
    if not isinstance(column.this, exp.Identifier):
        return None
    key = fold(column.this)
    having = [alias for alias, source in scope.sources.items() if source.columns is None or key in source.columns]
    return having[0] if len(having) == 1 else None


def _conditions(query: exp.Expr) -> Iterator[exp.Expr]:
    """The parts of WHERE and of every ON that must each hold."""
    where = query.args.get("where")
    waiting: list[exp.Expr] = [] if where is None else [where.this]
    waiting += [join.args["on"] for join in query.args.get("joins") or () if join.args.get("on") is not None]
    while waiting:
        part = waiting.pop()
        if isinstance(part, exp.Paren):
            waiting.append(part.this)
        elif isinstance(part, exp.And):
            waiting += [part.this, part.expression]
        else:
            yield part


def _tie(found: Joined, aliases: list[str]) -> None:
    found.ties += [(aliases[0], other) for other in aliases[1:]]


def _read(part: exp.Expr, scope: Scope, fold: Fold, found: Joined, held: dict[str, str]) -> None:
    """An equality of two columns, or of one with constants; sources held to one constant are tied by it."""
    if isinstance(part, exp.EQ) and isinstance(part.this, exp.Column) and isinstance(part.expression, exp.Column):
        left, right = (alias_of(side, scope, fold) for side in (part.this, part.expression))
        if left is not None and right is not None and left != right:
            found.equal.append((left, fold(part.this.this), right, fold(part.expression.this)))
            return
    column, constants = _held(part)
    if column is None or not isinstance(column.this, exp.Identifier):
        return
    alias = alias_of(column, scope, fold)
    if alias is None:
        return
    found.pinned.setdefault(alias, set()).add(fold(column.this))
    if constants is not None:
        first = held.setdefault(constants, alias)
        if first != alias:
            found.ties.append((first, alias))


def _held(part: exp.Expr) -> tuple[exp.Column | None, str | None]:
    """The column that `part` holds to constants, and the constant where it is one."""
    if isinstance(part, exp.EQ):
        for column, value in ((part.this, part.expression), (part.expression, part.this)):
            # a sub-query and a parameter are one value, too
            if isinstance(column, exp.Column) and value.find(exp.Column) is None:
                return column, value.sql()
            if isinstance(column, exp.Column) and isinstance(value, exp.Subquery):
                return column, None
    if isinstance(part, exp.In | exp.Like | exp.ILike) and isinstance(part.this, exp.Column):
        return part.this, None
    return None, None


def _read_join(join: exp.Expr, alias: str, scope: Scope, fold: Fold, found: Joined, *, comma_is_cross: bool) -> None:
    """USING, NATURAL, and the joins whose own words say that every row meets every other."""
    others = [other for other in scope.sources if other != alias]
    kind = str(join.args.get("kind") or "").upper()
    ordinary = {"", "INNER", "OUTER", "CROSS"} if comma_is_cross else {"", "INNER", "OUTER"}
    if join.args.get("method") or kind not in ordinary:
        found.ties += [(alias, other) for other in others[:1]]
        return
    for name in join.args.get("using") or ():
        identifier = name.this if isinstance(name, exp.Column) else name
        key = fold(identifier)
        sharing = [o for o in others if (columns := scope.sources[o].columns) is None or key in columns]
        found.ties += [(alias, other) for other in sharing[:1]]
        found.equal += [(other, key, alias, key) for other in sharing[:1]]
