"""From a question as a client sends it to its job. For every face; knows no protocol and no model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import anyio

from executor import Job, Question
from mcp_server.conversations import begun, known
from mcp_server.details import Details
from mcp_server.errors import CallCode, CallRefused
from mcp_server.principal import Principal
from mcp_server.reach import Reach

QUESTION_CHARS = 4_000
"""The longest question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a client asks for.

    Attributes:
        question: untrusted text.
        source: a source's name; None for the only one there is.
        max_rows: rows to keep of the result; None for as many as the server keeps.
        conversation: the handle of an earlier answer; None for a question that stands alone.
        idempotency_key: the same key with the same question gives the same job.
    """

    question: str
    source: str | None = None
    max_rows: int | None = None
    conversation: str | None = None
    idempotency_key: str | None = None


async def submitted_question(reach: Reach, principal: Principal, asking: Asking) -> Job:
    """The job of a question.

    Raises:
        CallRefused: ``no_model``, ``unknown_source``, ``unknown_conversation``, ``invalid_arguments``.
        ExecutorError: as `Executor.ask`.
    """
    settings = reach.settings.ask
    if settings is None:
        raise CallRefused(
            CallCode.NO_MODEL,
            "No model is configured here, so questions cannot be answered.",
            hint="Write the SQL and send it to query. Whoever runs the server can set [mcp_server.ask] model.",
        )
    source = reach.source(principal, asking.source)
    text = asking.question.strip()
    if not text or len(text) > QUESTION_CHARS:
        raise CallRefused(CallCode.INVALID_ARGUMENTS, f"A question has 1 to {QUESTION_CHARS:,} characters.")
    owner, executor = principal.owner, reach.executor
    if asking.conversation is not None:
        conversation = await known(executor, owner, asking.conversation)
    else:
        # with a key, the same call said again must be the same question
        conversation = "" if asking.idempotency_key is not None else await begun(executor, owner)
    details = Details(principal, conversation, asking.max_rows)
    limits = replace(executor.settings.limits.limits(), job_timeout_s=settings.timeout_s)
    granted = reach.policies.hash_of(principal, source.name) or ""
    question = Question(source.name, text, details.to_json(), limits, policy_hash=granted)
    with anyio.CancelScope(shield=True):
        return await executor.ask(question, owner=owner, idempotency_key=asking.idempotency_key)
    raise AssertionError("a shield that is never cancelled swallows nothing")  # pragma: no cover
