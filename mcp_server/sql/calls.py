"""Rule 3c: every function that is called by name is on the dialect's list, and none is one that a user defined."""

from __future__ import annotations

import re
from difflib import get_close_matches

from sqlglot import exp

from mcp_server.sql.checked import Checked, position_of
from mcp_server.sql.refusal import RefusalCode, StatementRefused

MAX_REPEAT = 10_000_000
"""The largest number written out in a call that makes a string or a series as long as its argument says."""

_MAKES_LONG = frozenset(
    {
        "array_generate_range", "generate_array", "generate_series", "leftpad", "lpad", "numbers", "randomblob",
        "range", "repeat", "replicate", "rightpad", "rpad", "sequence", "space", "zeroblob",
    }
)  # fmt: skip

_FORMATS = frozenset({"format", "printf"})
_WIDE = re.compile(r"%[-+ #0,(']*[0-9]*\.?[0-9]{6}|\{[^{}]*[0-9]{6}[^{}]*\}")
"""A width or a precision of six digits or more, as C or as DuckDB's ``format`` writes it."""

_INSTEAD: dict[str, str] = {
    "sleep": "Nothing can wait here; leave it out.",
    "pg_sleep": "Nothing can wait here; leave it out.",
    "version": "list_sources() tells the kind of database.",
    "read_csv": "Only the tables of this source can be read; call describe_tables().",
    "read_parquet": "Only the tables of this source can be read; call describe_tables().",
    "current_setting": "Settings cannot be read.",
}


def calls(checked: Checked) -> None:
    """Hold every call to the list.

    Raises:
        StatementRefused: ``function_not_allowed``, or ``too_complex`` for one that would fill the memory.
    """
    allow_calls(checked, checked.tree)


def allow_calls(checked: Checked, tree: exp.Expr) -> None:
    """The same for any tree; the last rule uses it on what was generated.

    Raises:
        StatementRefused: as above.
    """
    functions = checked.rules.functions
    own = checked.schema.functions
    for node in tree.find_all(exp.Anonymous, exp.AnonymousAggFunc):
        spelled = node.this
        quoted = isinstance(spelled, exp.Identifier)
        name = spelled.name if quoted else str(spelled)
        key = name.lower()
        # Snowflake's ``TABLE(f(…))`` wraps a table function.
        wrapped = isinstance(node.parent, exp.Anonymous) and str(node.parent.this).lower() == "table"
        table = wrapped or isinstance(node.parent, exp.Table | exp.Lateral)
        allowed = functions.table if table else functions.scalar
        if key not in allowed or key in own or (quoted and key != name):
            raise _refuse(checked, node, key, allowed, own=key in own)
        if key == "table" and (wrapped or not _wraps_call(node)):
            raise _refuse(checked, node, key, allowed, own=False)
        if key in _MAKES_LONG:
            _refuse_long(node, key)
        elif key in _FORMATS:
            _refuse_wide(node, key)
        if quoted:
            node.set("this", name)
    for node in tree.find_all(exp.Func):
        key = node.sql_name().lower()
        if key in own:
            raise _refuse(checked, node, key, functions.scalar, own=True)


def _wraps_call(node: exp.Expr) -> bool:
    return len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Anonymous)


def _refuse(checked: Checked, node: exp.Expr, name: str, allowed: frozenset[str], *, own: bool) -> StatementRefused:
    near = () if own else get_close_matches(name, allowed, n=1, cutoff=0.8)
    hint = _INSTEAD.get(name) or (
        f"Did you mean {near[0]}?" if near else "Use a built-in function that only computes on its arguments."
    )
    what = "was defined in the database and" if own else "is not on the list of allowed functions, so it"
    return StatementRefused(
        RefusalCode.FUNCTION_NOT_ALLOWED,
        f"The function {name[:60]} {what} cannot be called.",
        hint=hint,
        position=position_of(node),
    )


def _refuse_long(node: exp.Expr, name: str) -> None:
    for argument in node.expressions:
        if isinstance(argument, exp.Literal) and not argument.is_string:
            try:
                number = float(argument.name)
            except ValueError:
                continue
            if number > MAX_REPEAT:
                raise StatementRefused(
                    RefusalCode.TOO_COMPLEX,
                    f"{name} with {argument.name} would fill the memory; {MAX_REPEAT:,} is the most.",
                    hint="Use a smaller number.",
                    position=position_of(node),
                )


def _refuse_wide(node: exp.Expr, name: str) -> None:
    for argument in node.expressions:
        if not isinstance(argument, exp.Literal) or not argument.is_string:
            continue
        if "*" in argument.name:
            # The width is one of the other arguments.
            _refuse_long(node, name)
        if _WIDE.search(argument.name):
            raise StatementRefused(
                RefusalCode.TOO_COMPLEX,
                f"{name} with such a width would fill the memory.",
                hint="Use a width of at most five digits.",
                position=position_of(node),
            )
