"""Rule 1: looks at the text before anything understands it: size, control characters, odd spaces, comment tricks.

What two parsers could read in two ways is refused here, even where only our reading would run.
"""

from __future__ import annotations

import re

from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

from mcp_server.sql.checked import Checked
from mcp_server.sql.refusal import RefusalCode, StatementRefused

MAX_CHARS = 20_000
MAX_TOKENS = 6_000
MAX_NESTING = 60

_SPACE = re.compile(r"[ \t\n\r]*")
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]")
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
_OPENERS = {TokenType.L_PAREN: 1, TokenType.L_BRACKET: 1, TokenType.L_BRACE: 1, TokenType.CASE: 1}
_CLOSERS = {TokenType.R_PAREN: -1, TokenType.R_BRACKET: -1, TokenType.R_BRACE: -1, TokenType.END: -1}


def intake(checked: Checked) -> None:
    """Cut the text into tokens, and refuse what is too long, too deep or written to be misread.

    Raises:
        StatementRefused: ``too_complex``, ``unparseable`` or ``construct_not_allowed``.
    """
    sql = checked.sql
    if len(sql) > MAX_CHARS:
        raise StatementRefused(
            RefusalCode.TOO_COMPLEX,
            f"The SQL has {len(sql):,} characters; {MAX_CHARS:,} are allowed.",
            hint="Ask for less in one statement.",
        )
    _refuse_nul(sql)
    try:
        checked.tokens = checked.dialect.tokenize(sql)
    except SqlglotError as error:
        raise StatementRefused(
            RefusalCode.UNPARSEABLE, "A string, a quoted name or a comment in the SQL does not end.", hint="Close it."
        ) from error
    if not checked.tokens:
        raise StatementRefused(RefusalCode.UNPARSEABLE, "The SQL is empty.", hint="Send one SELECT statement.")
    if len(checked.tokens) > MAX_TOKENS:
        raise StatementRefused(
            RefusalCode.TOO_COMPLEX,
            f"The SQL has {len(checked.tokens):,} words; {MAX_TOKENS:,} are allowed.",
            hint="Split it into smaller statements.",
        )
    _look_between_tokens(checked)
    _measure_nesting(checked)


def _refuse_nul(sql: str) -> None:
    place = sql.find("\0")
    if place >= 0:
        raise StatementRefused(
            RefusalCode.UNPARSEABLE, "The SQL holds a NUL character.", hint="Remove it.", position=place + 1
        )


def _look_between_tokens(checked: Checked) -> None:
    sql = checked.sql
    nested = checked.rules.name in {"postgres", "tsql", "duckdb", "clickhouse"}
    end = 0
    for token in checked.tokens:
        if token.start > end:
            _look_at_gap(sql, end, token.start, dialect=checked.rules.name, nested=nested)
        if token.token_type not in _QUOTED:
            odd = _ODD.search(sql, token.start, token.end + 1)
            if odd:
                raise _odd_character(odd.start())
        elif token.token_type is TokenType.UNICODE_STRING or sql[token.start : token.start + 2].lower() == "u&":
            raise _construct("Strings and names written as U& are not allowed.", token.start, "Write them as they read.")
        end = max(end, token.end + 1)
    _look_at_gap(sql, end, len(sql), dialect=checked.rules.name, nested=nested)


def _look_at_gap(sql: str, start: int, end: int, *, dialect: str, nested: bool) -> None:
    """Between two tokens only plain space and plain comments may stand."""
    at = start
    while True:
        space = _SPACE.match(sql, at, end)
        at = space.end() if space else at
        if at >= end:
            return
        if sql.startswith("--", at) or (sql.startswith("#", at) and dialect in {"mysql", "bigquery"}):
            if dialect == "mysql" and sql.startswith("--", at) and at + 2 < end and sql[at + 2] not in " \n\t":
                raise _construct("A comment that begins with -- needs a space after it.", at, "Remove the comment.")
            stop = sql.find("\n", at, end)
            line = sql[at : end if stop < 0 else stop]
            if "\r" in line.rstrip("\r"):
                raise _construct("A comment holds a lone carriage return.", at, "Remove the comment.")
            at = end if stop < 0 else stop + 1
        elif sql.startswith("/*", at):
            if sql.startswith(("/*!", "/*M!", "/*m!"), at):
                raise _construct("Comments that some databases run as SQL (/*! …) are not allowed.", at, "Remove it.")
            stop = sql.find("*/", at + 2, end)
            if stop < 0:
                raise _construct("A comment does not end.", at, "Close it with */.")
            if "/*" in sql[at + 2 : stop]:
                raise _construct("A comment within a comment is not allowed.", at, "Remove the comments.")
            at = stop + 2
        elif sql.startswith("//", at) and dialect == "snowflake":
            stop = sql.find("\n", at, end)
            at = end if stop < 0 else stop + 1
        elif nested and sql.startswith("*/", at):
            raise _construct("A comment ends that did not begin.", at, "Remove the comments.")
        elif sql[at] == ";":
            at += 1
        else:
            raise _odd_character(at)


def _measure_nesting(checked: Checked) -> None:
    depth = 0
    for token in checked.tokens:
        kind = token.token_type
        if kind in _OPENERS:
            depth += 1
            if depth > MAX_NESTING:
                raise StatementRefused(
                    RefusalCode.TOO_COMPLEX,
                    f"The SQL is nested more than {MAX_NESTING} levels deep.",
                    hint="Use WITH to name the inner parts, or split the statement.",
                    position=token.start + 1,
                )
        elif kind in _CLOSERS:
            depth -= 1


def _odd_character(place: int) -> StatementRefused:
    return StatementRefused(
        RefusalCode.UNPARSEABLE,
        "The SQL holds a character outside of strings that is no plain space, letter or sign.",
        hint="Write plain spaces and line breaks.",
        position=place + 1,
    )


def _construct(message: str, place: int, hint: str) -> StatementRefused:
    return StatementRefused(RefusalCode.CONSTRUCT_NOT_ALLOWED, message, hint=hint, position=place + 1)
