"""PostgreSQL's operators as its own lexer cuts them, where sqlglot's tokenizer cuts them into other pieces.

PostgreSQL takes the longest run of operator characters, less ``+`` and ``-`` at its end if none of ``~!@#%^&|`?`` is
in it (manual, 4.1.3). A run of which sqlglot makes several tokens is written ``OPERATOR(…)``, which it can read.
"""

from __future__ import annotations

from sqlglot import Token
from sqlglot.tokenizer_core import TokenType


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


BUILT_IN = _words(
    """
    !! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> << <<= <<| <= <>
    <@ <^ = > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~= ~>=~ ~>~
    ~~ ~~* !=
    """
)
"""Those of pg_catalog (``SELECT DISTINCT oprname FROM pg_operator``). All of them compute on their operands only."""

_CHARACTERS = frozenset("+-*/<>=~!@#%^&|`?")
_KEEP_SIGN = frozenset("~!@#%^&|`?")
_BEFORE_SIGN = frozenset(
    {
        TokenType.SELECT, TokenType.DISTINCT, TokenType.L_PAREN, TokenType.COMMA, TokenType.GROUP_BY,
        TokenType.ORDER_BY, TokenType.WHERE, TokenType.HAVING, TokenType.ON, TokenType.AND, TokenType.OR, TokenType.NOT,
        TokenType.BETWEEN, TokenType.WHEN, TokenType.THEN, TokenType.ELSE, TokenType.LIMIT, TokenType.OFFSET,
    }
)  # fmt: skip
_ALWAYS = frozenset({"^@"})
"""Single tokens that sqlglot would write as a call."""


def cut_operators(tokens: list[Token]) -> list[Token]:
    """`tokens` with every operator that sqlglot has cut to pieces as ``OPERATOR(…)``."""
    kept: list[Token] = []
    at = 0
    while at < len(tokens):
        first = tokens[at]
        at += 1
        if first.text[:1] not in _CHARACTERS and first.token_type is not TokenType.OPERATOR:
            kept.append(first)
            continue
        run = [first]
        if first.token_type is TokenType.OPERATOR and at < len(tokens) and tokens[at].token_type is TokenType.L_PAREN:
            end = next((n for n in range(at, len(tokens)) if tokens[n].token_type is TokenType.R_PAREN), at)
            kept += tokens[at - 1 : end + 1]
            at = end + 1
            continue
        while at < len(tokens) and _is_operator(run[-1]) and tokens[at].start == run[-1].end + 1:
            if not _is_operator(tokens[at]):
                break
            run.append(tokens[at])
            at += 1
        kept.extend(run if len(run) == 1 and first.text not in _ALWAYS else _cut(run))
        if at < len(tokens) and _is_sign(kept, tokens[at]):
            # sqlglot would leave it out; and ``GROUP BY +1`` is not ``GROUP BY 1``.
            sign, number = kept.pop(), tokens[at]
            kept.append(Token(number.token_type, f"+{number.text}", sign.line, sign.col, sign.start, number.end))
            at += 1
    return kept


def _is_sign(kept: list[Token], after: Token) -> bool:
    """Whether the last of `kept` is the sign of the number `after`."""
    return (
        kept[-1].token_type is TokenType.PLUS
        and after.token_type is TokenType.NUMBER
        and (len(kept) == 1 or kept[-2].token_type in _BEFORE_SIGN or _is_operator(kept[-2]))
    )


def _is_operator(token: Token) -> bool:
    return _CHARACTERS.issuperset(token.text) and token.end - token.start + 1 == len(token.text)


def _cut(run: list[Token]) -> list[Token]:
    found: list[Token] = []
    while run:
        text = "".join(token.text for token in run)
        length = _length(text)
        pieces: list[Token] = []
        while run and length > 0:
            pieces.append(run.pop(0))
            length -= len(pieces[-1].text)
        if len(pieces) == 1 and pieces[0].text not in _ALWAYS:
            found.extend(pieces)
        else:
            found.extend(_written(pieces))
    return found


def _length(text: str) -> int:
    """How many characters of `text` PostgreSQL takes for one operator."""
    length = len(text)
    while length > 1 and text[length - 1] in "+-" and not _KEEP_SIGN.intersection(text[: length - 1]):
        length -= 1
    return length


def _written(pieces: list[Token]) -> list[Token]:
    first, last = pieces[0], pieces[-1]
    name = Token(TokenType.VAR, "".join(token.text for token in pieces), first.line, first.col, first.start, last.end)
    return [
        Token(TokenType.OPERATOR, "OPERATOR", first.line, first.col, first.start, last.end),
        Token(TokenType.L_PAREN, "(", first.line, first.col, first.start, last.end),
        name,
        Token(TokenType.R_PAREN, ")", first.line, first.col, first.start, last.end),
    ]
