"""Rule 3a: puts a few nodes in a form that the generator writes as the caller meant them. Refuses nothing.

Each is a place where sqlglot, made for translating, would write something of another meaning or leave something out.
"""

from __future__ import annotations

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

_BY_DIALECT = {"sqlite": _sqlite, "duckdb": _duckdb, "mysql": _mysql, "postgres": _postgres}
