"""Signs what a job asks and what it is told: whoever can only write to the broker can neither ask nor answer.

An answer names the one request that it answers by that request's signature, and a request its job and attempt: neither
counts for another job, nor for the same question asked again. Knows no broker.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from executor.answers import Answer, Answers, InputRequest
from executor.errors import ErrorCode, StatementFailed
from executor.signing import Signer

_REQUEST, _ANSWER = "input request", "answer"


def signed_request(signer: Signer, request: InputRequest, *, job_id: str, attempt: int) -> tuple[str, str]:
    """The request of one attempt as text, and its signature."""
    return signer.sign({"what": _REQUEST, "job_id": job_id, "attempt": attempt, "request": asdict(request)})


def opened_request(signer: Signer, text: str, signature: str, *, job_id: str) -> InputRequest:
    """The inverse of `signed_request`.

    Raises:
        StatementFailed: ``statement_failed`` for what was not signed with our key, as a request of this job.
    """
    told = signer.open(text, signature)
    if (told.get("what"), told.get("job_id")) != (_REQUEST, job_id):
        raise _misplaced()
    return InputRequest(**told["request"])


def signed_answer(signer: Signer, answer: Answer, *, request_signature: str) -> tuple[str, str]:
    """The answer to the request with that signature as text, and its own signature."""
    return signer.sign({"what": _ANSWER, "answers": request_signature, "answer": asdict(answer)})


def opened_answers(signer: Signer, kept: str, *, job_id: str) -> Answers:
    """What the job was told so far, as its row keeps it: JSON of ``[[request, signature, answer, signature], …]``.

    Raises:
        StatementFailed: ``statement_failed`` where any of it was not signed with our key, for this job.
    """
    found: dict[str, tuple[InputRequest, Answer]] = {}
    for text, signature, answer_text, answer_signature in json.loads(kept) if kept else ():
        request = opened_request(signer, text, signature, job_id=job_id)
        told: dict[str, Any] = signer.open(answer_text, answer_signature)
        if (told.get("what"), told.get("answers")) != (_ANSWER, signature):
            raise _misplaced()
        found[request.name] = (request, Answer(**told["answer"]))
    return found


def _misplaced() -> StatementFailed:
    return StatementFailed(
        ErrorCode.STATEMENT_FAILED,
        "The job's question or its answer was signed for another one; it was not run.",
        hint="Submit the statement again.",
    )
