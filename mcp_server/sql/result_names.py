"""Keeps the names of result columns as the caller's own text would have had them, where writing it anew changes them.

SQLite and MySQL name a column without alias by its very text; PostgreSQL by the call or type in it. Names of columns
that are plainly columns, or have an alias, need nothing.
"""

from __future__ import annotations

from sqlglot import Token, exp
from sqlglot.tokenizer_core import TokenType

from mcp_server.sql.checked import Checked

_OPEN = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE}
_CLOSE = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END}


def result_names(checked: Checked) -> None:
    """Give the root's unnamed columns the name they would have had. Refuses nothing."""
    _name_root(checked)
    if checked.rules.name in _NAMED_BY_TEXT:
        _name_queries(checked)


def _name_queries(checked: Checked) -> None:
    """Name every column that is computed from a query, before the policy becomes part of that query's text.

    A star around it would show the text as a name, and with it the policy's filters and masks.
    """
    for query in list(checked.tree.find_all(exp.Query)):
        node: exp.Expr = query
        while (above := node.parent) is not None:
            if isinstance(above, exp.Select) and node.arg_key == "expressions" and not node.alias:
                text = checked.dialect.generate(node, comments=False, normalize_functions=False)
                alias = exp.Alias(alias=exp.to_identifier(text, quoted=True))
                node.replace(alias)
                alias.set("this", node)
            node = above


_NAMED_BY_TEXT = frozenset({"sqlite", "mysql", "duckdb", "snowflake"})


def _name_root(checked: Checked) -> None:
    select = checked.tree
    while isinstance(select, exp.SetOperation | exp.Subquery):
        select = select.this
    if not isinstance(select, exp.Select):
        return
    if checked.rules.name == "postgres":
        for item in select.expressions:
            if isinstance(item, exp.Pow | exp.Sqrt | exp.Cbrt | exp.Abs):
                # An operator (^, |/ …), as calls are never of these classes; it will be written as a call.
                item.replace(exp.alias_(item.copy(), "?column?", quoted=True))
    if checked.rules.name not in {"sqlite", "mysql", "duckdb"}:
        return
    texts = _item_texts(checked.sql, checked.tokens)
    if len(texts) != len(select.expressions):
        return
    for place, (item, text) in enumerate(zip(list(select.expressions), texts, strict=True)):
        if not isinstance(item, exp.Alias | exp.Column | exp.Star) and _would_be_renamed(checked, item, text):
            select.expressions[place].replace(exp.alias_(item.copy(), text, quoted=True))


def _would_be_renamed(checked: Checked, item: exp.Expr, text: str) -> bool:
    """Whether a column without alias would be called something else if `text` were written anew."""
    if checked.rules.name == "duckdb":
        # It names a column by its own reading of the text, which only what is put into a query changes.
        return item.find(exp.Query) is not None
    if checked.rules.name == "mysql" and isinstance(item, exp.Literal) and item.is_string:
        # MySQL names a text by what it says, however it is written.
        return False
    return checked.dialect.generate(item, comments=False, identify=True, normalize_functions=False) != text


def _item_texts(sql: str, tokens: list[Token]) -> list[str]:
    """The text of each item of the outermost select list, as written."""
    depth = 0
    start = None
    for place, token in enumerate(tokens):
        if token.token_type in _OPEN:
            depth += 1
        elif token.token_type in _CLOSE:
            depth -= 1
        elif token.token_type is TokenType.SELECT and depth == 0:
            start = place + 1
            break
    if start is None:
        return []
    while start < len(tokens) and tokens[start].token_type in (TokenType.DISTINCT, TokenType.ALL):
        start += 1
    texts: list[str] = []
    first = start
    for place in range(start, len(tokens) + 1):
        token = tokens[place] if place < len(tokens) else None
        ends = token is None or (depth == 0 and token.token_type in _ENDS)
        if ends or (depth == 0 and token is not None and token.token_type is TokenType.COMMA):
            if place > first:
                texts.append(sql[tokens[first].start : tokens[place - 1].end + 1])
            first = place + 1
        if ends:
            return texts
        if token is not None and token.token_type in _OPEN:
            depth += 1
        elif token is not None and token.token_type in _CLOSE:
            depth -= 1
    return texts


_ENDS = {
    TokenType.FROM,
    TokenType.WHERE,
    TokenType.GROUP_BY,
    TokenType.HAVING,
    TokenType.ORDER_BY,
    TokenType.LIMIT,
    TokenType.UNION,
    TokenType.EXCEPT,
    TokenType.INTERSECT,
    TokenType.WINDOW,
}

_TYPE_NAMES = {
    "INT": "int4",
    "BIGINT": "int8",
    "SMALLINT": "int2",
    "DECIMAL": "numeric",
    "DOUBLE": "float8",
    "FLOAT": "float4",
    "BOOLEAN": "bool",
    "CHAR": "bpchar",
    "TIMESTAMPTZ": "timestamptz",
    "TIMESTAMPLTZ": "timestamptz",
}

_NODE_NAMES: dict[type[exp.Expr], str] = {
    exp.CurrentDate: "current_date",
    exp.CurrentTime: "current_time",
    exp.CurrentTimestamp: "current_timestamp",
    exp.Localtime: "localtime",
    exp.Localtimestamp: "localtimestamp",
    exp.Extract: "extract",
    exp.Trim: "btrim",
    exp.Substring: "substring",
    exp.StrPosition: "position",
    exp.Overlay: "overlay",
    exp.Ceil: "ceil",
    exp.Floor: "floor",
    exp.GroupConcat: "string_agg",
    exp.JSONArrayAgg: "json_agg",
    exp.JSONObject: "json_object",
    exp.Coalesce: "coalesce",
    exp.Exists: "exists",
    exp.Array: "array",
    exp.AtTimeZone: "timezone",
    exp.Chr: "chr",
    exp.Sqrt: "sqrt",
    exp.Interval: "interval",
}


def postgres_name(item: exp.Expr) -> str | None:
    """The name that PostgreSQL gives to a select item without alias, as FigureColname in parse_target.c does."""
    name, _ = _figure(item)
    return name or "?column?"


def _figure(item: exp.Expr) -> tuple[str, int]:
    """The name and how sure it is: 0 none, 1 a type's or CASE's, 2 a column's or a call's."""
    if isinstance(item, exp.Window | exp.Filter | exp.WithinGroup | exp.IgnoreNulls | exp.Paren | exp.Collate):
        return _figure(item.this)
    if isinstance(item, exp.Column):
        return item.name, 2
    if isinstance(item, exp.Anonymous):
        return str(item.name).lower(), 2
    if isinstance(item, exp.Dot):
        right = item.expression
        return (right.name.lower() if isinstance(right, exp.Anonymous) else right.name), 2
    if isinstance(item, exp.Bracket):
        return _figure(item.this)
    if isinstance(item, exp.Cast):
        name, sure = _figure(item.this)
        if sure > 1:
            return name, sure
        kind = item.to.this
        word = kind.name if isinstance(kind, exp.DType) else str(kind)
        return _TYPE_NAMES.get(word, word.lower()), 1
    if isinstance(item, exp.Case):
        default = item.args.get("default")
        name, sure = _figure(default) if default is not None else ("", 0)
        return (name, sure) if sure > 1 else ("case", 1)
    if isinstance(item, exp.Subquery) and isinstance(item.this, exp.Select) and item.this.expressions:
        first = item.this.expressions[0]
        return (first.alias, 2) if isinstance(first, exp.Alias) else _figure(first)
    known = _NODE_NAMES.get(type(item))
    return (known, 2) if known else ("", 0)
