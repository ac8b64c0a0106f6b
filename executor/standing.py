"""How far jobs are by now: the state and the attempt that their rows in the broker tell. Reads nothing else of them."""

from __future__ import annotations

from collections.abc import Collection

import redis

from executor.jobs import JobState


def standing(connection: redis.Redis, namespace: str, job_ids: Collection[str]) -> dict[str, tuple[JobState, int]]:
    """State and attempt of each of these jobs that has a row."""
    with connection.pipeline(transaction=False) as pipe:
        for job_id in job_ids:
            pipe.hmget(f"{namespace}:job:{job_id}", "state", "attempt", "left_to")
        rows = dict(zip(job_ids, pipe.execute(), strict=True))
    found = {i: (JobState(row[0]), int(row[1])) for i, row in rows.items() if row[0]}
    # a run that goes on for another job writes on under the first one's id
    heirs = {i: row[2] for i, row in rows.items() if row[2]}
    if heirs:
        runs_for = standing(connection, namespace, set(heirs.values()))
        found |= {i: runs_for[heir] for i, heir in heirs.items() if heir in runs_for}
    return found
