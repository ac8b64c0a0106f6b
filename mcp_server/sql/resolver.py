"""What each name in a tree means: a walk that gives every SELECT its sources and every column its SELECT.

It resolves CTEs by itself and asks `find` for every other table. Knows no policy; refuses nothing but what it cannot
follow. Keys of names are folded by the caller's function. Over 400 lines, because it is one recursion over one grammar:
each part of it calls the walk again.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from mcp_server.sql.scopes import Cte, Ctes, Names, Scope, Source, Unfollowed, innermost, new_name, push, renamed

_EXCEPT = frozenset({"except_"})
_NOT_COLUMNS: dict[type[exp.Expr], frozenset[str]] = {exp.Star: _EXCEPT, exp.Collate: frozenset({"expression"})}
"""Clauses in which what looks like a column is none."""
_AHEAD = Cte(exp.CTE(), None, "")
"""Stands for an entry of WITH RECURSIVE before it is reached."""
_LATERAL_FUNCTIONS = (exp.Anonymous, exp.Unnest, exp.Explode, exp.Posexplode, exp.Inline, exp.OpenJSON)


class Resolver:
    """The walk. Made for one tree and used once.

    Args:
        fold: the key of an identifier.
        find: looks up a table node that is no CTE; gives ``(found, columns)`` or raises.
        outputs: the column names of table functions that have fixed ones, by function.
        recursive_by_default: whether a CTE may name itself without RECURSIVE.
        derived_name: the name that the database gives to a select item without alias, or None if not known.
        closed_functions: whether a table function's only columns are its alias or its own name.
    """

    def __init__(
        self,
        *,
        fold: Callable[[exp.Identifier], str],
        find: Callable[[exp.Table], tuple[object, Names]],
        outputs: dict[str, tuple[str, ...]],
        recursive_by_default: bool,
        derived_name: Callable[[exp.Expr], str | None],
        closed_functions: bool,
    ) -> None:
        self._fold = fold
        self._find = find
        self._outputs = outputs
        self._recursive_by_default = recursive_by_default
        self._derived_name = derived_name
        self._closed_functions = closed_functions
        self.scopes: list[Scope] = []
        self.cte_tables: list[tuple[exp.Table, Cte]] = []
        self.ctes: list[Cte] = []
        self.values: set[str] = set()

    def resolve(self, tree: exp.Expr) -> list[Scope]:
        """Every scope of `tree`, outermost first."""
        self._query(tree, {}, None)
        return self.scopes

    # Queries

    def _query(self, node: exp.Expr, ctes: Ctes, parent: Scope | None) -> Names | None:
        with_ = node.args.get("with_")
        if with_ is not None:
            ctes = self._with(with_, ctes, parent)
        if isinstance(node, exp.Select):
            return self._select(node, ctes, parent)
        if isinstance(node, exp.SetOperation):
            columns = self._query(node.this, ctes, parent)
            right = self._query(node.expression, ctes, parent)
            if node.args.get("by_name"):
                columns = None if columns is None or right is None else {**columns, **right}
            self._tail(node, columns, ctes, parent, skip={"this", "expression", "with_"})
            return columns
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query | exp.Values):
            columns = self._query(node.this, ctes, parent)
            self._tail(node, columns, ctes, parent, skip={"this", "alias", "with_", "pivots", "joins", "laterals"})
            return columns
        if isinstance(node, exp.Values):
            scope = Scope(node, parent)
            self.scopes.append(scope)
            self._expressions(node, scope, ctes, skip={"alias"})
            return self._values_columns(node)
        raise Unfollowed(type(node).__name__)

    def _with(self, with_: exp.Expr, ctes: Ctes, parent: Scope | None) -> Ctes:
        ctes = dict(ctes)
        recursive = bool(with_.args.get("recursive")) or self._recursive_by_default
        ctes.update(self._ahead(with_) if recursive else {})
        for node in with_.expressions:
            alias = node.args.get("alias")
            if alias is None or not isinstance(alias.this, exp.Identifier):
                raise Unfollowed("CTE")
            key = self._fold(alias.this)
            if node.args.get("scalar"):
                # ClickHouse's ``WITH (SELECT …) AS v``: a value, not a table.
                self.values.add(key)
                inner = node.this
                if isinstance(inner, exp.Query):
                    self._query(inner, ctes, parent)
                elif not isinstance(with_.parent, exp.Select):
                    # An expression of each of several SELECTs, whose columns it may name.
                    free = Scope(inner, parent)
                    free.sources["\0with"] = Source(inner, None)
                    self.scopes.append(free)
                    self._expressions(inner, free, ctes)
                continue
            declared = self._declared(alias)
            cte = Cte(node, declared, new_name(alias.this.name, len(self.ctes) + 1))
            self.ctes.append(cte)
            if recursive:
                inner = dict(ctes)
                inner[key] = cte
                # The first branch of a recursive CTE says what its columns are.
                if declared is None and isinstance(node.this, exp.SetOperation):
                    cte.columns = self._peek(node.this, ctes)
                columns = self._query(node.this, inner, parent)
            else:
                columns = self._query(node.this, ctes, parent)
            if declared is None:
                cte.columns = columns
            elif columns is not None:
                cte.columns = renamed(columns, declared)
            search = with_.args.get("search")
            if search is not None and cte.columns is not None:
                for name in search.find_all(exp.Identifier):
                    cte.columns.setdefault(self._fold(name), name.name)
            ctes[key] = cte
        return ctes

    def _ahead(self, with_: exp.Expr) -> Ctes:
        """The entries of WITH RECURSIVE before they are reached.

        Some databases let an entry read a later one, where others read the table of that name.
        """
        aliases = (entry.args.get("alias") for entry in with_.expressions)
        return {self._fold(a.this): _AHEAD for a in aliases if a is not None and isinstance(a.this, exp.Identifier)}

    def _peek(self, operation: exp.Expr, ctes: Ctes) -> Names | None:
        first = innermost(operation)
        while isinstance(first, exp.SetOperation):
            first = innermost(first.this)
        if isinstance(first, exp.Values):
            return self._values_columns(first)
        if not isinstance(first, exp.Select):
            return None
        names: Names = {}
        for item in first.expressions:
            name = self._item_name(item)
            if name is None:
                return None
            names[name[0]] = name[1]
        return names

    def _declared(self, alias: exp.Expr) -> Names | None:
        columns = alias.args.get("columns")
        if not columns:
            return None
        names: Names = {}
        for column in columns:
            identifier = column.this if isinstance(column, exp.ColumnDef) else column
            if isinstance(identifier, exp.Identifier):
                names[self._fold(identifier)] = identifier.name
        return names

    def _select(self, node: exp.Select, ctes: Ctes, parent: Scope | None) -> Names | None:
        scope = Scope(node, parent, aliases=set(self.values))
        self.scopes.append(scope)
        from_ = node.args.get("from_")
        if from_ is not None:
            self._source(from_.this, scope, ctes)
        for join in node.args.get("joins") or ():
            self._join(join, scope, ctes)
        for lateral in node.args.get("laterals") or ():
            self._source(lateral, scope, ctes)
        for item in node.expressions:
            if isinstance(item, exp.Alias) and isinstance(item.args.get("alias"), exp.Identifier):
                scope.aliases.add(self._fold(item.args["alias"]))
        for entry in node.args["with_"].expressions if node.args.get("with_") is not None else ():
            # ``WITH total * 2 AS x`` names columns of this SELECT.
            if entry.args.get("scalar") and not isinstance(entry.this, exp.Query):
                self._expressions(entry.this, scope, ctes)
                self._add_names(scope, entry.this)
        self._expressions(node, scope, ctes, skip={"with_", "from_", "joins", "laterals"})
        return self._outputs_of(node, scope)

    def _join(self, join: exp.Expr, scope: Scope, ctes: Ctes) -> None:
        if join.args.get("kind") == "ARRAY":
            for item in [join.this, *join.expressions]:
                alias = item.args.get("alias") if isinstance(item, exp.Alias) else None
                if isinstance(alias, exp.Identifier):
                    scope.aliases.add(self._fold(alias))
            self._expressions(join, scope, ctes)
            return
        self._source(join.this, scope, ctes)
        self._expressions(join, scope, ctes, skip={"this", "using"})
        for nested in join.expressions:
            if isinstance(nested, exp.Table | exp.Subquery):
                raise Unfollowed("join")

    def _tail(self, node: exp.Expr, columns: Names | None, ctes: Ctes, parent: Scope | None, *, skip: set[str]) -> None:
        """ORDER BY and LIMIT of a set operation or of a query in parentheses: they see its output only."""
        scope = Scope(node, parent)
        scope.sources["\0output"] = Source(node, columns)
        self.scopes.append(scope)
        self._expressions(node, scope, ctes, skip=skip)

    # Sources

    def _source(self, node: exp.Expr, scope: Scope, ctes: Ctes) -> None:
        if isinstance(node, exp.Final):
            node = node.this
        if isinstance(node, exp.Table):
            self._table(node, scope, ctes)
        elif isinstance(node, exp.Subquery):
            self._derived(node, scope, ctes)
        elif isinstance(node, exp.Values):
            self._expressions(node, scope, ctes, skip={"alias"})
            columns = self._values_columns(node)
            declared = self._declared(node.args["alias"]) if node.args.get("alias") else None
            self._add(scope, node, declared if columns is None else columns)
        elif isinstance(node, exp.Lateral):
            inner = node.this
            if isinstance(inner, exp.Subquery):
                columns = self._query(inner, ctes, scope)
                self._add(scope, node, columns)
            elif isinstance(inner, _LATERAL_FUNCTIONS):
                self._expressions(node, scope, ctes, skip={"alias"})
                columns = self._function_columns(inner, node.args.get("alias"))
                self._add(scope, node, self._with_count(inner, columns, scope))
            else:
                raise Unfollowed("LATERAL")
        elif isinstance(node, exp.Unnest):
            self._expressions(node, scope, ctes, skip={"alias"})
            columns = self._function_columns(node, node.args.get("alias"))
            self._add(scope, node, self._with_count(node, columns, scope))
        else:
            raise Unfollowed(type(node).__name__)

    def _values_columns(self, node: exp.Expr) -> Names | None:
        """PostgreSQL's names for the columns of VALUES; other databases have others."""
        if not self._closed_functions or not node.expressions:
            return None
        first = node.expressions[0]
        width = len(first.expressions) if isinstance(first, exp.Tuple) else 1
        return {name: name for name in (f"column{number + 1}" for number in range(width))}

    def _with_count(self, node: exp.Expr, columns: Names | None, scope: Scope) -> Names | None:
        """`columns` with the count of rows: sqlglot keeps the last name of ``AS t(a, n)`` beside the alias."""
        count = node.args.get("offset")
        if not isinstance(count, exp.Identifier):
            return columns
        scope.aliases.add(self._fold(count))
        return None if columns is None else {**columns, self._fold(count): count.name}

    def _table(self, node: exp.Table, scope: Scope, ctes: Ctes) -> None:
        columns, base = self._table_columns(node, scope, ctes)
        if node.args.get("pivots"):
            columns = None
            for pivot in node.args["pivots"]:
                self._pivot(pivot, ctes)
        self._add(scope, node, columns, base)
        for join in node.args.get("joins") or ():
            self._join(join, scope, ctes)
        for lateral in node.args.get("laterals") or ():
            self._source(lateral, scope, ctes)
        sample = node.args.get("sample")
        if sample is not None:
            self._expressions(sample, scope, ctes)

    def _table_columns(self, node: exp.Table, scope: Scope, ctes: Ctes) -> tuple[Names | None, object | None]:
        """The columns of a CTE, a table or a table function; and, of a table, what `find` found."""
        this, alias = node.this, node.args.get("alias")
        if node.args.get("rows_from"):
            names: Names = {}
            for inner in node.args["rows_from"]:
                call = inner if isinstance(inner, exp.Unnest) else inner.this
                if not isinstance(call, exp.Anonymous | exp.Unnest):
                    raise Unfollowed("ROWS FROM")
                self._expressions(call, scope, ctes)
                names.update(self._function_columns(call, alias) or {})
            return names, None
        if isinstance(this, exp.Identifier):
            cte = None if node.args.get("db") or node.args.get("catalog") else ctes.get(self._fold(this))
            if cte is _AHEAD:
                raise Unfollowed("a WITH entry that comes later")
            if cte is not None:
                self.cte_tables.append((node, cte))
                return cte.columns, None
            base, columns = self._find(node)
            return columns, base
        if isinstance(this, exp.JSONTable):
            self._expressions(this, scope, ctes, skip={"path", "schema"})
            return self._json_columns(this.args.get("schema")), None
        if isinstance(this, exp.Anonymous | exp.OpenJSON) and not node.args.get("db"):
            self._expressions(this, scope, ctes)
            return self._function_columns(this, alias), None
        raise Unfollowed("table")

    def _json_columns(self, schema: object) -> Names:
        """The columns that a JSON_TABLE declares, those of nested ones among them."""
        names: Names = {}
        if isinstance(schema, exp.JSONSchema):
            for column in schema.find_all(exp.JSONColumnDef):
                if isinstance(column.this, exp.Identifier):
                    names[self._fold(column.this)] = column.this.name
        return names

    def _pivot(self, pivot: exp.Expr, ctes: Ctes) -> None:
        """A pivot names columns of its table only; what it holds besides is walked for sub-queries."""
        free = Scope(pivot, None)
        free.sources["\0pivot"] = Source(pivot, None)
        self.scopes.append(free)
        self._expressions(pivot, free, ctes, skip={"alias", "columns"})

    def _derived(self, node: exp.Subquery, scope: Scope, ctes: Ctes) -> None:
        with_ = node.args.get("with_")
        if with_ is not None:
            ctes = self._with(with_, ctes, scope.parent)
        inner = node.this
        if isinstance(inner, exp.Table):
            # ``(a JOIN b)``: its tables are the SELECT's own, unless the whole has a name.
            if node.args.get("alias"):
                own = Scope(node, scope)
                self.scopes.append(own)
                self._source(inner, own, ctes)
                self._add(scope, node, self._star(own))
            else:
                self._source(inner, scope, ctes)
        elif isinstance(inner, exp.Subquery) and not isinstance(innermost(inner), exp.Query | exp.Values):
            self._derived(inner, scope, ctes)
        else:
            columns = self._query(inner, ctes, scope)
            if node.args.get("pivots"):
                columns = None
                for pivot in node.args["pivots"]:
                    self._pivot(pivot, ctes)
            self._tail(node, columns, ctes, scope, skip={"this", "alias", "with_", "pivots", "joins", "laterals"})
            self._add(scope, node, columns)
        for join in node.args.get("joins") or ():
            self._join(join, scope, ctes)
        for lateral in node.args.get("laterals") or ():
            self._source(lateral, scope, ctes)

    def _function_columns(self, node: exp.Expr, alias: exp.Expr | None) -> Names | None:
        declared = self._declared(alias) if alias is not None else None
        if declared is not None:
            return declared
        name = str(node.this).lower() if isinstance(node, exp.Anonymous) else "unnest"
        fixed = self._outputs.get(name)
        if not self._closed_functions:
            return None
        names: Names = {column: column for column in fixed or ()}
        names[name] = name
        names["ordinality"] = "ordinality"
        if alias is not None and isinstance(alias.this, exp.Identifier):
            names[self._fold(alias.this)] = alias.this.name
        return names

    def _add(self, scope: Scope, node: exp.Expr, columns: Names | None, base: object | None = None) -> None:
        alias = node.args.get("alias")
        name: exp.Expr | None = alias.this if isinstance(alias, exp.TableAlias) else None
        if isinstance(alias, exp.TableAlias) and columns is not None:
            declared = self._declared(alias)
            if declared is not None:
                columns = renamed(columns, declared)
        if name is None and isinstance(node, exp.Table):
            name = node.this
            if isinstance(name, exp.Anonymous):
                name = exp.to_identifier(str(name.this).lower(), quoted=True)
        if isinstance(node, exp.Lateral) and name is None and isinstance(node.this, exp.Subquery):
            inner = node.this.args.get("alias")
            name = inner.this if isinstance(inner, exp.TableAlias) else None
        key = self._fold(name) if isinstance(name, exp.Identifier) else f"\0{len(scope.sources)}"
        if key in scope.sources:
            key = f"\0{len(scope.sources)}:{key}"
        scope.sources[key] = Source(node, columns, base)

    # Expressions

    def _expressions(
        self, root: exp.Expr, scope: Scope, ctes: Ctes, skip: set[str] | frozenset[str] = frozenset()
    ) -> None:
        """Every column below `root` into `scope`; every query below it on its own. Not recursive: chains are long."""
        waiting: list[exp.Expr] = []
        push(waiting, root, skip)
        while waiting:
            node = waiting.pop()
            if isinstance(node, exp.Query | exp.Values):
                self._query(node, ctes, scope)
                continue
            if isinstance(node, exp.Table):
                raise Unfollowed("table in an expression")
            if isinstance(node, exp.Column):
                scope.columns.append(node)
                if isinstance(node.this, exp.Star):
                    push(waiting, node.this, _EXCEPT)
                continue
            if isinstance(node, exp.Dot) and isinstance(node.this, exp.Identifier):
                _see_column(node)
            self._add_names(scope, node)
            push(waiting, node, _NOT_COLUMNS.get(type(node), frozenset()))

    def _add_names(self, scope: Scope, node: exp.Expr) -> None:
        """The names that an expression itself gives: an alias, or a lambda's and a comprehension's variables."""
        names: list[exp.Expr] = []
        if isinstance(node, exp.Alias):
            names = [node.args["alias"]]
        elif isinstance(node, exp.Lambda):
            names = node.expressions
        elif isinstance(node, exp.Comprehension):
            names = [*node.args["expression"].find_all(exp.Identifier), *_given(node.args.get("position"))]
        scope.aliases.update(self._fold(name) for name in names if isinstance(name, exp.Identifier))

    # Output columns

    def _outputs_of(self, node: exp.Select, scope: Scope) -> Names | None:
        names: Names = {}
        for item in node.expressions:
            star = item if isinstance(item, exp.Star) else item.this if isinstance(item, exp.Column) else None
            if isinstance(star, exp.Star):
                found = self._star(scope, item.args.get("table") if isinstance(item, exp.Column) else None)
                if found is None or star.args.get("rename"):
                    return None
                names.update(found)
                continue
            name = self._item_name(item)
            if name is None:
                return None
            names[name[0]] = name[1]
        return names

    def _star(self, scope: Scope, table: exp.Expr | None = None) -> Names | None:
        if isinstance(table, exp.Identifier):
            source = scope.sources.get(self._fold(table))
            return source.columns if source is not None else None
        names: Names = {}
        for source in scope.sources.values():
            if source.columns is None:
                return None
            names.update(source.columns)
        return names

    def _item_name(self, item: exp.Expr) -> tuple[str, str] | None:
        if isinstance(item, exp.Alias):
            alias = item.args.get("alias")
            return (self._fold(alias), alias.name) if isinstance(alias, exp.Identifier) else None
        if isinstance(item, exp.Column) and isinstance(item.this, exp.Identifier):
            return self._fold(item.this), item.this.name
        derived = self._derived_name(item)
        return None if derived is None else (derived, derived)


def _given(node: exp.Expr | None) -> list[exp.Expr]:
    return [] if node is None else [node]


def _see_column(node: exp.Dot) -> None:
    """In DuckDB's ``name.upper()`` the name is a column."""
    if isinstance(node.expression, exp.Anonymous) and node.this.name.lower() != "pg_catalog":
        node.set("this", exp.Column(this=node.this.copy()))
