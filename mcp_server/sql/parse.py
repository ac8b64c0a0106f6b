"""Rule 2: one statement, read-only at its root, as a tree in which every call keeps the name it was written with."""

from __future__ import annotations

import re

from sqlglot import ErrorLevel, Token, exp
from sqlglot.errors import ParseError
from sqlglot.tokens import TokenType

from mcp_server.sql.checked import Checked
from mcp_server.sql.refusal import RefusalCode, StatementRefused

_WRITES = frozenset(
    """alter analyze attach begin call checkpoint cluster comment commit copy create deallocate declare delete detach
    discard do drop exec execute export fetch flush grant handler import insert install kill listen load lock merge
    msck notify optimize prepare purge put reassign refresh reindex rename repair replace reset restore revoke rollback
    savepoint security set start truncate unlisten unlock update upsert use vacuum xa waitfor get undrop""".split()
)
_SHOWS = frozenset("describe desc show summarize pragma".split())
_STARTS = frozenset("select with values from table pivot unpivot".split())


def parse(checked: Checked) -> None:
    """Make the tree.

    Raises:
        StatementRefused: ``many_statements``, ``not_read_only``, ``unparseable`` or ``construct_not_allowed``.
    """
    checked.tokens = _one_statement(checked.tokens)
    first = checked.tokens[0]
    refuse_verb(first)
    tree = parse_tokens(checked, checked.tokens, checked.sql)
    if not isinstance(tree, exp.Query | exp.Values):
        if isinstance(tree, exp.DML | exp.DDL | exp.Command | exp.Alter | exp.Drop | exp.Merge):
            raise _not_read_only(first)
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            "The SQL is not a query.",
            hint="Send one statement that begins with SELECT or WITH.",
            position=first.start + 1,
        )
    checked.tree = tree


def parse_tokens(checked: Checked, tokens: list[Token], sql: str) -> exp.Expr:
    """The tree of `tokens`, in which a call is an `exp.Anonymous` with the name as written.

    sqlglot does that for a call that is followed by the comment ``sqlglot.anonymous``. So no function is renamed,
    none has its arguments moved, and the allow-list is asked for the very name that will be sent.
    """
    for token in tokens:
        if token.token_type is TokenType.R_PAREN:
            token.comments.append("sqlglot.anonymous")
    try:
        found = [tree for tree in checked.dialect.parser(error_level=ErrorLevel.RAISE).parse(tokens, sql) if tree]
    except ParseError as error:
        raise _unparseable(error, sql) from error
    if len(found) != 1:
        raise StatementRefused(
            RefusalCode.MANY_STATEMENTS, "This is more than one statement.", hint="Send one statement a call."
        )
    return found[0]


def _one_statement(tokens: list[Token]) -> list[Token]:
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            parts.append([])
        else:
            parts[-1].append(token)
    full = [part for part in parts if part]
    if not full:
        raise StatementRefused(RefusalCode.UNPARSEABLE, "The SQL is empty.", hint="Send one SELECT statement.")
    if len(full) > 1:
        raise StatementRefused(
            RefusalCode.MANY_STATEMENTS,
            f"These are {len(full)} statements; one is run at a time.",
            hint="Send one statement a call.",
            position=full[1][0].start + 1,
        )
    return full[0]


def refuse_verb(first: Token) -> None:
    """Refuse a statement by its first word, where that word says it all.

    Raises:
        StatementRefused: ``not_read_only`` or ``construct_not_allowed``.
    """
    verb = first.text.lower()
    if first.token_type is TokenType.L_PAREN or verb in _STARTS:
        return
    if verb in _SHOWS:
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            f"{verb.upper()} is not available here.",
            hint="Call describe_tables() for tables and columns, and SELECT for everything else.",
            position=first.start + 1,
        )
    if verb.split()[0] in _WRITES:
        raise _not_read_only(first)


def _not_read_only(first: Token) -> StatementRefused:
    return StatementRefused(
        RefusalCode.NOT_READ_ONLY,
        f"{first.text.upper()[:30]} is not a query; only reading is possible here.",
        hint="Send a SELECT.",
        position=first.start + 1,
    )


def _unparseable(error: ParseError, sql: str) -> StatementRefused:
    details = error.errors[0] if error.errors else {}
    place = details.get("line"), details.get("col")
    what = re.sub(r"<Token [^>]*>", "that", str(details.get("description") or "the syntax is wrong")).rstrip(".")
    near = str(details.get("highlight") or "")[:40]
    position = None
    if isinstance(place[0], int) and isinstance(place[1], int):
        lines = sql.split("\n")
        before = sum(len(line) + 1 for line in lines[: place[0] - 1])
        position = max(1, min(len(sql), before + place[1] - max(len(near), 1) + 1))
    beside = f' near "{near}"' if near else ""
    return StatementRefused(
        RefusalCode.UNPARSEABLE,
        f"The SQL cannot be parsed{beside}: {what}.",
        hint="Correct the syntax for this source's dialect.",
        position=position,
    )
