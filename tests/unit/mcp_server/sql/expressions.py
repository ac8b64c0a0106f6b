"""Generated expressions of two kinds, whole numbers and texts, and predicates, in the words of one dialect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st

_T = TypeVar("_T")
_TEXTS = ("'a'", "'paid'", "''", "'O''Hara'", "'%_'", "'größe'", "'-- no'", "'/* no */'", "'a;b'", "'*''*'")
_OWN_TEXTS = {
    "mysql": (r"'it\'s'", r"'a\\b'", '"dq"'),
    "postgres": (r"E'a\'b'", "$$a'b$$", r"'a\b'"),
    "sqlite": (r"'a\b'",),
    "duckdb": (r"'a\b'", "$$a'b$$"),
}
_LIKES = ("'A%'", "'%e%'", "'_'", "'%'", "'a!%b%' ESCAPE '!'", "'%a_d'")


@dataclass(frozen=True, slots=True)
class Col:
    """A column, or an expression, as it is written; `risk` says what fails on hidden rows if it is done to it."""

    name: str
    kind: str
    risk: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """One source of a SELECT and its columns' names."""

    alias: str
    columns: tuple[Col, ...]


@dataclass(slots=True)
class Scope:
    """What an expression may name: `sources` of its SELECT, `outer` those around, nearest first.

    `merged` says that USING or NATURAL made one column of two, `bare` whether names may go without their source.
    """

    sources: tuple[Seen, ...] = ()
    outer: tuple[Seen, ...] = ()
    ctes: dict[str, tuple[Col, ...]] = field(default_factory=dict)
    depth: int = 0
    merged: bool = False
    bare: bool = True


@cache
def _numbers(first: int, last: int) -> st.SearchStrategy[int]:
    return st.integers(first, last)


class Expressions:
    """Writes expressions, and asks `query_of` for queries in them."""

    def __init__(self, draw: st.DrawFn, dialect: str, *, risky: bool) -> None:
        self._draw = draw
        self.dialect = dialect
        self._risky = risky

    def query_of(self, kinds: tuple[str, ...], scope: Scope) -> str:
        """A query of columns of these kinds."""
        raise NotImplementedError

    # Choices

    def number(self, first: int, last: int) -> int:
        return self._draw(_numbers(first, last))

    def chance(self, percent: int) -> bool:
        """True in about `percent` of 100 cases; a smaller example says False."""
        return self.number(0, 99) >= 100 - percent

    def pick(self, options: Sequence[_T]) -> _T:
        return options[self.number(0, len(options) - 1)]

    def some(self, options: Sequence[_T], least: int, most: int) -> list[_T]:
        left = list(options)
        return [left.pop(self.number(0, len(left) - 1)) for _ in range(self.number(least, most))]

    def quoted(self, name: str) -> str:
        mark = "`" if self.dialect == "mysql" else '"'
        if name in ("n", "a", "b", "c", "t1", "x_1", "y", "z", "v1", "people", "orders", "tags", "cte1"):
            return name if not self.chance(15) else f"{mark}{name}{mark}"
        if name.isascii() and name.islower() and name not in ("from", "order", "select", "group", "limit", "with"):
            return name
        return f"{mark}{name}{mark}"

    # Columns

    def references(self, scope: Scope, kind: str) -> list[Col]:
        """Every column of `kind` that can be named here."""
        found = []
        names = [c.name.lower() for s in scope.sources for c in s.columns]
        hidden = set()
        for place, source in enumerate((*scope.sources, *scope.outer)):
            inner = place < len(scope.sources)
            if not inner and source.alias.lower() in hidden:
                continue
            hidden.add(source.alias.lower())
            for column in source.columns:
                if column.kind != kind:
                    continue
                written = self.quoted(column.name)
                alone = inner and scope.bare and not scope.merged and names.count(column.name.lower()) == 1
                if not (alone and self._short(column)):
                    written = f"{self.quoted(source.alias)}.{written}"
                elif written == column.name and column.name.isascii() and len(column.name) == 9:
                    written = written.upper()
                found.append(Col(written, kind, column.risk))
        return found

    def _short(self, column: Col) -> bool:
        # Not drawn for each: there are many, and one is picked.
        return len(column.name) % 2 == 0 or column.name in ("name", "boss_id", "person_id")

    # Expressions

    def expression(self, scope: Scope, kind: str, depth: int) -> str:
        return self.whole(scope, depth) if kind == "int" else self.text(scope, depth)

    def _leaf(self, scope: Scope, kind: str) -> str:
        columns = self.references(scope, kind)
        if columns and self.chance(80):
            return self.pick(columns).name
        if kind == "int":
            return self.pick(("0", "1", "2", "7", "(-3)", self.cast("NULL", "int")))
        return self.pick((*_TEXTS, *_OWN_TEXTS[self.dialect], self.cast("NULL", "text")))

    def cast(self, value: str, kind: str) -> str:
        words: dict[str, Sequence[str]] = {"int": ("INTEGER", "BIGINT"), "text": ("TEXT",)}
        if self.dialect == "mysql":
            words = {"int": ("SIGNED",), "text": ("CHAR",)}
        elif self.dialect in ("postgres", "duckdb"):
            words = {"int": ("INTEGER", "BIGINT", "INT"), "text": ("TEXT", "VARCHAR", "VARCHAR(50)")}
            if self.chance(25) and value != "NULL":
                return f"({value})::{self.pick(words[kind])}"
        return f"CAST({value} AS {self.pick(words[kind])})"

    def whole(self, scope: Scope, depth: int) -> str:
        if depth <= 0 or self.chance(35):
            return self._leaf(scope, "int")
        risky = self._risk(scope, "int")
        if risky:
            return risky
        one = self.whole(scope, depth - 1)
        division = {"mysql": "DIV", "duckdb": "//"}.get(self.dialect, "/")
        forms: list[Any] = [
            lambda: f"{one} {self.pick(('+', '-'))} {self.whole(scope, depth - 1)}",
            lambda: f"({one} {self.pick(('+', '-'))} {self.whole(scope, depth - 1)}) * {self.number(0, 3)}",
            lambda: f"({one}) {division} {self.number(1, 3)}",
            lambda: f"({one}) % {self.number(1, 3)}",
            lambda: f"- ({one})",
            lambda: f"abs({one})",
            lambda: f"coalesce({one}, {self.whole(scope, depth - 1)}, 0)",
            lambda: f"nullif({one}, {self.whole(scope, depth - 1)})",
            lambda: self._case(scope, "int", depth),
            lambda: f"length({self.text(scope, depth - 1)})",
            lambda: self.cast(one, "int"),
            lambda: self._scalar(scope, "int") or one,
        ]
        return self.pick(forms)()

    def text(self, scope: Scope, depth: int) -> str:
        if depth <= 0 or self.chance(35):
            return self._leaf(scope, "text")
        risky = self._risk(scope, "text")
        if risky:
            return risky
        one = self.text(scope, depth - 1)
        forms: list[Any] = [
            lambda: self._joined(one, self.text(scope, depth - 1)),
            lambda: f"{self.pick(('upper', 'lower', 'trim', 'UPPER'))}({one})",
            lambda: f"substr({one}, {self.number(1, 3)}, {self.number(0, 4)})",
            lambda: f"replace({one}, 'a', {self._leaf(Scope(), 'text')})",
            lambda: f"coalesce({one}, {self.text(scope, depth - 1)})",
            lambda: self._case(scope, "text", depth),
            lambda: self.cast(self.whole(scope, depth - 1), "text"),
            lambda: self._scalar(scope, "text") or one,
        ]
        if self.dialect in ("postgres", "mysql", "duckdb"):
            forms.append(lambda: f"concat({one}, '-', {self._leaf(scope, 'text')})")
            forms.append(lambda: f"substring({one} FROM 1 FOR 3)")
            forms.append(lambda: f"trim({self.pick(('BOTH', 'LEADING', 'TRAILING'))} 'a' FROM {one})")
            forms.append(lambda: f"left({one}, 2)")
        return self.pick(forms)()

    def _joined(self, left: str, right: str) -> str:
        return f"concat({left}, {right})" if self.dialect == "mysql" else f"{left} || {right}"

    def _case(self, scope: Scope, kind: str, depth: int) -> str:
        whens = " ".join(
            f"WHEN {self.predicate(scope, depth - 1)} THEN {self.expression(scope, kind, depth - 1)}"
            for _ in range(self.number(1, 2))
        )
        if self.chance(25):
            whens = (
                f"{self._leaf(scope, 'int')} WHEN {self.number(0, 3)} THEN {self.expression(scope, kind, depth - 1)}"
            )
        last = f" ELSE {self.expression(scope, kind, depth - 1)}" if self.chance(60) else ""
        return f"CASE {whens}{last} END"

    def _scalar(self, scope: Scope, kind: str) -> str:
        if scope.depth >= 2:
            return ""
        if self.dialect in ("postgres", "duckdb"):
            inner = self.query_of((kind,), Scope(ctes=scope.ctes, depth=scope.depth))
            return f"(SELECT {self.pick(('min', 'max'))}(s.q) FROM ({inner}) AS s(q))"
        if kind == "int":
            return f"(SELECT count(*) FROM ({self.query_of((kind,), Scope(ctes=scope.ctes, depth=scope.depth))}) AS s)"
        columns = self.references(scope, "text") if "tags" not in scope.ctes else []
        return f"(SELECT max(label) FROM tags WHERE label <> {self.pick(columns).name})" if columns else ""

    def _risk(self, scope: Scope, kind: str) -> str:
        """Something that fails on rows which the policy hides, and on no other."""
        if not self._risky or not self.chance(25):
            return ""
        columns = {c.risk: c.name for c in (*self.references(scope, "int"), *self.references(scope, "text")) if c.risk}
        made = []
        if "qty" in columns and kind == "int":
            made.append(f"(100 / {columns['qty']})" if self.dialect == "postgres" else f"(100 % {columns['qty']})")
        if "code" in columns and kind == "int" and self.dialect != "mysql":
            made.append(f"CAST({columns['code']} AS INTEGER)")
        if "doc" in columns and kind == "text":
            json = {
                "postgres": f"(({columns['doc']})::json ->> 'a')",
                "sqlite": f"json_extract({columns['doc']}, '$.a')",
                "duckdb": f"json_extract_string({columns['doc']}, '$.a')",
                "mysql": f"json_value({columns['doc']}, '$.a')",
            }
            made.append(json[self.dialect])
        return self.pick(made) if made else ""

    # Predicates

    def comparison(self) -> str:
        return self.pick(("=", "<>", "<", "<=", ">", ">=", "!="))

    def predicate(self, scope: Scope, depth: int) -> str:
        kind = self.pick(("int", "text"))
        one = self.expression(scope, kind, depth - 1)
        forms: list[Any] = [
            lambda: f"{one} {self.comparison()} {self.expression(scope, kind, depth - 1)}",
            lambda: f"{one} IS {self.pick(('', 'NOT '))}NULL",
            lambda: f"{one} {self.pick(('', 'NOT '))}IN ({self._leaf(Scope(), kind)}, {self._leaf(scope, kind)})",
            lambda: f"({one} BETWEEN {self._leaf(scope, kind)} AND {self._leaf(scope, kind)})",
            lambda: f"{self.text(scope, depth - 1)} {self.pick(('', 'NOT '))}LIKE {self.pick(_LIKES)}",
        ]
        if depth > 0:
            word = self.pick(("AND", "OR", "AND"))
            forms += [
                lambda: f"{self.predicate(scope, depth - 1)} {word} {self.predicate(scope, depth - 1)}",
                lambda: f"({self.predicate(scope, depth - 1)} OR {self.predicate(scope, depth - 1)})",
                lambda: f"NOT ({self.predicate(scope, depth - 1)})",
                lambda: f"{self.predicate(scope, depth - 1)} {word} {self.predicate(scope, depth - 1)}",
            ]
            if scope.depth < 2:
                forms += [
                    lambda: f"{one} {self.pick(('', 'NOT '))}IN ({self.query_of((kind,), scope)})",
                    lambda: f"{self.pick(('', 'NOT '))}EXISTS ({self.query_of((kind,), scope)})",
                    lambda: f"(1, {one}) IN ({self.query_of(('int', kind), scope)})",
                ]
                if self.dialect != "sqlite":
                    quantifier = self.pick(("ANY", "ALL", "SOME" if self.dialect != "duckdb" else "ANY"))
                    forms.append(lambda: f"{one} {self.comparison()} {quantifier} ({self.query_of((kind,), scope)})")
        other = "<=>" if self.dialect == "mysql" else "IS DISTINCT FROM"
        forms.append(lambda: f"({one}) {other} ({self._leaf(scope, kind)})")
        if self.dialect in ("postgres", "duckdb"):
            forms.append(lambda: f"{self.text(scope, depth - 1)} ILIKE {self.pick(_LIKES[:3])}")
        return self.pick(forms)()

    # Aggregates and windows

    def aggregate(self, own: Scope, kind: str) -> str:
        """An aggregate over the columns of the SELECT itself, which must be the only ones in `own`."""
        inner = Scope(own.sources, (), own.ctes, 9)
        value = self.expression(inner, kind, 1)
        if kind == "text":
            listed = {"mysql": f"group_concat({value} ORDER BY {value})", "sqlite": f"max({value})"}
            text = self.pick(
                (
                    f"min({value})",
                    f"max({value})",
                    listed.get(self.dialect, f"string_agg({value}, ',' ORDER BY {value})"),
                )
            )
        else:
            text = self.pick(
                (
                    "count(*)",
                    f"count({value})",
                    f"sum({value})",
                    f"min({value})",
                    f"max({value})",
                    f"count(DISTINCT {value})",
                    f"sum(DISTINCT {value})",
                    f"COUNT({self.text(inner, 1)})",
                )
            )
        if self.dialect != "mysql" and self.chance(12):
            text += f" FILTER (WHERE {self.predicate(inner, 0)})"
        return text

    def window(self, scope: Scope, kind: str, *, alone: bool) -> str:
        """A window function that gives the same to rows which its order does not tell apart.

        `alone` is whether there is no other column: then it does not matter which of such rows has which value.
        """
        inner = Scope(scope.sources, (), scope.ctes, 9)
        # PostgreSQL takes no literal without a type here.
        columns = self.references(inner, kind)
        value = self.pick(columns).name if columns else self.cast(self._leaf(inner, kind), kind)
        order = self._leaf(inner, "int") if self.references(inner, "int") else value
        part = f"PARTITION BY {self._leaf(inner, 'text')} " if self.chance(50) else ""
        frame = self.pick(("", "", " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", " RANGE UNBOUNDED PRECEDING"))
        if kind == "text":
            forms = [
                f"max({value}) OVER ({part}ORDER BY {order} {self.pick(('ASC', 'DESC'))}{frame})",
                f"first_value({value}) OVER ({part}ORDER BY {value} DESC)",
                f"min({value}) OVER ({part.strip()})",
            ]
            rows = [f"lag({value}) OVER ({part}ORDER BY {value})"]
        else:
            forms = [
                f"sum({value}) OVER ({part}ORDER BY {order}{frame})",
                f"rank() OVER ({part}ORDER BY {order} DESC)",
                f"dense_rank() OVER ({part}ORDER BY {order}, {value})",
                f"count(*) OVER ({part.strip()})",
            ]
            rows = [
                f"lead({value}, 1) OVER ({part}ORDER BY {value})",
                f"sum({value}) OVER ({part}ORDER BY {value} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
                f"row_number() OVER ({part}ORDER BY {value})",
            ]
        return self.pick(forms + rows if alone else forms)
