"""Rule 3b: every node of the tree is of a class on the list, and carries only clauses that are on it.

A root node proves nothing: ``WITH d AS (DELETE …) SELECT``, ``SELECT … INTO``, ``… FOR UPDATE`` all have a query at
their root. What sqlglot learns to parse tomorrow is refused until somebody adds it here.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from mcp_server.sql.checked import Checked, position_of
from mcp_server.sql.operators import BUILT_IN
from mcp_server.sql.refusal import RefusalCode, StatementRefused

MAX_NODES = 8_000

_NODES = """
Select Union Intersect Except SetOperation Subquery Values With CTE RecursiveWithSearch From Join Lateral Unnest Table
TableAlias Where Group Having Qualify Order Ordered Limit Offset Fetch Distinct WindowSpec Window Filter WithinGroup
IgnoreNulls RespectNulls HavingMax Rollup Cube GroupingSets TableSample Pivot Tuple Final PreWhere WithFill
LimitOptions Star Column Identifier Dot Alias Aliases Paren Literal Boolean Null Interval IntervalSpan Var
Cast TryCast CastToStrType Case If In Between Is Like ILike Glob SimilarTo RegexpLike RegexpILike Match MatchAgainst
Escape And Or Xor Not Neg Add Sub Mul Div IntDiv Mod Pow DPipe SafeDPipe EQ NEQ GT GTE LT LTE NullSafeEQ NullSafeNEQ
Any All Exists BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitwiseLeftShift BitwiseRightShift Collate AtTimeZone
AtIndex Bracket Slice Array List Map ToMap VarMap Struct PropertyEQ Kwarg Lambda Comprehension Placeholder Parameter
PositionalColumn PivotAny PivotAlias ParseJSON OverflowTruncateBehavior
Overlaps Distance ArrayContainsAll ArrayContainedBy ArrayOverlaps RangeN JSONExtract JSONExtractScalar JSONBExtract
JSONBExtractScalar JSONBContains JSONBContainsTopKey JSONBContainsAnyTopKeys JSONBContainsAllTopKeys
JSONBPathExists JSONBDeleteAtPath JSONBDelete JSONArrayContains JSONPath JSONPathRoot JSONPathKey JSONPathSubscript
JSONPathPart JSONPathWildcard JSONPathRecursive JSONPathSlice JSONPathUnion JSONPathFilter JSONPathScript
JSONPathSelector JSONCast JSONKeyValue JSONObject JSONObjectAgg JSONBObjectAgg JSONArray JSONArrayAgg JSONValue
JSONExists JSONTable JSONSchema JSONColumnDef IndexTableHint
JSONFormat JSON FormatJson OnCondition OpenJSON OpenJSONColumnDef Predicate Operator_ MatchCondition
DataType DataTypeParam PseudoType IntervalOp ColumnDef CharacterSet CollateColumnConstraint
NotNullColumnConstraint ColumnConstraint Adjacent ExtendsLeft ExtendsRight Operator Variadic
ByteString RawString National HexString BitString UnicodeString Introducer Concat Chr Char
Anonymous AnonymousAggFunc CombinedAggFunc CombinedParameterizedAgg ParameterizedAgg Quantile ApproxQuantile
Extract Substring Trim Position StrPosition Overlay Ceil Floor GroupConcat Max Min ArgMax ArgMin PercentileCont
PercentileDisc Coalesce Initcap Normalize Decode DecodeCase Convert ConvertToCharset DateAdd DateSub DateDiff
TimestampTrunc TsOrDsAdd TimeUnit WeekStart Date Timestamp Datetime Time TimestampDiff TimestampAdd
CurrentDate CurrentTime CurrentTimestamp CurrentDatetime Localtime Localtimestamp UtcDate UtcTime UtcTimestamp
Abs Sqrt Cbrt Factorial SafeFunc Explode Posexplode Inline Columns ArrayFilter Transform
StartsWith TsMatch XMLElement XMLNamespace Contains GenerateSeries Grouping GroupingId
WeekOfYear Week Year Month Day DateTrunc ToChar Left Right Upper Lower Length Sum Avg Count IsInf IsNan
EqualNull FirstValue LastValue NthValue Lag Lead RegexpExtract
RegexpReplace Stuff Nullif Greatest Least Round Mode Median Stddev
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Where these are named, any other clause that is set is refused. A clause with the value False is not set.
_CLAUSES: dict[type[exp.Expr], frozenset[str]] = {
    exp.Select: _words(
        "with_ distinct expressions from_ joins laterals where group having qualify windows order limit offset "
        "prewhere sample kind operation_modifiers"
    ),
    exp.Union: _words("with_ this expression distinct by_name side kind on order limit offset"),
    exp.Subquery: _words("this alias with_ joins order limit offset pivots sample laterals"),
    exp.Table: _words(
        "this alias db catalog joins laterals pivots ordinality rows_from sample only system_time_none hints"
    ),
    exp.JSONTable: _words("this path schema"),
    exp.Join: _words("this on side kind using method expressions match_condition global_"),
    exp.Lateral: _words("this view outer alias cross_apply ordinality"),
    exp.With: _words("expressions recursive search"),
    exp.CTE: _words("this alias materialized scalar key_expressions"),
    exp.Values: _words("expressions alias order limit offset"),
    exp.Star: _words("except_ replace rename except replace_ ilike"),
    exp.Limit: _words("this expression expressions offset limit_options"),
    exp.Fetch: _words("direction count limit_options"),
    exp.LimitOptions: _words("rows with_ties percent"),
    exp.Pivot: _words(
        "this alias expressions fields unpivot using group columns include_nulls default_on_null into_none "
        "identify_pivot_strings prefixed_pivot_columns pivot_column_naming value_columns_alias value_columns_first"
    ),
    exp.Column: _words("this table db catalog join_mark"),
    exp.IndexTableHint: _words("this expressions target"),
}
_CLAUSES[exp.Intersect] = _CLAUSES[exp.Except] = _CLAUSES[exp.SetOperation] = _CLAUSES[exp.Union]

_ALLOWED = frozenset(found for name in _NODES.split() if isinstance(found := getattr(exp, name, None), type))

_SESSION_VALUES = (exp.SessionParameter, exp.CurrentUser, exp.SessionUser, exp.CurrentSchema, exp.CurrentCatalog)

_HINTS: dict[str, str] = {
    "into": "A query cannot write its rows anywhere; leave INTO out.",
    "locks": "Leave FOR UPDATE or FOR SHARE out: nothing is locked by reading.",
    "hint": "Leave the optimizer hint out.",
    "hints": "Leave the table hint out.",
    "settings": "Leave SETTINGS out.",
    "format": "Leave FORMAT out.",
    "options": "Leave OPTION out.",
    "indexed": "Leave INDEXED BY out.",
}


def nodes(checked: Checked) -> None:
    """Hold the tree to the list.

    Raises:
        StatementRefused: ``not_read_only``, ``construct_not_allowed``, ``function_not_allowed`` or ``too_complex``.
    """
    allow_nodes(checked.tree, checked.rules.name)


def allow_nodes(tree: exp.Expr, dialect: str) -> None:
    """The same for any tree; the last rule uses it on what was generated.

    Raises:
        StatementRefused: as above.
    """
    count = 0
    for node in tree.walk():
        count += 1
        kind = type(node)
        if kind not in _ALLOWED:
            raise _refuse_node(node)
        clauses = _CLAUSES.get(kind)
        if clauses is not None:
            for name, value in node.args.items():
                if value and name not in clauses:
                    raise _refuse_clause(node, name)
        check = _CHECKS.get(kind)
        if check is not None:
            check(node, dialect)
    if count > MAX_NODES:
        raise StatementRefused(
            RefusalCode.TOO_COMPLEX,
            f"The SQL has {count:,} parts; {MAX_NODES:,} are allowed.",
            hint="Split it into smaller statements.",
        )


def _refuse_node(node: exp.Expr) -> StatementRefused:
    position = position_of(node)
    if isinstance(node, exp.Insert | exp.Update | exp.Delete | exp.DDL | exp.Command | exp.Merge | exp.Into | exp.Lock):
        return StatementRefused(
            RefusalCode.NOT_READ_ONLY,
            f"{type(node).__name__.upper()} is not possible within a query here.",
            hint="Only reading is possible.",
            position=position,
        )
    if isinstance(node, _SESSION_VALUES):
        return StatementRefused(
            RefusalCode.FUNCTION_NOT_ALLOWED,
            "Values of the session, its user or the server's settings cannot be read.",
            hint="Leave it out.",
            position=position,
        )
    if isinstance(node, exp.Func):
        return StatementRefused(
            RefusalCode.FUNCTION_NOT_ALLOWED,
            f"The function {node.sql_name().lower()} is not on the list of allowed functions.",
            hint="Use an ordinary string, date, number, JSON, aggregate or window function.",
            position=position,
        )
    return _construct(f"This construct is not available here: {type(node).__name__}.", node)


def _refuse_clause(node: exp.Expr, name: str) -> StatementRefused:
    shown = name.rstrip("_").replace("_", " ").upper()
    code = RefusalCode.NOT_READ_ONLY if name in {"into", "locks"} else RefusalCode.CONSTRUCT_NOT_ALLOWED
    return StatementRefused(
        code,
        f"The clause {shown} of {type(node).__name__.upper()} is not available here.",
        hint=_HINTS.get(name, "Write the query without it."),
        position=position_of(node),
    )


def _construct(message: str, node: exp.Expr, hint: str = "Write the query in plain SELECT terms.") -> StatementRefused:
    return StatementRefused(RefusalCode.CONSTRUCT_NOT_ALLOWED, message, hint=hint, position=position_of(node))


def _check_in(node: exp.Expr, dialect: str) -> None:
    # SQLite and ClickHouse read the name after IN as a table, which here would be a column like any other.
    field = node.args.get("field")
    if field is not None and not (dialect == "duckdb" or isinstance(field, exp.Placeholder | exp.Parameter)):
        raise _construct("IN needs a list or a sub-query in parentheses.", node, "Write IN (SELECT … ).")


def _check_type(node: exp.Expr, dialect: str) -> None:
    if node.this is exp.DType.USERDEFINED or getattr(node.this, "name", "").startswith("REG"):
        kind = node.args.get("kind")
        name = (kind.name if isinstance(kind, exp.Expr) else str(kind or "")).upper()
        if name not in _SQLITE_TYPES if dialect == "sqlite" else not _is_postgres_type(name, dialect):
            raise _construct(f"A cast to {name.lower() or 'that type'} is not available.", node, "Use a built-in type.")


def _is_postgres_type(name: str, dialect: str) -> bool:
    return dialect == "postgres" and name.removeprefix("PG_CATALOG.").replace('"', "").lower() in _POSTGRES_TYPES


# Built-in types of values whose names sqlglot takes for a user's own. None of them looks anything up, as the types of
# objects' names do (regclass and its kin, pg_type.dat), nor shows the server's inside (aclitem, pg_node_tree, xid).
_POSTGRES_TYPES = _words(
    """
    bit varbit bool boolean bpchar box bytea char cidr circle date decimal float4 float8 inet int int2 int4 int8 bigint
    integer smallint interval json jsonb jsonpath line lseg macaddr macaddr8 money name numeric path point polygon real
    record text time timestamp timestamptz timetz tsquery tsvector uuid varchar xml
    datemultirange daterange int4multirange int4range int8multirange int8range nummultirange numrange tsmultirange
    tsrange tstzmultirange tstzrange
    """
)
_SQLITE_TYPES = frozenset({"NUMERIC", "DATE", "DATETIME", "TIMESTAMP", "STRING", "NUMBER"})


def _check_parameter(node: exp.Expr, dialect: str) -> None:
    name = node.this
    numbered = (isinstance(name, exp.Literal) and not name.is_string) or (isinstance(name, str) and name.isdigit())
    # PostgreSQL's parameters are $1; a placeholder there is a lone % that sqlglot would write as %s.
    without = {"snowflake", "tsql", "postgres"} if isinstance(node, exp.Placeholder) else {"snowflake", "tsql"}
    if (name is None or numbered) and dialect not in without:
        return
    raise _construct("Variables and named parameters are not available.", node, "Write the value itself.")


def _check_select(node: exp.Expr, dialect: str) -> None:
    if not node.expressions and dialect != "postgres":
        raise _construct("A SELECT lists no columns.", node, "Name the columns, or write SELECT *.")
    # Elsewhere sqlglot would put the query in another one, and set the root's LIMIT inside.
    if node.args.get("qualify") and dialect not in _QUALIFIES:
        raise _refuse_clause(node, "qualify")
    # MySQL: how the rows are found, not which. SQL_CALC_FOUND_ROWS would find all of them; HIGH_PRIORITY goes first.
    for word in node.args.get("operation_modifiers") or ():
        if word.name.upper() not in _HOW_TO_FIND:
            raise _construct(f"{word.name.upper()[:30]} is not available.", node, "Leave it out.")


_QUALIFIES = frozenset({"duckdb", "clickhouse", "snowflake", "bigquery"})


def _check_values(node: exp.Expr, dialect: str) -> None:
    # sqlglot reads ``FROM VALUES t a`` as a row of one column t that is called a.
    if any(isinstance(item, exp.Alias) for row in node.expressions for item in row.expressions):
        raise _construct("A row of VALUES needs parentheses.", node, "Write VALUES (…), (…).")


def _check_join(node: exp.Expr, dialect: str) -> None:
    if isinstance(node.this, exp.Table | exp.Subquery | exp.Lateral | exp.Unnest | exp.Values | exp.Final):
        return
    if dialect == "clickhouse" and node.args.get("kind") == "ARRAY" and not node.find(exp.Query):
        return
    raise _construct("This cannot be joined.", node, "Join a table or a sub-query.")


def _check_from(node: exp.Expr, dialect: str) -> None:
    if not isinstance(node.this, exp.Table | exp.Subquery | exp.Lateral | exp.Unnest | exp.Values | exp.Final):
        raise _construct("This cannot be read from.", node, "Read from a table or a sub-query.")


def _check_subquery(node: exp.Expr, dialect: str) -> None:
    if not isinstance(node.this, exp.Query | exp.Table | exp.Values):
        raise _construct("Only a query can stand in these parentheses.", node)


def _check_dot(node: exp.Expr, dialect: str) -> None:
    # ``schema.function(…)``: only PostgreSQL's own catalogue, and methods on a value in DuckDB.
    right, left = node.args.get("expression"), node.this
    if isinstance(right, exp.Anonymous):
        own = isinstance(left, exp.Identifier) and left.name.lower() == "pg_catalog" and dialect == "postgres"
        if not own and dialect != "duckdb":
            raise StatementRefused(
                RefusalCode.FUNCTION_NOT_ALLOWED,
                f"The function {right.name.lower()} of a schema cannot be called.",
                hint="Use a built-in function, without a schema.",
                position=position_of(node),
            )
    elif dialect == "clickhouse" and isinstance(right, exp.Literal) and right.name.isdigit():
        return
    elif not isinstance(right, exp.Identifier | exp.Star):
        raise _construct("This use of a dot is not available.", node)


_HOW_TO_FIND = frozenset({"STRAIGHT_JOIN", "SQL_SMALL_RESULT", "SQL_BIG_RESULT", "SQL_BUFFER_RESULT"})


def _check_table(node: exp.Expr, dialect: str) -> None:
    # MySQL's USE, FORCE and IGNORE INDEX: they change the plan, and only that.
    hints = node.args.get("hints") or ()
    if any(not isinstance(hint, exp.IndexTableHint) for hint in hints) or (hints and dialect != "mysql"):
        raise _construct("The clause HINTS of TABLE is not available here.", node, "Leave the table hint out.")


def _check_json_table(node: exp.Expr, dialect: str) -> None:
    if dialect != "mysql" or not isinstance(node.parent, exp.Table):
        raise _construct("JSON_TABLE is not available here.", node)


def _check_group_concat(node: exp.Expr, dialect: str) -> None:
    # It would be written before the separator, where MariaDB does not take it.
    if dialect == "mysql" and isinstance(node.this, exp.Limit):
        raise _construct("LIMIT in GROUP_CONCAT is not available.", node, "Number the rows in a sub-query first.")


def _check_final(node: exp.Expr, dialect: str) -> None:
    if not isinstance(node.this, exp.Table):
        raise _construct("FINAL needs a table.", node)


def _check_assignment(node: exp.Expr, dialect: str) -> None:
    named_argument = dialect == "postgres" and isinstance(node.parent, exp.Anonymous)
    struct = isinstance(node.parent, exp.Struct) and dialect in {"snowflake", "bigquery"}
    if dialect != "duckdb" and not struct and not named_argument:
        raise _construct("Nothing can be assigned in a query.", node, "Leave := out.")


def _check_braces(node: exp.Expr, dialect: str) -> None:
    # Only sqlglot reads ``{'a': 1}`` in ClickHouse, and leaves out of it what is no pair.
    if dialect == "clickhouse":
        raise _construct("Braces cannot be written here.", node, "Write map('key', value).")


def _check_named_type(node: exp.Expr, dialect: str) -> None:
    # ClickHouse's ``CAST(x, 'Type')``.
    to = node.args.get("to")
    if dialect != "clickhouse" or not (isinstance(to, exp.Literal) and _TYPE_TEXT.fullmatch(to.name)):
        raise _construct("A cast needs the name of a type.", node, "Write CAST(x AS String).")


_TYPE_TEXT = re.compile(r"[A-Za-z0-9_(), '=/.+-]{1,400}")


def _check_operator(node: exp.Expr, dialect: str) -> None:
    written = str(node.args.get("operator"))
    if dialect != "postgres" or written.removeprefix("pg_catalog.") not in BUILT_IN:
        raise _construct(f"The operator {written[:30]} is not available here.", node, "Use a built-in operator.")


def _check_foreign(node: exp.Expr, dialect: str) -> None:
    # T-SQL has no such operator; sqlglot would write its operands twice, so that a chain of them doubles each time.
    if dialect == "tsql":
        raise _construct("T-SQL has no -> and no DIV.", node, "Write JSON_VALUE(…) or JSON_QUERY(…), and / for DIV.")


_CHECKS: dict[type[exp.Expr], Callable[[exp.Expr, str], None]] = {
    exp.In: _check_in,
    exp.DataType: _check_type,
    exp.Parameter: _check_parameter,
    exp.Placeholder: _check_parameter,
    exp.Select: _check_select,
    exp.Values: _check_values,
    exp.Join: _check_join,
    exp.From: _check_from,
    exp.Subquery: _check_subquery,
    exp.Dot: _check_dot,
    exp.Final: _check_final,
    exp.Table: _check_table,
    exp.JSONTable: _check_json_table,
    exp.GroupConcat: _check_group_concat,
    exp.PropertyEQ: _check_assignment,
    exp.VarMap: _check_braces,
    exp.CastToStrType: _check_named_type,
    exp.Operator: _check_operator,
    exp.JSONExtract: _check_foreign,
    exp.JSONExtractScalar: _check_foreign,
    exp.IntDiv: _check_foreign,
}
