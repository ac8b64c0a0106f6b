"""Generated queries over the twins' tables: well-typed, so that nearly all run, and with one answer each.

Whatever leaves the answer to the database is left out: LIMIT and ORDER BY go over all columns, windows give the same
to rows that are equal, sums are of whole numbers. Expressions are in `expressions`.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from expressions import Col, Expressions, Scope, Seen
from hypothesis import strategies as st
from twins import COLUMNS

_ALIASES = ("a", "b", "c", "t1", "order", "Mixed Case", "ünï", "people", "limit")
_OUTPUTS = ("n", "total", "v1", "Sum of it", "größe", "from", "id", "NAME", "x_1", "y", "z")
_CTES = ("cte1", "recent", "people", "orders", "Cte Two", "tags", "with")
_LITERAL = re.compile(r"""[EN]?'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\$\$.*?\$\$""", re.DOTALL)
_GAPS = (" ", "  ", "\n", "\t", "\r\n", " /* ; ' */ ", " /**/ ", " -- it's\n", ' /* " -- */')
_RISKY = {"qty": "qty", "code": "code", "doc": "doc"}


@dataclass(frozen=True, slots=True)
class Query:
    """One statement, and whether it says in which order its rows come."""

    sql: str
    ordered: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """A query as text, with the columns it gives; None when they have no one order or no names of their own."""

    text: str
    columns: tuple[Col, ...] | None


_Ctes = dict[str, tuple[Col, ...]]


@st.composite
def queries(draw: st.DrawFn, dialect: str, schema: str, *, risky: bool = False, denied: bool = False) -> Query:
    """Queries of one dialect.

    Args:
        draw: hypothesis's.
        dialect: sqlglot's name of one of the four dialects.
        schema: where the tables are, for names with a schema.
        risky: with expressions that fail on rows which the policy hides.
        denied: with columns that the policy denies.
    """
    writer = _Writer(draw, dialect, schema, risky=risky, denied=denied)
    return writer.statement()


class _Writer(Expressions):
    def __init__(self, draw: st.DrawFn, dialect: str, schema: str, *, risky: bool, denied: bool) -> None:
        super().__init__(draw, dialect, risky=risky)
        self._schema = schema
        self._denied = denied
        self._tables_left = 6

    def statement(self) -> Query:
        part = self._query({}, Scope(), 0, None, root=True)
        text, ordered = part.text, False
        if part.columns and self.chance(60):
            text += self._order(len(part.columns), part.columns if "UNION" not in text else None)
            ordered = True
            text += self._limit()
        elif self.chance(5) and self.dialect in ("postgres", "duckdb"):
            text = f"({text})"
        return Query(self._spread(text), ordered)

    # Spacing

    def _spread(self, text: str) -> str:
        """Other gaps between words, other case of keywords; what is quoted stays as it is."""
        style = self.pick(("plain", "plain", "lower", "gaps", "lower gaps"))
        if style == "plain":
            return text
        chance = random.Random(self.number(0, 10_000))

        def other(piece: str) -> str:
            if "lower" in style:
                piece = re.sub(r"\b[A-Z]{2,}\b", lambda word: word.group().lower(), piece)
            if "gaps" in style:
                piece = re.sub(" ", lambda _: chance.choice(_GAPS) if chance.random() < 0.3 else " ", piece)
            return piece

        found, at = [], 0
        for literal in _LITERAL.finditer(text):
            found += [other(text[at : literal.start()]), literal.group()]
            at = literal.end()
        return "".join([*found, other(text[at:])]) + self.pick(("", "", ";", " ", "\n;\n"))

    # Queries

    def query_of(self, kinds: tuple[str, ...], scope: Scope) -> str:
        """A query of columns of these kinds within `scope`, for an expression."""
        return self._query(scope.ctes, scope, scope.depth + 1, kinds).text

    def _query(
        self, ctes: _Ctes, outer: Scope, depth: int, kinds: tuple[str, ...] | None, *, root: bool = False
    ) -> _Part:
        with_ = ""
        if depth < 2 and self.chance(30 if root else 8):
            with_, ctes = self._with(ctes, depth)
        if depth < 2 and self.chance(15):
            kinds = kinds or tuple(self.pick(("int", "text")) for _ in range(self.number(1, 3)))
            part = self._set_operation(ctes, outer, depth, kinds)
        else:
            part = self._select(ctes, outer, depth, kinds, root=root)
            if not root and part.columns and self.chance(10):
                order = self._order(len(part.columns), None)
                part = _Part(part.text + order + self._limit(), part.columns)
        return _Part(with_ + part.text, part.columns)

    def _set_operation(self, ctes: _Ctes, outer: Scope, depth: int, kinds: tuple[str, ...]) -> _Part:
        first = self._select(ctes, outer, depth + 1, kinds)
        text = first.text
        for _ in range(self.number(1, 2)):
            words = ["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "UNION ALL"]
            if self.dialect in ("postgres", "duckdb"):
                words += ["UNION DISTINCT", "INTERSECT ALL", "EXCEPT ALL"]
            right = self._select(ctes, outer, depth + 1, kinds).text
            if self.dialect != "sqlite" and self.chance(15):
                right = f"({right})"
            text = f"{text} {self.pick(words)} {right}"
        return _Part(text, tuple(Col(c.name, c.kind) for c in first.columns or ()))

    def _with(self, ctes: _Ctes, depth: int) -> tuple[str, _Ctes]:
        ctes = dict(ctes)
        recursive = self.chance(25)
        found = []
        names = self.some(_CTES, 1, 2)
        for place, name in enumerate(names):
            if recursive and self.chance(60):
                columns, body = self._recursive(name, {**ctes, **dict.fromkeys(names, ())})
                found.append(f"{self.quoted(name)}({', '.join(self.quoted(c.name) for c in columns)}) AS ({body})")
                ctes[name] = columns
                continue
            # With RECURSIVE, and in SQLite always, a name in a CTE means itself or a later one: the guard refuses that.
            ahead: _Ctes = dict.fromkeys(names[place:], ())
            inside = {**ctes, **ahead} if recursive or self.dialect == "sqlite" else ctes
            part = self._query(inside, Scope(), depth + 1, None)
            if part.columns is None:
                continue
            columns = part.columns
            declared = ""
            if self.chance(25):
                named = self.some(_OUTPUTS, len(columns), len(columns))
                columns = tuple(Col(n, c.kind, c.risk) for n, c in zip(named, columns, strict=True))
                declared = f"({', '.join(self.quoted(n) for n in named)})"
            word = ""
            if self.dialect != "mysql" and self.chance(10):
                word = self.pick(("MATERIALIZED ", "NOT MATERIALIZED "))
            found.append(f"{self.quoted(name)}{declared} AS {word}({part.text})")
            ctes[name] = columns
        if not found:
            return "", ctes
        return f"WITH {'RECURSIVE ' if recursive else ''}{', '.join(found)} ", ctes

    def _recursive(self, name: str, ctes: _Ctes) -> tuple[tuple[Col, ...], str]:
        own = self.quoted(name)
        if self.chance(40) and "people" not in ctes and name != "people" and self._tables_left > 1:
            self._tables_left -= 2
            body = (
                f"SELECT id, boss_id FROM people WHERE boss_id IS NULL UNION ALL "
                f"SELECT p.id, p.boss_id FROM people AS p JOIN {own} ON p.boss_id = {own}.x_1"
            )
            return (Col("x_1", "int"), Col("y", "int")), body
        last = self.number(1, 4)
        return (Col("n", "int"),), f"SELECT 1 UNION ALL SELECT n + 1 FROM {own} WHERE n < {last}"

    def _select(
        self, ctes: _Ctes, outer: Scope, depth: int, kinds: tuple[str, ...] | None, *, root: bool = False
    ) -> _Part:
        scope = Scope((), (outer.sources and (*outer.sources, *outer.outer)) or outer.outer, ctes, depth)
        from_ = self._from(scope) if not self.chance(4) else ""
        where = f" WHERE {self.predicate(scope, 2)}" if from_ and self.chance(55) else ""
        if kinds is None and from_ and self.chance(15):
            return self._star(scope, from_ + where, root=root)
        wanted = kinds or tuple(self.pick(("int", "text")) for _ in range(self.number(1, 3)))
        mode = self.pick(("plain", "plain", "grouped", "window")) if from_ else "plain"
        distinct = "DISTINCT " if mode != "grouped" and self.chance(12) else ""
        tail = ""
        if mode == "grouped":
            items, tail = self._grouped(scope, wanted)
        elif mode == "window":
            items = [Col(self.window(scope, kind, alone=len(wanted) == 1), kind) for kind in wanted]
        else:
            items = [self._item(scope, kind) for kind in wanted]
        names = self.some(_OUTPUTS, len(items), len(items))
        texts, columns = [], []
        for name, item in zip(names, items, strict=True):
            # Without a name only at the root, where nothing has to name it.
            bare = root and self.chance(30)
            word = self.pick(("AS ", "AS ", "")) if name.islower() and name not in ("from", "größe") else "AS "
            texts.append(item.name if bare else f"{item.name} {word}{self.quoted(name)}")
            columns.append(Col(name, item.kind, item.risk))
        return _Part(f"SELECT {distinct}{', '.join(texts)}{from_}{where}{tail}", tuple(columns))

    def _item(self, scope: Scope, kind: str) -> Col:
        columns = self.references(scope, kind)
        if columns and self.chance(50):
            return self.pick(columns)
        return Col(self.expression(scope, kind, 2), kind)

    def _star(self, scope: Scope, rest: str, *, root: bool) -> _Part:
        source = self.pick(scope.sources)
        one = len(scope.sources) > 1 and self.chance(50)
        chosen = (source,) if one else scope.sources
        columns = tuple(c for s in chosen for c in s.columns)
        named = len({c.name.lower() for c in columns}) == len(columns)
        if (not named and not root) or (scope.merged and not one):
            if not root:
                columns, one = source.columns, True
            else:
                return _Part(f"SELECT *{rest}", None)
        star = f"{self.quoted(source.alias)}.*" if one else "*"
        return _Part(f"SELECT {star}{rest}", columns)

    def _grouped(self, scope: Scope, kinds: tuple[str, ...]) -> tuple[list[Col], str]:
        own = Scope(scope.sources, (), scope.ctes, scope.depth)
        keys: list[Col] = []
        for kind in ("int", "text"):
            columns = self.references(own, kind)
            if columns and self.chance(50):
                column = self.pick(columns)
                text = column.name
                if self.chance(20):
                    text = f"upper({text})" if kind == "text" else f"abs({text})"
                keys.append(Col(text, kind))
        items = []
        for kind in kinds:
            having_key = [key for key in keys if key.kind == kind]
            items.append(
                self.pick(having_key) if having_key and self.chance(50) else Col(self.aggregate(own, kind), kind)
            )
        tail = ""
        if keys:
            texts = ", ".join(key.name for key in keys)
            tail = f" GROUP BY {texts}"
            if self.dialect in ("postgres", "duckdb") and self.chance(15):
                tail = f" GROUP BY {self.pick(('ROLLUP', 'CUBE'))} ({texts})"
            elif self.dialect == "mysql" and self.chance(10):
                tail += " WITH ROLLUP"
        if keys and self.chance(35):
            tail += f" HAVING {self.aggregate(own, 'int')} {self.comparison()} {self.number(0, 5)}"
        return items, tail

    # Sources

    def _from(self, scope: Scope) -> str:
        text, group = self._source(scope)
        if text == "":
            return ""
        for _ in range(self.pick((0, 0, 1, 1, 2))):
            right, seen = self._source(scope)
            if right == "":
                break
            style = self.pick(("comma", "cross", "inner", "inner", "left", "right", "full", "using", "natural"))
            if style == "full" and self.dialect == "mysql":
                style = "left"
            if style in ("using", "natural") and not self._can_merge(style, group, seen[0]):
                style = "inner"
            if style == "comma":
                text, group = f"{text}, {right}", seen
            elif style == "cross":
                text, group = f"{text} CROSS JOIN {right}", [*group, *seen]
            elif style == "natural":
                text, group = f"{text} NATURAL {self.pick(('', 'LEFT '))}JOIN {right}", [*group, *seen]
                scope.merged = True
            elif style == "using":
                text, group = f"{text} {self.pick(('', 'LEFT '))}JOIN {right} USING (id)", [*group, *seen]
                scope.merged = True
            else:
                group = [*group, *seen]
                words = {"inner": ("JOIN", "INNER JOIN"), "left": ("LEFT JOIN", "LEFT OUTER JOIN")}
                words |= {"right": ("RIGHT JOIN",), "full": ("FULL JOIN", "FULL OUTER JOIN")}
                text = f"{text} {self.pick(words[style])} {right} ON {self._on(scope, group, style)}"
        return f" FROM {text}"

    @staticmethod
    def _can_merge(style: str, group: list[Seen], right: Seen) -> bool:
        """Whether the two have columns in common that compare; a third source could have them twice."""
        if len(group) > 1:
            return False
        if style == "natural":
            return _same_kinds(group[0], right)
        return all([c.name for c in s.columns].count("id") == 1 and _kind_of_id(s) == "int" for s in (group[0], right))

    def _on(self, scope: Scope, group: list[Seen], style: str) -> str:
        within = Scope(tuple(group), (), scope.ctes, scope.depth, bare=False)
        left = self.references(Scope(tuple(group[:-1]), (), {}, 0, bare=False), "int")
        right = self.references(Scope((group[-1],), (), {}, 0, bare=False), "int")
        if left and right and (style == "full" or self.chance(80)):
            return f"{self.pick(left).name} = {self.pick(right).name}"
        # PostgreSQL joins FULL on equalities only.
        return "1 = 1" if style == "full" else self.predicate(within, 1)

    def _source(self, scope: Scope) -> tuple[str, list[Seen]]:
        if self._tables_left <= 0:
            return "", []
        self._tables_left -= 1
        taken = {s.alias.lower() for s in scope.sources}
        free = [alias for alias in _ALIASES if alias.lower() not in taken]
        kinds = ["table", "table", "table"] + ["cte", "cte"] * any(scope.ctes.values())
        if scope.depth < 2:
            kinds += ["query"]
        if self.dialect in ("postgres", "duckdb"):
            kinds += ["values", "series"] + ["lateral"] * bool(scope.sources and scope.depth < 2 and not scope.merged)
        kind = self.pick(kinds)
        alias = self.pick(free)
        columns: tuple[Col, ...] | None = None
        text = ""
        if kind == "cte":
            name = self.pick(sorted(name for name, known in scope.ctes.items() if known))
            columns = scope.ctes[name]
            text = self.quoted(name)
        elif kind in ("query", "lateral"):
            outer = Scope(scope.sources, (), scope.ctes, scope.depth) if kind == "lateral" else Scope(ctes=scope.ctes)
            part = self._query(scope.ctes, outer, scope.depth + 1, None)
            columns = part.columns
            text = f"({part.text})" if kind == "query" else f"LATERAL ({part.text})"
            if kind == "lateral" and columns:
                # A join to LATERAL may not be RIGHT or FULL: it stands after a comma, as `_from` cannot know.
                columns = None
        elif kind == "values":
            names = self.some(_OUTPUTS, 2, 2)
            seen = Seen(alias, (Col(names[0], "int"), Col(names[1], "text")))
            scope.sources = (*scope.sources, seen)
            declared = ", ".join(self.quoted(n) for n in names)
            return f"(VALUES (1, 'paid'), (2, NULL)) AS {self.quoted(alias)}({declared})", [seen]
        elif kind == "series":
            function = "generate_series(1, 3)" if self.dialect == "postgres" else "range(1, 4)"
            seen = Seen(alias, (Col("n", "int"),))
            scope.sources = (*scope.sources, seen)
            return f"{function} AS {self.quoted(alias)}(n)", [seen]
        if columns is None:
            names = [n for n in COLUMNS if n not in scope.ctes]
            name = self.pick(names or list(COLUMNS))
            hidden = {"people": "ssn", "select": "group"} if not self._denied else {}
            columns = tuple(Col(c, k, _RISKY.get(c, "")) for c, k in COLUMNS[name].items() if hidden.get(name) != c)
            text = self.quoted(name)
            if not names or self.chance(15):
                text = f"{self.quoted(self._schema)}.{text}"
            if self.chance(25) and name.lower() not in taken:
                seen = Seen(name, columns)
                scope.sources = (*scope.sources, seen)
                return text, [seen]
        seen = Seen(alias, columns)
        scope.sources = (*scope.sources, seen)
        word = self.pick(("AS ", "AS ", "")) if alias in ("a", "b", "c", "t1") else "AS "
        return f"{text} {word}{self.quoted(alias)}", [seen]

    # Order

    def _order(self, count: int, columns: tuple[Col, ...] | None) -> str:
        places = self.some(range(count), count, count)
        items = []
        for place in places:
            item = str(place + 1)
            way = self.pick(("", "", " ASC", " DESC"))
            if self.dialect != "mysql" and self.chance(15):
                way += self.pick((" NULLS FIRST", " NULLS LAST"))
            items.append(item + way)
        return f" ORDER BY {', '.join(items)}"

    def _limit(self) -> str:
        return self.pick(("", " LIMIT {}", " LIMIT {} OFFSET {}")).format(self.number(0, 5), self.number(0, 3))


def _kind_of_id(seen: Seen) -> str:
    return next(c.kind for c in seen.columns if c.name == "id")


def _same_kinds(left: Seen, right: Seen) -> bool:
    """Whether a natural join of the two compares like with like, and has something to compare."""
    kinds = {c.name.lower(): c.kind for c in left.columns}
    shared = [c for c in right.columns if c.name.lower() in kinds]
    return bool(shared) and all(kinds[c.name.lower()] == c.kind for c in shared)
