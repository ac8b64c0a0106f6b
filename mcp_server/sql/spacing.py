"""Rule 1c: between two words stand plain spaces and plain comments only, and no string is written in a strange way.

What two parsers could read in two ways is refused here, even where only our reading would run.
"""

from __future__ import annotations

import re

from sqlglot import Token
from sqlglot.tokenizer_core import TokenType

from mcp_server.sql.checked import Checked
from mcp_server.sql.refusal import RefusalCode, StatementRefused

_SPACE = re.compile(r"[ \t\n\r]*")
_ODD = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]"
)
_QUOTED = frozenset(
    {
        TokenType.STRING,
        TokenType.IDENTIFIER,
        TokenType.NATIONAL_STRING,
        TokenType.RAW_STRING,
        TokenType.HEREDOC_STRING,
        TokenType.BYTE_STRING,
        TokenType.UNICODE_STRING,
    }
)

_BYTES_NOT_NUMBERS = frozenset({"postgres", "snowflake", "trino"})
"""Where 0xFF is a number, or was none once, and sqlglot writes X'FF', which is a string of bits or bytes."""


def spacing(checked: Checked) -> None:
    """Look at every gap between two tokens, and at the letters of those that are no strings.

    Raises:
        StatementRefused: ``unparseable`` or ``construct_not_allowed``.
    """
    sql = checked.sql
    suspicious = _ODD.search(sql) is not None
    end = checked.start
    commented = False
    previous: Token | None = None
    for token in checked.tokens:
        if token.start > end:
            _look_at_gap(sql, end, token.start, dialect=checked.rules.name)
            commented = commented or not sql[end : token.start].isspace()
        _look_at_number(checked, previous, token)
        previous = token
        if token.token_type in _QUOTED:
            # PostgreSQL's U&"…" holds letters as numbers; sqlglot may read it as the column U and an ampersand.
            if (
                sql[token.start : token.start + 2].lower() == "u&"
                or sql[max(0, token.start - 2) : token.start].lower() == "u&"
            ):
                raise _construct("Strings and names with U& are not allowed.", token.start, "Write them as they read.")
            if (
                token.token_type is TokenType.IDENTIFIER
                and checked.rules.name == "clickhouse"
                and "\\" in sql[token.start : token.end + 1]
            ):
                # ClickHouse reads escapes in quoted names, and not quite as sqlglot does.
                raise _construct("A quoted name holds a backslash.", token.start, "Use a name without one.")
        elif suspicious:
            odd = _ODD.search(sql, token.start, token.end + 1)
            if odd:
                raise _odd_character(odd.start())
        end = max(end, token.end + 1)
    _look_at_gap(sql, end, len(sql), dialect=checked.rules.name)
    if commented:
        checked.tokens = _without_comments(checked)


def _without_comments(checked: Checked) -> list[Token]:
    """The tokens of the text with blanks for comments: sqlglot takes ``ORDER /* so */ BY`` for two words, not for one.

    Every place stays as it was, and what a comment says is no part of any token.
    """
    parts: list[str] = []
    end = 0
    for token in checked.tokens:
        parts += [" " * (token.start - end), checked.sql[token.start : token.end + 1]]
        end = max(end, token.end + 1)
    return checked.dialect.tokenize("".join(parts))


def _look_at_number(checked: Checked, previous: Token | None, token: Token) -> None:
    """A number is one to us and to the database: no ``1_000`` that is 1 called _000, no 0xFF that is a byte."""
    if (
        previous is not None
        and previous.token_type is TokenType.NUMBER
        and previous.end + 1 == token.start
        and token.token_type not in _QUOTED
        and (token.text[:1].isalnum() or token.text[:1] == "_")
    ):
        raise _construct(
            "A word stands directly behind a number.", token.start, "Write plain numbers, and a space behind them."
        )
    if (
        token.token_type in (TokenType.HEX_STRING, TokenType.BIT_STRING)
        and checked.sql[token.start] == "0"
        and checked.rules.name in _BYTES_NOT_NUMBERS
    ):
        raise _construct("Numbers such as 0xFF are not available.", token.start, "Write the number in decimal.")


def _look_at_gap(sql: str, start: int, end: int, *, dialect: str) -> None:
    """Between two tokens only plain space and plain comments may stand."""
    at = start
    while True:
        space = _SPACE.match(sql, at, end)
        at = space.end() if space else at
        if at >= end:
            return
        if (
            sql.startswith("--", at)
            or (sql[at] == "#" and dialect in {"mysql", "bigquery"})
            or (sql.startswith(("# ", "#!"), at) and dialect == "clickhouse")
            or (sql.startswith("//", at) and dialect == "snowflake")
        ):
            at = _after_line(sql, at, end)
        elif sql.startswith("/*", at):
            at = _after_block(sql, at, end)
        elif sql[at] == ";":
            at += 1
        else:
            raise _odd_character(at)


def _after_line(sql: str, at: int, end: int) -> int:
    """Where a comment to the end of its line ends."""
    stop = sql.find("\n", at, end)
    stop = end if stop < 0 else stop
    if "\r" in sql[at:stop].rstrip("\r"):
        raise _construct("A comment holds a lone carriage return.", at, "Remove the comment.")
    return min(end, stop + 1)


def _after_block(sql: str, at: int, end: int) -> int:
    """Where a ``/* … */`` ends."""
    if sql.startswith(("/*!", "/*M!", "/*m!"), at):
        raise _construct("Comments that some databases run as SQL (/*! …) are not allowed.", at, "Remove it.")
    stop = sql.find("*/", at + 2, end)
    if stop < 0:
        raise _construct("A comment does not end.", at, "Close it with */.")
    if "/*" in sql[at + 2 : stop]:
        raise _construct("A comment within a comment is not allowed.", at, "Remove the comments.")
    return stop + 2


def _odd_character(place: int) -> StatementRefused:
    return StatementRefused(
        RefusalCode.UNPARSEABLE,
        "The SQL holds a character outside of strings that is no plain space, letter or sign.",
        hint="Write plain spaces and line breaks.",
        position=place + 1,
    )


def _construct(message: str, place: int, hint: str) -> StatementRefused:
    return StatementRefused(RefusalCode.CONSTRUCT_NOT_ALLOWED, message, hint=hint, position=place + 1)
