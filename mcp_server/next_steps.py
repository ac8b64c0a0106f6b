"""What a job's view says in sentences: what to know of it, and what to do next. Knows no shape and no protocol."""

from __future__ import annotations

from executor import Job, JobKind, JobState
from mcp_server.errors import error_content

SERVER_LEAVES = "This server is being stopped and did not wait. The job goes on: ask for it again in a few seconds."
"""Told to whoever waited for a job that has not ended."""


def warnings_of(job: Job) -> list[str]:
    """What goes beside the job's view, a sentence each."""
    said = [str(job.notes["expensive"])] if job.notes.get("expensive") else []
    if not job.is_finished and job.workers_alive == 0:
        queue = " --queue generate" if job.kind is JobKind.ASK else ""
        said.append(f"No worker is running, so nothing will start. Someone must run: awaitsql worker{queue}")
    if job.notes.get("waits_for") and not job.is_finished:
        missing = (
            "runs an older version" if job.notes["waits_for"] == "record" else "has not read its configuration again"
        )
        said.append(f"A worker that {missing} left the job to another. If it stays queued, whoever runs them must act.")
    if job.notes.get("server_leaves"):
        said.append(SERVER_LEAVES)
    if job.stage == "storing":
        said.append(
            "The place where results are kept is slow just now, not the database. Whoever runs the workers should look "
            "at its disk or object store."
        )
    if job.notes.get("slow_store"):
        said.append(
            f"{job.notes['slow_store']:g} s of the time went into storing the rows: the place where results are kept "
            "is slow."
        )
    if job.notes.get("broker_memory"):
        said.append(
            f"The job broker's memory is {job.notes['broker_memory']} % full; when it is full, no job is taken. "
            "Whoever runs it should raise [executor] embedded_memory_mb or its maxmemory, or lower result_ttl_s."
        )
    return said


def next_step_of(job: Job) -> str | None:
    """The very next call; of a job that has succeeded see `step_with_rows`, and None of an error without one."""
    if job.notes.get("confirmation") is not None and job.state is JobState.FAILED:
        return _next_step_unconfirmed(job)
    if job.state is JobState.FAILED:
        return None if job.error is None else str(error_content(job.error)["next_step"])
    if job.state is JobState.CANCELLED:
        return "It was cancelled; call query again only if its rows are wanted after all."
    if job.state is JobState.WAITING:
        return _next_step_waiting(job)
    call = f'get_job(job_id="{job.id}", wait_seconds=30)'
    if job.rows:
        call += f' or, for the rows so far, get_rows(job_id="{job.id}")'
    return f"{call}. The job goes on by itself: do not submit it again."


def _next_step_waiting(job: Job) -> str:
    if job.input_request is not None and job.input_request.by == "human":
        return (
            f"Ask the user to answer it in a terminal: awaitsql jobs answer {job.id}. "
            f'Without: cancel_job(job_id="{job.id}").'
        )
    return (
        f'Ask the user what asks.message says, then answer_job(job_id="{job.id}", answer="…") with their words, or '
        "JSON by asks.answer where it asks several things. Do not submit it again."
    )


def _next_step_unconfirmed(job: Job) -> str:
    if job.notes.get("confirm_by") == "human":
        return "Make it cheaper, or ask the user to run it with awaitsql query: only a person can confirm it."
    return (
        "Ask the user whether it is worth that. If so, call query with the same sql and source and "
        f'confirm="{job.notes["confirmation"]}" within ten minutes.'
    )


def step_with_rows(job: Job, *, shown: int, whole: bool) -> str:
    """The next call of a job that has succeeded, of whose rows so many are shown."""
    total = job.summary.row_count if job.summary is not None else job.rows
    if whole:
        return "All rows are here; nothing more to fetch."
    return f'{shown} of {total} rows are here; get_rows(job_id="{job.id}") pages through all of them.'
