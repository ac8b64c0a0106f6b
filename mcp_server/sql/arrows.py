"""DuckDB's ``->``: a lambda in the few functions that take one, the JSON operator everywhere else. Knows tokens only.

sqlglot reads every ``name -> …`` at the start of an argument as a lambda, and would write ``f(doc -> 'a')`` as
``f(LAMBDA doc : 'a')``. DuckDB goes by the function that the arrow is an argument of. And sqlglot writes the key
``'a.b'`` as the path ``'$.a.b'``, which is another place in the document.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import Token
from sqlglot.tokenizer_core import TokenType

# Those with a bind_lambda in DuckDB's function list, and COLUMNS.
_TAKES_LAMBDA = frozenset(
    {
        "apply", "array_apply", "array_filter", "array_reduce", "array_transform", "columns", "filter", "invoke",
        "list_apply", "list_filter", "list_reduce", "list_transform", "reduce",
    }
)  # fmt: skip
_LAMBDA_FIRST = frozenset({"columns", "invoke"})
_OPEN = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSE = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_ARROWS = frozenset({TokenType.ARROW, TokenType.DARROW})
_STRINGS = frozenset({TokenType.STRING, TokenType.HEREDOC_STRING, TokenType.BYTE_STRING})
_NAMES = frozenset({TokenType.VAR, TokenType.IDENTIFIER})


@dataclass(slots=True)
class _Bracket:
    """An open bracket: whether its function takes a lambda, and from which argument on (0 is the first)."""

    takes: bool
    first: int
    argument: int = 0

    @property
    def lambda_here(self) -> bool:
        return self.takes and self.argument >= self.first


def arrows_told_apart(tokens: list[Token]) -> list[Token]:
    """`tokens` with ``((name)) -> ('key')`` for each ``name -> 'key'`` that is the JSON operator.

    In two pairs of parentheses a name is not taken for a lambda's variable, in one a string not for a path to be put
    in another form. The rule `plainer` takes them off again.
    """
    if not any(token.token_type in _ARROWS for token in tokens):
        return tokens
    kept: list[Token] = []
    open_: list[_Bracket] = [_Bracket(takes=False, first=0)]
    closes = -1
    for place, token in enumerate(tokens):
        kind = token.token_type
        if place and not open_[-1].lambda_here and tokens[place - 1].token_type in (*_OPEN, TokenType.COMMA):
            length = _name_before_arrow(tokens, place)
            if length:
                closes = place + length - 1
                kept += [_sign(token, TokenType.L_PAREN, "(")] * (2 if length == 1 else 1)
        if place and kind in _STRINGS and tokens[place - 1].token_type in _ARROWS:
            kept += [_sign(token, TokenType.L_PAREN, "("), token, _sign(token, TokenType.R_PAREN, ")")]
            continue
        kept.append(token)
        if place == closes:
            kept += [_sign(token, TokenType.R_PAREN, ")") for _ in range(2 if kind in _NAMES else 1)]
        if kind in _OPEN:
            open_.append(_opened(tokens, place))
        elif kind in _CLOSE and len(open_) > 1:
            open_.pop()
        elif kind is TokenType.COMMA:
            open_[-1].argument += 1
    return kept


def spread_columns(tokens: list[Token]) -> frozenset[int]:
    """Where each ``*COLUMNS(…)`` ends. Its star is kept by sqlglot only if it knows the call as COLUMNS."""
    ends: set[int] = set()
    open_: list[bool] = []
    for place, token in enumerate(tokens):
        if token.token_type is TokenType.L_PAREN:
            spread = place > 1 and tokens[place - 2].token_type is TokenType.STAR
            open_.append(spread and tokens[place - 1].text.lower() == "columns")
        elif token.token_type is TokenType.R_PAREN and open_ and open_.pop():
            ends.add(place)
    return frozenset(ends)


def _opened(tokens: list[Token], place: int) -> _Bracket:
    """What the bracket at `place` belongs to. In ``list.list_filter(x -> …)`` the list itself is the first argument."""
    name = tokens[place - 1].text.lower() if place and tokens[place].token_type is TokenType.L_PAREN else ""
    method = place > 1 and tokens[place - 2].token_type is TokenType.DOT
    return _Bracket(takes=name in _TAKES_LAMBDA, first=0 if method or name in _LAMBDA_FIRST else 1)


def _name_before_arrow(tokens: list[Token], place: int) -> int:
    """How many tokens ``name`` or ``(name)`` takes at `place` if an arrow follows it, else 0."""
    kinds = [token.token_type for token in tokens[place : place + 4]]
    if len(kinds) > 1 and kinds[0] in _NAMES and kinds[1] is TokenType.ARROW:
        return 1
    bracketed = len(kinds) == 4 and kinds[0] is TokenType.L_PAREN and kinds[1] in _NAMES
    return 3 if bracketed and kinds[2:] == [TokenType.R_PAREN, TokenType.ARROW] else 0


def _sign(beside: Token, kind: TokenType, text: str) -> Token:
    return Token(kind, text, beside.line, beside.col, beside.start, beside.end)
