"""``awaitsql eval sql``: how often written SQL brings the right rows, run as the product runs any SQL."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from executor import SettingsInvalid, SQLiteSource
from mcp_server.commands.eval_tables import agreement_of, print_comparison, print_scores, tables_console
from mcp_server.commands.exits import Exit
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import TOKEN_VARIABLE
from mcp_server.evaluation.answers import Writer, replays
from mcp_server.evaluation.items import Item, ItemFile, read_items
from mcp_server.evaluation.questions import Prediction, Question, asked_of, read_rows, source_name, sources_of
from mcp_server.evaluation.run import AT_ONCE, answered_in, evaluate
from mcp_server.evaluation.running import Running
from mcp_server.evaluation.scores import compare, scores
from mcp_server.evaluation.through_ask import ThroughAsk
from mcp_server.generate.keys import check_model
from mcp_server.machine import Machine, running_machine
from mcp_server.overrides import variable
from mcp_server.reach import Reach
from mcp_server.settings import McpServerSettings, Settings, load_settings


@dataclass(frozen=True, slots=True)
class Asks:
    """What the command line says.

    Attributes:
        questions: the file of questions.
        db_root: the folder with ``DB/DB.sqlite`` for each database.
        predictions: a file of recorded SQL to replay.
        models: of the file, those to replay, all where none is named; without a file the one to ask.
        mcp: a server to ask, by URL or command.
        config: the file whose ``[mcp_server.ask]`` says how a model is reached and what it may cost.
        sets: those to ask; empty: all.
        out: the file of items.
    """

    questions: Path
    db_root: Path
    predictions: Path | None = None
    models: Sequence[str] = ()
    mcp: str | None = None
    sets: Sequence[str] = ()
    out: Path | None = None
    config: Path | None = None

    @property
    def asks_model(self) -> bool:
        """Whether a model of this machine's is asked."""
        return self.predictions is None and self.mcp is None


def run_eval(asks: Asks, *, as_json: bool) -> int:
    """Runs what is not yet in `Asks.out` and prints a score for each set and model.

    Raises:
        SettingsInvalid: a file that cannot be read, or nothing that writes SQL.
    """
    if (asks.predictions is not None and asks.mcp is not None) or (asks.asks_model and len(asks.models) != 1):
        raise SettingsInvalid(
            message="Say where the SQL comes from.",
            hint="Give one of --predictions FILE, --model NAME and --mcp COMMAND_OR_URL.",
        )
    questions = asked_of(read_rows(asks.questions, Question), asks.sets)
    predictions = [] if asks.predictions is None else read_rows(asks.predictions, Prediction)
    recorded: Sequence[Writer] = () if asks.predictions is None else _recorded(predictions, asks.models)
    settings = _settings(asks, sources_of(questions, asks.db_root))
    kept = ItemFile(asks.out)

    async def main() -> list[Item]:
        async with (
            running_machine(settings, workers=1, submits=True, questions=asks.asks_model) as machine,
            _writers(asks, recorded, settings, machine) as writers,
        ):
            await _run(machine, questions, writers, kept)
            # as the file has them, in whatever order they were done
            found = {item.key: item for item in kept.items}
            keys = [(writer.name, question.id) for writer in writers for question in questions]
            return [found[key] for key in keys if key in found]

    items = run_until_interrupted(main)
    found = scores(items)
    print_scores(found, items, predictions, tables_console(as_json=as_json))
    if as_json:
        told: dict[str, Any] = {"scores": [score.as_dict() for score in found]}
        agreement = agreement_of(items, predictions)
        if agreement is not None:
            told["recorded"] = agreement
        sys.stdout.write(json.dumps(told) + "\n")
    return Exit.DONE


def run_compare(a: Path, b: Path, *, as_json: bool) -> int:
    """Prints two runs' answers side by side, per set, with McNemar's exact test.

    Raises:
        SettingsInvalid: a file that is no run, or a run of several models.
    """
    for path in (a, b):
        if not path.is_file():
            raise SettingsInvalid(message=f"There is no file {path}.", hint="--compare takes two files of --out.")
    try:
        found = compare(read_items(a), read_items(b))
    except ValueError as error:
        raise SettingsInvalid(message=f"{error}.", hint="Compare runs of one model each: use --model.") from error
    print_comparison(found, tables_console(as_json=as_json))
    if as_json:
        sys.stdout.write(json.dumps({"comparisons": [asdict(one) for one in found]}) + "\n")
    return Exit.DONE


def _recorded(predictions: Sequence[Prediction], models: Sequence[str]) -> Sequence[Writer]:
    found = replays(predictions, models)
    if not found:
        raise SettingsInvalid(
            message="The file has no predictions of that model.",
            hint=f"Models: {', '.join(sorted({p.model for p in predictions}))}.",
        )
    return found


@asynccontextmanager
async def _writers(
    asks: Asks, recorded: Sequence[Writer], settings: Settings, machine: Machine
) -> AsyncGenerator[Sequence[Writer]]:
    if asks.mcp is not None:
        from mcp_server.evaluation.through_mcp import through_mcp  # noqa: PLC0415 - the protocol's library loads slowly

        async with through_mcp(asks.mcp, token=os.environ.get(TOKEN_VARIABLE)) as writer:
            yield [writer]
    elif asks.asks_model:
        reach = Reach(
            executor=machine.executor,
            settings=settings.mcp_server,
            policies=machine.policies,
            farewells=machine.farewells,
        )
        yield [ThroughAsk(reach, asks.models[0])]
    else:
        yield recorded


def _settings(asks: Asks, sources: dict[str, SQLiteSource]) -> Settings:
    environ = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    if asks.asks_model:
        environ[variable(("mcp_server", "ask", "model"))] = asks.models[0]
    settings = load_settings(config=asks.config, databases=(), environ=environ)
    executor = settings.executor.model_copy(
        update={"sources": sources, "deployment": "", "principal_max_running": AT_ONCE}
    )
    ask = settings.mcp_server.ask if asks.asks_model else None
    if ask is not None:
        check_model(ask)
        if "tokens_per_day" not in ask.model_fields_set:  # the default is of one caller's questions in a day
            ask = ask.model_copy(update={"tokens_per_day": None})
    # the file's policies and glossaries are of other databases
    return replace(settings, executor=executor, mcp_server=McpServerSettings(ask=ask))


async def _run(machine: Machine, questions: Sequence[Question], writers: Sequence[Writer], kept: ItemFile) -> None:
    asked = {(writer.name, question.id): source_name(question.db) for writer in writers for question in questions}
    answered = answered_in(kept) & asked.keys()
    for writer in writers:
        if isinstance(writer, ThroughAsk):
            await writer.know(source for key, source in asked.items() if key not in answered)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, transient=True) as progress:
        line = progress.add_task("questions", total=len(asked), completed=len(answered))
        running = Running(machine.executor, machine.policies)
        await evaluate(questions, writers, running, kept, told=lambda _: progress.advance(line))
