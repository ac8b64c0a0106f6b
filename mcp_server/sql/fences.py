"""Rule 5: each table with a rule becomes a sub-query of what may be read of it. No column is analysed for that.

``(SELECT columns, masks FROM schema.table WHERE filter <fence>) AS alias``: stars, whole rows, USING, natural joins
and blind probes then have nothing to reach. The fence keeps the database from trying the caller's own predicates on
hidden rows, which would tell of them by failing; where none can fail, there is none (`mcp_server.sql.harmless`).
"""

from __future__ import annotations

from sqlglot import exp

from mcp_server.sql.checked import Checked, position_of
from mcp_server.sql.granted import GrantedTable
from mcp_server.sql.harmless import is_harmless
from mcp_server.sql.masks import masked
from mcp_server.sql.predicates import condition, named
from mcp_server.sql.pushdown import copied
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.scopes import Scope

_ALL_ROWS = "18446744073709551615"


def fences(checked: Checked) -> None:
    """Replace the tables that have a rule. The text that a caller may see is made before.

    Raises:
        StatementRefused: ``construct_not_allowed`` where the rule could not be kept, and for EXPLAIN of such a table.
    """
    protected = [
        (scope, key, source.node, source.base)
        for scope in checked.scopes
        for key, source in scope.sources.items()
        if isinstance(source.base, GrantedTable) and not source.base.plain
    ]
    if checked.explain and any(table.hides for table in checked.tables.values()):
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            "A plan over a table that you may read only in part cannot be shown.",
            hint="Run the query itself.",
        )
    if not protected:
        return
    checked.shown = checked.generate(checked.tree)
    is_open = is_harmless(checked)
    # Every condition is copied before any table is replaced: the copies are of what the caller wrote.
    new = [
        (node, _fenced(checked, scope, key, node, granted, is_open=is_open)) for scope, key, node, granted in protected
    ]
    for node, fenced in new:
        node.replace(fenced)
    checked.fenced = len(new)


def _refuse_clauses(dialect: str, scope: Scope, node: exp.Expr, granted: GrantedTable) -> None:
    """What can stand beside a table and not beside the sub-query in its place."""
    # DuckDB samples any source: what is sampled then are the rows that the policy gives
    moved = {"this", "db", "alias", "joins", "laterals", "pivots", *(("sample",) if dialect == "duckdb" else ())}
    clauses = {name for name, value in node.args.items() if value} - moved
    if scope.query.args.get("prewhere") is not None:
        clauses.add("prewhere")
    if clauses:
        clause = min(clauses).upper()
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            f"{clause} cannot be used on the table {granted.table.name}, which you may read only in part.",
            hint=f"Write the query {'with WHERE instead of' if clause == 'PREWHERE' else 'without'} {clause}.",
            position=position_of(node),
        )


def _fenced(
    checked: Checked, scope: Scope, key: str, node: exp.Expr, granted: GrantedTable, *, is_open: bool
) -> exp.Subquery:
    rules = checked.rules
    _refuse_clauses(rules.name, scope, node, granted)
    if not granted.columns:
        raise StatementRefused(
            RefusalCode.UNKNOWN_TABLE,
            f"There is no table {granted.table.name} in this source.",
            position=position_of(node),
        )
    inner = exp.Table(
        this=exp.to_identifier(granted.table.name, quoted=True), db=exp.to_identifier(granted.table.schema, quoted=True)
    )
    every = {column.name: column.type for column in granted.table.columns}
    try:
        items = [
            masked(column, granted.masks[column.name], checked.dialect, rules.name)
            if column.name in granted.masks
            else named(column.name)
            for column in granted.columns
        ]
        conditions = [condition(filter_, every, rules.name) for filter_ in granted.filters]
    except LookupError as error:
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            f"The policy's rule for the table {granted.table.name} cannot be applied, so it cannot be read.",
            hint="Tell the user that the server's policy needs attention.",
        ) from error
    if not is_open:
        conditions += copied(checked, scope, key, granted)
    select = exp.Select(expressions=items, from_=exp.From(this=inner))
    if conditions:
        joined = conditions[0]
        for part in conditions[1:]:
            joined = exp.And(this=joined, expression=part)
        select.set("where", exp.Where(this=joined))
    if rules.name == "clickhouse":
        _qualify(select, inner)
    if is_open:
        pass
    elif rules.fence == "offset":
        select.set("offset", exp.Offset(expression=exp.Literal.number(0)))
    elif rules.fence == "limit_offset":
        select.set("limit", exp.Limit(expression=exp.Neg(this=exp.Literal.number(1))))
        select.set("offset", exp.Offset(expression=exp.Literal.number(0)))
    else:
        select.set("limit", exp.Limit(expression=exp.Literal.number(_ALL_ROWS)))
    alias = node.args.get("alias")
    if not isinstance(alias, exp.TableAlias):
        alias = exp.TableAlias(this=exp.to_identifier(node.name, quoted=True))
    return exp.Subquery(
        this=select,
        alias=alias.copy(),
        joins=node.args.get("joins"),
        laterals=node.args.get("laterals"),
        pivots=node.args.get("pivots"),
        sample=node.args.get("sample"),
    )


def _qualify(select: exp.Select, table: exp.Table) -> None:
    """Name the table before each column that is computed with.

    To ClickHouse, an alias of the select list, as each mask has one, is meant before the column of its name.
    """
    computed = [item for item in select.expressions if isinstance(item, exp.Alias)]
    if select.args.get("where") is not None:
        computed.append(select.args["where"])
    for part in computed:
        for column in part.find_all(exp.Column):
            column.set("table", table.this.copy())
            column.set("db", table.args["db"].copy())
