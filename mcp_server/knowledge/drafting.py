"""The first draft of a glossary: every table and column of a source with what its schema says of it. Pure."""

from __future__ import annotations

from typing import Any

import yaml

from executor import SourceProfile, SourceSchema, Table
from mcp_server.knowledge.glossary import Glossary
from mcp_server.tables import shown_name

_MOST_VALUES = 12
_EXAMPLE = """\
# Words of the business, and what they mean. An entry:
# terms:
# - name: active customer
#   synonyms: [live customer]
#   means: A customer with an order in the last 90 days.
#   tables: [customers, orders]
# metrics:
# - name: revenue
#   sql: sum(total)
#   from: orders
#   means: Before tax, without refunds.
# filters:
# - name: paid
#   table: orders
#   sql: status = 'paid'
"""


def drafted(schema: SourceSchema, profile: SourceProfile | None = None) -> str:
    """A glossary of the source's tables as YAML, for its owner to go on with.

    Args:
        schema: comments become notes.
        profile: values of columns that have few are told in their notes.
    """
    values = {
        (table.schema, table.name, column.name): column.values
        for table in (profile.tables if profile is not None else ())
        for column in table.columns
    }
    told: dict[str, Any] = {"version": 1, "terms": [], "metrics": [], "filters": []}
    told["tables"] = {shown_name(table, schema): _table(table, values) for table in schema.tables}
    Glossary.model_validate(told)
    head = f"# What the words of source {schema.source} mean. Empty notes may be filled in or left out.\n"
    return head + _EXAMPLE + yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=110)


def _table(table: Table, values: dict[tuple[str, str, str], tuple[str, ...]]) -> dict[str, Any]:
    columns: dict[str, str] = {}
    for column in table.columns:
        known = values.get((table.schema, table.name, column.name), ())
        listed = f"One of: {', '.join(known)}." if 0 < len(known) <= _MOST_VALUES else ""
        columns[column.name] = " ".join([*column.comment.split(), *listed.split()])[:1_000]
    return {"note": " ".join(table.comment.split())[:1_000], "columns": columns}
