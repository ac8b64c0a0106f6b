"""SQL of another dialect in the source's own words. Checks nothing of what comes out: that is every rule's business.

Only one query is translated, and what the source's dialect has no words for is refused rather than left out.
"""

from __future__ import annotations

from sqlglot import Dialect, ErrorLevel, exp
from sqlglot.errors import ParseError, UnsupportedError

from executor import Limits, SourceSchema
from mcp_server.policy import Grant
from mcp_server.sql.checked import begin
from mcp_server.sql.dialects import dialect_names
from mcp_server.sql.intake import intake
from mcp_server.sql.parse import unparseable
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.spacing import spacing
from mcp_server.sql.statement import statement
from mcp_server.sql.work import bounded

MAX_ARROWS = 6
"""T-SQL has two calls for one ``->``, each with the operands in it, so that the text doubles with every one."""


def translated(sql: str, read: str, write: str) -> str:
    """`sql`, one query in the dialect `read`, as the dialect `write` says it.

    Raises:
        StatementRefused: ``unparseable``, ``too_complex``, ``many_statements``, ``not_read_only`` or
            ``construct_not_allowed``; positions are of `sql`.
    """
    if read not in dialect_names():
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            f"SQL in the dialect {read[:40]} cannot be translated.",
            hint=f"The dialects are: {', '.join(dialect_names())}.",
        )
    foreign = begin(sql, SourceSchema("", read, ""), Grant(), Limits())
    for rule in (intake, statement, spacing):
        rule(foreign)
    if foreign.explain:
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED, "EXPLAIN is not translated.", hint="Translate the query itself."
        )
    try:
        with bounded(len(foreign.tokens)):
            trees = foreign.dialect.parser(error_level=ErrorLevel.IMMEDIATE).parse(foreign.tokens, sql)
    except ParseError as error:
        raise unparseable(error, sql) from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query | exp.Values):
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED, "Only one query is translated.", hint="Send one SELECT."
        )
    if write == "tsql" and _arrows_in_arrows(trees[0]) > MAX_ARROWS:
        raise StatementRefused(
            RefusalCode.TOO_COMPLEX,
            f"More than {MAX_ARROWS} JSON operators are within each other.",
            hint="Write one path, as in JSON_VALUE(a, '$.b.c').",
        )
    try:
        return Dialect.get_or_raise(write).generate(trees[0], comments=False, unsupported_level=ErrorLevel.RAISE)
    except UnsupportedError as error:
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            f"The SQL says something that {write} has no words for.",
            hint=f"Write it in {write}.",
        ) from error


def _arrows_in_arrows(tree: exp.Expr) -> int:
    """How many JSON operators the deepest one is in, itself included."""
    within: dict[int, int] = {}
    for node in tree.walk():
        above = within.get(id(node.parent), 0) if node is not tree else 0
        within[id(node)] = above + isinstance(node, exp.JSONExtract | exp.JSONExtractScalar | exp.IntDiv)
    return max(within.values())
