"""Rule 3a: puts a few nodes in a form that the generator writes as the caller meant them. Refuses nothing.

Each is a place where sqlglot, made for translating, would write something of another meaning or leave something out.
"""

from __future__ import annotations

from sqlglot import exp

from mcp_server.sql.checked import Checked

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
        _units(tree)
    rewrite = _BY_DIALECT.get(dialect)
    if rewrite is not None:
        rewrite(tree)


def _sqlite(tree: exp.Expr) -> None:
    # The generator gives NUMERIC the name REAL and turns a cast to DATE into a call: other values come out.
    for cast in tree.find_all(exp.Cast):
        kind = cast.to.this
        name = _SQLITE_CASTS.get(kind.name if isinstance(kind, exp.DType) else "")
        if name is not None:
            cast.set("to", exp.DataType(this=exp.DType.USERDEFINED, kind=name))


_SQLITE_CASTS = {
    "DECIMAL": "NUMERIC",
    "DATE": "NUMERIC",
    "DATETIME": "NUMERIC",
    "TIMESTAMP": "NUMERIC",
    "TIMESTAMPTZ": "NUMERIC",
    "BOOLEAN": "NUMERIC",
    "TIME": "NUMERIC",
}


def _duckdb(tree: exp.Expr) -> None:
    _bare_names_before_arrows(tree)
    _ordered_sets(tree)
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
    for select in tree.find_all(exp.Select):
        modifiers = select.args.get("operation_modifiers")
        if modifiers and all(word.name.upper() in {"SQL_NO_CACHE", "SQL_CACHE"} for word in modifiers):
            select.set("operation_modifiers", None)
    # MariaDB has no REGEXP_LIKE; both have REGEXP_INSTR.
    for test in list(tree.find_all(exp.RegexpLike)):
        found = exp.Anonymous(this="REGEXP_INSTR", expressions=[test.this, test.expression])
        test.replace(exp.Paren(this=exp.GT(this=found, expression=exp.Literal.number(0))))


def _units(tree: exp.Expr) -> None:
    # The unit in ``timestampdiff(day, a, b)`` is a word, and must be written without quotes.
    for call in tree.find_all(exp.Anonymous):
        if str(call.this).lower() in _TAKES_UNIT:
            for argument in list(call.expressions):
                if isinstance(argument, exp.Column) and not argument.args.get("table"):
                    word = argument.name.upper()
                    if word in _UNIT_WORDS and not argument.this.args.get("quoted"):
                        argument.replace(exp.Var(this=word))


_TAKES_UNIT = frozenset(
    {
        "date_add", "date_diff", "date_part", "date_sub", "date_trunc", "dateadd", "datediff", "datediff_big",
        "datename", "datepart", "datesub", "datetime_diff", "datetime_trunc", "datetrunc", "last_day", "time_diff",
        "time_trunc", "timeadd", "timediff", "timestamp_add", "timestamp_diff", "timestamp_sub", "timestamp_trunc",
        "timestampadd", "timestampdiff", "timestampsub",
    }
)  # fmt: skip
_UNIT_WORDS = frozenset(
    {
        "MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR",
        "DAYOFWEEK", "DAYOFYEAR", "ISOWEEK", "ISOYEAR", "WEEKDAY",
    }
)  # fmt: skip

_BY_DIALECT = {"sqlite": _sqlite, "duckdb": _duckdb, "mysql": _mysql, "clickhouse": _clickhouse}
