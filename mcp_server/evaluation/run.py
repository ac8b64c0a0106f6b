"""A file of questions through a writer, the product and the rules of comparison: one item a question and writer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from mcp_server.evaluation.answers import Asked, Writer, Written
from mcp_server.evaluation.golds import Gold, NotRun, Rows, gold_of
from mcp_server.evaluation.items import Item, ItemFile
from mcp_server.evaluation.questions import DIALECT, Question, source_name
from mcp_server.evaluation.running import Running
from mcp_server.evaluation.verdicts import verdict

AT_ONCE = 3
"""Questions that are answered at the same time: as many jobs as one principal may have running."""


async def evaluate(
    questions: Sequence[Question],
    writers: Sequence[Writer],
    running: Running,
    kept: ItemFile,
    *,
    told: Callable[[Item], None],
) -> None:
    """Asks each writer each question that `kept` has no answer to, and keeps an item; `told` is called with each.

    A question whose gold brings no rows is asked, and its item says why it cannot be scored.
    """
    known = answered_in(kept)
    room = asyncio.Semaphore(AT_ONCE)

    async def one(question: Question) -> None:
        waiting = [writer for writer in writers if (writer.name, question.id) not in known]
        if not waiting:
            return
        async with room:
            golds, wrong = await _golds(question, running)
            for writer in waiting:
                item = await _item(question, writer, running, golds, wrong)
                kept.add(item)
                told(item)

    tasks = [asyncio.create_task(one(question)) for question in questions]
    try:
        for task in asyncio.as_completed(tasks):
            await task
    finally:
        for task in tasks:
            task.cancel()


def answered_in(kept: ItemFile) -> set[tuple[str, str]]:
    """The keys of the questions that are not asked again."""
    return {item.key for item in kept.items if not item.is_open}


async def _golds(question: Question, running: Running) -> tuple[list[Gold], str]:
    """The golds that bring rows, and why there are none."""
    source = source_name(question.db)
    golds: list[Gold] = []
    wrong = ""
    for sql in question.gold_sql:
        try:
            golds.append(await gold_of(sql, lambda text: running.rows(source, text), dialect=DIALECT))
        except NotRun as error:
            wrong = f"{error.code}: {error.message}"
    if golds and not any(gold.rows for gold in golds):
        return [], "gold_empty: its right answer has no rows"
    return golds, "" if golds else wrong


async def _item(question: Question, writer: Writer, running: Running, golds: list[Gold], wrong: str) -> Item:
    source = source_name(question.db)
    began = time.monotonic()
    asked = Asked(question.id, source, question.question, question.evidence or "")
    written = await writer.write(asked)
    wrote = time.monotonic()
    found: Rows | NotRun | None = None
    if written.sql is not None:
        try:
            found = await running.rows(source, written.sql)
        except NotRun as error:
            found = error
    item = Item(
        id=question.id,
        set=question.set,
        db=question.db,
        model=writer.name,
        question=question.question,
        sql=written.sql,
        gold_error=wrong or None,
        calls=written.calls,
        input_tokens=written.input_tokens,
        output_tokens=written.output_tokens,
        write_s=round(wrote - began, 3),
        run_s=round(time.monotonic() - wrote, 3),
    )
    return item.model_copy(update=_worth(written, found, golds))


def _worth(written: Written, found: Rows | NotRun | None, golds: list[Gold]) -> dict[str, object]:
    if found is None:
        code, _, message = written.error.partition(": ")
        return {"error": code or "no_sql", "message": message, "why": "no_sql"}
    if isinstance(found, NotRun):
        field = "refused" if found.is_refusal else "error"
        return {field: found.code, "message": found.message, "why": field}
    if not golds:
        return {"why": "gold_error"}
    worth = verdict(golds, found)
    return {"exact": worth.exact, "relaxed": worth.relaxed, "bird_ex": worth.bird_ex, "why": worth.why}
