"""Conversations: the earlier questions of one caller, their SQL and the shapes of their results. Rows are not kept.

A conversation has a handle and an owner; somebody else's, an unknown and an expired one all read the same: not found.
Kept in the broker, signed, for a day after its last turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, TypeAdapter

from executor import ExecutorError, new_job_id, parse_job_id
from mcp_server.errors import CallCode, CallRefused

if TYPE_CHECKING:
    from executor import Executor

KEPT_S = 86_400.0
MOST_TURNS = 10
"""Older ones are forgotten."""


class Turn(BaseModel):
    """One question that was answered: its SQL, and the names and types of the columns that came back."""

    model_config = ConfigDict(frozen=True)

    question: str
    sql: str
    columns: list[str]
    row_count: int


_TURNS = TypeAdapter(list[Turn])


async def begun(executor: Executor, owner: str) -> str:
    """The handle of a new conversation of `owner`'s. Raises as `Executor.remember`."""
    handle = new_job_id()
    await executor.remember(_name(owner, handle), "[]", for_s=KEPT_S)
    return handle


async def known(executor: Executor, owner: str, handle: str) -> str:
    """The handle in its one spelling, if it is of a conversation of `owner`'s.

    Raises:
        CallRefused: ``unknown_conversation``.
        ExecutorError: as `Executor.recall`.
    """
    try:
        handle = parse_job_id(handle)
    except ExecutorError:
        raise _unknown() from None
    if await executor.recall(_name(owner, handle)) is None:
        raise _unknown()
    return handle


async def turns(executor: Executor, owner: str, handle: str) -> list[Turn]:
    """What was said before, the oldest first; nothing of a conversation that has expired meanwhile."""
    told = await executor.recall(_name(owner, handle))
    return [] if told is None else _TURNS.validate_json(told)


async def add_turn(executor: Executor, owner: str, handle: str, turn: Turn) -> None:
    """Adds a turn, unless it is the newest already."""
    before = await turns(executor, owner, handle)
    if before[-1:] != [turn]:
        kept = [*before, turn][-MOST_TURNS:]
        await executor.remember(_name(owner, handle), _TURNS.dump_json(kept).decode(), for_s=KEPT_S)


def _name(owner: str, handle: str) -> str:
    return f"conversation {owner} {handle}"


def _unknown() -> CallRefused:
    return CallRefused(
        CallCode.UNKNOWN_CONVERSATION,
        "There is no such conversation (any more).",
        hint="Leave conversation out to begin a new one; its handle is in the answer.",
    )
