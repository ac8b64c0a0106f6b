"""One draft's SQL, from the guard to its rows: what came of it stands in its try. Asks no model, and nobody itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from executor import (
    Answers,
    ErrorCode,
    ExecutorError,
    InputNeeded,
    InputRequest,
    Job,
    Lease,
    ResultSummary,
    StatementFailed,
)
from mcp_server.cautions import cautions_said
from mcp_server.details import Details
from mcp_server.errors import error_content
from mcp_server.generate.drafts import SqlDraft
from mcp_server.generate.progress import Dear, Try
from mcp_server.grants import Policies
from mcp_server.sql import StatementRefused
from mcp_server.submission import checked_statement

if TYPE_CHECKING:
    from executor import Executor

_REPAIRABLE = frozenset(
    {ErrorCode.STATEMENT_FAILED, ErrorCode.STATEMENT_TIMEOUT, ErrorCode.TOO_EXPENSIVE, ErrorCode.RESULT_TOO_LARGE}
)
"""Failures of a statement that other SQL may not have."""

_NO_DOUBT = frozenset({"truncated", "limit_tie", "unfiltered_enum"})
"""Cautions that are for the one who asked: they do not make the SQL wrong."""

_HASHED_ROWS = 1_000
_CONFIRM = "confirm_cost"


@dataclass(frozen=True, slots=True)
class Trying:
    """Runs the SQL of one question's drafts.

    Attributes:
        executor: where statements go.
        policies: what the asker may read.
        lease: of the question.
        compares: whether results will be compared with one another.
    """

    executor: Executor
    policies: Policies
    lease: Lease
    compares: bool

    async def run(self, one: Try, place: str, *, confirm: str | None = None) -> None:
        """Runs the SQL of `one` as a job of its own.

        Args:
            one: a try of SQL.
            place: names it among the tries of the question; the same place is the same job.
            confirm: the token that says yes to its cost.

        Raises:
            ExecutorError: what other SQL would meet, too.
        """
        draft, details = one.draft, Details.of(self.lease.order.details)
        assert isinstance(draft, SqlDraft)  # noqa: S101 # the caller looked; this tells the type checker
        limits = self.executor.settings.limits.limits()
        if details.max_rows is not None:
            limits = replace(limits, max_rows=min(details.max_rows, limits.max_rows))
        self.lease.enter("explaining")
        try:
            statement = await checked_statement(
                self.executor,
                self.policies,
                details.principal,
                draft.sql,
                source=self.lease.order.source,
                limits=limits,
            )
        except StatementRefused as refused:
            one.code, one.feedback = str(refused.code), f"Refused: {_in_words(refused)}"
            return
        owner = self.lease.order.owner
        job = await self.executor.submit(
            statement,
            owner=owner,
            parent_id=self.lease.job_id,
            idempotency_key=f"{self.lease.job_id} {place}",
            confirm=confirm,
        )
        self.lease.enter("executing")
        job = await self.executor.wait(job.id, owner=owner, timeout_s=self.lease.seconds_left)
        await self._come_of(one, job)

    async def confirmed(self, one: Try, place: str, answers: Answers) -> None:
        """Runs the SQL of `one`, which is dear, if somebody says yes to its cost. It may be dear again after that.

        Raises:
            InputNeeded: nobody has been asked yet.
            ExecutorError: as `run`.
        """
        dear = one.dear
        assert dear is not None  # noqa: S101 # the caller looked; this tells the type checker
        name = f"{_CONFIRM}-{place}-{dear.asked}"
        if name not in answers:
            raise InputNeeded(_cost_request(name, dear))
        _, answer = answers[name]
        is_yes = answer.action == "accept" and answer.content.get("confirm") is True
        if not is_yes or (dear.by == "human" and answer.by != "human"):
            one.dear = None
            one.code = str(ErrorCode.NEEDS_CONFIRMATION)
            one.feedback = f"{dear.why} They said no: find a cheaper way, or say that there is none."
            return
        one.dear = None
        try:
            await self.run(one, f"{place} confirmed {dear.asked}", confirm=dear.token)
        except StatementFailed as late:
            if late.code is not ErrorCode.NEEDS_CONFIRMATION:
                raise
            # the yes came after the token's ten minutes: it takes a new one
            await self.run(one, f"{place} again {dear.asked}")
        if one.dear is not None:
            one.dear = one.dear.model_copy(update={"asked": dear.asked + 1})

    async def _come_of(self, one: Try, job: Job) -> None:
        error = job.error
        if error is not None and error.code is ErrorCode.NEEDS_CONFIRMATION and "confirmation" in job.notes:
            told = job.notes
            one.dear = Dear(
                why=error.message.removesuffix(" It was not run."), token=told["confirmation"], by=told["confirm_by"]
            )
            return
        if error is not None:
            if error.code not in _REPAIRABLE:
                raise error
            one.code, one.feedback = str(error.code), f"The database failed: {_in_words(error)}"
            return
        if job.summary is None:
            raise StatementFailed(
                ErrorCode.STATEMENT_FAILED,
                f"The statement was {job.state} before it was done.",
                hint="Ask again if it is still wanted.",
            )
        one.child, one.doubts = job.id, _doubts(job, job.summary)
        if self.compares:
            one.rows_hash = await self._hash(job)

    async def _hash(self, job: Job) -> str:
        page = await self.executor.page(job.id, owner=self.lease.order.owner, limit=_HASHED_ROWS)
        told: list[Any] = [job.rows, sorted(json.dumps(row, default=str) for row in page.rows)]
        return hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()


def _cost_request(name: str, dear: Dear) -> InputRequest:
    schema = {
        "type": "object",
        "properties": {"confirm": {"type": "boolean", "title": "Run it all the same", "default": False}},
        "required": ["confirm"],
    }
    return InputRequest(name, _CONFIRM, f"{dear.why} Run it all the same?", schema, by=dear.by)


def _doubts(job: Job, summary: ResultSummary) -> list[str]:
    """Cautions that other SQL may not have."""
    return [said for said in cautions_said(job, summary) if said.partition(":")[0] not in _NO_DOUBT]


def _in_words(error: StatementRefused | ExecutorError) -> str:
    return json.dumps({key: value for key, value in error_content(error).items() if key != "next_step"})
