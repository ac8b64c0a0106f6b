"""From a ticket to an order that may be carried out: the job is claimed, and what was signed for it is held against it.

Of statements and of bodies alike. Does nothing of what the order says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from executor.leaving import Leaving
from executor.orders import Order
from executor.running import RunningJob
from executor.settings import ExecutorSettings
from executor.signing import Signer
from executor.store import Claim, WorkerStore


class Claims:
    """Of one worker process. Thread-safe.

    Args:
        store: where jobs are claimed.
        signer: opens what the servers have signed.
        worker: the name that leases are held under.
        leaving: once it has begun nothing is claimed.
        settings_now: with the sources that there are now.
    """

    def __init__(
        self,
        store: WorkerStore,
        signer: Signer,
        worker: str,
        leaving: Leaving,
        settings_now: Callable[[], ExecutorSettings],
    ) -> None:
        self._store = store
        self._signer = signer
        self._worker = worker
        self._leaving = leaving
        self._settings_now = settings_now
        self._policy = (float("-inf"), "")

    def claim(self, job_id: str, attempt: str) -> Claim | None:
        """Takes the job that a ticket names; None for a stale ticket, and for a good one that others are to have."""
        if self._leaving.has_begun:
            self._store.return_ticket(job_id, attempt)
            return None
        settings = self._settings_now()
        prints = json.dumps(settings.source_fingerprints())
        return self._store.claim(job_id, attempt, self._worker, prints, settings.named_sessions)

    def order(self, claim: Claim) -> Order:
        """What is to be done, not held against anything yet.

        Raises:
            StatementFailed: it was not signed with our key, or by a newer version.
        """
        return Order.of(self._signer.open(claim.payload, claim.signature))

    def check(self, order: Order, claim: Claim, job: RunningJob) -> None:
        """Holds the order to the job that brought it, to the sources and to the policies that there are now.

        Raises:
            SourceFailed: see `Order.check`.
            StatementFailed: likewise; or what the broker says of the policies was not signed with our key.
        """
        order.check(
            job_id=job.job_id,
            owner=claim.owner,
            source=claim.source,
            source_fingerprint=self._settings_now().fingerprint_of(order.source),
            policy_version=self._policy_version(claim),
            now=time.time(),
        )
        job.kind = order.kind

    def _policy_version(self, claim: Claim) -> str:
        # an older word than one heard before does not count: it was replayed
        if claim.policy[0]:
            told = self._signer.open(*claim.policy)
            self._policy = max(self._policy, (float(told["issued_at"]), str(told["policy_version"])))
        return self._policy[1]
