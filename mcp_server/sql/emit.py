"""Rule 8: the one text that runs is written from the tree, read again, and held to the same lists once more."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from mcp_server.sql.calls import allow_calls
from mcp_server.sql.checked import Checked
from mcp_server.sql.nodes import allow_nodes
from mcp_server.sql.parse import parse_tokens
from mcp_server.sql.plainer import make_plainer
from mcp_server.sql.refusal import RefusalCode, StatementRefused


def emit(checked: Checked) -> None:
    """Write the text and check that it says what the tree says.

    Raises:
        StatementRefused: ``construct_not_allowed`` when the text does not read as the tree it was written from.
    """
    try:
        text = checked.generate(checked.tree, copy=False)
    except UnsupportedError as error:
        raise _differs() from error
    try:
        again = parse_tokens(checked, checked.dialect.tokenize(text), text)
        make_plainer(again, checked.rules.name)
        allow_nodes(again, checked.rules.name)
        allow_calls(checked, again)
    except StatementRefused as error:
        # Its words and its place are of our text, which the caller has not seen and may not see.
        raise _differs() from error
    _hold_tables(checked, again)
    if again != checked.tree and checked.generate(again, copy=False) != text:
        raise _differs()
    checked.text = f"{checked.explain} {text}" if checked.explain else text
    checked.shown = f"{checked.explain} {checked.shown or text}" if checked.explain else checked.shown or text


def _hold_tables(checked: Checked, tree: exp.Expr) -> None:
    """Every table of the text is one that was granted, or one of our own names for a CTE; and every fence stands."""
    ctes = {
        alias.this.name
        for cte in tree.find_all(exp.CTE)
        if isinstance(alias := cte.args.get("alias"), exp.TableAlias) and alias.this is not None
    }
    fenced = 0
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            continue
        db = table.args.get("db")
        if db is None:
            if table.this.name not in ctes:
                raise _differs()
            continue
        granted = checked.tables.get((db.name, table.this.name))
        if granted is None or table.args.get("catalog"):
            raise _differs()
        if not granted.plain:
            # It must stand alone in a sub-query of ours, never joined or sampled where the caller put it.
            alone = isinstance(table.parent, exp.From) and isinstance(table.parent.parent, exp.Select)
            if not alone or table.args.get("alias"):
                raise _differs()
            fenced += 1
    if fenced != checked.fenced:
        raise _differs()


def _differs() -> StatementRefused:
    return StatementRefused(
        RefusalCode.CONSTRUCT_NOT_ALLOWED,
        "The SQL uses syntax that cannot be written anew without changing it.",
        hint="Write it in plainer terms.",
    )
