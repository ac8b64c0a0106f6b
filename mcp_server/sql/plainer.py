"""Rule 3a: puts a few nodes in a form that the generator writes as the caller meant them. Refuses nothing.

Each is a place where sqlglot, made for translating, would write something of another meaning or leave something out.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from mcp_server.sql.checked import Checked
from mcp_server.sql.scopes import innermost

_NULLS_WINDOWS: dict[str, type[exp.Func]] = {
    "first_value": exp.FirstValue,
    "last_value": exp.LastValue,
    "nth_value": exp.NthValue,
    "lag": exp.Lag,
    "lead": exp.Lead,
}
_SECOND = {"nth_value": "offset", "lag": "offset", "lead": "offset"}


def plainer(checked: Checked) -> None:
    """Change the nodes that this dialect's generator would not keep."""
    make_plainer(checked.tree, checked.rules.name)


def make_plainer(tree: exp.Expr, dialect: str) -> None:
    """The same for any tree; the last rule uses it on what was generated."""
    if dialect in {"mysql", "snowflake", "bigquery", "tsql", "clickhouse"}:
        _units(tree, _TAKES_UNIT | {"date_bucket"} if dialect == "tsql" else _TAKES_UNIT)
    rewrite = _BY_DIALECT.get(dialect)
    if rewrite is not None:
        rewrite(tree)


def _sqlite(tree: exp.Expr) -> None:
    for node in list(tree.walk()):
        if isinstance(node, exp.Cast):
            # The generator gives NUMERIC the name REAL: other values come out.
            kind = node.to.this
            name = _SQLITE_CASTS.get(kind.name if isinstance(kind, exp.DType) else "")
            if name is not None:
                node.set("to", exp.DataType(this=exp.DType.USERDEFINED, kind=name))
        elif isinstance(node, exp.Join):
            # sqlglot reads a comma as CROSS JOIN, which keeps SQLite from choosing the order of the tables.
            if node.args.get("kind") == "CROSS" and not node.args.get("method") and not node.args.get("side"):
                node.set("kind", "INNER" if node.args.get("on") or node.args.get("using") else None)
        elif isinstance(node, exp.NullSafeEQ | exp.NullSafeNEQ):
            # IS [NOT] DISTINCT FROM NULL is written IS NULL, which is read as another node.
            if isinstance(node.expression, exp.Null | exp.Boolean):
                negate = isinstance(node, exp.NullSafeNEQ)
                node.replace(exp.Is(this=node.this, expression=node.expression, negate=negate))
        elif isinstance(node, exp.Not):
            _infix_not(node)


def _infix_not(negated: exp.Not) -> None:
    """``a NOT IN b`` as it was written.

    sqlglot writes NOT a IN b. Where that stands beside =, the NOT would take in both: ``x NOT IN (1) = y``.
    """
    inner = negated.this
    if isinstance(inner, exp.Is):
        inner.set("negate", not inner.args.get("negate"))
        negated.replace(inner)
        return
    test = inner.this if isinstance(inner, exp.Escape) else inner
    if isinstance(test, _TESTS) and not _ends_with_not(test.this):
        test.set("this", _infix(test.this, "NOT"))
        negated.replace(inner)


def _infix(left: exp.Expr, word: str, right: exp.Expr | None = None) -> exp.Expr:
    """`left`, then `word`, then `right`: a node that is written as its parts, with spaces between them."""
    first = exp.Introducer(this=left, expression=exp.Var(this=word))
    return first if right is None else exp.Introducer(this=first, expression=right)


def _ends_with_not(node: object) -> bool:
    return isinstance(node, exp.Introducer) and isinstance(node.expression, exp.Var) and node.expression.name == "NOT"


_TESTS = (exp.In, exp.Between, exp.Like, exp.Glob, exp.Match)


_SQLITE_CASTS = {"DECIMAL": "NUMERIC"}


_NORMAL_FORMS = frozenset({"NFC", "NFD", "NFKC", "NFKD"})
_STAR_OF_ALL = {"expressions", "from_"}
_SIGNS: dict[type[exp.Expr], str] = {exp.Sqrt: "|/", exp.Cbrt: "||/"}


def _postgres(tree: exp.Expr) -> None:
    found = tree.find_all(
        exp.Pow, exp.Sqrt, exp.Cbrt, exp.Concat, exp.Array, exp.CTE, exp.SetOperation, exp.ParseJSON, exp.Anonymous,
        exp.Distinct,
    )  # fmt: skip
    nodes = list(found)
    if any(isinstance(node, exp.Distinct) and len(node.expressions) > 1 for node in nodes):
        _plain_distinct(tree)
    for node in nodes:
        if isinstance(node, exp.Pow):
            # The generator would make a call of the operator ^. As OPERATOR(^) it binds less: hence the parentheses.
            power = exp.Operator(this=node.this, operator="^", expression=node.expression)
            node.replace(exp.Paren(this=power))
        elif type(node) in _SIGNS:
            # Of these classes are the operators only, never the calls; an introducer is written before what it has.
            node.replace(exp.Introducer(this=exp.Var(this=_SIGNS[type(node)]), expression=node.this))
        elif isinstance(node, exp.Concat) and all(isinstance(part, exp.Literal) for part in node.expressions):
            # 'a' ⏎ 'b' is one string.
            node.replace(exp.Literal.string("".join(part.name for part in node.expressions)))
        elif isinstance(node, exp.Array) and node.expressions and isinstance(node.expressions[0], exp.Query):
            # ARRAY[(SELECT …), x]: the generator would take it for ARRAY(SELECT …), and leave out x.
            first = innermost(node.expressions[0])
            node.expressions[0].replace(exp.Paren(this=exp.Subquery(this=first.copy())))
        elif isinstance(node, exp.ParseJSON):
            node.replace(exp.Cast(this=node.this, to=exp.DataType(this=exp.DType.JSON)))
        elif isinstance(node, exp.Anonymous):
            _normal_form(node)
        elif isinstance(node, exp.CTE | exp.SetOperation):
            for key in ("this", "expression"):
                _plain_values(node.args.get(key))


def _normal_form(call: exp.Anonymous) -> None:
    # The form in ``normalize(a, NFC)`` is a word, no column.
    if str(call.this).lower() == "normalize" and len(call.expressions) == 2:
        form = call.expressions[1]
        if isinstance(form, exp.Column) and not form.args.get("table") and form.name.upper() in _NORMAL_FORMS:
            form.replace(exp.Var(this=form.name.upper()))


def _plain_values(query: object) -> None:
    """``VALUES …`` again, where the parser has put ``SELECT * FROM (VALUES …) AS _values`` in its place."""
    if not isinstance(query, exp.Select) or {key for key, value in query.args.items() if value} != _STAR_OF_ALL:
        return
    values = query.args["from_"].this
    alias = values.args.get("alias")
    if (
        isinstance(values, exp.Values)
        and isinstance(alias, exp.TableAlias)
        and alias.name == "_values"
        and "start" not in alias.this.meta  # A name that the caller wrote has a place.
    ):
        values.set("alias", None)
        query.replace(values)


def _duckdb(tree: exp.Expr) -> None:
    _bare_names_before_arrows(tree)
    _ordered_sets(tree)
    _plain_distinct(tree)
    _nulls_inside(tree)


def _plain_distinct(tree: exp.Expr) -> None:
    # In ``f(DISTINCT a, b)`` the generator would make a row of a and b; the second is an argument of its own.
    for distinct in list(tree.find_all(exp.Distinct)):
        order = distinct.parent if isinstance(distinct.parent, exp.Order) else None
        call = distinct.parent if order is None else order.parent
        if isinstance(call, exp.Anonymous) and len(distinct.expressions) > 1:
            first, *rest = distinct.expressions
            distinct.set("expressions", [first])
            if order is not None:
                order.set("this", rest[-1])
                rest[-1] = order
            call.set("expressions", [distinct, *rest, *call.expressions[1:]])


def _nulls_inside(tree: exp.Expr) -> None:
    # IGNORE NULLS is written only for calls that the generator knows, and around them.
    for nulls in list(tree.find_all(exp.IgnoreNulls, exp.RespectNulls)):
        call = nulls.this
        if isinstance(nulls.parent, exp.Anonymous):
            call = nulls.parent
            inner = nulls.this
            nulls.replace(inner)
            nulls = type(nulls)(this=call.copy())  # noqa: PLW2901 - the node has changed its place
            call.replace(nulls)
            call = nulls.this
        name = str(call.this).lower() if isinstance(call, exp.Anonymous) else ""
        known = _NULLS_WINDOWS.get(name)
        if known is not None and call.expressions:
            first, *rest = call.expressions
            names = [key for key in (_SECOND.get(name), "default") if key]
            if len(rest) <= len(names):
                nulls.set("this", known(this=first, **dict(zip(names, rest, strict=False))))


def _bare_names_before_arrows(tree: exp.Expr) -> None:
    # ``((name)) -> ('key')``: the parentheses are ours, see `mcp_server.sql.arrows`.
    for extract in tree.find_all(exp.JSONExtract, exp.JSONExtractScalar):
        outer, key = extract.this, extract.expression
        if isinstance(key, exp.Paren) and isinstance(key.this, exp.Literal | exp.ByteString):
            extract.set("expression", key.this)
        inner = outer.this if isinstance(outer, exp.Paren) else None
        if isinstance(inner, exp.Paren) and isinstance(inner.this, exp.Column):
            extract.set("this", inner.this)


_ORDERED_SETS = {"percentile_cont": "quantile_cont", "percentile_disc": "quantile_disc", "mode": "mode"}


def _ordered_sets(tree: exp.Expr) -> None:
    # DuckDB's own parser makes ``percentile_cont(f) WITHIN GROUP (ORDER BY x)`` a ``quantile_cont(x, f ORDER BY x)``;
    # sqlglot's generator moves only the ORDER BY.
    for within in list(tree.find_all(exp.WithinGroup)):
        call, order = within.this, within.expression
        name = _ORDERED_SETS.get(str(call.this).lower()) if isinstance(call, exp.Anonymous) else None
        if name is None or not isinstance(order, exp.Order) or len(order.expressions) != 1:
            continue
        arguments = [order.expressions[0].this.copy(), *call.expressions]
        arguments[-1] = exp.Order(this=arguments[-1], expressions=order.expressions)
        within.replace(exp.Anonymous(this=name, expressions=arguments))


def _clickhouse(tree: exp.Expr) -> None:
    # The generator would divide as floats and cut the result, which is another number from 2 ** 53 on.
    for division in list(tree.find_all(exp.IntDiv)):
        division.replace(exp.Anonymous(this="intDiv", expressions=[division.this, division.expression]))
    for column in list(tree.find_all(exp.Column)):
        word = column.name.lower()
        if column.args.get("table") is not None or not isinstance(column.this, exp.Identifier) or column.this.quoted:
            continue
        # Words to ClickHouse: ``ORDER BY ALL``, and the numbers inf and nan.
        if (word == "all" and isinstance(column.parent, exp.Ordered)) or word in {"inf", "nan"}:
            column.replace(exp.Var(this=column.name))
    for comparison in list(tree.find_all(exp.EQ)):
        # The generator has has() for it, which takes an array only.
        any_ = comparison.expression
        query = any_.this if isinstance(any_, exp.Any) else None
        if isinstance(query, exp.Query):
            inner = query if isinstance(query, exp.Subquery) else exp.Subquery(this=query)
            comparison.replace(exp.In(this=comparison.this, query=inner))
    for join in tree.find_all(exp.Join):
        # ``ANY INNER JOIN`` and ``INNER ANY JOIN`` are one; each is read back as the other.
        words = {join.args.get("side"), join.args.get("kind")}
        for strictness in words & {"ALL", "ANY", "ASOF"} if "INNER" in words else ():
            join.set("side", strictness)
            join.set("kind", "INNER")


def _mysql(tree: exp.Expr) -> None:
    for node in list(tree.walk()):
        rewrite = _MYSQL.get(type(node))
        if rewrite is not None:
            rewrite(node)


def _mysql_select(node: exp.Expr) -> None:
    modifiers = node.args.get("operation_modifiers")
    if modifiers:
        kept = [word for word in modifiers if word.name.upper() not in {"SQL_NO_CACHE", "SQL_CACHE"}]
        node.set("operation_modifiers", kept or None)
    # ``FROM DUAL`` says that there is no table. DUAL is reserved: unquoted it is no table's name.
    from_ = node.args.get("from_")
    table = from_.this if from_ is not None else None
    if isinstance(table, exp.Table) and isinstance(table.this, exp.Identifier) and not node.args.get("joins"):
        rest = {key for key, value in table.args.items() if value and key != "this"}
        if table.name.upper() == "DUAL" and not table.this.args.get("quoted") and not rest:
            node.set("from_", None)


def _mysql_regexp(node: exp.Expr) -> None:
    # The generator writes a call of REGEXP_LIKE, which MariaDB has not.
    parent = node.parent
    if isinstance(parent, exp.Not):
        parent.replace(_infix(node.this, "NOT REGEXP", node.expression))
    else:
        node.replace(_infix(node.this, "REGEXP", node.expression))


def _mysql_clock(node: exp.Expr) -> None:
    # Reserved words that are calls without parentheses.
    bare = node.this
    unquoted = isinstance(bare, exp.Identifier) and not bare.args.get("quoted") and not node.args.get("table")
    if unquoted and bare.name.upper() in _MYSQL_CLOCKS:
        node.replace(exp.Anonymous(this=bare.name))


def _mysql_null_safe(node: exp.Expr) -> None:
    # The generator puts parentheses into ``a <=> b > c``, which is (a <=> b) > c.
    node.replace(_infix(node.this, "<=>", node.expression))


def _mysql_sounds(node: exp.Expr) -> None:
    # SOUNDS LIKE, which binds more tightly than the = it is written with.
    if isinstance(node.this, exp.Soundex) and isinstance(node.expression, exp.Soundex):
        left, right = (exp.Anonymous(this="SOUNDEX", expressions=[side.this]) for side in (node.this, node.expression))
        node.replace(exp.Paren(this=exp.EQ(this=left, expression=right)))


def _mysql_path(node: exp.Expr) -> None:
    # MariaDB has no ->>; MySQL's manual gives these two calls for it.
    value = exp.Anonymous(this="JSON_EXTRACT", expressions=[node.this, node.expression])
    node.replace(exp.Anonymous(this="JSON_UNQUOTE", expressions=[value]))


def _mysql_concat(node: exp.Expr) -> None:
    # Strings side by side are one string.
    if node.expressions and all(isinstance(e, exp.Literal) and e.is_string for e in node.expressions):
        node.replace(exp.Literal.string("".join(e.name for e in node.expressions)))


def _mysql_group_concat(node: exp.Expr) -> None:
    value = node.this.this if isinstance(node.this, exp.Order) else node.this
    if isinstance(value, exp.Distinct) and len(value.expressions) == 1:
        # DISTINCT a, b is of pairs; the parser has made it one of joined texts.
        only = value.expressions[0]
        if isinstance(only, exp.Concat):
            value.set("expressions", only.expressions)


def _mysql_not(node: exp.Expr) -> None:
    if isinstance(node, exp.Not):
        _infix_not(node)


_MYSQL: dict[type[exp.Expr], Callable[[exp.Expr], None]] = {
    exp.Select: _mysql_select,
    exp.RegexpLike: _mysql_regexp,
    exp.Column: _mysql_clock,
    exp.NullSafeEQ: _mysql_null_safe,
    exp.EQ: _mysql_sounds,
    exp.JSONExtractScalar: _mysql_path,
    exp.GroupConcat: _mysql_group_concat,
    exp.Concat: _mysql_concat,
    exp.Not: _mysql_not,
}
_MYSQL_CLOCKS = frozenset({"UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP"})


def _bigquery(tree: exp.Expr) -> None:
    # ``week(monday)`` is a unit: weeks that begin on that day.
    for call in list(tree.find_all(exp.Anonymous)):
        if str(call.this).lower() == "week" and len(call.expressions) == 1:
            (day,) = call.expressions
            if isinstance(day, exp.Column) and not day.args.get("table") and day.name.upper() in _WEEKDAYS:
                call.replace(exp.WeekStart(this=exp.Var(this=day.name.upper())))


_WEEKDAYS = frozenset({"MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"})


def _units(tree: exp.Expr, takes_unit: frozenset[str]) -> None:
    # The unit in ``timestampdiff(day, a, b)`` is a word, and must be written without quotes.
    for call in tree.find_all(exp.Anonymous):
        if str(call.this).lower() in takes_unit:
            for argument in list(call.expressions):
                if isinstance(argument, exp.Column) and not argument.args.get("table"):
                    word = argument.name.upper().removeprefix("SQL_TSI_")
                    if word in _UNIT_WORDS and not argument.this.args.get("quoted"):
                        argument.replace(exp.Var(this=word))


_TAKES_UNIT = frozenset(
    {
        "date_add", "date_diff", "date_part", "date_sub", "date_trunc", "dateadd", "datediff", "datediff_big",
        "datename", "datepart", "datesub", "datetime_diff", "datetime_trunc", "datetrunc", "get_format", "last_day",
        "time_diff", "time_trunc", "timeadd", "timediff", "timestamp_add", "timestamp_diff", "timestamp_sub",
        "timestamp_trunc", "timestampadd", "timestampdiff", "timestampsub",
    }
)  # fmt: skip
_UNIT_WORDS = frozenset(
    {
        "MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR",
        "DAYOFWEEK", "DAYOFYEAR", "ISOWEEK", "ISOYEAR", "WEEKDAY", "DATE", "TIME", "DATETIME", "TIMESTAMP",
    }
)  # fmt: skip

_BY_DIALECT = {
    "bigquery": _bigquery,
    "clickhouse": _clickhouse,
    "duckdb": _duckdb,
    "mysql": _mysql,
    "postgres": _postgres,
    "sqlite": _sqlite,
}
