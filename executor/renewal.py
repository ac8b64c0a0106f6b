"""Follows a rotation of the signing keys: tells the broker which key signs now, and signs again what must outlive one.

A thread of every server and worker. What it does twice changes nothing.
"""

from __future__ import annotations

import logging
import threading

from redis.exceptions import RedisError

from executor.errors import ExecutorError
from executor.signing import Signer
from executor.upkeep_store import UpkeepStore

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0
_STOP_S = 5.0


class Renewal:
    """Looks every five seconds whether another key signs. A context manager."""

    def __init__(self, store: UpkeepStore, signer: Signer) -> None:
        self._store = store
        self._signer = signer
        self._done = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="awaitsql-renewal", daemon=True)

    def __enter__(self) -> Renewal:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=_STOP_S)

    def _loop(self) -> None:
        while True:
            key_id = self._signer.key_id()
            if key_id != self._done:
                try:
                    self._store.check_key(self._signer)
                    self._store.renew_policy(self._signer)
                    self._done = key_id
                except (RedisError, OSError, ExecutorError) as error:
                    log.warning("keys_not_followed", extra={"key": key_id, "error": type(error).__name__})
            if self._stop.wait(_LOOK_EVERY_S):
                return
