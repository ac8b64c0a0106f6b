"""Whether a statement gives the same rows when it is run again over the same data. Refuses nothing."""

from __future__ import annotations

import re

from sqlglot import exp

from mcp_server.sql.checked import Checked
from mcp_server.sql.functions.pure import is_pure

_CLOCK = re.compile(r"\s*(?:now|today|tomorrow|yesterday)\b", re.IGNORECASE)
"""Texts that a cast to a date reads the clock for."""

_VARY = (exp.TableSample, exp.Parameter, exp.SessionParameter, exp.Placeholder)

_PURE_NODES = """
Case If Cast TryCast And Or Xor Not Coalesce Nullif Greatest Least Exists Any All Extract Substring Trim Position
StrPosition Overlay Ceil Floor Count CountIf Sum Avg Min Max Round Abs Sqrt Cbrt Pow Upper Lower Length Left Right
Concat DPipe SafeDPipe GroupConcat ArgMax ArgMin Quantile PercentileCont PercentileDisc Mode Median Stddev
FirstValue LastValue NthValue Lag Lead RegexpLike RegexpILike RegexpExtract RegexpReplace StartsWith Contains
JSONExtract JSONExtractScalar JSONBExtract JSONBExtractScalar JSONBContains JSONArrayContains JSONObject JSONArray
JSONObjectAgg JSONArrayAgg JSONValue JSONExists ParseJSON Array List Map Struct Unnest GenerateSeries Grouping
GroupingId DateAdd DateSub DateDiff DateTrunc TimestampTrunc TsOrDsAdd TimestampDiff TimestampAdd Year Month Day
Week WeekOfYear Chr Char Initcap ArrayContainsAll ArrayContainedBy ArrayOverlaps TsMatch EqualNull IsNan IsInf
"""

_PURE_CLASSES = frozenset(_PURE_NODES.split())


def is_shareable(checked: Checked) -> bool:
    """Whether the rows of a statement that passed the rules may be given to an equal one.

    What is not known to be pure is not, nor what reads a view: whatever that calls is not seen here.
    """
    is_seen = not checked.explain and all(table.table.kind == "table" for table in checked.tables.values())
    return is_seen and all(_is_pure(node, checked.rules.name) for node in checked.tree.walk())


def _is_pure(node: exp.Expr, dialect: str) -> bool:
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return is_pure(node.name.lower(), dialect)
    if isinstance(node, exp.Func):
        return type(node).__name__ in _PURE_CLASSES
    if isinstance(node, exp.Literal):
        return not (node.is_string and _CLOCK.match(node.name))
    return not isinstance(node, _VARY)
