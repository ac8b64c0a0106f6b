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
        _units(tree, _TAKES_UNIT | {"date_bucket"} if dialect == "tsql" else _TAKES_UNIT)
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


def _mysql(tree: exp.Expr) -> None:
    for select in tree.find_all(exp.Select):
        modifiers = select.args.get("operation_modifiers")
        if modifiers and all(word.name.upper() in {"SQL_NO_CACHE", "SQL_CACHE"} for word in modifiers):
            select.set("operation_modifiers", None)
    # MariaDB has no REGEXP_LIKE; both have REGEXP_INSTR.
    for test in list(tree.find_all(exp.RegexpLike)):
        found = exp.Anonymous(this="REGEXP_INSTR", expressions=[test.this, test.expression])
        test.replace(exp.Paren(this=exp.GT(this=found, expression=exp.Literal.number(0))))


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
                    word = argument.name.upper()
                    if word in _UNIT_WORDS and not argument.this.args.get("quoted"):
                        argument.replace(exp.Var(this=word))


_TAKES_UNIT = frozenset(
    {
        "date_add", "date_diff", "date_part", "date_sub", "date_trunc", "dateadd", "datediff", "datediff_big",
        "datename", "datepart", "datetime_diff", "datetime_trunc", "datetrunc", "last_day", "time_diff", "time_trunc",
        "timeadd", "timediff", "timestamp_diff", "timestamp_trunc", "timestampadd", "timestampdiff",
    }
)  # fmt: skip
_UNIT_WORDS = frozenset(
    {
        "MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR",
        "DAYOFWEEK", "DAYOFYEAR", "ISOWEEK", "ISOYEAR", "WEEKDAY",
    }
)  # fmt: skip

_BY_DIALECT = {"bigquery": _bigquery, "sqlite": _sqlite, "duckdb": _duckdb, "mysql": _mysql}
