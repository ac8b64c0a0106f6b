"""Counts what sqlglot's parser does, and stops it where a text makes it try the same tokens again and again.

The parser tries one reading and goes back to try another, also within what it is trying: in ``STRUCT(STRUCT(STRUCT(…``
each level doubles the work, and 200 characters keep it busy for hours. Its compiled classes can be neither derived from
nor patched, but they ask tables of the class what a token may begin. `COUNTED` are the tables that it asks on every
way to go deeper; those of the guard's dialects are replaced by equal ones that count.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from sqlglot import Dialect

from mcp_server.sql.refusal import RefusalCode, StatementRefused

COUNTED = ("UNARY_PARSERS", "TYPE_TOKENS", "JOIN_SIDES")
"""Asked for each operand; wherever an operand or a type is no plain name or constant; wherever a join may begin."""
STEPS = 1_000
STEPS_PER_TOKEN = 8
"""Ordinary statements take at most two steps a token; see benchmarks/guard_bounds.py for the worst that is let in."""

_NO_BOUND = 1 << 62


class _Left(threading.local):
    """How many steps this thread's parsing may still take."""

    steps = _NO_BOUND


_left = _Left()


def _too_many() -> StatementRefused:
    return StatementRefused(
        RefusalCode.TOO_COMPLEX,
        "The SQL can be read in too many ways to try them all.",
        hint="Nest less: use WITH to name the inner parts, or split the statement.",
    )


# Asked some dozen times a statement: no call more than is needed, hence the same lines twice.
class _CountedDict(dict[Any, Any]):
    def __contains__(self, key: object, has: Callable[[Any, object], bool] = dict.__contains__) -> bool:
        _left.steps = steps = _left.steps - 1
        if steps < 0:
            raise _too_many()
        return has(self, key)


class _CountedSet(set[Any]):
    def __contains__(self, key: object, has: Callable[[Any, object], bool] = set.__contains__) -> bool:
        _left.steps = steps = _left.steps - 1
        if steps < 0:
            raise _too_many()
        return has(self, key)


def count_work(dialect: Dialect) -> Dialect:
    """`dialect`, whose parsers count from now on. Without `bounded` they count to no end."""
    parser = dialect.parser_class
    for name in COUNTED:
        table = getattr(parser, name)
        if not isinstance(table, _CountedDict | _CountedSet):
            setattr(parser, name, (_CountedDict if isinstance(table, dict) else _CountedSet)(table))
    return dialect


@contextmanager
def bounded(tokens: int) -> Generator[None]:
    """Let this thread's parsing of `tokens` tokens take so many steps as are fair; what it parses within counts, too.

    Raises:
        StatementRefused: ``too_complex``.
    """
    before = _left.steps
    _left.steps = min(before, STEPS + STEPS_PER_TOKEN * tokens)
    try:
        yield
    finally:
        _left.steps = before
