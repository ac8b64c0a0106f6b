"""Which tables belong together, so that a question about one of them is likelier about the others too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from executor import SourceSchema
from mcp_server.knowledge.keys import Joins, TableKey

LARGEST_GROUP = 60
"""Tables of the largest group: what is larger says nothing of its tables."""

_MANY_NEIGHBOURS = 30
"""A table that more tables point to belongs to none of them."""


def groups(schema: SourceSchema, joins: Joins) -> list[list[int]]:
    """For each table of `schema`, by position, the positions of the tables that it belongs with, itself among them.

    They are those of its database schema where there are several and this one is small; else all tables that keys
    connect it with, at any distance, where they are few; else those one key away. Tables of one group share one list.
    """
    at = {(t.schema, t.name): i for i, t in enumerate(schema.tables)}
    sizes = Counter(t.schema for t in schema.tables)
    by_schema: dict[str, list[int]] = {}
    found: dict[int, list[int]] = {}
    for i, table in enumerate(schema.tables):
        if len(sizes) > 1 and sizes[table.schema] <= LARGEST_GROUP:
            found[i] = by_schema.setdefault(table.schema, [])
            found[i].append(i)
    for component in _components([key for key, i in at.items() if i not in found], joins):
        members = [at[key] for key in component]
        for key, i in zip(component, members, strict=True):
            near = joins.neighbours(key) if len(members) > LARGEST_GROUP else []
            if len(near) > _MANY_NEIGHBOURS:
                near = [j.target for j in joins.of(key) if j.table == key and j.target != key]
            found[i] = members if len(members) <= LARGEST_GROUP else [i, *(at[n] for n in dict.fromkeys(near))]
    return [found.get(i, [i]) for i in range(len(schema.tables))]


def _components(tables: Sequence[TableKey], joins: Joins) -> list[list[TableKey]]:
    """`tables` in connected sets."""
    waiting = dict.fromkeys(tables)
    found: list[list[TableKey]] = []
    while waiting:
        component: list[TableKey] = []
        edge = [next(iter(waiting))]
        del waiting[edge[0]]
        while edge:
            component.append(table := edge.pop())
            for near in joins.neighbours(table):
                if near in waiting:
                    del waiting[near]
                    edge.append(near)
        found.append(component)
    return found
