"""A job's row in the broker, read: from its fields and what was signed of it to a `Job`, and a result into fields.

Whoever can write to the broker can write rows, and not sign them: a row that no key of ours has signed is nobody's.
Knows no broker.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from executor.answering import opened_request
from executor.answers import InputRequest
from executor.errors import ErrorCode, ExecutorError, StatementFailed
from executor.jobs import Job, JobKind, JobState, Limits, Origin, ResultColumn, ResultSummary, Truncated
from executor.orders import cautions_of, proof_of
from executor.settings import RECORD_VERSION
from executor.signing import Signer


def opened_job(signer: Signer, snapshot: list[Any]) -> Job | None:
    """The job, unless its row was written by somebody without the key: such a row is nobody's.

    Args:
        signer: with the configuration's keys.
        snapshot: as ``get.lua`` and ``submit.lua`` give it: the row's fields, place in line, seconds to its start,
            workers alive, the broker's memory in percent where it is nearly full, the broker's time.

    Raises:
        ExecutorError: ``executor_unavailable`` where a newer version made it.
    """
    flat = cast("list[str]", snapshot[0])
    row = dict(zip(flat[::2], flat[1::2], strict=True))
    try:
        payload = signer.open(row["payload"], row["signature"])
        _check_version(payload)
        answer = _answer(signer, row, payload)
        if not _is_whose_rows(signer, row, payload if answer is None else answer):
            return None
        asked = None
        if row["state"] == JobState.WAITING:
            asked = opened_request(signer, row["input_request"], row["input_signature"], job_id=payload["job_id"])
    except (StatementFailed, KeyError):
        return None
    return _job_of(row, payload, snapshot[1:], answer=answer, input_request=asked)


def new_job(payload: Mapping[str, Any], fields: Mapping[str, str], stands: Sequence[Any]) -> Job:
    """The job that was submitted here just now, of which the broker has told no more than where it stands.

    Args:
        payload: what was signed.
        fields: of its row, as it was submitted.
        stands: as ``submit.lua`` gives it: place in line, seconds to its start, workers alive, the broker's memory in
            percent where it is nearly full, the broker's time.
    """
    row = {**fields, "state": "queued", "stage": "", "attempt": "1", "rows": "0", "bytes": "0"}
    row["submitted_at"] = stands[4]
    return _job_of(row, payload, stands)


def result_fields(summary: ResultSummary, preview: list[list[Any]]) -> dict[str, str]:
    """A stored result as fields of the job's row."""
    cut = summary.truncated
    told = {
        "columns": [{"name": column.name, "type": column.type} for column in summary.columns],
        "row_count": summary.row_count,
        "bytes": summary.bytes,
        "truncated": None if cut is None else {"reason": cut.reason, "limit": cut.limit},
        "stats": summary.stats,
    }
    return {
        "rows": str(summary.row_count),
        "bytes": str(summary.bytes),
        "summary": json.dumps(told, separators=(",", ":")),
        "preview": json.dumps(preview, separators=(",", ":")),
    }


def _summary(text: str | None) -> ResultSummary | None:
    if not text:
        return None
    raw: dict[str, Any] = json.loads(text)
    cut = raw["truncated"]
    return ResultSummary(
        columns=tuple(ResultColumn(**c) for c in raw["columns"]),
        row_count=raw["row_count"],
        bytes=raw["bytes"],
        truncated=Truncated(**cut) if cut else None,
        stats=tuple(raw["stats"]),
    )


def _time(text: str | None) -> float | None:
    return float(text) if text else None


def _job_of(
    row: Mapping[str, str],
    payload: Mapping[str, Any],
    stands: Sequence[Any],
    *,
    answer: Mapping[str, Any] | None = None,
    input_request: InputRequest | None = None,
) -> Job:
    """The job that a row, its signed payload and where it stands tell of. Whose it is, is what was signed.

    What was read, and under which policy, the payload of the job that brought the rows tells: its own, or `answer`.
    """
    read = payload if answer is None else answer
    place, starts_in_s, workers_alive, memory, seen_at = stands
    notes: dict[str, Any] = {"broker_memory": int(memory)} if memory else {}
    if row.get("stopped_after_ms"):
        notes["stopped_after_ms"] = int(row["stopped_after_ms"])
        notes["stop_seen"] = row["stop_seen"]
    if payload["question"]:
        notes["question"] = payload["question"]
    for name in ("evicted", "left"):
        if row.get(name):
            notes[name] = True
    if row.get("answer_of"):
        notes["answer_of"] = row["answer_of"]
    for name in ("findings", "connections", "estimate", "plan", "generated"):
        if row.get(name):
            notes[name] = json.loads(row[name])
    if row.get("slow_store"):
        notes["slow_store"] = float(row["slow_store"])
    if row.get("tables_total"):
        notes["tables"] = {"done": int(row["tables_done"]), "total": int(row["tables_total"])}
    for name in ("expensive", "confirmation", "confirm_by", "shared"):
        if row.get(name):
            notes[name] = row[name]
    if row.get("waits_for", "worker") != "worker" and row["state"] == JobState.QUEUED:
        notes["waits_for"] = row["waits_for"]
    return Job(
        id=payload["job_id"],
        kind=JobKind(payload["kind"]),
        owner=payload["owner"],
        source=payload["source"],
        state=JobState(row["state"]),
        stage=row["stage"],
        attempt=int(row["attempt"]),
        shown_sql=row.get("shown_sql", ""),
        submitted_at=float(row["submitted_at"]),
        limits=Limits(**payload["limits"]),
        policy_hash=read["policy_hash"],
        started_at=_time(row.get("started_at")),
        finished_at=_time(row.get("finished_at")),
        cancel_requested_at=_time(row.get("cancel_requested_at")),
        deadline_at=_time(row.get("deadline_at")),
        expires_at=_time(row.get("expires_at")),
        rows=int(row["rows"]),
        bytes=int(row["bytes"]),
        error=ExecutorError.from_dict(json.loads(row["error"])) if row.get("error") else None,
        summary=_summary(row.get("summary")),
        preview=json.loads(row["preview"]) if row.get("preview") else [],
        place=place if place > 0 else None,
        starts_in_s=starts if (starts := float(starts_in_s)) >= 0 else None,
        workers_alive=workers_alive,
        proof=proof_of(read["proof"]),
        cautions=cautions_of(read["cautions"]),
        origins=tuple(Origin(**told) for told in read["origins"]),
        notes=notes,
        rows_of=row.get("rows_of", payload["job_id"]),
        parent_id=payload["parent_id"],
        rows_at=_time(row.get("rows_at")),
        input_request=input_request,
        input_deadline_at=_time(row.get("input_deadline_at")) if input_request is not None else None,
        seen_at=float(seen_at),
        trace=row.get("trace", ""),
        run_trace=row.get("run_trace", ""),
    )


def _check_version(payload: Mapping[str, Any]) -> None:
    if payload.get("record", 1) > RECORD_VERSION:
        raise ExecutorError.of(
            ErrorCode.EXECUTOR_UNAVAILABLE,
            f"Job {payload['job_id']} was made by a newer version of awaitsql than this server runs.",
            hint="The job goes on. Ask a server that has been upgraded, or again when this one has been.",
        )


def _answer(signer: Signer, row: Mapping[str, str], payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was signed of the job that answered this one; None where it has none yet.

    Raises:
        StatementFailed: that job was not submitted by this one.
    """
    if "answer_payload" not in row:
        return None
    answer = signer.open(row["answer_payload"], row["answer_signature"])
    if (answer["parent_id"], answer["owner"]) != (payload["job_id"], payload["owner"]):
        raise StatementFailed(ErrorCode.STATEMENT_FAILED, "The rows are of another job.")
    return answer


def _is_whose_rows(signer: Signer, row: Mapping[str, str], payload: Mapping[str, Any]) -> bool:
    """Whether the rows that a row refers to were read by the statement of `payload`, or one to be shared with it."""
    if row.get("rows_of", payload["job_id"]) == payload["job_id"]:
        return True
    read_by = signer.open(row["rows_payload"], row["rows_signature"])
    return read_by["job_id"] == row["rows_of"] and bool(payload["share"]) and read_by["share"] == payload["share"]
