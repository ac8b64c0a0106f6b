"""Rule 8: the one text that runs is written from the tree, read again, and held to the same lists once more."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.errors import UnsupportedError

from mcp_server.sql.calls import allow_calls
from mcp_server.sql.checked import Checked
from mcp_server.sql.limit_by import limit_text
from mcp_server.sql.nodes import allow_nodes
from mcp_server.sql.parse import parse_tokens
from mcp_server.sql.plainer import make_plainer
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.second_opinion import hold_text


def emit(checked: Checked) -> None:
    """Write the text and check that it says what the tree says.

    Raises:
        StatementRefused: ``construct_not_allowed`` when the text does not read as the tree it was written from.
    """
    if checked.fenced:
        # What the policy put in has not been through the rule `plainer` yet.
        make_plainer(checked.tree, checked.rules.name)
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
    ctes = _ctes(again)
    _hold_tables(checked, again, ctes)
    if again != checked.tree and checked.generate(again, copy=False) != text:
        raise _differs()
    end = limit_text(checked.tree)
    before = f"{checked.explain} " if checked.explain else ""
    checked.shown = f"{before}{checked.shown or text}{end}"
    checked.text = f"{before}{text}{end}"
    hold_text(checked, checked.text, ctes)


def _hold_tables(checked: Checked, tree: exp.Expr, ctes: set[str]) -> None:
    """Every table of the text is one that was granted, or one of our own names for a CTE; and every fence stands."""
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


def _ctes(tree: exp.Expr) -> set[str]:
    return {
        alias.this.name
        for cte in tree.find_all(exp.CTE)
        if isinstance(alias := cte.args.get("alias"), exp.TableAlias) and alias.this is not None
    }


def _differs() -> StatementRefused:
    return StatementRefused(
        RefusalCode.CONSTRUCT_NOT_ALLOWED,
        "The SQL uses syntax that cannot be written anew without changing it.",
        hint="Write it in plainer terms.",
    )
