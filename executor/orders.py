"""What a server signs and a worker runs: one statement, bound to its job, its owner, its time and its policy.

Whoever can write to the broker can move such an order about, and not make one: `check` refuses it under another job or
owner, after its time, after a change of the source's configuration or of the policies. Knows no broker.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from executor.costs import gate_of
from executor.errors import ErrorCode, SourceFailed, StatementFailed
from executor.jobs import Caution, CostGate, Input, JobKind, Limits, Origin, Statement, Touch
from executor.settings import RECORD_VERSION
from executor.signing import SIGNED_FOR_S

_AGAIN = "Submit the statement again."
ASKED = frozenset({JobKind.QUERY, JobKind.DRY_RUN, JobKind.QUERY_RESULT})
"""The kinds of jobs that carry a caller's SQL."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a verified payload asks for; `owner` and the rest are as they were signed.

    `asks` says that somebody is there to answer a question of the job's.
    """

    job_id: str
    owner: str
    kind: JobKind
    source: str
    source_fingerprint: str
    sql: str
    limits: Limits
    policy_hash: str
    policy_version: str
    not_after: float
    cost: CostGate | None = None
    confirmed: float | None = None
    asks: bool = False
    proof: tuple[Touch, ...] = ()
    session: tuple[tuple[str, str], ...] = ()
    inputs: tuple[Input, ...] = ()
    question: str = ""
    details: str = ""
    profiled: tuple[tuple[str, str], ...] = ()
    anew_since: float = 0.0

    @classmethod
    def of(cls, payload: dict[str, Any]) -> Order:
        """From the signed payload's fields, of this version of records or of one before.

        Raises:
            StatementFailed: ``statement_expired`` for one of a newer version, which its row did not say.
        """
        if payload.get("record", 1) > RECORD_VERSION:
            raise StatementFailed(
                ErrorCode.STATEMENT_EXPIRED, "The statement was signed by a newer version of awaitsql.", hint=_AGAIN
            )
        return cls(
            job_id=payload["job_id"],
            owner=payload["owner"],
            kind=JobKind(payload["kind"]),
            source=payload["source"],
            source_fingerprint=payload["source_fingerprint"],
            sql=payload["sql"],
            limits=Limits(**payload["limits"]),
            policy_hash=payload["policy_hash"],
            policy_version=payload["policy_version"],
            not_after=payload["not_after"],
            cost=gate_of(payload["cost"]),
            confirmed=payload["confirmed"],
            asks=payload["asks"],
            proof=proof_of(payload["proof"]),
            session=tuple((name, value) for name, value in payload["session"]),
            inputs=tuple(Input(**told) for told in payload["inputs"]),
            question=payload["question"],
            details=payload["details"],
            profiled=tuple((schema, table) for schema, table in payload["profiled"]),
            anew_since=payload["anew_since"],
        )

    @property
    def is_rewritten(self) -> bool:
        """Whether the policy stands in the text that runs, so that places in it count its characters."""
        return any(touch.filtered or touch.masked or touch.denied for touch in self.proof)

    @property
    def is_filtered(self) -> bool:
        """As `Statement.is_filtered`."""
        return any(touch.filtered for touch in self.proof)

    @property
    def fingerprint(self) -> str:
        """Of the statement itself: the same in every job that would run it."""
        return statement_fingerprint(self.sql, self.source, self.source_fingerprint, self.policy_hash)

    def check(
        self, *, job_id: str, owner: str, source: str, source_fingerprint: str | None, policy_version: str, now: float
    ) -> None:
        """Holds the order to the job that brought it.

        Args:
            job_id: the job's.
            owner: whose the job's row says it is.
            source: the source that the job's row names.
            source_fingerprint: of the worker's own configuration of the source, or None when it has no such source.
            policy_version: the one that the servers go by now.
            now: Unix seconds.

        Raises:
            SourceFailed: ``source_removed``.
            StatementFailed: ``statement_failed`` for an order of another job or owner, ``statement_expired`` for a late
                one or another configuration of the source, ``policy_changed``.
        """
        if (self.job_id, self.owner, self.source) != (job_id, owner, source):
            raise StatementFailed(
                ErrorCode.STATEMENT_FAILED, "The statement was signed for another job; it was not run.", hint=_AGAIN
            )
        if source_fingerprint is None:
            raise SourceFailed(
                ErrorCode.SOURCE_REMOVED,
                f"Source {self.source} is not in the configuration any more; the statement was not run.",
                hint="list_sources shows those that are.",
            )
        if self.source_fingerprint != source_fingerprint:
            raise source_changed(self.source)
        if self.not_after < now:
            raise StatementFailed(
                ErrorCode.STATEMENT_EXPIRED, "The statement was checked too long ago to be run now.", hint=_AGAIN
            )
        if self.kind in (*ASKED, JobKind.ASK) and self.policy_version != policy_version:
            raise StatementFailed(
                ErrorCode.POLICY_CHANGED,
                "The policy has changed since the statement was checked; it was not run.",
                hint=f"{_AGAIN} If that does not help, servers with different policies share this queue: "
                "restart them with the same configuration.",
            )


def payload_of(
    statement: Statement,
    *,
    job_id: str,
    owner: str,
    source_fingerprint: str,
    policy_version: str,
    confirmed: float | None,
    asks: bool,
    share: str,
    now: float,
    question: str = "",
    details: str = "",
    parent_id: str = "",
) -> dict[str, Any]:
    """The fields to sign, JSON-ready; `Order.of` reads them back."""
    return {
        "record": RECORD_VERSION,
        "job_id": job_id,
        "owner": owner,
        "kind": statement.kind,
        "source": statement.source,
        "source_fingerprint": source_fingerprint,
        "sql": statement.sql,
        "limits": asdict(statement.limits),
        "policy_hash": statement.policy_hash,
        "policy_version": policy_version,
        "cost": None if statement.cost is None else asdict(statement.cost),
        "confirmed": confirmed,
        "asks": asks,
        "proof": [asdict(touch) for touch in statement.proof],
        "cautions": [asdict(caution) for caution in statement.cautions],
        "priority": statement.priority,
        "share": share,
        "question": question,
        "details": details,
        "parent_id": parent_id,
        "session": statement.session,
        "inputs": [asdict(told) for told in statement.inputs],
        "origins": [asdict(origin) for origin in origins_of(statement)],
        "profiled": statement.profiled,
        "anew_since": statement.anew_since,
        "issued_at": now,
        "not_after": now + SIGNED_FOR_S,
    }


def origins_of(statement: Statement) -> tuple[Origin, ...]:
    """Where the statement's rows come from: its source, unless it reads results that say so themselves."""
    return statement.origins or (Origin(statement.source, statement.policy_hash),)


def proof_of(raw: list[dict[str, Any]]) -> tuple[Touch, ...]:
    """A proof as it stands in a payload."""
    return tuple(
        Touch(t["table"], t["rule"], filtered=t["filtered"], masked=tuple(t["masked"]), denied=tuple(t["denied"]))
        for t in raw
    )


def cautions_of(raw: list[dict[str, Any]]) -> tuple[Caution, ...]:
    """Cautions as they stand in a payload."""
    return tuple(Caution(c["code"], c["text"], rows=c["rows"], tied=tuple(c["tied"])) for c in raw)


def statement_fingerprint(sql: str, source: str, source_fingerprint: str, policy_hash: str) -> str:
    """Names a statement on a source under a policy."""
    told = json.dumps([sql, source, source_fingerprint, policy_hash])
    return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()


def source_changed(source: str) -> StatementFailed:
    """The error of a statement that was checked for a source as it is not configured any more."""
    return StatementFailed(
        ErrorCode.STATEMENT_EXPIRED,
        f"The configuration of source {source} has changed since the statement was checked.",
        hint=_AGAIN,
    )
