"""Statements that are to have stopped: whether they were seen to, and those that dead workers left on their servers.

Knows no end of a job.
"""

from __future__ import annotations

import logging

from executor.open_sources import OpenSources
from executor.running import RunningJob
from executor.stops import see_the_end
from executor.store import WorkerStore

log = logging.getLogger(__name__)

_SEE_S = 1.5
"""How long it is looked whether a server has stopped a statement before the job ends without that proof."""


class Stopping:
    """Of one worker process.

    Args:
        store: where it is told.
        sources: that the statements of dead workers ran on.
        worker: this one's name.
    """

    def __init__(self, store: WorkerStore, sources: OpenSources, worker: str) -> None:
        self._store = store
        self._sources = sources
        self._worker = worker

    def seen(self, job: RunningJob) -> dict[str, str]:
        """The fields that say how the database was seen to have stopped; empty where it was not."""
        if job.is_given_up:
            return {}
        if job.query_id is None or not job.has_begun:
            # the database runs in this process and its call has come back; what has not begun runs nowhere
            return {"stop_seen": "call"}
        how = None if job.lent is None else see_the_end(job.lent, job.query_id, within_s=_SEE_S)
        return {} if how is None else {"stop_seen": how}

    def abandon(self, job: RunningJob) -> None:
        """Leaves a statement that was not seen to stop to whoever looks next."""
        log.error("statement_not_seen_to_stop", extra={"job_id": job.job_id, "source": job.source})
        self._store.abandon(job.job_id, self._worker, job.source, job.query_id)

    def came_back(self, job: RunningJob) -> None:
        """The thread of a job is free again; of one that was given up without the proof, this is the proof."""
        if job.is_given_up and job.query_id is None:
            self._store.stopped(job.job_id, "call")

    def stop_left_running(self) -> None:
        """Stops statements that dead workers left on their servers, and tells when each was seen to have stopped.

        Raises: whatever a driver raises, or the broker; what was not stopped is tried again later.
        """
        while (left := self._store.take_stop()) is not None:
            if self._sources.settings.fingerprint_of(left.source) != left.source_print:
                # the server of now is not the one it runs on, and has nothing to say of it
                log.warning("orphan_statement_out_of_reach", extra={"job_id": left.job_id, "source": left.source})
                continue
            adapter = self._sources.adapter(left.source)
            found = adapter.stop(left.query_id)
            how = see_the_end(adapter, left.query_id, within_s=_SEE_S)
            log.warning(
                "orphan_statement_stopped",
                extra={"job_id": left.job_id, "source": left.source, "found": found, "seen": how},
            )
            if how is not None:
                self._store.stopped(left.job_id, how, left.entry)
