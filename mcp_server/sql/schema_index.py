"""A source schema's tables by name, and names that are like one another. Worked out once for a schema; knows no policy.

Looking up a name takes the same time whether it is there or not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from executor import SourceSchema, Table

_SCHEMAS_KNOWN = 32
_COMPARED = 40
"""How many names are compared in full: those that share most pairs of letters."""

Key = tuple[str, str]
"""Schema and name."""


@dataclass(frozen=True, slots=True)
class SchemaIndex:
    """The tables of one schema.

    Attributes:
        exact: by schema and name as the database spells them.
        folded: by both in lower case; of several that differ in case only, the first.
        children: the tables that inherit from each table.
    """

    exact: Mapping[Key, Table]
    folded: Mapping[Key, Table]
    children: Mapping[Key, Sequence[Table]]


_KNOWN: OrderedDict[int, tuple[SourceSchema, SchemaIndex]] = OrderedDict()


def index_of(schema: SourceSchema) -> SchemaIndex:
    """The index of `schema`; the same one for the same schema."""
    known = _KNOWN.get(id(schema))
    if known is not None and known[0] is schema:
        return known[1]
    exact: dict[Key, Table] = {}
    folded: dict[Key, Table] = {}
    children: dict[Key, list[Table]] = {}
    for table in schema.tables:
        exact.setdefault((table.schema, table.name), table)
        folded.setdefault((table.schema.lower(), table.name.lower()), table)
        for parent in table.inherits:
            children.setdefault(parent, []).append(table)
    made = SchemaIndex(exact, folded, children)
    _KNOWN[id(schema)] = (schema, made)
    while len(_KNOWN) > _SCHEMAS_KNOWN:
        _KNOWN.popitem(last=False)
    return made


@dataclass(slots=True)
class Names:
    """Names to suggest: each in lower case with how it is shown."""

    shown: dict[str, str]
    _pairs: dict[str, frozenset[str]] = field(default_factory=dict)

    def nearest(self, name: str) -> str:
        """The one that is most like `name`, as it is shown, or an empty string."""
        if not self._pairs:
            self._pairs = {known: _pairs(known) for known in self.shown}
        wanted = name.lower()[:200]
        pairs = _pairs(wanted)
        likely: Iterable[str] = self.shown
        if len(self.shown) > _COMPARED:
            likely = sorted(self.shown, key=lambda known: len(pairs & self._pairs[known]), reverse=True)[:_COMPARED]
        close = get_close_matches(wanted, likely, n=1, cutoff=0.6)
        return self.shown[close[0]] if close else ""


def _pairs(name: str) -> frozenset[str]:
    return frozenset(name[place : place + 2] for place in range(len(name) - 1))
