"""Rule 4: every table is a CTE or a granted table. CTEs are renamed, tables written with their schema and quoted.

So a name never reaches the database with two meanings: where our reading of WITH and the database's differ, the
statement fails instead of reading another table.
"""

from __future__ import annotations

from sqlglot import exp

from mcp_server.sql.checked import Checked, position_of
from mcp_server.sql.granted import GrantedTable
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.resolver import Resolver
from mcp_server.sql.result_names import postgres_name
from mcp_server.sql.scopes import Names, Unfollowed

_CATALOGUES = frozenset(
    {"information_schema", "pg_catalog", "sys", "mysql", "performance_schema", "system", "pg_toast"}
)
_CATALOGUE_TABLES = ("sqlite_", "pg_", "duckdb_", "pragma_", "information_schema")


def names(checked: Checked) -> None:
    """Resolve all names, and write tables as the database spells them.

    Raises:
        StatementRefused: ``unknown_table``, or ``construct_not_allowed`` for a source that cannot be followed.
    """
    fold_identifiers(checked)
    rules = checked.rules

    def fold(identifier: exp.Identifier) -> str:
        return identifier.name.lower() if rules.folds == "any" else identifier.name

    def find(table: exp.Table) -> tuple[object, Names]:
        granted = _find(checked, table)
        return granted, {(c.name.lower() if rules.folds == "any" else c.name): c.name for c in granted.columns}

    resolver = Resolver(
        fold=fold,
        find=find,
        outputs=rules.functions.outputs,
        recursive_by_default=rules.recursive_by_default,
        derived_name=postgres_name if rules.strict_fields else lambda _: None,
        closed_functions=rules.strict_fields,
    )
    try:
        checked.scopes = resolver.resolve(checked.tree)
    except Unfollowed as error:
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            f"A source of the query has a form that is not available here ({error}).",
            hint="Read from tables, sub-queries and WITH entries.",
        ) from error
    for scope in checked.scopes:
        for source in scope.sources.values():
            granted = source.base
            if isinstance(granted, GrantedTable) and isinstance(source.node, exp.Table):
                _write_table(source.node, granted)
                checked.tables[granted.key] = granted
    _refuse_capture(checked, resolver)
    _rename_ctes(resolver)


def _refuse_capture(checked: Checked, resolver: Resolver) -> None:
    """ClickHouse before 24.3 puts ``WITH 1 AS tenant_id`` in place of that column in sub-queries, ours among them."""
    for granted in checked.tables.values():
        taken = set() if granted.plain else {column.name for column in granted.table.columns} & resolver.values
        if taken:
            raise StatementRefused(
                RefusalCode.CONSTRUCT_NOT_ALLOWED,
                f"The value {min(taken)} of WITH has the name of a column.",
                hint="Give it another name.",
            )


def fold_identifiers(checked: Checked) -> None:
    """Give every unquoted name the case that the database would, so that quoting it changes nothing."""
    case = checked.rules.unquoted
    if not case:
        return
    for identifier in checked.tree.find_all(exp.Identifier):
        if not identifier.args.get("quoted"):
            name = identifier.this
            if case == "upper":
                identifier.set("this", name.upper())
            elif not name.islower():
                # PostgreSQL folds ASCII letters only in a multi-byte encoding.
                identifier.set("this", "".join(c.lower() if c.isascii() else c for c in name))
            identifier.set("quoted", True)


def _find(checked: Checked, table: exp.Table) -> GrantedTable:
    db, name = table.args.get("db"), table.this.name
    schema = db.name if isinstance(db, exp.Identifier) else ""
    plain = table.args.get("catalog") is None and (db is None or isinstance(db, exp.Identifier))
    found = checked.granted.find(schema, name) if plain else None
    if found is not None:
        return found
    written = ".".join(part.name for part in table.parts)
    if schema.lower() in _CATALOGUES or name.lower().startswith(_CATALOGUE_TABLES):
        hint = "The database's catalogue is not available; call describe_tables() for tables and columns."
    else:
        near = checked.granted.suggestion(name)
        hint = f"Did you mean {near}?" if near else "Call describe_tables() to see the tables."
    raise StatementRefused(
        RefusalCode.UNKNOWN_TABLE,
        f"There is no table {written[:120]} in this source.",
        hint=hint,
        position=position_of(table.this),
    )


def _write_table(node: exp.Table, granted: GrantedTable) -> None:
    spelled = node.this.name
    if spelled != granted.table.name and not node.args.get("alias"):
        node.set("alias", exp.TableAlias(this=exp.to_identifier(spelled, quoted=True)))
    node.set("this", exp.to_identifier(granted.table.name, quoted=True))
    node.set("db", exp.to_identifier(granted.table.schema, quoted=True))


def _rename_ctes(resolver: Resolver) -> None:
    for table, cte in resolver.cte_tables:
        if not table.args.get("alias"):
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.this.name, quoted=True)))
        table.set("this", exp.to_identifier(cte.renamed, quoted=True))
    for cte in resolver.ctes:
        cte.node.args["alias"].set("this", exp.to_identifier(cte.renamed, quoted=True))
