"""PostgreSQL's typed literals, ``interval '1' day`` and ``point '(1,2)'``, as the casts that they are.

sqlglot takes an interval apart and writes it anew in words of its own, and does not know the rarer types; a cast it
leaves alone. PostgreSQL reads both as the same tree (manual, 4.1.2.7).
"""

from __future__ import annotations

from sqlglot import Token
from sqlglot.tokenizer_core import TokenType

_TYPES = frozenset(
    {
        "box", "cidr", "circle", "interval", "jsonpath", "line", "lseg", "macaddr", "macaddr8", "point", "polygon",
        "tsquery", "tsvector",
    }
)  # fmt: skip
_FIELDS = frozenset({"year", "month", "day", "hour", "minute", "second"})


def as_casts(tokens: list[Token]) -> list[Token]:
    """`tokens` with ``CAST('…' AS type)`` for every typed literal of these types."""
    kept: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if (
            at == len(tokens)
            or tokens[at].token_type is not TokenType.STRING
            or token.token_type is TokenType.IDENTIFIER
            or token.text.lower() not in _TYPES
        ):
            kept.append(token)
            continue
        text = tokens[at]
        at += 1
        fields: list[Token] = []
        if token.text.lower() == "interval":
            while at < len(tokens) and tokens[at].text.lower() in ({"to"} if len(fields) == 1 else _FIELDS):
                fields.append(tokens[at])
                at += 1
                if len(fields) == 3:
                    break
        kept += [
            _made(TokenType.VAR, "CAST", token),
            _made(TokenType.L_PAREN, "(", token),
            text,
            _made(TokenType.ALIAS, "AS", text),
            token,
            *fields,
            _made(TokenType.R_PAREN, ")", fields[-1] if fields else text),
        ]
    return kept


def _made(kind: TokenType, text: str, place: Token) -> Token:
    return Token(kind, text, place.line, place.col, place.start, place.end)
