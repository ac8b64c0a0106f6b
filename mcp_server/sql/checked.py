"""A statement on its way through the rules, and what they have learnt of it. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from sqlglot import Dialect, ErrorLevel, Token, exp

from executor import Caution, Limits, SourceSchema
from mcp_server.policy import Grant
from mcp_server.sql.dialects import DialectRules, dialect_rules
from mcp_server.sql.granted import Granted, GrantedTable
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.scopes import Scope
from mcp_server.sql.work import count_work


@dataclass(slots=True)
class Checked:
    """What the rules pass on.

    Attributes:
        sql: the caller's own text, untouched.
        tokens: of `sql`, without those of an EXPLAIN prefix and without semicolons at the end.
        explain: the EXPLAIN prefix as it will be written, or an empty string.
        start: where in `sql` the statement begins, after the word EXPLAIN.
        tree: the statement; every rule may replace it.
        scopes: every SELECT with what its names mean, outermost first, since the rule `names`.
        tables: the tables it reads, since the rule `names`.
        cautions: what is to be said of the rows, since the columns were looked up.
        fenced: how many tables were replaced by sub-queries, since the rule `fences`.
        text: the one text that runs, since the rule `generate`.
        shown: the same with policy sub-queries as plain tables.
    """

    sql: str
    schema: SourceSchema
    limits: Limits
    rules: DialectRules
    dialect: Dialect
    granted: Granted
    tokens: list[Token] = field(default_factory=list)
    explain: str = ""
    start: int = 0
    tree: exp.Expr = field(default_factory=exp.Select)
    scopes: list[Scope] = field(default_factory=list)
    tables: dict[tuple[str, str], GrantedTable] = field(default_factory=dict)
    cautions: tuple[Caution, ...] = ()
    fenced: int = 0
    text: str = ""
    shown: str = ""

    def generate(self, tree: exp.Expr, *, copy: bool = True) -> str:
        """`tree` as text: no comments, every identifier quoted, function names as the caller wrote them.

        Without `copy` the generator may change `tree`.
        """
        return self.dialect.generate(
            tree,
            copy=copy,
            comments=False,
            identify=True,
            normalize_functions=False,
            # What the generator would leave out, because it does not know how to write it, must not go unsaid.
            unsupported_level=ErrorLevel.RAISE,
        )


Rule = Callable[[Checked], None]
"""One pass: looks at the statement, may change its tree, raises `StatementRefused`."""


@cache
def _rules_and_dialect(name: str) -> tuple[DialectRules, Dialect] | None:
    rules = dialect_rules(name)
    if rules is None:
        return None
    dialect = count_work(Dialect.get_or_raise(name))
    if rules.double_quoted_strings:
        # SQLite reads "x" as a string where there is no column x; `x` can only be a name. The instance is our own.
        vars(dialect).update(IDENTIFIER_START="`", IDENTIFIER_END="`")
    return rules, dialect


def begin(sql: str, schema: SourceSchema, grant: Grant, limits: Limits) -> Checked:
    """The statement before the first rule.

    Raises:
        StatementRefused: ``construct_not_allowed`` for a dialect that the guard does not know.
    """
    found = _rules_and_dialect(schema.dialect)
    if found is None:
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED, f"SQL in the dialect {schema.dialect} cannot be checked."
        )
    rules, dialect = found
    return Checked(sql, schema, limits, rules, dialect, Granted(schema, grant, rules))


def position_of(node: exp.Expr) -> int | None:
    """Where `node`, or the first thing in it that has a place, begins in the caller's SQL, from 1."""
    for inner in node.walk():
        start = inner.meta.get("start")
        if isinstance(start, int):
            return start + 1
    return None
