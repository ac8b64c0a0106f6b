"""Which columns of a source say that a row usually does not count: tests, cancelled, deleted. Guessed by a profile."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock

from executor import ColumnProfile, SourceProfile

_STATE_WORDS = """
    cancelled canceled void voided deleted removed rejected declined refunded failed draft test testing spam duplicate
    archived invalid fake dummy
"""
_FLAG_WORDS = "test deleted removed spam duplicate dummy fake cancelled canceled void voided archived internal"

_STATES = frozenset(_STATE_WORDS.split())
"""Values that say so, in whatever case."""

_FLAGS = frozenset(_FLAG_WORDS.split())
"""Names of columns of yes and no that say so, with or without ``is_``."""

_YES = frozenset({"1", "true", "t", "yes", "y"})
_KEPT = 64

Columns = Mapping[str, tuple[str, ...]]
_known: OrderedDict[int, tuple[SourceProfile, Mapping[tuple[str, str], Columns]]] = OrderedDict()
_lock = Lock()


def excluding(profile: SourceProfile) -> Mapping[tuple[str, str], Columns]:
    """By schema and name of a table, by column, the values of rows that usually do not count; kept for each profile."""
    with _lock:
        kept = _known.get(id(profile))
        if kept is not None and kept[0] is profile:
            return kept[1]
        told: Mapping[tuple[str, str], Columns] = {
            (t.schema, t.name): found for t in profile.tables if (found := _found(t.columns))
        }
        _known[id(profile)] = (profile, told)
        while len(_known) > _KEPT:
            _known.popitem(last=False)
        return told


def _found(columns: tuple[ColumnProfile, ...]) -> dict[str, tuple[str, ...]]:
    return {column.name: values for column in columns if (values := _values(column))}


def _values(column: ColumnProfile) -> tuple[str, ...]:
    values = column.values
    if len(values) < 2:  # one value alone sets nothing apart
        return ()
    if column.name.lower().removeprefix("is_") in _FLAGS and len(values) == 2:
        return tuple(value for value in values if value.lower() in _YES)
    found = tuple(value for value in values if value.strip().lower() in _STATES)
    return found if len(found) < len(values) else ()
