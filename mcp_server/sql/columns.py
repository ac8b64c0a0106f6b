"""Rule 6: a column that is not there, or not granted, is refused with a suggestion instead of the database's error.

What hides columns is the rewriting of tables, not this rule; where it cannot be told what a name means, the name is
left to the database. Only PostgreSQL is held to known fields throughout, because there ``a.f`` may call ``f(a)``.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from sqlglot import exp

from mcp_server.sql.checked import Checked, position_of
from mcp_server.sql.granted import GrantedTable
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.scopes import Scope, Source

_PREDICATES = (
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.Glob, exp.In, exp.Between, exp.Is,
    exp.Case, exp.If, exp.DPipe, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Anonymous, exp.RegexpLike, exp.Escape,
    exp.Introducer,
)  # fmt: skip

_ROW_FIELD = re.compile(r"f[0-9]{1,4}")
"""What PostgreSQL calls the fields of ``ROW(…)``."""


def columns(checked: Checked) -> None:
    """Look up every column.

    Raises:
        StatementRefused: ``unknown_column`` or ``unknown_table``.
    """
    for scope in checked.scopes:
        for column in scope.columns:
            if not isinstance(column.this, exp.Identifier):
                _look_up_table(checked, scope, column)
            elif column.args.get("table") is not None:
                _look_up_qualified(checked, scope, column)
            else:
                _look_up_bare(checked, scope, column)
        for join in scope.query.args.get("joins") or ():
            _look_up_using(checked, scope, join)
        if isinstance(scope.query, exp.Select):
            _look_up_left_out(checked, scope)
    if checked.rules.strict_fields:
        _hold_fields(checked)


def _key(checked: Checked, identifier: exp.Expr) -> str:
    return identifier.name.lower() if checked.rules.folds == "any" else identifier.name


def _around(scope: Scope) -> list[Scope]:
    found = [scope]
    while found[-1].parent is not None:
        found.append(found[-1].parent)
    return found


def _source(checked: Checked, scope: Scope, name: exp.Expr) -> Source | None:
    key = _key(checked, name)
    for around in _around(scope):
        source = around.sources.get(key)
        if source is not None:
            return source
    return None


def _look_up_table(checked: Checked, scope: Scope, column: exp.Column) -> Source | None:
    """The source of ``t.*`` or ``t.c``; the schema in ``s.t.c`` is taken off, as the table may become a sub-query."""
    name = column.args.get("table")
    if name is None:
        return None
    source = _source(checked, scope, name)
    db = column.args.get("db")
    if db is not None and source is not None:
        base = source.base
        named = isinstance(base, GrantedTable) and _same(checked, db.name, base.table.schema)
        if named and column.args.get("catalog") is None and not _is_aliased(source.node):
            column.set("db", None)
            return source
    if source is None or db is not None:
        # DuckDB and BigQuery read ``a.b`` as the field b of a column a; ``x.a.b`` likewise.
        first = column.args.get("catalog") or db or name
        if not checked.rules.strict_fields and (
            _source(checked, scope, first) is not None or _is_column(checked, scope, first)
        ):
            return None
        shown = ", ".join(_visible_sources(scope))
        raise StatementRefused(
            RefusalCode.UNKNOWN_TABLE,
            f"Nothing in FROM is called {name.name[:60]}.",
            hint=f"FROM has: {shown}." if shown else "Add it to FROM.",
            position=position_of(column),
        )
    return source


def _is_aliased(node: exp.Expr) -> bool:
    alias = node.args.get("alias")
    return isinstance(alias, exp.TableAlias) and alias.this is not None and alias.this.name != node.name


def _same(checked: Checked, left: str, right: str) -> bool:
    return left.lower() == right.lower() if checked.rules.folds == "any" else left == right


def _visible_sources(scope: Scope) -> list[str]:
    return [name for around in _around(scope) for name in around.sources if not name.startswith("\0")][:10]


def _look_up_qualified(checked: Checked, scope: Scope, column: exp.Column) -> None:
    source = _look_up_table(checked, scope, column)
    if source is None or source.columns is None:
        return
    key = _key(checked, column.this)
    if key in source.columns or _is_row_id(checked, source, key):
        return
    raise _unknown(checked, column, source.columns, f"{column.table}.{column.name}")


def _is_row_id(checked: Checked, source: Source, key: str) -> bool:
    base = source.base
    return isinstance(base, GrantedTable) and base.plain and key in checked.rules.row_ids


def _is_column(checked: Checked, scope: Scope, name: exp.Expr) -> bool:
    """Whether a bare name can be a column, an alias or a source here or around."""
    return any(_is_column_of(checked, around, name) for around in _around(scope))


def _is_column_of(checked: Checked, scope: Scope, name: exp.Expr) -> bool:
    key = _key(checked, name)
    if key in scope.aliases or key in scope.sources:
        return True
    return any(
        source.columns is None or key in source.columns or _is_row_id(checked, source, key)
        for source in scope.sources.values()
    )


def _look_up_bare(checked: Checked, scope: Scope, column: exp.Column) -> None:
    within = _within_what_hides(scope)
    if any(_is_column_of(checked, around, column.this) for around in within):
        return
    if _is_string(checked, column) and not _hides_columns(within[-1]):
        column.replace(exp.Literal.string(column.name))
        return
    known: dict[str, str] = {}
    for around in _around(scope):
        for source in around.sources.values():
            known.update(source.columns or {})
    raise _unknown(checked, column, known, column.name)


def _within_what_hides(scope: Scope) -> list[Scope]:
    """The scopes that a bare name may be of: `scope` and those around it, up to the first that hides columns.

    A hidden column's name must not become a column of the query around, which would look like a right answer; and as a
    hidden one must read like one that is not there, no bare name does.
    """
    found: list[Scope] = []
    for around in _around(scope):
        found.append(around)
        if _hides_columns(around):
            break
    return found


def _hides_columns(scope: Scope) -> bool:
    """Whether a policy hides columns of a table that this very SELECT reads."""
    return any(isinstance(source.base, GrantedTable) and bool(source.base.denied) for source in scope.sources.values())


def _is_string(checked: Checked, column: exp.Column) -> bool:
    """SQLite reads ``"x"`` as a string when there is no such column. Done here only where a value is compared."""
    if not checked.rules.double_quoted_strings or not isinstance(column.parent, _PREDICATES):
        return False
    start = column.this.meta.get("start")
    return isinstance(start, int) and checked.sql[start : start + 1] == '"'


def _look_up_using(checked: Checked, scope: Scope, join: exp.Expr) -> None:
    """Each name of USING must be a column on both sides."""
    for name in join.args.get("using") or ():
        key = _key(checked, name)
        having = [source for source in scope.sources.values() if source.columns is None or key in source.columns]
        if len(having) < 2 and isinstance(name, exp.Identifier):
            known = {column: column for source in scope.sources.values() for column in source.columns or {}}
            known.pop(key, None)
            raise _unknown(checked, name, known, name.name)


def _look_up_left_out(checked: Checked, scope: Scope) -> None:
    """Each name in ``* EXCLUDE (…)`` must be a column of what the star stands for."""
    for item in scope.query.expressions:
        star = item if isinstance(item, exp.Star) else item.this if isinstance(item, exp.Column) else None
        if not isinstance(star, exp.Star) or not star.args.get("except_"):
            continue
        table = item.args.get("table") if isinstance(item, exp.Column) else None
        named = _source(checked, scope, table) if isinstance(table, exp.Identifier) else None
        sources = [named] if named is not None else list(scope.sources.values())
        if any(source.columns is None for source in sources):
            continue
        known = {key: value for source in sources for key, value in (source.columns or {}).items()}
        for left_out in star.args["except_"]:
            name = left_out.this if isinstance(left_out, exp.Column) else left_out
            if isinstance(name, exp.Identifier) and _key(checked, name) not in known:
                raise _unknown(checked, name, known, name.name)


def _hold_fields(checked: Checked) -> None:
    """PostgreSQL's ``(row).f`` reads a field or calls a function: the name must be one of a column."""
    names: set[str] | None = None
    for dot in checked.tree.find_all(exp.Dot):
        right = dot.expression
        if not isinstance(right, exp.Identifier) or isinstance(dot.parent, exp.DataType):
            continue
        if names is None:
            names = {c.name for table in checked.tables.values() for c in table.columns}
            names.update(name for fixed in checked.rules.functions.outputs.values() for name in fixed)
            names -= set(checked.schema.functions)
        anonymous = _ROW_FIELD.fullmatch(right.name) and right.name not in checked.schema.functions
        if right.name not in names and not anonymous:
            raise _unknown(checked, dot, {name: name for name in names}, right.name)


def _unknown(checked: Checked, node: exp.Expr, known: dict[str, str], written: str) -> StatementRefused:
    name = written.rpartition(".")[2].lower()
    close = get_close_matches(name, [key.lower() for key in known], n=1, cutoff=0.6)
    spelled = {key.lower(): value for key, value in known.items()}
    if close:
        hint = f"Did you mean {spelled[close[0]]}?"
    elif known:
        hint = f"There are: {', '.join(list(known.values())[:20])}."
    else:
        hint = "Call describe_tables() to see the columns."
    return StatementRefused(
        RefusalCode.UNKNOWN_COLUMN,
        f"There is no column {written[:120]} here.",
        hint=hint,
        position=position_of(node),
    )
