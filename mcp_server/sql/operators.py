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
_ALWAYS = frozenset({"^@"})
"""Single tokens that sqlglot would write as a call."""


def cut_operators(tokens: list[Token]) -> list[Token]:
    """`tokens` with every operator that sqlglot has cut to pieces as ``OPERATOR(…)``."""
    kept: list[Token] = []
    at = 0
    while at < len(tokens):
        run = [tokens[at]]
        at += 1
        while at < len(tokens) and _is_operator(run[-1]) and tokens[at].start == run[-1].end + 1:
            if not _is_operator(tokens[at]):
                break
            run.append(tokens[at])
            at += 1
        kept.extend(run if len(run) == 1 and run[0].text not in _ALWAYS else _cut(run))
    return kept


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
