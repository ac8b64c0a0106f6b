"""Answers from the history: one job, an owner's jobs, how the history itself is. Whose a job is, is what was signed."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Engine, Row, func, select

from executor.errors import ExecutorError
from executor.history.tables import chains, jobs
from executor.jobs import Job, JobKind, JobState, Limits, Origin
from executor.orders import proof_of
from executor.signing import Signer, canonical

_COLUMNS = ("owner", "source", "kind", "sql", "question", "policy_version")


def find_job(engine: Engine, signer: Signer, chain: str, job_id: str) -> Job | None:
    """The job as the history knows it; None where it does not, or where nobody with our key submitted it.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    with engine.connect().execution_options(reads=True) as connection:
        row = connection.execute(select(jobs).where(jobs.c.chain == chain, jobs.c.job_id == job_id)).first()
    return None if row is None else _job(signer, row)


def jobs_of(engine: Engine, signer: Signer, chain: str, owner: str, limit: int) -> list[Job]:
    """The owner's `limit` newest jobs, newest first; not those that jobs submitted. Raises as `find_job`."""
    is_theirs = (jobs.c.chain == chain) & (jobs.c.owner == owner) & (jobs.c.mac != "") & (jobs.c.parent_id == "")
    newest = select(jobs).where(is_theirs).order_by(jobs.c.submitted_at.desc()).limit(limit)
    with engine.connect().execution_options(reads=True) as connection:
        rows = connection.execute(newest).all()
    return [job for job in (_job(signer, row) for row in rows) if job is not None]


def size(engine: Engine, chain: str) -> tuple[int, int]:
    """How many jobs and how many audit rows were recorded and are kept. Raises as `find_job`."""
    with engine.connect().execution_options(reads=True) as connection:
        count = connection.execute(select(func.count()).select_from(jobs).where(jobs.c.chain == chain)).scalar_one()
        head = connection.execute(select(chains.c.seq - chains.c.anchor_seq).where(chains.c.chain == chain)).scalar()
    return count, head or 0


def _job(signer: Signer, row: Row[Any]) -> Job | None:
    told: dict[str, Any] = {**json.loads(row.told), **{name: getattr(row, name) for name in _COLUMNS}}
    if not row.mac or signer.opened_record(canonical(told), row.mac) is None or told["job_id"] != row.job_id:
        return None
    return Job(
        id=row.job_id,
        kind=JobKind(row.kind),
        owner=row.owner,
        source=row.source,
        state=JobState(row.state),
        stage="",
        attempt=row.attempt,
        shown_sql=row.sql,
        submitted_at=row.submitted_at,
        limits=Limits(**told["limits"]),
        policy_hash=told["policy_hash"],
        started_at=row.started_at,
        finished_at=row.finished_at,
        rows=row.rows,
        bytes=row.bytes,
        error=ExecutorError.from_dict(json.loads(row.error)) if row.error else None,
        proof=proof_of(told["proof"]),
        origins=tuple(Origin(**origin) for origin in told["origins"]),
        rows_of=row.job_id,
        parent_id=told.get("parent_id", ""),
        notes=({"question": row.question} if row.question else {})
        | ({"generated": json.loads(row.generated)} if row.generated else {}),
    )
