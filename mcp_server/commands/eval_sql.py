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
from rich.table import Table

from executor import SettingsInvalid, SQLiteSource
from mcp_server.commands.exits import Exit
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import TOKEN_VARIABLE
from mcp_server.evaluation.answers import Writer, replays
from mcp_server.evaluation.items import Item, ItemFile, read_items
from mcp_server.evaluation.questions import Prediction, Question, asked_of, read_rows, sources_of
from mcp_server.evaluation.run import AT_ONCE, evaluate
from mcp_server.evaluation.running import Running
from mcp_server.evaluation.scores import Comparison, Score, compare, scores
from mcp_server.machine import running_machine
from mcp_server.settings import Settings, load_settings

_FILE_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Asks:
    """What the command line says.

    Attributes:
        questions: the file of questions.
        db_root: the folder with ``DB/DB.sqlite`` for each database.
        predictions: a file of recorded SQL to replay.
        models: of the file, those to replay; empty: all.
        mcp: a server to ask, by URL or command.
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


def run_eval(asks: Asks, *, as_json: bool) -> int:
    """Runs what is not yet in `Asks.out` and prints a score for each set and model.

    Raises:
        SettingsInvalid: a file that cannot be read, or nothing that writes SQL.
    """
    if (asks.predictions is None) == (asks.mcp is None):
        raise SettingsInvalid(
            message="Say where the SQL comes from.", hint="Give one of --predictions FILE and --mcp COMMAND_OR_URL."
        )
    questions = asked_of(read_rows(asks.questions, Question), asks.sets)
    predictions = [] if asks.predictions is None else read_rows(asks.predictions, Prediction)
    settings = _settings(sources_of(questions, asks.db_root))
    kept = ItemFile(asks.out)

    async def main() -> list[Item]:
        async with _writers(asks, predictions) as writers:
            await _run(settings, questions, writers, kept)
            asked = {question.id for question in questions}
            named = {writer.name for writer in writers}
            return [item for item in kept.items if item.id in asked and item.model in named]

    items = run_until_interrupted(main)
    found = scores(items)
    _print(found, items, predictions, _console(as_json=as_json))
    if as_json:
        told: dict[str, Any] = {"scores": [score.as_dict() for score in found]}
        agreement = _agreement(items, predictions)
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
    _print_comparison(found, _console(as_json=as_json))
    if as_json:
        sys.stdout.write(json.dumps({"comparisons": [asdict(one) for one in found]}) + "\n")
    return Exit.DONE


@asynccontextmanager
async def _writers(asks: Asks, predictions: Sequence[Prediction]) -> AsyncGenerator[Sequence[Writer]]:
    if asks.mcp is None:
        found = replays(predictions, asks.models)
        if not found:
            raise SettingsInvalid(
                message="The file has no predictions of that model.",
                hint=f"Models: {', '.join(sorted({p.model for p in predictions}))}.",
            )
        yield found
        return
    from mcp_server.evaluation.through_mcp import through_mcp  # noqa: PLC0415 - the protocol's library loads slowly

    async with through_mcp(asks.mcp, token=os.environ.get(TOKEN_VARIABLE)) as writer:
        yield [writer]


def _console(*, as_json: bool) -> Console:
    """Where tables go: standard output, unless that is for a program. A file is as wide as a table needs it."""
    console = Console(stderr=as_json, highlight=False)
    return console if console.is_terminal else Console(stderr=as_json, highlight=False, width=_FILE_WIDTH)


def _settings(sources: dict[str, SQLiteSource]) -> Settings:
    environ = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
    settings = load_settings(config=None, databases=(), environ=environ)
    executor = settings.executor.model_copy(update={"sources": sources, "principal_max_running": AT_ONCE})
    return replace(settings, executor=executor)


async def _run(settings: Settings, questions: Sequence[Question], writers: Sequence[Writer], kept: ItemFile) -> None:
    total = len(questions) * len(writers)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True, highlight=False)
    async with running_machine(settings, workers=1, submits=True) as machine:
        with Progress(*columns, console=console, transient=True) as progress:
            asked = {question.id for question in questions}
            named = {writer.name for writer in writers}
            done = sum(item.id in asked and item.model in named for item in kept.items)
            line = progress.add_task("questions", total=total, completed=done)
            running = Running(machine.executor, machine.policies)
            await evaluate(questions, writers, running, kept, told=lambda _: progress.advance(line))


def _agreement(items: Sequence[Item], predictions: Sequence[Prediction]) -> dict[str, Any] | None:
    """How many of our verdicts are the recorded ones, and which are not; None where none was recorded."""
    recorded = {(p.model, p.id): p.exact for p in predictions if p.exact is not None}
    pairs = [(item, recorded[item.key]) for item in items if item.key in recorded and item.gold_error is None]
    if not pairs:
        return None
    differ = [
        {"model": item.model, "id": item.id, "recorded": exact, "exact": item.exact, "why": item.why,
         "message": item.message}
        for item, exact in pairs
        if item.exact is not exact
    ]  # fmt: skip
    return {"agree": len(pairs) - len(differ), "differ": differ}


def _print(found: Sequence[Score], items: Sequence[Item], predictions: Sequence[Prediction], console: Console) -> None:
    asked_a_model = any(one.calls for one in found)
    table = Table(show_edge=False, header_style="bold")
    for column in ("set", "model"):
        table.add_column(column, overflow="fold")
    counts = ["items", "exact", "relaxed", "BIRD EX", "refused", "failed", "seconds"]
    for column in [*counts, *(["calls", "tokens in", "tokens out"] if asked_a_model else [])]:
        table.add_column(column, justify="right", no_wrap=True)
    for one in found:
        shares = [f"{n} {n / one.items:.1%}" if one.items else "-" for n in (one.exact, one.relaxed, one.bird_ex)]
        cells = [str(one.items), *shares, str(one.refused), str(one.failed), f"{one.seconds:,.1f}"]
        if asked_a_model:
            tokens = ("-" if n is None else f"{n:,}" for n in (one.input_tokens, one.output_tokens))
            cells += [str(one.calls), *tokens]
        table.add_row(one.set, one.model, *cells)
    console.print(table)
    for item in {item.id: item for item in items if item.gold_error is not None}.values():
        console.print(f"not scored: {item.id}: {item.gold_error}", markup=False)
    agreement = _agreement(items, predictions)
    if agreement is None:
        return
    differ = agreement["differ"]
    console.print(f"recorded verdicts: {agreement['agree']} agree, {len(differ)} differ")
    for one in differ:
        was = f"recorded {'right' if one['recorded'] else 'wrong'}, here {one['why']}"
        console.print(f"  {one['model']} {one['id']}: {was} {one['message']}", markup=False)


def _print_comparison(found: Sequence[Comparison], console: Console) -> None:
    table = Table(show_edge=False, header_style="bold")
    for column in ("set", "A", "B"):
        table.add_column(column, overflow="fold")
    for column in ("both right", "only A", "only B", "neither", "p", "unpaired"):
        table.add_column(column, justify="right")
    for one in found:
        counts = [str(n) for n in (one.both, one.only_a, one.only_b, one.neither)]
        table.add_row(one.set, one.a, one.b, *counts, f"{one.p:.4f}", str(one.unpaired))
    console.print(table)
