"""Which tables a question is about: words -> tables, best first."""

from __future__ import annotations

import re
from collections.abc import Sequence

from executor import SourceSchema, Table

_WORD = re.compile(r"[A-Za-z]+|\d+")


class SchemaIndex:
    """The words of one source schema's tables.

    Args:
        schema: only what the caller may see.
    """

    def __init__(self, schema: SourceSchema) -> None:
        self.schema = schema
        self._words = [
            {word.lower() for name in (t.name, t.comment, *(c.name for c in t.columns)) for word in _WORD.findall(name)}
            for t in schema.tables
        ]

    def ranked(self, keywords: Sequence[str], *, limit: int) -> list[Table]:
        """The `limit` tables that fit `keywords` best, the best first."""
        asked = {word.lower() for keyword in keywords for word in _WORD.findall(keyword)}
        order = sorted(range(len(self._words)), key=lambda i: -len(asked & self._words[i]))
        return [self.schema.tables[i] for i in order[:limit]]
