"""ClickHouse's ``LIMIT n BY … LIMIT m``: sqlglot has one place for the two, so the second is kept beside the tree."""

from __future__ import annotations

from sqlglot import Token, exp
from sqlglot.tokenizer_core import TokenType

_KEY = "limit_after_by"
_OPEN = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSE = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})


def split_limit(tokens: list[Token]) -> tuple[list[Token], tuple[int, int] | None]:
    """`tokens` of a statement without a LIMIT that follows a LIMIT BY at its end, and that limit: rows and offset.

    None as the second where there is no such LIMIT, or where it is more than one or two plain numbers.
    """
    depth = 0
    seen: list[int] = []
    for place, token in enumerate(tokens):
        kind = token.token_type
        depth += (kind in _OPEN) - (kind in _CLOSE)
        if depth == 0 and kind is TokenType.LIMIT:
            seen.append(place)
        elif depth == 0 and kind in (TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT):
            return tokens, None
    # BY with nothing after it says nothing, and would be lost from the tree
    between = [token.text.upper() for token in tokens[seen[0] : seen[1]]] if len(seen) == 2 else []
    if "BY" not in between[:-1]:
        return tokens, None
    words = [token.text.upper() for token in tokens[seen[1] + 1 :]]
    if len(words) == 1 and words[0].isdigit():
        return tokens[: seen[1]], (int(words[0]), 0)
    if len(words) == 3 and words[0].isdigit() and words[2].isdigit():
        if words[1] == "OFFSET":
            return tokens[: seen[1]], (int(words[0]), int(words[2]))
        if words[1] == ",":
            return tokens[: seen[1]], (int(words[2]), int(words[0]))
    return tokens, None


def keep_limit(tree: exp.Expr, limit: tuple[int, int]) -> None:
    """Note on the root `tree` that ``LIMIT rows OFFSET offset`` follows its LIMIT BY."""
    tree.meta[_KEY] = limit


def kept_limit(tree: exp.Expr) -> tuple[int, int] | None:
    """What `keep_limit` noted."""
    return tree.meta.get(_KEY)


def limit_text(tree: exp.Expr) -> str:
    """What must stand after the text of `tree`, or an empty string."""
    kept = kept_limit(tree)
    if kept is None:
        return ""
    rows, offset = kept
    return f" LIMIT {rows} OFFSET {offset}" if offset else f" LIMIT {rows}"
