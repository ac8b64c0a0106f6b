"""Rule 1b: one statement, and one whose first word begins a query."""

from __future__ import annotations

from sqlglot import Token
from sqlglot.tokenizer_core import TokenType

from mcp_server.sql.checked import Checked
from mcp_server.sql.refusal import RefusalCode, StatementRefused

_WRITES = """
alter analyze attach begin call checkpoint cluster comment commit copy create deallocate declare delete detach
    discard do drop exec execute export fetch flush grant handler import insert install kill listen load lock merge
    msck notify optimize prepare purge put reassign refresh reindex rename repair replace reset restore revoke rollback
    savepoint security set start truncate unlisten unlock update upsert use vacuum xa waitfor get undrop
"""
_SHOWS = frozenset({"desc", "describe", "pragma", "show", "summarize"})
_STARTS = frozenset({"from", "pivot", "select", "table", "unpivot", "values", "with"})


def statement(checked: Checked) -> None:
    """Keep the tokens of the one statement, without semicolons.

    Raises:
        StatementRefused: ``many_statements``, ``not_read_only``, ``unparseable`` or ``construct_not_allowed``.
    """
    checked.tokens = _one_statement(checked.tokens)
    if not checked.explain:
        refuse_verb(checked.tokens[0])


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
    if verb.partition(" ")[0] in _WRITES.split():
        raise not_read_only(first)


def not_read_only(first: Token) -> StatementRefused:
    """The refusal of a statement that begins with `first`."""
    return StatementRefused(
        RefusalCode.NOT_READ_ONLY,
        f"{first.text.upper()[:30]} is not a query; only reading is possible here.",
        hint="Send a SELECT.",
        position=first.start + 1,
    )
