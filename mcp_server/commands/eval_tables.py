"""Figures of an evaluation as tables in a terminal or a file: scores, recorded verdicts, two runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from mcp_server.evaluation.items import Item
from mcp_server.evaluation.questions import Prediction
from mcp_server.evaluation.scores import Comparison, Score

_FILE_WIDTH = 160


def tables_console(*, as_json: bool) -> Console:
    """Where tables go: standard output, unless that is for a program. A file is as wide as a table needs it."""
    console = Console(stderr=as_json, highlight=False)
    return console if console.is_terminal else Console(stderr=as_json, highlight=False, width=_FILE_WIDTH)


def agreement_of(items: Sequence[Item], predictions: Sequence[Prediction]) -> dict[str, Any] | None:
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


def print_scores(
    found: Sequence[Score], items: Sequence[Item], predictions: Sequence[Prediction], console: Console
) -> None:
    """A row for each set and model; then what could not be scored, and verdicts that are not the recorded ones."""
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
    agreement = agreement_of(items, predictions)
    if agreement is None:
        return
    differ = agreement["differ"]
    console.print(f"recorded verdicts: {agreement['agree']} agree, {len(differ)} differ")
    for one in differ:
        was = f"recorded {'right' if one['recorded'] else 'wrong'}, here {one['why']}"
        console.print(f"  {one['model']} {one['id']}: {was} {one['message']}", markup=False)


def print_comparison(found: Sequence[Comparison], console: Console) -> None:
    """A row for each set of two runs."""
    table = Table(show_edge=False, header_style="bold")
    for column in ("set", "A", "B"):
        table.add_column(column, overflow="fold")
    for column in ("both right", "only A", "only B", "neither", "p", "unpaired"):
        table.add_column(column, justify="right")
    for one in found:
        counts = [str(n) for n in (one.both, one.only_a, one.only_b, one.neither)]
        table.add_row(one.set, one.a, one.b, *counts, f"{one.p:.4f}", str(one.unpaired))
    console.print(table)
