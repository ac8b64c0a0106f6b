"""Statements that the guard let through lately: a text that is sent again is not read again.

What the guard says depends on nothing but what it is given, so the same verdict is given again where all of that is the
same: the text, the source's schema as it was read, the grant, the limits, the dialect, and what is told of rows.
Refusals are not kept: what is unknown today may be there tomorrow.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from executor import Limits, Statement
from mcp_server.policy import Grant

if TYPE_CHECKING:  # the types only
    from executor import SourceSchema
    from mcp_server.sql import Telling

_KEPT = 256


@dataclass(frozen=True, slots=True)
class Given:
    """All that a verdict depends on; see `mcp_server.sql.check`."""

    sql: str
    schema: SourceSchema
    grant: Grant
    limits: Limits
    dialect: str | None
    telling: Telling


_known: OrderedDict[tuple[str, str, str], tuple[Given, Statement]] = OrderedDict()
_lock = Lock()


def known(given: Given) -> Statement | None:
    """The statement that came of the same before, or None."""
    with _lock:
        key = _key(given)
        kept = _known.get(key)
        if kept is None or not _is_same(kept[0], given):
            return None
        _known.move_to_end(key)
        return kept[1]


def keep(given: Given, statement: Statement) -> None:
    """Remembers what came of it; the oldest of many is forgotten, and all that came of the source as it was before."""
    with _lock:
        # each would hold a whole schema in memory
        for key in [key for key, (kept, _) in _known.items() if _is_older(kept, given)]:
            del _known[key]
        _known[_key(given)] = (given, statement)
        while len(_known) > _KEPT:
            _known.popitem(last=False)


def _is_same(kept: Given, given: Given) -> bool:
    """Whether the guard would say the same, of one key. A schema that was read anew is another one."""
    return (
        kept.schema is given.schema
        and kept.grant == given.grant
        and (kept.limits, kept.dialect) == (given.limits, given.dialect)
        and kept.telling == given.telling
    )


def _is_older(kept: Given, given: Given) -> bool:
    return kept.schema.source == given.schema.source and kept.schema is not given.schema


def _key(given: Given) -> tuple[str, str, str]:
    # with the grant's hash, since 1 and true are equal in Python, and not in SQL
    return given.sql, given.schema.source, given.grant.hash()
