"""How long a value a call could make from what is written out in it, so that none fills the database's memory.

An estimate from above of text that is spelt in the statement: ``repeat(repeat('a', 9999), 9999)`` is a hundred million
letters. What comes out of a table counts as `COLUMN` letters, or as that number where a number is asked for: nothing
is known of it, and ordinary statements are not to be refused for it. Only databases without a
memory limit of their own are measured this way; what a single call says by itself is for `mcp_server.sql.sizes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlglot import exp

from mcp_server.sql.checked import position_of
from mcp_server.sql.refusal import RefusalCode, StatementRefused

COLUMN = 100
ROWS = 1_000
"""How many rows an aggregate is taken to join into one value."""

_MOST = 1e30
_TO_LENGTH: dict[str, int] = {
    "lpad": 1, "lpad_oracle": 1, "randomblob": 0, "rpad": 1, "rpad_oracle": 1, "space": 0, "zeroblob": 0,
}  # fmt: skip
"""Which argument is the length, by function."""
_DOUBLE = frozenset({"hex", "json_quote", "quote", "to_base64", "unistr_quote", "weight_string"})
_JOIN = frozenset(
    {"group_concat", "json_arrayagg", "json_group_array", "json_group_object", "json_objectagg", "string_agg"}
)
_WIDTH = re.compile(r"%[-+ 0#!,]*([0-9]+|\*)?(?:\.([0-9]+|\*))?")
_DIGITS = re.compile(r"[0-9]+")
_TRIGGERS = frozenset({*_TO_LENGTH, "export_set", "printf", "repeat", "sformat"})
_MANY_REPLACES = 3


MAX_LENGTH = 20_000_000
"""The longest value that calls within calls may make of what is written out in them, in letters or bytes."""


def refuse_longest(tree: exp.Expr, dialect: str) -> None:
    """Refuse a statement in which a call would make a value longer than `MAX_LENGTH`.

    Raises:
        StatementRefused: ``too_complex``.
    """
    longest = longest_call(tree, dialect)
    if longest is not None and longest[1] > MAX_LENGTH:
        raise StatementRefused(
            RefusalCode.TOO_COMPLEX,
            f"A call here would make a value of about {longest[1]:.0e} letters; {MAX_LENGTH:,} are the most.",
            hint="Use smaller numbers.",
            position=position_of(longest[0]),
        )


def longest_call(tree: exp.Expr, dialect: str) -> tuple[exp.Expr, float] | None:
    """The call in `tree` that makes the longest value, and how long that is; None where no call makes a long one."""
    if not _is_worth_measuring(tree, dialect):
        return None
    measure = _Measure(dialect, _aliased(tree))
    found: tuple[exp.Expr, float] | None = None
    for node in tree.find_all(exp.Anonymous, exp.GroupConcat, exp.Concat, exp.DPipe, exp.Cast):
        length = measure.length(node)
        if found is None or length > found[1]:
            found = node, length
    return found


def _is_worth_measuring(tree: exp.Expr, dialect: str) -> bool:
    replaces = 0
    for node in tree.find_all(exp.Anonymous, exp.DataTypeParam):
        if isinstance(node, exp.DataTypeParam):
            # ``CAST(x AS BINARY(n))`` fills up to n bytes.
            if len(node.name) > 6:
                return True
            continue
        name = str(node.this).lower()
        replaces += name in {"replace", "regexp_replace"}
        if name in _TRIGGERS or (name == "format" and dialect == "sqlite") or replaces >= _MANY_REPLACES:
            return True
    return False


def _aliased(tree: exp.Expr) -> dict[str, list[exp.Expr]]:
    """What each alias, and each column that a WITH entry names, stands for."""
    found: dict[str, list[exp.Expr]] = {}
    for alias in tree.find_all(exp.Alias):
        found.setdefault(alias.alias.lower(), []).append(alias.this)
    for entry in tree.find_all(exp.CTE, exp.Subquery):
        given = entry.args.get("alias")
        query = entry.this
        while isinstance(query, exp.SetOperation | exp.Subquery):
            query = query.this
        if isinstance(given, exp.TableAlias) and isinstance(query, exp.Select):
            for name, item in zip(given.columns, query.expressions, strict=False):
                found.setdefault(name.name.lower(), []).append(item)
    return found


class _Measure:
    def __init__(self, dialect: str, aliased: dict[str, list[exp.Expr]]) -> None:
        self._dialect = dialect
        self._aliased = aliased
        self._known: dict[tuple[int, bool], float] = {}

    def length(self, node: exp.Expr) -> float:
        """How long the value of `node` may be."""
        return self._once(node, number=False)

    def number(self, node: exp.Expr) -> float:
        """How large, without its sign, the number that `node` gives may be."""
        return self._once(node, number=True)

    def _once(self, node: exp.Expr, *, number: bool) -> float:
        key = (id(node), number)
        if key not in self._known:
            self._known[key] = COLUMN  # What a name is made of may name itself, in a recursive WITH.
            self._known[key] = min(_MOST, self._number(node) if number else self._length(node))
        return self._known[key]

    def _number(self, node: exp.Expr) -> float:
        if isinstance(node, exp.Literal):
            return _value(node.name)
        if isinstance(node, exp.Column):
            return max([COLUMN, *(self.number(item) for item in self._meant(node))])
        parts = [self.number(part) for part in _parts(node)]
        if isinstance(node, exp.Mul):
            return parts[0] * parts[1]
        if isinstance(node, exp.Add | exp.Sub):
            return sum(parts)
        if isinstance(node, exp.BitwiseLeftShift):
            return parts[0] * 2.0 ** min(parts[1], 64)
        if isinstance(node, exp.BitwiseNot):
            return 2.0**64
        if isinstance(node, exp.DPipe | exp.Concat):
            return _value("".join(part.name for part in _parts(node) if isinstance(part, exp.Literal)))
        name = _name(node)
        if name in {"pow", "power"} and len(parts) == 2:
            return min(_MOST, max(parts[0], 1.0) ** min(parts[1], 99))
        if name == "exp":
            return 2.72 ** min(parts[0], 70) if parts else 1
        if name in {"concat", "conv", "unhex"}:
            return max([_value("".join(p.name for p in _parts(node) if isinstance(p, exp.Literal))), *parts])
        return max(parts, default=COLUMN if isinstance(node, exp.Anonymous) else 1)

    def _length(self, node: exp.Expr) -> float:
        if isinstance(node, exp.Literal):
            return len(node.name)
        if isinstance(node, exp.Column):
            return max([COLUMN, *(self.length(item) for item in self._meant(node))])
        parts = list(_parts(node))
        lengths = [self.length(part) for part in parts]
        name = _name(node)
        if isinstance(node, exp.GroupConcat) or name in _JOIN:
            return sum(lengths) * ROWS
        if isinstance(node, exp.Cast):
            sizes = [self.number(size.this) for size in node.to.find_all(exp.DataTypeParam)]
            return max(lengths[:1] + sizes)
        if name in {"replace", "replace_oracle", "regexp_replace"} and len(parts) > 2:
            return self._replaced(parts, lengths, regexp=name == "regexp_replace")
        if name == "repeat" and len(parts) == 2:
            return lengths[0] * self.number(parts[1])
        place = _TO_LENGTH.get(name)
        if place is not None and place < len(parts):
            return max(self.number(parts[place]), *lengths)
        if name == "export_set":
            return 64 * sum(lengths)
        if name in {"printf", "sformat"} or (name == "format" and self._dialect == "sqlite"):
            return sum(lengths) + self._widths(parts)
        return sum(lengths) * (2 if name in _DOUBLE else 1)

    def _replaced(self, parts: list[exp.Expr], lengths: list[float], *, regexp: bool) -> float:
        text, old, new = lengths[0], parts[1], lengths[2]
        if regexp or not isinstance(old, exp.Literal) or not old.name:
            return text * max(1.0, new)
        # Chains of replacements are ordinary; each grows only what the letters it looks for can stand in.
        if any(old.name in literal.name for literal in parts[0].find_all(exp.Literal)) or lengths[0] > 100 * COLUMN:
            return text * max(1.0, new / len(old.name))
        return text + COLUMN * new

    def _widths(self, parts: list[exp.Expr]) -> float:
        """What the widths in a printf format come to."""
        if not parts:
            return 0
        given = parts[0]
        rest = max((self.number(part) for part in parts[1:]), default=0)
        written = "".join(literal.name for literal in given.find_all(exp.Literal))
        if isinstance(given, exp.Literal) and self._dialect == "sqlite":
            widths = [width for found in _WIDTH.finditer(written) for width in found.groups() if width]
        else:
            widths = ["*"] * written.count("*") + _DIGITS.findall(written)
        return sum(rest if width == "*" else _value(width) for width in widths)

    def _meant(self, column: exp.Column) -> list[exp.Expr]:
        return self._aliased.get(column.name.lower(), [])


def _parts(node: exp.Expr) -> Iterable[exp.Expr]:
    """The values that `node` is made of; of a query those in its select list."""
    if isinstance(node, exp.Subquery | exp.SetOperation):
        return [part for part in (node.this, node.args.get("expression")) if isinstance(part, exp.Expr)]
    if isinstance(node, exp.Select):
        return node.expressions
    return node.iter_expressions()


def _name(node: exp.Expr) -> str:
    return str(node.this).lower() if isinstance(node, exp.Anonymous) else ""


def _value(text: str) -> float:
    try:
        return abs(float(int(text, 16) if text[:2].lower() == "0x" else float(text)))
    except (ValueError, OverflowError):
        return 0
