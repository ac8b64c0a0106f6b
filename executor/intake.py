"""Takes statements in: holds them to the configuration, signs them as orders, puts them in line. Follows no job."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from executor.client_store import ClientStore
from executor.connections import asking_broker
from executor.costs import confirmed_cost
from executor.errors import ErrorCode, StatementFailed
from executor.handles import new_job_id
from executor.history.records import record_of
from executor.in_force import InForce
from executor.jobs import QUEUE_OF, Job, JobKind, Question, Statement
from executor.orders import ASKED, payload_of, source_changed, statement_fingerprint
from executor.settings import RECORD_VERSION
from executor.sharing import share_key
from executor.signing import Signer
from executor.sources import session_of
from executor.tracing import Traces

SYSTEM_OWNER = "awaitsql:system"
"""Whose the jobs are that a server asks for by itself."""

PROFILER_OWNER = "awaitsql:profiler"

_NO_CAP = 1_000_000
"""Of jobs that ask nothing of their source themselves."""


class Intake:
    """Submits jobs of one configuration."""

    def __init__(self, in_force: InForce, signer: Signer, store: ClientStore, traces: Traces, *, asker: str) -> None:
        self._in_force = in_force
        self._signer = signer
        self._store = store
        self._traces = traces
        self._asker = asker

    async def submit(
        self,
        statement: Statement,
        *,
        owner: str,
        idempotency_key: str | None = None,
        question: str | None = None,
        confirm: str | None = None,
        fresh: bool = False,
        asks: bool = False,
        parent_id: str = "",
        only_worker: str = "",
        details: str = "",
        owner_cap: int | None = None,
    ) -> Job:
        """See `Executor.submit`.

        Beyond that, `details` goes with a question, and `owner_cap` is how many jobs of the owner may run at once.

        Raises:
            ExecutorError: as `Executor.submit`.
        """
        self._check_session(statement)
        confirmed = None if confirm is None else await self._confirmed(statement, owner, confirm)
        settings, fingerprint = self._in_force.settings, self._fingerprint(statement)
        version = self._in_force.policy_version if statement.policy_version is None else statement.policy_version
        source, share = settings.sources.get(statement.source), ""
        if source is not None and settings.cache_ttl_s > 0:
            share = share_key(statement, source, owner=owner, policy_version=version, confirmed=confirmed, asks=asks)
        job_id = new_job_id()
        order = payload_of(
            statement,
            job_id=job_id,
            owner=owner,
            source_fingerprint=fingerprint,
            policy_version=version,
            confirmed=confirmed,
            asks=asks,
            share=share,
            now=time.time(),
            question=question or "",
            details=details,
            parent_id=parent_id,
        )
        fields = self._fields(statement, order, only_worker)
        queue = QUEUE_OF.get(statement.kind, "")
        with self._traces.submit(statement.kind, statement.source, queue, parent_id=parent_id) as span:
            if span.context:
                fields["trace"] = span.context
            async with asking_broker():
                sql = self._in_force.told.statement(self._signer, statement, question)
                job = await self._store.submit(
                    order,
                    owner_cap=self._owner_cap(owner) if owner_cap is None else owner_cap,
                    source_cap=_NO_CAP if queue else settings.max_running(statement.source),
                    idempotency_key=idempotency_key or "",
                    content=_content(statement, order, confirm, fields.get("inputs")),
                    fresh=fresh,
                    record=record_of(self._signer, order, sql),
                    fields=fields,
                    asker="" if queue else self._asker,
                )
            span.became(job, job_id=job_id)
        return job

    async def ask(self, question: Question, *, owner: str, idempotency_key: str | None = None) -> Job:
        """See `Executor.ask`."""
        blank = Statement(
            question.source,
            "",
            "",
            question.limits,
            policy_hash=question.policy_hash,
            kind=JobKind.ASK,
            priority=question.priority,
        )
        return await self.submit(
            blank,
            owner=owner,
            idempotency_key=idempotency_key,
            question=question.text,
            details=question.details,
            owner_cap=self._in_force.settings.principal_max_asking,
        )

    def _fingerprint(self, statement: Statement) -> str:
        """Of the statement's source as it is configured now, which is the one that it was checked against."""
        found = self._in_force.fingerprint(statement.source)
        if statement.source_print not in (None, found):
            raise source_changed(statement.source)
        return found

    def _check_session(self, statement: Statement) -> None:
        """A caller's statement carries the session settings that its source asks for, those and no others."""
        source = self._in_force.settings.sources.get(statement.source)
        asks_for = set(session_of(source)) if source is not None else set[str]()
        if statement.kind in ASKED and {name for name, _ in statement.session} != asks_for:
            raise StatementFailed(
                ErrorCode.ATTRIBUTE_MISSING,
                f"The statement does not carry the session settings that source {statement.source} asks for.",
                hint="Start servers with the same configuration.",
            )

    async def _confirmed(self, statement: Statement, owner: str, confirm: str) -> float:
        """The cost that the confirmation says yes to."""
        fingerprint = statement_fingerprint(
            statement.sql, statement.source, self._fingerprint(statement), statement.policy_hash
        )
        async with asking_broker():
            now = await self._store.now()  # the worker that gave the confirmation went by it, too
        return confirmed_cost(self._signer, confirm, owner=owner, fingerprint=fingerprint, now=now)

    def _fields(self, statement: Statement, order: dict[str, Any], only_worker: str) -> dict[str, str]:
        """What the job's row says from the beginning."""
        payload, signature = self._signer.sign(order)
        fields = {
            "payload": payload,
            "signature": signature,
            "record": str(RECORD_VERSION),
            "source_print": order["source_fingerprint"],
            "shown_sql": statement.shown_sql,
            "queue_timeout_s": str(statement.limits.queue_timeout_s),
            "job_timeout_s": str(statement.limits.job_timeout_s),
        }
        queue = QUEUE_OF.get(statement.kind, "")
        if queue:
            fields["queue"] = queue
        if only_worker:
            fields["only_worker"] = only_worker
        if statement.inputs:
            kept = dict.fromkeys(i for told in statement.inputs for i in (told.job_id, told.rows_of))
            fields["inputs"] = " ".join(kept)
        return fields

    def _owner_cap(self, owner: str) -> int:
        # one source is profiled at a time
        caps = {SYSTEM_OWNER: len(self._in_force.settings.sources), PROFILER_OWNER: 1}
        return caps.get(owner, self._in_force.settings.principal_max_running)


def _content(statement: Statement, order: dict[str, Any], confirm: str | None, inputs: str | None) -> str:
    """What two submits under one idempotency key must have in common, as a hash."""
    told = [
        statement.kind,
        statement.sql,
        statement.source,
        order["limits"],
        statement.policy_hash,
        confirm,
        inputs,
        *([order["question"], order["details"]] if statement.kind is JobKind.ASK else ()),
    ]
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()
