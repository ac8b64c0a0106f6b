"""The statement that looks for a text among a column's values, in a source's dialect. The guard checks it as any."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp


def value_query(table: tuple[str, str], column: str, texts: Sequence[str], *, dialect: str, most: int) -> str:
    """Different values that hold one of `texts`, letters' case aside, and how many rows have each, most first.

    Args:
        table: schema and name.
        column: of the table, holding text.
        texts: at least one.
        dialect: sqlglot's name.
        most: values.
    """
    here = exp.column(exp.to_identifier(column, quoted=True))
    # what is a wildcard stands for any character: whoever asked compares what comes
    patterns = [f"%{text.lower().translate(_WILD)}%" for text in texts]
    conditions = [exp.Like(this=exp.Lower(this=here.copy()), expression=exp.Literal.string(p)) for p in patterns]
    rows = exp.Count(this=exp.Star())
    query = (
        exp.select(exp.alias_(here.copy(), "v", quoted=True), exp.alias_(rows, "n", quoted=True))
        .from_(exp.table_(exp.to_identifier(table[1], quoted=True), db=exp.to_identifier(table[0], quoted=True)))
        .where(exp.or_(*conditions))
        .group_by(here.copy())
        .order_by(exp.Ordered(this=rows.copy(), desc=True))
        .limit(most)
    )
    return query.sql(dialect=dialect)


_WILD = str.maketrans(dict.fromkeys("%_\\[]'", "_"))
