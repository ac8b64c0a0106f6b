"""Puts a few tokens in a form that sqlglot's parser reads as MySQL and SQLite do. Works before there is a tree.

Each is a place where the tree would have lost what was written: what it still holds, the rule `plainer` puts right.
"""

from __future__ import annotations

from sqlglot import Token
from sqlglot.tokenizer_core import TokenType

from mcp_server.sql.refusal import RefusalCode, StatementRefused


def plain_tokens(tokens: list[Token], sql: str, dialect: str) -> list[Token]:
    """`tokens` of `sql`, in that form. Applied to its own result it changes nothing more.

    Raises:
        StatementRefused: ``construct_not_allowed`` for what the two read in different ways.
    """
    if dialect == "sqlite":
        return _no_lambdas(_plain_casts(tokens))
    if dialect == "mysql":
        return _no_lambdas(_plain_mysql(tokens, sql))
    return tokens


def _plain_casts(tokens: list[Token]) -> list[Token]:
    """SQLite's casts with each type written as what it comes to.

    SQLite takes any words for a type and looks for a few syllables in them (datatype3.html, 3.1). sqlglot has types of
    its own: it takes STRING for text, which in SQLite is a number, and does not read UNSIGNED BIG INT.
    """
    kept: list[Token] = []
    casts: list[bool] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.token_type is TokenType.NOT and kept and kept[-1].token_type in _OPERATORS:
            raise StatementRefused(
                RefusalCode.CONSTRUCT_NOT_ALLOWED,
                "NOT after an operator can be read in two ways.",
                hint="Put it in parentheses: (NOT …).",
                position=token.start + 1,
            )
        kept.append(token)
        at += 1
        if token.token_type is TokenType.L_PAREN:
            casts.append(len(kept) > 1 and kept[-2].text.lower() == "cast")
        elif token.token_type is TokenType.R_PAREN and casts:
            casts.pop()
        elif token.token_type is TokenType.ALIAS and casts and casts[-1]:
            end = _end_of_cast(tokens, at)
            if end > at:
                words = " ".join(word.text.upper() for word in tokens[at:end])
                affinity = next((name for name, signs in _AFFINITIES if any(s in words for s in signs)), "NUMERIC")
                kind = tokens[at]
                kind.text, kind.token_type = affinity, _AFFINITY_TOKENS[affinity]
                kept.append(kind)
            at = end
    return kept


_OPERATORS = frozenset(
    {
        TokenType.EQ, TokenType.NEQ, TokenType.LT, TokenType.LTE, TokenType.GT, TokenType.GTE, TokenType.PLUS,
        TokenType.DASH, TokenType.STAR, TokenType.SLASH, TokenType.MOD, TokenType.DPIPE, TokenType.AMP, TokenType.PIPE,
        TokenType.TILDE, TokenType.LIKE, TokenType.GLOB, TokenType.ARROW, TokenType.DARROW,
    }
)  # fmt: skip
_AFFINITIES = (
    ("INTEGER", ("INT",)),
    ("TEXT", ("CHAR", "CLOB", "TEXT")),
    ("BLOB", ("BLOB",)),
    ("REAL", ("REAL", "FLOA", "DOUB")),
)
_AFFINITY_TOKENS = {
    "INTEGER": TokenType.INT,
    "TEXT": TokenType.TEXT,
    "BLOB": TokenType.BLOB,
    "REAL": TokenType.DOUBLE,
    "NUMERIC": TokenType.DECIMAL,
}


def _end_of_cast(tokens: list[Token], at: int) -> int:
    """Where the parenthesis stands that closes the CAST whose type begins at `at`."""
    depth = 0
    while at < len(tokens):
        kind = tokens[at].token_type
        if kind is TokenType.R_PAREN:
            if depth == 0:
                return at
            depth -= 1
        elif kind is TokenType.L_PAREN:
            depth += 1
        at += 1
    return at


def _plain_mysql(tokens: list[Token], sql: str) -> list[Token]:
    """MySQL's tokens, where sqlglot would read another thing in them.

    It takes ``0x41`` for ``x'41'``, which in MariaDB is never a number; writes a JOIN without a condition as a comma,
    which binds less tightly than the joins after it; makes ``INTERVAL 1.5 DAY``, which is two days, the text
    ``'1.5'``, which is one; and takes the function ``INTERVAL(n, a, b)`` for an interval of a row.
    """
    kept: list[Token] = []
    for at, token in enumerate(tokens):
        kind = token.token_type
        if kind is TokenType.HEX_STRING and sql.startswith("0x", token.start):
            token.text, token.token_type = f"0x{token.text}", TokenType.NUMBER
        elif kind is TokenType.NUMBER and not token.text.isdigit() and kept[-1:] and _is_interval(kept[-1]):
            kept.extend(_in_parentheses(token))
            continue
        elif kind is TokenType.INTERVAL and _is_call_of_many(tokens, at + 1):
            token.token_type = TokenType.VAR
        plain_join = kind is TokenType.JOIN and not (kept and kept[-1].token_type in _BEFORE_JOIN)
        if plain_join and not _has_condition(tokens, at + 1):
            kept.append(_at(token, TokenType.INNER, "INNER"))
        kept.append(token)
    return kept


_BEFORE_JOIN = frozenset(
    {TokenType.INNER, TokenType.CROSS, TokenType.LEFT, TokenType.RIGHT, TokenType.OUTER, TokenType.NATURAL}
)
_AFTER_JOINED = frozenset(
    {
        TokenType.JOIN, TokenType.STRAIGHT_JOIN, TokenType.COMMA, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING,
        TokenType.ORDER_BY, TokenType.LIMIT, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT, TokenType.WINDOW,
        *_BEFORE_JOIN,
    }
)  # fmt: skip


def _is_call_of_many(tokens: list[Token], at: int) -> bool:
    """Whether a parenthesis with a comma in it opens at `at`."""
    if at >= len(tokens) or tokens[at].token_type is not TokenType.L_PAREN:
        return False
    depth = 0
    for token in tokens[at:]:
        kind = token.token_type
        if depth == 1 and kind is TokenType.COMMA:
            return True
        depth += (kind is TokenType.L_PAREN) - (kind is TokenType.R_PAREN)
        if depth == 0:
            return False
    return False


def _is_interval(token: Token) -> bool:
    return token.token_type is TokenType.INTERVAL


def _in_parentheses(token: Token) -> list[Token]:
    return [_at(token, TokenType.L_PAREN, "("), token, _at(token, TokenType.R_PAREN, ")")]


def _at(token: Token, kind: TokenType, text: str) -> Token:
    """A token that was not written, where `token` was."""
    return Token(kind, text, line=token.line, col=token.col, start=token.start, end=token.end)


def _no_lambdas(tokens: list[Token]) -> list[Token]:
    """``f('…' -> 'x')`` as ``f((('…')) -> 'x')``.

    An arrow reads JSON in these dialects, where sqlglot sees a function of one argument, even in one parenthesis. It
    writes that as it was, but for a literal, which it takes for a name.
    """
    if not any(token.token_type is TokenType.ARROW for token in tokens):
        return tokens
    kept: list[Token] = []
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        opens = kept and kept[-1].token_type in (TokenType.L_PAREN, TokenType.COMMA)
        literal = token.token_type in (TokenType.STRING, TokenType.NUMBER)
        if literal and opens and after is not None and after.token_type is TokenType.ARROW:
            first, _, last = _in_parentheses(token)
            kept.extend((first, *_in_parentheses(token), last))
        else:
            kept.append(token)
    return kept


def _has_condition(tokens: list[Token], at: int) -> bool:
    """Whether the table of a JOIN, which begins at `at`, is followed by ON or USING."""
    depth = 0
    for token in tokens[at:]:
        kind = token.token_type
        if depth == 0 and kind in (TokenType.ON, TokenType.USING):
            return True
        if depth == 0 and (kind in _AFTER_JOINED or kind is TokenType.R_PAREN):
            return False
        depth += (kind is TokenType.L_PAREN) - (kind is TokenType.R_PAREN)
    return False
