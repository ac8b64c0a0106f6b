"""Rule 3c: every function that is called by name is on the dialect's list, and none is one that a user defined."""

from __future__ import annotations

from difflib import get_close_matches

from sqlglot import exp

from mcp_server.sql.checked import Checked, position_of
from mcp_server.sql.lengths import refuse_longest
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.sizes import refuse_large

_MEASURED = frozenset({"mysql", "sqlite"})
"""Databases without a memory limit of their own: there the longest value of all is estimated, too. See `lengths`."""

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
    if checked.rules.name in _MEASURED:
        refuse_longest(checked.tree, checked.rules.name)


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
        known = key in allowed if table else functions.allows(key)
        if not known or key in own or (quoted and key != name):
            raise _refuse(checked, node, key, allowed, own=key in own)
        if key == "table" and (wrapped or not _wraps_call(node)):
            raise _refuse(checked, node, key, allowed, own=False)
        refuse_large(node, key)
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
