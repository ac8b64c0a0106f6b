"""One job while a worker runs it: what can be seen of it and asked of it from other threads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Literal, Protocol

from executor.jobs import JobKind
from executor.patience import Patience
from executor.tracing import NO_SPAN, Span

if TYPE_CHECKING:
    from executor.answers import Answers
    from executor.results import ResultWriter

Stop = Literal["cancelled", "late", "lost", "left"]
"""Why a running job is stopped from outside: asked for; its time is over and the database did not see to it; the lease
went to another worker; this worker leaves."""


SLOW_STORE_S = 1.0
"""A part that takes longer to be stored is told of: a local disk takes milliseconds."""


class Stoppable(Protocol):
    """What a job runs, as far as others may ask of it: a session's statement, or a body."""

    @property
    def query_id(self) -> str | None:
        """Under which id a server runs it; None where it runs in this process."""
        ...

    def cancel(self) -> None:
        """Stops it, from any thread."""
        ...


class Looks(Protocol):
    """Where a statement runs, as far as others look there."""

    def runs(self, query_id: str) -> bool:
        """Whether the server still runs a statement of that session."""
        ...


class StoppedFromOutside(Exception):
    """Raised in the running thread where it notices that it was told to stop."""


class RunningJob:
    """Handles to the statement of one running job. Thread-safe; `stop` may come before the statement began.

    Attributes:
        sure_until: see `executor.store.Claim`; by itself never.
    """

    def __init__(
        self, job_id: str, attempt: str, source: str, *, sure_until: float = 0.0, span: Span = NO_SPAN
    ) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self.source = source
        self.sure_until = sure_until
        self.span = span
        self.kind: JobKind | None = None
        self._began_at = time.monotonic()
        self.connecting = Patience()
        self.database = Patience()
        self._stage = "executing"
        self.notes: dict[str, str] = {}
        self.answers: Answers = {}
        self.stopped: Stop | None = None
        self.stop_asked_at: float | None = None
        # nothing yet: the first beat comes at once, and with it the query id that a reaper may need
        self.told: tuple[str, int] = ("", -1)
        self.beat_at = time.monotonic()
        # kept: by the time it ends the source may be configured otherwise
        self.lent: Looks | None = None
        self._session: Stoppable | None = None
        self._writer: ResultWriter | None = None
        self._lock = threading.Lock()
        self._late_at: float | None = None
        self._canceller: threading.Thread | None = None
        # of the session that ran it, also after that was let go
        self.query_id: str | None = None
        self.has_begun = False
        self.is_over = False
        self.is_given_up = False

    @property
    def name(self) -> str:
        """Of this attempt: what its session is called on a server, where those are named."""
        return f"{self.job_id}.{self.attempt}"

    def attach(self, session: Stoppable) -> None:
        """Makes the session cancellable. Raises `StoppedFromOutside` when it is too late to begin."""
        with self._lock:
            self._session = session
            self.query_id = session.query_id
        self.check()
        self.has_begun = True

    def detach(self) -> None:
        """The statement is over: nothing is left to cancel, and a late cancel must not hit the next one."""
        with self._lock:
            self._session = None

    def watch(self, writer: ResultWriter) -> None:
        """Progress is read from this writer from now on."""
        self._writer = writer
        self._stage = "fetching"

    @property
    def stage(self) -> str:
        """What the job is doing: ``explaining``, ``executing``, ``fetching``; ``storing`` while the store is slow."""
        is_slow = self._writer is not None and self._writer.patience.waiting_s > SLOW_STORE_S
        return "storing" if is_slow else self._stage

    @stage.setter
    def stage(self, stage: str) -> None:
        self._stage = stage

    def check(self) -> None:
        """Raises `StoppedFromOutside` once the job was told to stop."""
        if self.stopped is not None:
            raise StoppedFromOutside

    def stop(self, why: Stop) -> None:
        """Tells the job to stop and the database to cancel. The first reason counts; asked again it cancels again."""
        if self.stopped is None:
            self.stopped = why
            self.stop_asked_at = time.monotonic()
        if self._session is not None and (self._canceller is None or not self._canceller.is_alive()):
            # in a thread of its own: a server that hangs holds up the one who asks it to stop
            self._canceller = threading.Thread(target=self._cancel, name="awaitsql-cancel", daemon=True)
            self._canceller.start()

    def _cancel(self) -> None:
        with self._lock:
            # under the lock: after `detach` the connection may already serve another statement
            if self._session is not None:
                self._session.cancel()

    @property
    def seconds(self) -> float:
        """Since it was claimed."""
        return time.monotonic() - self._began_at

    @property
    def stored_s(self) -> float | None:
        """Seconds spent waiting for the place where rows are kept; None while it has none to keep."""
        return None if self._writer is None else self._writer.patience.total_s

    def limit(self, seconds: float) -> None:
        """The database has `seconds` from now to end the statement."""
        self._late_at = time.monotonic() + seconds

    def is_late(self, grace_s: float) -> bool:
        """Whether the time is over and `grace_s` seconds more, in which the database should have ended it."""
        return self._late_at is not None and time.monotonic() > self._late_at + grace_s

    @property
    def late_ms(self) -> int:
        """Milliseconds since the statement's time was over; 0 before."""
        return 0 if self._late_at is None else max(0, int((time.monotonic() - self._late_at) * 1000))

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return self._writer.rows if self._writer else 0

    @property
    def bytes(self) -> int:
        """Arrow bytes written so far."""
        return self._writer.bytes if self._writer else 0
