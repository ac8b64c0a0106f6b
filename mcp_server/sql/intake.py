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
MAX_LINKS = 50
"""How many fields, calls and places may follow one value, as in ``a.b.c()[1][2]``: sqlglot copies all for each."""

_EXPLAIN = re.compile(r"(?:\s|--[^\n]*\n|/\*(?:(?!/\*).)*?\*/)*explain\b", re.IGNORECASE | re.DOTALL)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_CLOSERS = {
    TokenType.L_PAREN: TokenType.R_PAREN,
    TokenType.L_BRACKET: TokenType.R_BRACKET,
    TokenType.L_BRACE: TokenType.R_BRACE,
    TokenType.CASE: TokenType.END,
}
_LINKS = frozenset({TokenType.DOT, TokenType.L_BRACKET})
_IN_LINKS = frozenset(
    {TokenType.VAR, TokenType.IDENTIFIER, TokenType.NUMBER, TokenType.STRING, *_CLOSERS, *_CLOSERS.values()}
)


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
    links = [0]
    closers: list[TokenType] = []
    follows_dot = False
    for token in checked.tokens:
        kind = token.token_type
        if kind in _LINKS:
            links[-1] += 1
            if links[-1] > MAX_LINKS:
                raise StatementRefused(
                    RefusalCode.TOO_COMPLEX,
                    f"More than {MAX_LINKS} fields, calls or places of a list follow each other.",
                    hint="Use WITH to name the inner parts.",
                    position=token.start + 1,
                )
        elif kind not in _IN_LINKS and not follows_dot:
            links[-1] = 0
        follows_dot = kind is TokenType.DOT
        if kind in _CLOSERS:
            closers.append(_CLOSERS[kind])
            links.append(0)
            if len(closers) > MAX_NESTING:
                raise StatementRefused(
                    RefusalCode.TOO_COMPLEX,
                    f"The SQL is nested more than {MAX_NESTING} levels deep.",
                    hint="Use WITH to name the inner parts, or split the statement.",
                    position=token.start + 1,
                )
        elif closers and kind is closers[-1]:
            # What closes nothing, such as a name END, ends no level.
            closers.pop()
            links.pop()
