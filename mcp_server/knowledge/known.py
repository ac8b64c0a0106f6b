"""What is known of one source for one grant: schema, cards, search, keys. Built once, kept for equal schemas."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import is_

from executor import SourceProfile, SourceSchema, Table
from mcp_server.bounds import json_length, that_fit
from mcp_server.knowledge.cards import CARD_CHARS, Cards
from mcp_server.knowledge.index import Said, SchemaIndex
from mcp_server.knowledge.meanings import Meanings
from mcp_server.policy import Grant
from mcp_server.tables import visible, visible_profile

WHOLE_TABLES = 60
"""A schema of so few tables is shown whole: leaving tables out of it can only hurt."""

WHOLE_CHARS = 80_000
"""So is one whose cards take no more characters, about 20,000 tokens; and never more than these are shown."""

JOINS_CHARS = 8_000
"""The most characters of join conditions, as JSON."""

FOUND_TABLES = 10
"""How many tables are found in a larger schema."""

_NEAR_LINES = 20
_GRANTS_KEPT = 1_000
_SCHEMAS_KEPT = 16


@dataclass(frozen=True, slots=True)
class Found:
    """Tables for some keywords.

    Attributes:
        tables: the best first.
        cards: one for each of them.
        joins: how they join each other, one condition a line.
        near: keys that lead from them to tables that are not among them, likewise.
        whole: whether these are all tables that the caller may see.
    """

    tables: tuple[Table, ...]
    cards: tuple[str, ...]
    joins: tuple[str, ...]
    near: tuple[str, ...]
    whole: bool


class Known:
    """What one grant lets its caller know of a source.

    Args:
        schema: only what the caller may see.
        profile: likewise.
        said: likewise, of the source's glossary.
    """

    def __init__(self, schema: SourceSchema, profile: SourceProfile | None = None, said: tuple[Said, ...] = ()) -> None:
        self.schema = schema
        self.index = SchemaIndex(schema, profile, said)
        self.joins = self.index.joins
        self.cards = Cards(schema, self.joins, profile)

    @cached_property
    def whole(self) -> dict[tuple[str, str], str] | None:
        """All cards by schema and name, where they fit; else None."""
        few = len(self.schema.tables) <= WHOLE_TABLES
        each = min(CARD_CHARS, WHOLE_CHARS * 4 // 5 // max(1, len(self.schema.tables))) if few else CARD_CHARS
        cards: dict[tuple[str, str], str] = {}
        used = 0
        for table in self.schema.tables:
            card = self.cards.card(table, max_chars=each)
            used += json_length(card)
            if used > WHOLE_CHARS:
                return None
            cards[table.schema, table.name] = card
        return cards

    def find(self, keywords: Sequence[str], *, limit: int = FOUND_TABLES) -> Found:
        """The tables that `keywords` are about: all of them, the best first, where all fit; else the best `limit`."""
        if self.whole is not None:
            ranked = self.index.ranked(keywords, limit=len(self.schema.tables))
            first = {(t.schema, t.name): t for t in [*ranked, *self.schema.tables]}
            tables = tuple(first.values())
            return self._found(tables, [self.whole[key] for key in first], whole=True)
        tables = tuple(self.index.ranked(keywords, limit=limit))
        return self._found(tables, [self.cards.card(table) for table in tables], whole=False)

    def _found(self, tables: tuple[Table, ...], cards: Sequence[str], *, whole: bool) -> Found:
        keys = [(t.schema, t.name) for t in tables]
        joins = that_fit(self.joins.conditions(keys), JOINS_CHARS)
        near: dict[str, None] = {}
        if not whole:
            near = dict.fromkeys(
                self.joins.condition(join)
                for key in keys
                for join in self.joins.of(key)
                if join.key.columns and not {join.table, join.target} <= set(keys)
            )
        return Found(tables, tuple(cards), tuple(joins), tuple(that_fit(list(near)[:_NEAR_LINES], JOINS_CHARS)), whole)


_lock = threading.Lock()
_Origins = tuple[SourceSchema, SourceProfile | None, Meanings | None]
_by_grant: OrderedDict[tuple[int, str, int, int], tuple[_Origins, Known]] = OrderedDict()
_by_content: OrderedDict[tuple[SourceSchema, SourceProfile | None, tuple[Said, ...]], Known] = OrderedDict()


def known(
    schema: SourceSchema, grant: Grant, profile: SourceProfile | None = None, meanings: Meanings | None = None
) -> Known:
    """What `grant` lets its caller know of a source; the same object for the same arguments.

    Callers who see the same of it share one, whatever their grants are called. Building one takes milliseconds for a
    hundred tables and seconds for thousands: call it in a thread.

    Args:
        schema: the whole schema.
        grant: what the caller may read of it.
        profile: of the whole source.
        meanings: the source's glossary.
    """
    key = (id(schema), grant.hash(), id(profile), id(meanings))
    origins = (schema, profile, meanings)
    with _lock:  # building one twice at once takes twice as long
        kept = _by_grant.get(key)
        if kept is not None and all(map(is_, kept[0], origins)):
            _by_grant.move_to_end(key)
            return kept[1]
        # the same tables, read again, are the same
        seen = replace(visible(schema, grant), inspected_at=0.0)
        told = None if profile is None else visible_profile(profile, schema, grant)
        entries = () if meanings is None else meanings.seen(schema, grant)
        said = tuple(Said(entry.phrases, entry.text, entry.tables) for entry in entries if entry.tables)
        content = (seen, told, said)
        found = _by_content.get(content) or Known(*content)
        _by_content[content] = found
        _by_content.move_to_end(content)
        _by_grant[key] = (origins, found)
        while len(_by_grant) > _GRANTS_KEPT:
            _by_grant.popitem(last=False)
        while len(_by_content) > _SCHEMAS_KEPT:
            _by_content.popitem(last=False)
        return found
