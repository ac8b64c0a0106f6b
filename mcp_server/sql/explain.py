"""EXPLAIN, by a small grammar of our own: what follows the prefix is checked like any statement. Never ANALYZE."""

from __future__ import annotations

from sqlglot import Token
from sqlglot.tokenizer_core import TokenType

from mcp_server.sql.checked import Checked
from mcp_server.sql.refusal import RefusalCode, StatementRefused

# option -> the values it may have; an empty set is an option without a value.
_SWITCH = frozenset({"true", "false", "on", "off", "1", "0", ""})
_POSTGRES = {
    "verbose": _SWITCH,
    "costs": _SWITCH,
    "summary": _SWITCH,
    "generic_plan": _SWITCH,
    "buffers": _SWITCH,
    "memory": _SWITCH,
    "format": frozenset({"text", "json", "xml", "yaml"}),
}
_DUCKDB = {"format": frozenset({"text", "json", "html", "graphviz", "yaml", "default"})}


def explain(checked: Checked) -> None:
    """Take an EXPLAIN prefix off the tokens and keep it, in its one spelling.

    Raises:
        StatementRefused: ``not_read_only`` for ANALYZE, ``construct_not_allowed`` for an option that is not listed.
    """
    tokens = checked.tokens
    if not checked.explain:
        return
    words = [token.text.lower() for token in tokens[:12]]
    _refuse_analyze(tokens)
    taken, prefix = 0, "EXPLAIN"
    dialect = checked.rules.name
    if dialect == "sqlite" and words[:2] == ["query", "plan"]:
        taken, prefix = 2, "EXPLAIN QUERY PLAN"
    elif dialect == "postgres" and words[:1] == ["verbose"]:
        taken, prefix = 1, "EXPLAIN VERBOSE"
    elif dialect in {"postgres", "duckdb"} and len(tokens) > 1 and _opens_options(tokens):
        taken, options = _options(tokens, _POSTGRES if dialect == "postgres" else _DUCKDB)
        prefix = f"EXPLAIN ({', '.join(options)})"
    elif dialect == "mysql" and words[:2] == ["format", "="]:
        if words[2] not in {"json", "tree", "traditional"}:
            raise _refused(tokens[2])
        taken, prefix = 3, f"EXPLAIN FORMAT={words[2].upper()}"
    elif (dialect == "mysql" and words[:1] in (["extended"], ["partitions"])) or (
        dialect == "clickhouse" and words[:1] in (["plan"], ["syntax"], ["ast"], ["estimate"])
    ):
        taken, prefix = 1, f"EXPLAIN {words[0].upper()}"
    elif dialect not in {"postgres", "duckdb", "sqlite", "mysql", "clickhouse", "trino"}:
        raise _refused(tokens[0])
    checked.tokens = tokens[taken:]
    if not checked.tokens:
        raise StatementRefused(RefusalCode.UNPARSEABLE, "EXPLAIN of nothing.", hint="Write EXPLAIN SELECT …")
    checked.explain = prefix


def _refuse_analyze(tokens: list[Token]) -> None:
    for token in tokens[:8]:
        word = token.text.lower()
        if word in {"analyze", "analyse"}:
            raise StatementRefused(
                RefusalCode.NOT_READ_ONLY,
                "EXPLAIN ANALYZE would run the statement.",
                hint="Use EXPLAIN without ANALYZE.",
                position=token.start + 1,
            )
        if word in {"select", "with", "from"}:
            break


def _opens_options(tokens: list[Token]) -> bool:
    return tokens[0].token_type is TokenType.L_PAREN and tokens[1].text.lower() not in {"select", "with", "values", "("}


def _options(tokens: list[Token], allowed: dict[str, frozenset[str]]) -> tuple[int, list[str]]:
    """How many tokens ``EXPLAIN (…)`` takes, and its options."""
    options: list[str] = []
    at = 1
    while True:
        words: list[str] = []
        while at < len(tokens) and tokens[at].token_type not in (TokenType.COMMA, TokenType.R_PAREN):
            words.extend(tokens[at].text.lower().split())
            at += 1
        if at >= len(tokens) or not words or len(words) > 2:
            raise _refused(tokens[min(at, len(tokens) - 1)])
        name, value = words[0], words[1] if len(words) > 1 else ""
        if value not in allowed.get(name, frozenset()):
            raise _refused(tokens[at - 1])
        options.append(f"{name} {value}".strip().upper())
        at += 1
        if tokens[at - 1].token_type is TokenType.R_PAREN:
            return at, options


def _refused(token: Token) -> StatementRefused:
    return StatementRefused(
        RefusalCode.CONSTRUCT_NOT_ALLOWED,
        f"This form of EXPLAIN is not available ({token.text[:30]}).",
        hint="Write EXPLAIN before the SELECT, without options.",
        position=token.start + 1,
    )
