"""Rule 3d: PostgreSQL's own parser reads what we read, and what we write. For PostgreSQL only.

sqlglot is made for many dialects, and two parsers that differ are a way around any check. So the caller's text and the
text that our tree gives are both read by libpg_query, which is PostgreSQL's own grammar, and must be the same tree
there: whatever sqlglot misread, moved or left out shows as a difference. The names of tables and functions are then
held to those that our tree has, and the nodes to a list.
"""

from __future__ import annotations

from collections import Counter

from sqlglot import exp

from mcp_server.sql.checked import Checked
from mcp_server.sql.names import fold_identifiers
from mcp_server.sql.pg_tree import PgTree, Unread, read
from mcp_server.sql.refusal import RefusalCode, StatementRefused


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NAME_BYTES = 63
"""PostgreSQL cuts longer names (NAMEDATALEN - 1)."""

_KINDS = _words(
    """
    SelectStmt ResTarget WithClause CommonTableExpr CTESearchClause CTECycleClause SortBy WindowDef GroupingSet
    RangeVar RangeSubselect RangeFunction RangeTableSample JoinExpr Alias ColumnDef
    ColumnRef A_Star A_Const A_Expr A_Indirection A_Indices A_ArrayExpr BoolExpr NullTest BooleanTest CaseExpr CaseWhen
    CoalesceExpr MinMaxExpr SubLink RowExpr List String Integer Float Boolean BitString ParamRef TypeCast TypeName
    CollateClause FuncCall NamedArgExpr GroupingFunc SQLValueFunction SetToDefault
    XmlExpr XmlSerialize RangeTableFunc RangeTableFuncCol
    JsonArgument JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor JsonAggConstructor JsonBehavior
    JsonFormat JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonOutput JsonParseExpr
    JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn JsonTablePathSpec JsonValueExpr
    """
)
"""Nodes of which a query that only reads consists. No other statement's node and no lock is among them."""

_WRITES = ('"intoClause":', '"lockingClause":')
_SESSION = ('"SVFOP_CURRENT_ROLE"', '"SVFOP_CURRENT_USER"', '"SVFOP_USER"', '"SVFOP_SESSION_USER"',
            '"SVFOP_CURRENT_CATALOG"', '"SVFOP_CURRENT_SCHEMA"')  # fmt: skip

_BY_SYNTAX = _words(
    """
    timezone like_escape similar_to_escape similar_escape overlaps is_normalized normalize extract position substring
    overlay btrim ltrim rtrim xmlexists
    """
)
"""What PostgreSQL's grammar itself calls for AT TIME ZONE, LIKE … ESCAPE, EXTRACT, TRIM and so on (gram.y)."""


def second_opinion(checked: Checked) -> None:
    """Ask PostgreSQL's parser about the caller's text, and about ours.

    Raises:
        StatementRefused: ``unparseable`` where PostgreSQL would refuse the text; ``construct_not_allowed`` where it
            would read it differently; ``many_statements``, ``not_read_only`` or ``function_not_allowed``.
    """
    if checked.rules.name != "postgres":
        return
    start = checked.tokens[0].start
    theirs = _read_theirs(checked, start)
    _hold_root(theirs, explain=False)
    fold_identifiers(checked)
    _hold_names(checked, theirs)
    try:
        ours = read(checked.generate(checked.tree))
    except Unread as error:
        raise _differs() from error
    if not ours.same_as(theirs):
        raise _differs()


def hold_text(checked: Checked, text: str, ctes: set[str]) -> None:
    """Hold the text that will run to the same lists: its tables are those granted, or `ctes`.

    Raises:
        StatementRefused: as above.
    """
    if checked.rules.name != "postgres":
        return
    try:
        tree = read(text)
    except Unread as error:
        raise _differs() from error
    _hold_root(tree, explain=bool(checked.explain))
    _allowed_functions(checked, tree)
    granted = {*checked.tables, *((_cut(name),) for name in ctes)}
    if not granted.issuperset(tree.relations()):
        raise _differs()


def _read_theirs(checked: Checked, start: int) -> PgTree:
    sql = checked.sql[start:]
    try:
        return read(sql)
    except Unread as error:
        plain = _without_comments(checked, start)
        if plain != sql:
            # libpg_query stumbles over a comment between two words that belong together (NULLS LAST, NOT IN, WITH TIME)
            try:
                return read(plain)
            except Unread:
                pass
        raise StatementRefused(
            RefusalCode.UNPARSEABLE,
            f"PostgreSQL cannot parse the SQL: {error.message}.",
            hint="Correct the syntax.",
            position=None if error.position is None else start + error.position,
        ) from error


def _without_comments(checked: Checked, start: int) -> str:
    """The text from `start` on with spaces for whatever stands between two tokens, so that places stay."""
    sql, end = checked.sql, start
    parts: list[str] = []
    for token in checked.tokens:
        gap = sql[end : token.start]
        parts.append(gap if gap.isspace() else " " * len(gap))
        parts.append(sql[max(end, token.start) : token.end + 1])
        end = max(end, token.end + 1)
    return "".join(parts)


def _hold_root(tree: PgTree, *, explain: bool) -> None:
    """One query, made of listed nodes only."""
    count = tree.statements()
    if count != 1:
        raise StatementRefused(
            RefusalCode.MANY_STATEMENTS, f"PostgreSQL reads this as {count} statements.", hint="Send one statement."
        )
    if any(tree.says(clause) for clause in _WRITES):
        raise StatementRefused(
            RefusalCode.NOT_READ_ONLY, "INTO, FOR UPDATE and FOR SHARE are not possible here.", hint="Leave it out."
        )
    if any(tree.says(value) for value in _SESSION):
        raise StatementRefused(
            RefusalCode.FUNCTION_NOT_ALLOWED,
            "Values of the session, its user or the server's settings cannot be read.",
            hint="Leave it out.",
        )
    other = tree.kinds() - _KINDS - ({"ExplainStmt", "DefElem"} if explain else set())
    if other:
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            f"PostgreSQL reads this as something that is not available here: {min(other)}.",
            hint="Write the query in plain SELECT terms.",
        )


def _allowed_functions(checked: Checked, tree: PgTree) -> set[str]:
    """The names of all functions that PostgreSQL would call, each of them listed."""
    functions = checked.rules.functions
    names: set[str] = set()
    for *schema, name in tree.functions():
        listed = name in functions.scalar or name in functions.table or name in _BY_SYNTAX
        if schema not in ([], ["pg_catalog"]) or not listed or (name in checked.schema.functions and not schema):
            raise StatementRefused(
                RefusalCode.FUNCTION_NOT_ALLOWED,
                f"The function {name[:60]} is not on the list of allowed functions, so it cannot be called.",
                hint="Use a built-in function that only computes on its arguments.",
            )
        names.add(name)
    return names


def _hold_names(checked: Checked, theirs: PgTree) -> None:
    """Tables and functions that PostgreSQL sees are those that our tree has."""
    tables: Counter[tuple[str, ...]] = Counter()
    called: set[str] = set()
    special = False
    for node in checked.tree.find_all(exp.Table, exp.Func):
        if isinstance(node, exp.Table):
            if isinstance(node.this, exp.Identifier):
                tables[tuple(_cut(part.name) for part in node.parts)] += 1
        elif isinstance(node, exp.Anonymous):
            called.add(str(node.this).lower())
        else:
            special = True
    if tables != Counter(theirs.relations()):
        raise _differs()
    unseen = _allowed_functions(checked, theirs) - called - _BY_SYNTAX
    if unseen and not special:
        raise _differs()


def _cut(name: str) -> str:
    return name.encode()[:_NAME_BYTES].decode(errors="ignore") if len(name) > _NAME_BYTES // 4 else name


def _differs() -> StatementRefused:
    return StatementRefused(
        RefusalCode.CONSTRUCT_NOT_ALLOWED,
        "PostgreSQL's parser and ours do not read this SQL as the same thing.",
        hint="Write it in plainer terms.",
    )
