"""Rule 1b: one statement, one whose first word begins a query, and no second one behind it without a semicolon."""

from __future__ import annotations

from sqlglot import Token
from sqlglot.parser import Parser
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

# sqlglot reads ``SELECT 1 DELETE FROM t`` as a column of t called DELETE. In most dialects that is an odd name; in
# T-SQL, whose statements need no semicolon between them, it is a second statement, and each of these words is one
# that cannot be a name without brackets (learn.microsoft.com, "Reserved Keywords"; GO ends a batch; THROW, GET, SEND
# and RECEIVE are no reserved words, but begin statements).
_SECOND_WORDS = """
    alter call create delete drop exec execute grant insert merge revoke truncate update
"""
_SECOND = frozenset(_SECOND_WORDS.split())
_TSQL_WORDS = """
    add backup begin break browse bulk checkpoint close commit compute continue dbcc deallocate declare deny disk dump
    enable disable errlvl goto go if kill lineno load move open print proc procedure raiserror readtext receive
    reconfigure restore return revert rollback save send set setuser shutdown throw tran transaction updatetext use
    waitfor while writetext
"""
_SECOND_TSQL = _SECOND | frozenset(_TSQL_WORDS.split())
# A word can be a name without AS only after what ends an expression or a table; other words ask for an operand.
_ENDS_OPERAND = (
    frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.STAR, TokenType.NUMBER, TokenType.STRING})
    | frozenset({TokenType.IDENTIFIER, TokenType.NATIONAL_STRING, TokenType.HEX_STRING, TokenType.PARAMETER})
    | Parser.ID_VAR_TOKENS
) - {TokenType.ALL, TokenType.ANY, TokenType.SOME, TokenType.IN, TokenType.IS, TokenType.EXISTS, TokenType.CASE}


def statement(checked: Checked) -> None:
    """Keep the tokens of the one statement, without semicolons.

    Raises:
        StatementRefused: ``many_statements``, ``not_read_only``, ``unparseable`` or ``construct_not_allowed``.
    """
    checked.tokens = _one_statement(checked.tokens)
    if not checked.explain:
        refuse_verb(checked.tokens[0])
    _refuse_second(checked)


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


def _refuse_second(checked: Checked) -> None:
    """Refuse what could be a second statement without a semicolon, and pipes, which turn a query into another."""
    tsql = checked.rules.name == "tsql"
    verbs = _SECOND_TSQL if tsql else _SECOND
    ends = _ENDS_OPERAND | {TokenType.ALIAS} if tsql else _ENDS_OPERAND
    previous: Token | None = None
    for token in checked.tokens:
        kind = token.token_type
        if kind is TokenType.PIPE_GT:
            # sqlglot writes them as a SELECT, and mistakes the order of LIMIT, ORDER BY and WHERE.
            raise _construct(token, "Pipe syntax (|>) is not available here.", "Write the query with SELECT … FROM.")
        if tsql and kind is TokenType.L_BRACE:
            raise _construct(token, "ODBC's braces are not available here.", "Write the call or the date itself.")
        if previous is not None and kind is not TokenType.IDENTIFIER and previous.token_type in ends:
            word = token.text.lower()
            second = word in verbs or (tsql and word.startswith(("sp_", "xp_")))
            # ``listagg(x ON OVERFLOW TRUNCATE)`` is no statement.
            if second and kind is not TokenType.STRING and previous.text.lower() != "overflow":
                raise not_read_only(token)
        previous = token


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
        hint="Send one SELECT; a column with such a name must be quoted.",
        position=first.start + 1,
    )


def _construct(token: Token, message: str, hint: str) -> StatementRefused:
    return StatementRefused(RefusalCode.CONSTRUCT_NOT_ALLOWED, message, hint=hint, position=token.start + 1)
