"""Rule 1a: cuts the text into tokens before anything understands it, and bounds its size and depth."""

from __future__ import annotations

import re

from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from mcp_server.sql.checked import Checked
from mcp_server.sql.refusal import RefusalCode, StatementRefused

MAX_CHARS = 20_000
MAX_TOKENS = 6_000
MAX_NESTING = 60

_EXPLAIN = re.compile(r"(?:\s|--[^\n]*\n|/\*(?:(?!/\*).)*?\*/)*explain\b", re.IGNORECASE | re.DOTALL)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
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
    _refuse_no_text(sql)
    prefix = _EXPLAIN.match(sql)
    if prefix is not None:
        # Some dialects' tokenizers take all that follows EXPLAIN for one string. Blanks keep every place as it was.
        checked.explain = "EXPLAIN"
        checked.start = prefix.end()
        sql = sql[: prefix.end() - 7] + " " * 7 + sql[prefix.end() :]
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
    _measure_nesting(checked)


def _refuse_no_text(sql: str) -> None:
    # JSON can write half of a pair of surrogates, which no database, file or log takes.
    found = _NO_TEXT.search(sql)
    if found is not None:
        what = "a NUL character" if found.group() == "\0" else "half a character (a lone surrogate)"
        raise StatementRefused(
            RefusalCode.UNPARSEABLE, f"The SQL holds {what}.", hint="Remove it.", position=found.start() + 1
        )


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
