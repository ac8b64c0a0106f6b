"""A job's question as the protocol puts it to a person, and what they say as the job's answer. Sends nothing.

An answer to an elicitation counts as a person's: the protocol has the client put the form before its user. What a tool
call brings does not; it may be the model's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult
from pydantic import ValidationError

from executor import Answer, ErrorCode, InputFailed, InputRequest, Job


def key_of(job: Job) -> str | None:
    """Names the question of a waiting job among all that it ever asks; None for one that asks nothing."""
    return None if job.input_request is None else f"{job.input_request.name}-{job.attempt}"


def elicitation_of(request: InputRequest, meta: dict[str, Any] | None = None) -> ElicitRequest:
    """`request` as a form."""
    params = ElicitRequestFormParams(message=request.message, requested_schema=dict(request.schema))
    return ElicitRequest(params=params if meta is None else params.model_copy(update={"meta": meta}))


def answer_of(request: InputRequest, told: Any) -> Answer:
    """The answer in an elicitation's result, as a person gave it. Whoever puts the form away has not said yes.

    What a client adds to what was asked is left out.

    Args:
        request: what was asked.
        told: an `ElicitResult`, or what should be one.

    Raises:
        InputFailed: ``invalid_answer`` for what is none.
    """
    try:
        result = ElicitResult.model_validate(told if isinstance(told, Mapping) else told.model_dump(by_alias=True))
    except (ValidationError, AttributeError) as invalid:
        raise InputFailed(
            ErrorCode.INVALID_ANSWER,
            "The answer is no result of an elicitation.",
            hint='Answer with {"action": "accept", "content": {…}}, or with another action.',
        ) from invalid
    if result.action != "accept":
        return Answer("decline", by="human")
    fields = request.schema.get("properties", {})
    content = {name: value for name, value in (result.content or {}).items() if name in fields}
    return Answer("accept", content, by="human")
