"""One ask from its lease to its answer: write, check, run, doubt, repair, until rows can stand as the answer.

Every step is kept before the next begins, and every job it submits is named by round and place, so that another worker
goes on where this one was lost and runs nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from executor import (
    Answered,
    ErrorCode,
    ExecutorError,
    InputNeeded,
    InputRequest,
    Lease,
    QuestionFailed,
    SourceSchema,
)
from mcp_server.ask_settings import AskSettings
from mcp_server.conversations import Turn, add_turn, turns
from mcp_server.details import Details
from mcp_server.generate.context import earlier_text, tried_text
from mcp_server.generate.drafts import Clarification, NoAnswer, SqlDraft
from mcp_server.generate.progress import Progress, Try
from mcp_server.generate.trying import Trying
from mcp_server.generate.writer import Brief, Writer, Written
from mcp_server.grants import Policies
from mcp_server.knowledge.context import context_for
from mcp_server.knowledge.meanings import Glossaries
from mcp_server.knowledge.verified import VerifiedQueries, VerifiedQuery

if TYPE_CHECKING:
    from executor import Executor

log = logging.getLogger(__name__)

_QUESTIONS_BACK = 2
_PROFILED_S = 5.0
"""How long the first question about a source waits for what its values are: they are worth more than the seconds."""


@dataclass(frozen=True, slots=True)
class Asker:
    """The body of the queue of questions.

    Attributes:
        executor: where its statements go.
        policies: what each asker may read.
        settings: the ``[mcp_server.ask]`` table.
        writer: asks the model.
        glossaries: what the owners of the sources say their words mean.
        verified: questions with confirmed SQL; None where none are kept.
    """

    executor: Executor
    policies: Policies
    settings: AskSettings
    writer: Writer
    glossaries: Glossaries = field(default_factory=Glossaries)
    verified: VerifiedQueries | None = None

    async def __call__(self, lease: Lease) -> Answered:
        """Works on one question. Raises what `executor.Body` says."""
        return await _Ask(self, lease).run()


class _Ask:
    """One question while it is worked on."""

    def __init__(self, asker: Asker, lease: Lease) -> None:
        self._asker = asker
        self._executor = asker.executor
        self._policies = asker.policies
        self._settings = asker.settings
        self._writer = asker.writer
        self._lease = lease
        self._dialect = ""
        self._trying = Trying(asker.executor, asker.policies, lease, compares=asker.settings.candidates > 1)
        self._details = Details.of(lease.order.details)
        self._owner = lease.order.owner
        self._progress = Progress.of(lease.kept)

    async def run(self) -> Answered:
        """The answer.

        Raises:
            ExecutorError: why there is none.
            InputNeeded: the model asks back.
        """
        brief = await self._brief()
        number = 0
        while True:
            if number == len(self._progress.rounds):
                if number >= self._most_rounds():
                    break
                await self._write(brief, number)
            tries = self._progress.rounds[number]
            first = tries[0]
            if isinstance(first.draft, NoAnswer):
                if self._best() is None:
                    await self._tell()
                    raise self._unconfirmed() or QuestionFailed(
                        ErrorCode.CANNOT_ANSWER,
                        f"The model says that this source cannot answer the question: {first.draft.why}",
                        hint="Ask for something that its tables hold; describe_tables shows them.",
                    )
                break
            if isinstance(first.draft, Clarification):
                await self._clarify(first, number)
            elif await self._try_all(tries, number):
                break
            number += 1
        best = self._best()
        await self._tell(best)
        if best is None:
            raise self._unconfirmed() or self._failed()
        await self._remember(best)
        return Answered(best.child)

    # -- writing ---------------------------------------------------------------------------------------------------

    async def _brief(self) -> Brief:
        source = self._lease.order.source
        schema: SourceSchema = await self._executor.source_schema(source)
        grant = self._policies.grant(self._details.principal, schema)
        try:
            shared = self._policies.shared_tables(schema)
            profile = await self._executor.source_profile(source, tables=shared, wait_s=_PROFILED_S)
        except ExecutorError:  # tables can be told without it
            profile = None
        self._dialect = schema.dialect
        context = await asyncio.to_thread(
            context_for,
            self._lease.order.question,
            schema,
            grant,
            profile=profile,
            meanings=self._asker.glossaries.of(source),
            queries=await self._verified(source),
            dialect_notes=self._writer.notes(schema.dialect),
        )
        said = await turns(self._executor, self._owner, self._details.conversation)
        return Brief(schema.dialect, context, self._lease.order.question, earlier=earlier_text(said))

    async def _verified(self, source: str) -> Sequence[VerifiedQuery]:
        store = self._asker.verified
        if store is None:
            return ()
        try:
            return await asyncio.to_thread(store.of, source, state="verified")
        except ExecutorError:  # they help, and nothing depends on them
            log.warning("verified_not_read", extra={"source": source})
            return ()

    async def _write(self, brief: Brief, number: int) -> None:
        self._lease.enter("repairing" if number else "writing_sql")
        told = replace(brief, tried=tried_text(self._progress))
        spent = self._progress.tokens
        count = self._settings.candidates if number == 0 else 1
        came = await asyncio.gather(
            *(self._writer.write(told, owner=self._owner, spent=spent) for _ in range(count)), return_exceptions=True
        )
        written = [one for one in came if isinstance(one, Written)]
        if not written:
            error = next(one for one in came if isinstance(one, BaseException))
            if self._best() is None or not isinstance(error, ExecutorError):
                await self._tell()
                raise error
            # what is there is worth more than nothing, though it was doubted
            self._progress.rounds.append([Try(draft=NoAnswer(why=error.message))])
            return
        self._progress.tokens_in += sum(one.tokens_in for one in written)
        self._progress.tokens_out += sum(one.tokens_out for one in written)
        self._progress.calls += sum(one.calls for one in written)
        drafts = sorted((one.draft for one in written), key=lambda draft: not isinstance(draft, SqlDraft))
        self._progress.rounds.append([Try(draft=draft) for draft in drafts])
        await self._keep()

    def _most_rounds(self) -> int:
        asked = sum(isinstance(tries[0].draft, Clarification) for tries in self._progress.rounds)
        return self._settings.max_rounds + min(asked, _QUESTIONS_BACK)

    async def _clarify(self, one: Try, number: int) -> None:
        draft = one.draft
        assert isinstance(draft, Clarification)  # noqa: S101 # the caller looked; this tells the type checker
        if one.feedback:
            return
        name = f"clarify-{number + 1}"
        if name not in self._lease.answers:
            if sum(isinstance(tries[0].draft, Clarification) for tries in self._progress.rounds) > _QUESTIONS_BACK:
                one.feedback = "Nobody can be asked again: take the likeliest reading, and say so."
                await self._keep()
                return
            await self._tell()
            raise InputNeeded(_request(name, draft))
        _, answer = self._lease.answers[name]
        if answer.action == "accept":
            one.feedback = str(answer.content.get("answer", ""))
        else:
            one.feedback = "They would not say: take the likeliest reading, and say so."
        await self._keep()

    # -- running ---------------------------------------------------------------------------------------------------

    async def _try_all(self, tries: list[Try], number: int) -> bool:
        """Runs the round's SQL; whether the answer is found."""
        said_before = {one.sql: one for earlier in self._progress.rounds[:number] for one in earlier if one.child}
        for one in tries:
            if one.sql in said_before:  # its rows are there
                before = said_before[one.sql]
                one.child, one.rows_hash, one.doubts = before.child, before.rows_hash, before.doubts
        if not any(one.child or one.feedback or one.dear for one in tries):
            came = await asyncio.gather(
                *(
                    self._trying.run(one, f"{number}.{place}")
                    for place, one in enumerate(tries)
                    if isinstance(one.draft, SqlDraft)
                ),
                return_exceptions=True,
            )
            errors = [one for one in came if isinstance(one, BaseException)]
            if errors and not any(one.child or one.dear for one in tries):
                await self._tell()
                raise errors[0]
            await self._keep()
        if not any(one.child for one in tries):
            await self._confirm(tries, number)
        done = [one for one in tries if one.child]
        if not done:
            return False
        counts = Counter(one.rows_hash for one in done)
        chosen = max(done, key=lambda one: counts[one.rows_hash])
        if chosen is not done[0]:
            tries.sort(key=lambda one: one is not chosen)
        return not chosen.doubts or chosen.sql in said_before

    async def _confirm(self, tries: list[Try], number: int) -> None:
        """Has somebody say whether the first of `tries` that is dear may run all the same."""
        place, one = next(((place, one) for place, one in enumerate(tries) if one.dear), (0, tries[0]))
        while one.dear is not None:
            try:
                await self._trying.confirmed(one, f"{number}.{place}", self._lease.answers)
            except InputNeeded:
                await self._tell(one)
                raise
            await self._keep()

    # -- telling ---------------------------------------------------------------------------------------------------

    def _best(self) -> Try | None:
        """The newest round's rows; rows without doubts before others."""
        done = [one for tries in reversed(self._progress.rounds) for one in tries[:1] if one.child]
        done += [one for tries in reversed(self._progress.rounds) for one in tries[1:] if one.child]
        return min(done, key=lambda one: bool(one.doubts), default=None)

    async def _keep(self) -> None:
        await self._lease.keep(self._progress.model_dump_json())

    async def _tell(self, best: Try | None = None) -> None:
        progress = self._progress
        told: dict[str, Any] = {
            "model": self._writer.model_name,
            "prompt_version": self._writer.version(self._dialect),
            "tokens_in": progress.tokens_in,
            "tokens_out": progress.tokens_out,
            "calls": progress.calls,
            "rounds": len(progress.rounds),
            "conversation": self._details.conversation,
        }
        if self._settings.input_price or self._settings.output_price:
            told["cost"] = self._settings.money(tokens_in=progress.tokens_in, tokens_out=progress.tokens_out)
        last = best or next((one for tries in reversed(progress.rounds) for one in tries if one.sql), None)
        if last is not None and isinstance(last.draft, SqlDraft):
            told |= {"sql": last.draft.sql, "assumptions": last.draft.assumptions, "warnings": []}
            if last.draft.ambiguity:
                told["warnings"].append(f"It can be read differently: {last.draft.ambiguity}")
        if self._settings.candidates > 1 and best is not None and best.child:
            told["agreeing"] = sum(one.rows_hash == best.rows_hash for tries in progress.rounds for one in tries)
        await self._lease.tell(told)

    def _unconfirmed(self) -> ExecutorError | None:
        """Why there is no answer, where somebody said no to what it would cost."""
        if not any(one.code == ErrorCode.NEEDS_CONFIRMATION for tries in self._progress.rounds for one in tries):
            return None
        return ExecutorError.of(
            ErrorCode.NEEDS_CONFIRMATION,
            "Somebody was asked about the statement's cost and did not say yes. The model found no cheaper one.",
            hint="Ask for less; or send the SQL to query with dry_run=true, which shows its plan, and make it cheaper.",
        )

    def _failed(self) -> ExecutorError:
        last = next(one for tries in reversed(self._progress.rounds) for one in tries if one.feedback)
        return QuestionFailed(
            ErrorCode.NO_WORKING_SQL,
            f"The model wrote no SQL that runs in {len(self._progress.rounds)} rounds. The last one: {last.feedback}",
            hint="Ask more precisely, with the names of tables and columns; or write the SQL yourself for query.",
        )

    async def _remember(self, best: Try) -> None:
        if not self._details.conversation:
            return
        job = await self._executor.get(best.child, owner=self._owner)
        columns = [f"{column.name} {column.type}" for column in job.summary.columns] if job.summary else []
        turn = Turn(question=self._lease.order.question, sql=best.sql, columns=columns, row_count=job.rows)
        await add_turn(self._executor, self._owner, self._details.conversation, turn)


def _request(name: str, draft: Clarification) -> InputRequest:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "title": "Answer", "enum": list(dict.fromkeys(draft.choices))}},
        "required": ["answer"],
    }
    return InputRequest(name, "clarify", draft.question, schema)
