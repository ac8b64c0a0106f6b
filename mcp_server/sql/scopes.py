"""The nouns of name resolution: a SELECT's scope, what it reads from, a WITH entry. Resolves nothing itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlglot import exp

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,40}")

Names = dict[str, str]
"""Folded column name -> as it is written where it comes from."""


@dataclass(slots=True)
class Source:
    """One thing that a SELECT reads from. `columns` is None when its columns cannot be told from the text."""

    node: exp.Expr
    columns: Names | None
    base: object | None = None
    outer_joined: bool = False


@dataclass(slots=True)
class Scope:
    """One SELECT, or the ORDER BY of a set operation.

    Attributes:
        query: the node.
        parent: the SELECT around it whose names it can see.
        sources: what it reads from, by folded alias. Sources without an alias have a key that is no name.
        aliases: folded names that its own select list gives, and those of windows and lambdas in it.
        columns: the columns that are named in it, sub-queries left out.
    """

    query: exp.Expr
    parent: Scope | None
    sources: dict[str, Source] = field(default_factory=dict)
    aliases: set[str] = field(default_factory=set)
    columns: list[exp.Column] = field(default_factory=list)


@dataclass(slots=True)
class Cte:
    """One WITH entry: its node, its new name, and its columns once they are known."""

    node: exp.Expr
    columns: Names | None
    renamed: str


Ctes = dict[str, Cte]


class Unfollowed(LookupError):
    """The walk met a source of a form it does not know."""


def innermost(node: exp.Expr) -> exp.Expr:
    """What stands in any number of parentheses."""
    while isinstance(node, exp.Subquery):
        node = node.this
    return node


def new_name(name: str, number: int) -> str:
    """What a CTE is called from now on: close to its own name, which errors of the database will show."""
    return f"{name if _PLAIN.fullmatch(name) else 'cte'}__with{number}"


def renamed(columns: Names, declared: Names) -> Names:
    """`columns` with the first ones renamed as an alias ``t(a, b)`` says."""
    rest = list(columns.items())[len(declared) :]
    return {**declared, **dict(rest)}


def push(waiting: list[exp.Expr], node: exp.Expr, skip: set[str] | frozenset[str]) -> None:
    """The direct children of `node` onto `waiting`, those of the clauses in `skip` left out."""
    found: list[exp.Expr] = []
    for key, value in node.args.items():
        if key in skip:
            continue
        if isinstance(value, exp.Expr):
            found.append(value)
        elif isinstance(value, list):
            found.extend(item for item in value if isinstance(item, exp.Expr))
    # Taken from the end: so the first is met first, and a refusal names the first thing that is wrong.
    waiting.extend(reversed(found))
