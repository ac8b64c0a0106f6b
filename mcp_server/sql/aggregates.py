"""Functions over all rows of a SELECT: which they are, and where one stands. Knows no table."""

from __future__ import annotations

from sqlglot import exp

from mcp_server.sql.scopes import push

SUMS = frozenset({"avg", "sum", "total"})
AGGREGATES = SUMS | {
    "any_value", "arg_max", "arg_min", "array_agg", "bool_and", "bool_or", "corr", "count", "count_if", "countif",
    "every", "group_concat", "grouparray", "json_agg", "json_group_array", "json_object_agg", "jsonb_agg", "listagg",
    "max", "median", "min", "mode", "percentile_cont", "percentile_disc", "quantile", "stddev", "stddev_pop",
    "stddev_samp", "string_agg", "uniq", "uniqexact", "var_pop", "var_samp", "variance",
}  # fmt: skip
"""Of the databases together; one that is not here only keeps a caution from being left out."""


def aggregates(item: exp.Expr) -> bool:
    """Whether an aggregate over all rows stands in it, sub-queries and windows left out."""
    waiting = [item]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.Window | exp.Query):
            continue
        if call_of(node) in AGGREGATES:
            return True
        push(waiting, node, frozenset())
    return False


def call_of(node: exp.Expr | None) -> str:
    """The name of a function that is called, lower case; the tree keeps most as they were written."""
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return str(node.this).lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else ""
