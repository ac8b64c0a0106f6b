"""Moves the event stream into the history. A thread of every server and worker; the broker elects who does it.

Reading is at least once, writing exactly once: the place in the stream is committed with the events, and only what is
committed is dropped from the stream. While the database is away events wait in the stream, and jobs go on.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from typing import TYPE_CHECKING

import redis
from redis.exceptions import RedisError

from executor.errors import ExecutorError
from executor.history.records import NewerRecord
from executor.settings import RECORD_VERSION, ExecutorSettings
from executor.signing import Signer
from executor.upkeep_store import UpkeepStore

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from executor.history.stream import Batch, EventStream, Told
    from executor.history.writing import HistoryWriter, Place

log = logging.getLogger(__name__)

_EVERY_S = 0.5
_LEADS_S = 5.0
_BATCH = 500
_LOOK_EVERY_S = 60.0
_EXPIRE_EVERY_S = 3600.0
_BACKOFF_MOST_S = 30.0
_SECONDS_A_DAY = 86_400.0
_STOP_S = 5.0
_LEFT_TO_NEWER_S = 30.0
"""How long a process leaves the stream alone whose next event is of a newer version."""


class Drainer:
    """Drains twice a second while it leads, and once more as it leaves. A context manager."""

    def __init__(self, settings: ExecutorSettings, store: UpkeepStore, connection: redis.Redis, signer: Signer) -> None:
        self._settings = settings
        self._store = store
        self._connection = connection
        self._signer = signer
        self._who = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="awaitsql-history", daemon=True)
        self._engine: Engine | None = None
        self._writer: HistoryWriter | None = None
        self._stream: EventStream | None = None
        self._epoch = ""
        self._look_at = 0.0
        self._expire_at = 0.0
        self._not_before = 0.0
        self._witnessed = 0

    def __enter__(self) -> Drainer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=_STOP_S)

    def _loop(self) -> None:
        wait_s, is_away = _EVERY_S, False
        while not self._stop.wait(wait_s):
            try:
                if self._leads():
                    self._round()
                    if is_away:
                        log.info("history_back")
                        wait_s, is_away = _EVERY_S, False
                else:
                    self._writer = None
            except NewerRecord as newer:
                self._writer = None
                self._not_before = time.monotonic() + _LEFT_TO_NEWER_S
                log.warning("history_left_to_newer", extra={"event_id": str(newer), "record_here": RECORD_VERSION})
            except (RedisError, OSError) as error:
                self._writer = None
                log.warning("drain_interrupted", extra={"error": type(error).__name__})
            except Exception as error:
                self._writer = None
                if not is_away:
                    told = error.message if isinstance(error, ExecutorError) else type(error).__name__
                    # a database that does not answer is no surprise, and its traceback tells nobody more
                    why = None if _is_foreseen(error) else error
                    log.exception("history_away", exc_info=why, extra={"error": told})
                wait_s, is_away = min(wait_s * 2, _BACKOFF_MOST_S), True
        if not is_away:
            self._leave()
        if self._engine is not None:
            self._engine.dispose()

    def _leave(self) -> None:
        """Moves what this process's own last jobs told, then lets the next one lead: it need not wait for our hold."""
        try:
            if self._leads():
                self._round()
                self._store.resign(self._who, what="drainer")
        except Exception as error:  # noqa: BLE001 - what is not moved waits in the stream for whoever leads next
            log.warning("drain_interrupted", extra={"error": type(error).__name__})

    def _leads(self) -> bool:
        if time.monotonic() < self._not_before:
            return False
        return self._store.is_leader(self._who, _LEADS_S, what="drainer")

    def _round(self) -> None:
        # the database library takes a while to load, and only the process that leads needs it
        from executor.history.place import open_history  # noqa: PLC0415
        from executor.history.stream import EventStream  # noqa: PLC0415
        from executor.history.writing import Fenced, HistoryWriter  # noqa: PLC0415

        if self._stream is None:
            self._stream = EventStream(self._settings, self._connection)
        stream = self._stream
        try:
            if self._engine is None:
                self._engine = open_history(self._settings)
            if self._writer is None:
                self._writer = HistoryWriter(self._engine, self._signer, self._settings.namespace)
                self._look_at = 0.0
                self._witnessed = 0
            self._drain(self._writer, stream)
            now = time.monotonic()
            if now >= self._look_at:
                stream.tell_counted()
                self._settle(self._writer, stream)
                self._look_at = now + _LOOK_EVERY_S
            if now >= self._expire_at:
                keep_s = self._settings.history.keep_days * _SECONDS_A_DAY
                told_at = self._store.now()  # as the records' own times
                gone = self._writer.expire(told_at - keep_s, now=told_at)
                if gone:
                    log.info("history_expired", extra={"rows": gone})
                self._expire_at = now + _EXPIRE_EVERY_S
            self._bear_witness(self._writer, stream)
        except Fenced:
            self._writer = None
            log.info("history_taken_over")

    def _drain(self, writer: HistoryWriter, stream: EventStream) -> None:
        """Moves the events that are there. What comes in meanwhile can wait: else a trickle is moved one by one."""
        place: Place | None = None
        while True:
            if place is None:
                epoch = stream.epoch()
                if epoch != self._epoch:
                    # another stream than before: what the broker knew of unfinished jobs may be gone with the old one
                    self._epoch, self._look_at = epoch, 0.0
                place = writer.place(epoch)
            batch = stream.next(place.epoch, place.position, _BATCH)
            if batch is None:
                if self._stop.is_set():
                    return
                place = None
                continue
            self._say_gap(place, batch)
            place = writer.write(place, batch, now=self._store.now())
            if len(batch.events) < _BATCH or self._stop.is_set() or not self._leads():
                return

    def _bear_witness(self, writer: HistoryWriter, stream: EventStream) -> None:
        """Keeps the chain's end in the broker, once it was held to the end that is kept there."""
        if writer.head().seq == self._witnessed:
            return
        witness = stream.witness(self._signer)
        if witness is not None and not writer.hold_to(witness, now=self._store.now()):
            log.error("history_rolled_back", extra={"seq": witness.seq})
        head = writer.head()
        stream.keep_witness(self._signer, head)
        self._witnessed = head.seq

    @staticmethod
    def _say_gap(place: Place, batch: Batch) -> None:
        gone = batch.added - batch.length - place.drained
        if gone > 0:
            log.error("history_gap", extra={"events": gone, "after": place.position})
        elif gone < 0:
            log.error("history_rewound", extra={"committed": place.position, "now": batch.last})

    def _settle(self, writer: HistoryWriter, stream: EventStream) -> None:
        """Ends, in the history, jobs whose end will not come through the stream: the broker lost it or them."""
        open_ones = writer.unfinished()
        for start in range(0, len(open_ones), _BATCH):
            asked = open_ones[start : start + _BATCH]
            ends: dict[str, Told] = {
                job_id: told
                for job_id, told in zip(asked, stream.rows_of(asked), strict=True)
                if not told.state or told.finished_at
            }
            if not ends:
                continue
            # their ends may have come in since they were asked for: what is in the stream by now comes first
            self._drain(writer, stream)
            settled = writer.settle(ends, now=self._store.now())
            for job_id in settled:
                log.warning("history_settled", extra={"job_id": job_id, "found": ends[job_id].state or "lost"})


def _is_foreseen(error: Exception) -> bool:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - as above

    return isinstance(error, ExecutorError | SQLAlchemyError)
