"""Rule 2: one statement, read-only at its root, as a tree in which every call keeps the name it was written with."""

from __future__ import annotations

import re

from sqlglot import ErrorLevel, Token, exp
from sqlglot.errors import ParseError
from sqlglot.tokenizer_core import TokenType

from mcp_server.sql.arrows import arrows_told_apart, spread_columns
from mcp_server.sql.checked import Checked
from mcp_server.sql.limit_by import keep_limit, split_limit
from mcp_server.sql.operators import cut_operators
from mcp_server.sql.plain_tokens import plain_tokens
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.statement import not_read_only, refuse_verb
from mcp_server.sql.typed_literals import as_casts
from mcp_server.sql.work import bounded


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WRITING = (exp.Insert, exp.Update, exp.Delete, exp.DDL, exp.Command, exp.Alter, exp.Drop, exp.Merge)
_INTRODUCED = frozenset({TokenType.STRING, TokenType.HEX_STRING, TokenType.BIT_STRING})
_MARK = "call$"
_ORDINARY = _words("ceil floor chr char arg_max arg_min argmax argmin max_by min_by initcap decode")
_MARKED: dict[str, frozenset[str]] = {
    "duckdb": _ORDINARY
    | _words("max min quantile quantile_cont quantile_disc approx_quantile string_agg group_concat listagg"),
    "sqlite": _ORDINARY | _words("group_concat string_agg substring"),
    "postgres": _ORDINARY | _words("json_agg json_object date_part string_agg jsonb_exists"),
    "mysql": _words("ceil floor substr decode"),
    "clickhouse": _ORDINARY,
}


def parse(checked: Checked) -> None:
    """Make the tree.

    Raises:
        StatementRefused: ``not_read_only``, ``unparseable`` or ``construct_not_allowed``.
    """
    first = checked.tokens[0]
    refuse_verb(first)
    if checked.rules.name == "sqlite":
        checked.tokens = _number_placeholders(checked.tokens)
    limit = None
    if checked.rules.name == "clickhouse":
        checked.tokens, limit = split_limit(checked.tokens)
    tree = parse_tokens(checked, checked.tokens, checked.sql)
    if limit is not None:
        keep_limit(tree, limit)
    if not isinstance(tree, exp.Query | exp.Values):
        if isinstance(tree, _WRITING):
            raise not_read_only(first)
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            "The SQL is not a query.",
            hint="Send one statement that begins with SELECT or WITH; instead of PIVOT, use sum(CASE WHEN …).",
            position=first.start + 1,
        )
    checked.tree = tree


def parse_tokens(checked: Checked, tokens: list[Token], sql: str) -> exp.Expr:
    """The tree of `tokens`, in which a call is an `exp.Anonymous` with the name as written.

    sqlglot does that for a call that is followed by the comment ``sqlglot.anonymous``, unless it has a parser of its
    own for the function's arguments; such names get a mark for the time of the parsing, if their syntax is an
    ordinary call's. So no function is renamed, none has its arguments moved, and the allow-list is asked for the very
    name that will be sent.
    """
    tokens = plain_tokens(tokens, sql, checked.rules.name)
    if checked.rules.name == "postgres":
        tokens = as_casts(cut_operators(tokens))
    if checked.rules.name == "duckdb":
        tokens = arrows_told_apart(tokens)
    _mark_calls(tokens, checked.rules.name)
    try:
        # At the first error: what is read after it says nothing more, and can be much.
        parser = checked.dialect.parser(error_level=ErrorLevel.IMMEDIATE)
        with bounded(len(tokens)):
            found = [tree for tree in parser.parse(tokens, sql) if tree]
    except ParseError as error:
        raise unparseable(error, sql) from error
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        # What sqlglot does not look for itself: an operator without operand in brackets, a cast to nothing.
        raise StatementRefused(
            RefusalCode.UNPARSEABLE, "The SQL cannot be parsed.", hint="Correct the syntax for this source's dialect."
        ) from error
    if len(found) != 1:
        raise StatementRefused(
            RefusalCode.MANY_STATEMENTS, "This is more than one statement.", hint="Send one statement a call."
        )
    tree = found[0]
    for call in tree.find_all(exp.Anonymous):
        if isinstance(call.this, str) and call.this.startswith(_MARK):
            call.set("this", call.this[len(_MARK) :])
    return tree


def _mark_calls(tokens: list[Token], dialect: str) -> None:
    """Give each call the comment or the mark that keeps its name, and words that sqlglot misreads their meaning."""
    marked = _MARKED.get(dialect, frozenset())
    previous: Token | None = None
    spread = spread_columns(tokens) if dialect == "duckdb" else frozenset()
    for place, token in enumerate(tokens):
        if previous is not None and previous.token_type is TokenType.INTRODUCER and token.token_type not in _INTRODUCED:
            # MySQL's ``_latin1 'text'``. Without the text it is a name, which has to be looked up as one.
            previous.token_type = TokenType.VAR
        if token.token_type is TokenType.R_PAREN and place not in spread:
            token.comments.append("sqlglot.anonymous")
        elif token.token_type is TokenType.L_PAREN and previous is not None:
            name = previous.text.lower()
            if name in marked and not (name == "json_object" and _has_pairs(tokens, place)):
                previous.text = f"{_MARK}{previous.text}"
            if previous.token_type is TokenType.SOME:
                # Another word for ANY, and written so.
                previous.text, previous.token_type = "ANY", TokenType.ANY
        previous = token


def _has_pairs(tokens: list[Token], start: int) -> bool:
    """Whether the call that opens at `start` is SQL's own ``json_object('a': 1)`` or ``json_object('a' VALUE 1)``."""
    depth = 0
    for token in tokens[start:]:
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth == 0:
            return False
        if depth == 1 and (token.token_type is TokenType.COLON or token.text.lower() in {"value", "returning"}):
            return True
    return False


def _number_placeholders(tokens: list[Token]) -> list[Token]:
    """SQLite's ``?1 … ?2`` as ``? … ?``, which is the same when they are counted up from 1."""
    kept: list[Token] = []
    count = 0
    for token in tokens:
        before = kept[-1] if kept else None
        if (
            token.token_type is TokenType.NUMBER
            and before is not None
            and before.token_type is TokenType.PLACEHOLDER
            and before.end + 1 == token.start
        ):
            count += 1
            if token.text != str(count):
                return tokens
            continue
        kept.append(token)
    return kept


def unparseable(error: ParseError, sql: str) -> StatementRefused:
    """The refusal of SQL that its dialect's parser does not take."""
    details = error.errors[0] if error.errors else {}
    place = details.get("line"), details.get("col")
    what = re.sub(r"<Token [^>]*>", "that", str(details.get("description") or "the syntax is wrong")).rstrip(".")
    near = str(details.get("highlight") or "")[:40]
    position = None
    if isinstance(place[0], int) and isinstance(place[1], int):
        lines = sql.split("\n")
        before = sum(len(line) + 1 for line in lines[: place[0] - 1])
        position = max(1, min(len(sql), before + place[1] - max(len(near), 1) + 1))
    beside = f' near "{near}"' if near else ""
    return StatementRefused(
        RefusalCode.UNPARSEABLE,
        f"The SQL cannot be parsed{beside}: {what}.",
        hint="Correct the syntax for this source's dialect.",
        position=position,
    )
