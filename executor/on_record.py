"""The servers' side of the record: refusals put on it, how the history is, whether its chain holds. Lists no job."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from executor.acts import Act
from executor.client_store import ClientStore
from executor.connections import BROKER_ERRORS, BROKER_S, asking_broker
from executor.history.past import HistoryState, Past
from executor.history.witness import opened_head
from executor.in_force import InForce
from executor.signing import Signer

if TYPE_CHECKING:
    from executor.history.verifying import ChainReport

log = logging.getLogger(__name__)

_REFUSALS_A_MINUTE = 60
"""Of one owner, that are on record one by one."""


class OnRecord:
    """The record of one configuration."""

    def __init__(self, in_force: InForce, signer: Signer, store: ClientStore, past: Past) -> None:
        self._in_force = in_force
        self._signer = signer
        self._store = store
        self._past = past

    async def state(self) -> tuple[HistoryState, int]:
        """See `Executor.history_state`."""
        async with asking_broker(within_s=None):
            waiting = await self._store.events_waiting()
        return await self._past.state(), waiting

    async def verify(self) -> ChainReport:
        """See `Executor.verify_history`."""
        async with asking_broker():
            kept = await self._store.witness()
        return await self._past.verify(None if kept is None else opened_head(self._signer, *kept))

    async def tell_refusal(
        self, *, owner: str, source: str, sql: str, dialect: str, code: str, message: str, position: int | None
    ) -> None:
        """See `Executor.tell_refusal`."""
        told = self._in_force.told.refusal(self._signer, sql, dialect, message)
        version = self._in_force.policy_version
        more = {"source": source, "policy_version": version, "code": code, "position": position}
        act = Act("refused", owner, {**told, **more})
        try:
            async with asyncio.timeout(BROKER_S):
                await self._store.tell_refusal(act, per_minute=_REFUSALS_A_MINUTE)
        except (*BROKER_ERRORS, ResponseError) as error:
            log.warning("refusal_untold", extra={"owner": owner, "code": code, "error": type(error).__name__})
