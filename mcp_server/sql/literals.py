"""SQL without what its literals say, for records. Goes by tokens, so that it also reads what no parser takes."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import Dialect, Token
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import TokenType

_LITERALS = frozenset(
    {
        TokenType.BIT_STRING,
        TokenType.BYTE_STRING,
        TokenType.HEREDOC_STRING,
        TokenType.HEX_STRING,
        TokenType.NATIONAL_STRING,
        TokenType.NUMBER,
        TokenType.RAW_STRING,
        TokenType.STRING,
        TokenType.UNICODE_STRING,
    }
)


def without_literals(sql: str, dialect: str, is_checked: bool) -> str:
    """`sql` with ``?`` for each literal, single spaces and no comments; empty where it has no tokens to go by.

    Args:
        sql: any text.
        dialect: what it is written in, by sqlglot's name; empty for none in particular.
        is_checked: whether it passed the guard, which knows all its names. In a text that did not, a name in double
            quotes may be meant as a literal: it is the commonest mistake, and SQLite takes it for one.
    """
    return " ".join(_told(sql, _tokens(sql, dialect), is_checked=is_checked))


def with_literals_of(asked: str, asked_in: str, sql: str, dialect: str) -> str:
    """`sql`, as it runs, with ``?`` for each literal that is not in `asked` too: those are the policy's own.

    Args:
        asked: the caller's text.
        asked_in: the dialect of that.
        sql: what the guard has made of it.
        dialect: the dialect of that.
    """
    known = {token.text for token in _tokens(asked, asked_in) if token.token_type in _LITERALS}
    parts: list[str] = []
    end = 0
    tokens = _tokens(sql, dialect)
    if not tokens:
        return ""
    for token in tokens:
        if token.token_type in _LITERALS and token.text not in known:
            parts += [sql[end : token.start], "?"]
            end = token.end + 1
    return "".join([*parts, sql[end:]])


def _tokens(sql: str, dialect: str) -> list[Token]:
    try:
        return Dialect.get_or_raise(dialect or None).tokenize(sql)
    except (TokenError, ValueError):
        return []


def _told(sql: str, tokens: list[Token], *, is_checked: bool) -> Iterator[str]:
    literal_ends = -1
    for token in tokens:
        if token.token_type in _LITERALS or (not is_checked and token.token_type is TokenType.IDENTIFIER):
            literal_ends = token.end
            yield "?"
        elif token.start == literal_ends + 1 and token.token_type is TokenType.VAR:
            literal_ends = token.end  # the rest of a number that this dialect does not know: 0x1F
        else:
            yield sql[token.start : token.end + 1]
