"""``awaitsql ask``: a question from a terminal, answered by SQL that the configured model writes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from executor import Job, JobState, SettingsInvalid
from mcp_server.answers import answer_in_words
from mcp_server.commands.answering import somebody_sits_here, typed_answer
from mcp_server.commands.exits import Exit, exit_of, say_error
from mcp_server.commands.follow import follow, run_until_interrupted
from mcp_server.commands.options import Where, chosen_source
from mcp_server.commands.rows import RowFormat, refuse_binary_terminal, write_result
from mcp_server.generate.keys import check_model
from mcp_server.machine import running_machine
from mcp_server.questions import Asking, submitted_question
from mcp_server.reach import Reach
from mcp_server.settings import Settings

NO_MODEL = SettingsInvalid(
    message="No model is configured, so questions cannot be answered.",
    hint="Set AWAITSQL_MCP_SERVER__ASK__MODEL (openai:NAME with OPENAI_API_KEY, anthropic:NAME with ANTHROPIC_API_KEY, "
    "or ollama:NAME), or [mcp_server.ask] in the configuration file. SQL of your own runs with: awaitsql query",
)


def run_ask(
    question: str,
    where: Where,
    *,
    source: str | None,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
    wait_s: float | None,
    max_rows: int | None,
    conversation: str | None,
    as_json: bool,
) -> int:
    """Asks, and writes the rows of the answer; see `Exit` for what comes back.

    Raises:
        SettingsInvalid: no model is configured, or its key is not there.
    """
    refuse_binary_terminal(format, output)
    if as_json and output is not None:
        raise SettingsInvalid(message="--json prints the job; --output writes its rows.", hint="Ask for one of them.")
    settings = where.settings()
    if settings.mcp_server.ask is None:
        raise NO_MODEL
    check_model(settings.mcp_server.ask)
    name = chosen_source(settings, source)
    asking = Asking(question=question, source=name, max_rows=max_rows, conversation=conversation)
    console = Console(stderr=True, highlight=False)

    async def main() -> int:
        return await _ask(settings, asking, format, output, wait_s, console, as_json=as_json)

    return run_until_interrupted(main)


async def _ask(
    settings: Settings,
    asking: Asking,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
    wait_s: float | None,
    console: Console,
    *,
    as_json: bool,
) -> int:
    from mcp_server.errors import CallRefused  # noqa: PLC0415 - the protocol's library takes a second to load
    from mcp_server.wire import job_view  # noqa: PLC0415 - as above

    owner = settings.principal.owner
    async with running_machine(settings, workers=1, submits=True, questions=True) as machine:
        reach = Reach(
            executor=machine.executor,
            settings=settings.mcp_server,
            policies=machine.policies,
            farewells=machine.farewells,
        )
        try:
            job = await submitted_question(reach, settings.principal, asking)
        except CallRefused as refused:
            raise SettingsInvalid(message=refused.message, hint=refused.hint) from refused
        job = await follow(machine.executor, job, owner=owner, wait_s=wait_s, console=console)
        while job.input_request is not None and somebody_sits_here():
            request = job.input_request
            typed = typed_answer(request.message, request.schema, console)
            said = replace(answer_in_words(request, typed or None), by="human")
            job = await machine.executor.answer(job.id, owner=owner, answer=said)
            job = await follow(machine.executor, job, owner=owner, wait_s=wait_s, console=console)
        view = job_view(job, max_chars=settings.mcp_server.preview_chars)
        if as_json:
            sys.stdout.write(json.dumps(view.content(), ensure_ascii=False) + "\n")
        else:
            tell_writing(view.content(), console)
        if job.state is JobState.FAILED and job.error is not None:
            if not as_json:
                say_error(console, job.error)
            return exit_of(job.error)
        if job.state is JobState.CANCELLED:
            console.print("cancelled by somebody else")
            return Exit.INTERRUPTED
        if not job.is_finished:
            return _unfinished(job, console)
        if not as_json:
            told = await write_result(machine.executor, job, owner=owner, format=format, output=output)
            console.print(f"{told}, {(job.finished_at or 0) - job.submitted_at:.1f} s", markup=False)
    return Exit.DONE


def tell_writing(view: dict[str, object], console: Console) -> None:
    """The SQL that was written, and what was assumed and is to be minded."""
    if view.get("sql"):
        console.print(str(view["sql"]), markup=False, soft_wrap=True)
    for name in ("assumptions", "warnings"):
        lines = view.get(name)
        for line in lines if isinstance(lines, list) else ():
            console.print(f"  {'assumed: ' if name == 'assumptions' else ''}{line}", markup=False, soft_wrap=True)


def _unfinished(job: Job, console: Console) -> int:
    if job.input_request is not None:
        console.print(job.input_request.message, markup=False)
        console.print(f"  awaitsql jobs answer {job.id}, with the same --db or --config, answers it.", markup=False)
        return Exit.UNFINISHED
    console.print(f"still {job.state}; its handle: {job.id}", markup=False)
    console.print("  awaitsql jobs show HANDLE --wait 60, with the same --db or --config, goes on with it.")
    return Exit.UNFINISHED
