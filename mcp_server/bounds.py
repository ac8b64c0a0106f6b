"""How much of a result a model is shown: cells, previews, column lists and summaries, cut to a number of characters.

Characters are those of JSON with everything but ASCII escaped, which is how a text in Chinese is given about as many
*tokens* as one in English. Knows no job and no protocol.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from executor import ResultColumn

Item = TypeVar("Item")

CELL_CHARS = 200
"""The most characters of one cell, unless a caller asks for longer ones."""

NAME_CHARS = 120
"""The most characters of one column's name as it is shown."""

COLUMN_LIST_CHARS = 4_000
"""The most characters that the list of columns takes; what a result with a thousand columns would flood."""


def json_length(value: Any) -> int:
    """How many characters `value` takes as JSON."""
    return len(json.dumps(value))


def cut_text(text: str, limit: int) -> str:
    """`text` in at most `limit` characters; where it was cut it says how long it is."""
    if len(text) <= limit:
        return text
    mark = f"… [{len(text):,} characters]"
    return text[: max(0, limit - len(mark))] + mark if limit > 2 * len(mark) else text[: max(0, limit - 1)] + "…"


def cut_json(text: str, limit: int) -> str:
    """`text` in at most `limit` characters of JSON, its quotes included; where it was cut it says how long it is.

    For text that stands outside the rows, where every letter that is not ASCII counts as the six that JSON has for it.
    """
    if json_length(text) <= limit:
        return text
    mark = f"… [{len(text):,} characters]"
    if limit < 4 * len(mark):
        mark = "…"
    room = limit - json_length(mark)
    kept = 0
    for letter in text[: max(0, room)]:
        room -= json_length(letter) - 2
        if room < 0:
            break
        kept += 1
    return text[:kept] + mark


def that_fit(items: Sequence[Item], max_chars: int) -> list[Item]:
    """The first of `items`, as many as fit into `max_chars` as a list in JSON."""
    used = 2
    for count, item in enumerate(items):
        used += json_length(item) + 2
        if used > max_chars:
            return list(items[:count])
    return list(items)


def cut_cell(value: Any, limit: int) -> tuple[Any, bool]:
    """A cell in at most `limit` characters, and whether it was cut. Numbers that fit stay numbers."""
    if value is None or isinstance(value, bool | float):
        return value, False
    if isinstance(value, str):
        return (value, False) if len(value) <= limit else (cut_text(value, limit), True)
    text = str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)
    return (value, False) if len(text) <= limit else (cut_text(text, limit), True)


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a result, as far as they fit: `rows`, and how many cells were cut in them."""

    rows: list[list[Any]] = field(default_factory=list)
    cut_cells: int = 0


def preview(
    rows: Sequence[Sequence[Any]], *, max_chars: int, cell_chars: int = CELL_CHARS, columns: int | None = None
) -> Preview:
    """As many of `rows`, from the first, as fit into `max_chars`, each with its first `columns` cells (None: all)."""
    shown: list[list[Any]] = []
    cut_cells = 0
    used = 2
    for row in rows:
        cells = [cut_cell(value, cell_chars) for value in (row if columns is None else row[:columns])]
        line = [value for value, _ in cells]
        used += json_length(line) + 2
        if used > max_chars:
            break
        shown.append(line)
        cut_cells += sum(cut for _, cut in cells)
    return Preview(shown, cut_cells)


def columns_that_fit(columns: Sequence[ResultColumn], *, max_chars: int = COLUMN_LIST_CHARS) -> list[dict[str, str]]:
    """``{"name", "type"}`` of the first columns, as many as fit into `max_chars`."""
    shown: list[dict[str, str]] = []
    used = 2
    for column in columns:
        name = cut_json(cut_text(column.name, NAME_CHARS), max_chars - 100)
        line = {"name": name, "type": cut_json(column.type, 60)}
        used += json_length(line) + 2
        if used > max_chars:
            break
        shown.append(line)
    return shown


def summarise(
    columns: Sequence[ResultColumn], stats: Sequence[dict[str, Any]], *, max_chars: int
) -> dict[str, dict[str, Any]]:
    """Per column what its values are like, as much as fits into `max_chars`: nulls and range first, then top values.

    A column whose range does not fit is left out; nulls are told only where there are any.
    """
    told: dict[str, dict[str, Any]] = {}
    ranged: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for column, stat in zip(columns, stats, strict=False):
        one: dict[str, Any] = {"nulls": stat["nulls"]} if stat.get("nulls") else {}
        one |= {key: cut_cell(stat[key], 20)[0] for key in ("min", "max") if stat.get(key) is not None}
        name = _free_name(cut_text(column.name, 40), told)
        told[name] = one
        if json_length(told) > max_chars:
            del told[name]
            break
        ranged.append((one, stat))
    for key, extra in (("distinct", _distinct), ("top", _top)):
        for one, stat in ranged:
            value = extra(stat)
            if value is None:
                continue
            one[key] = value
            if stat.get("approximate"):
                one["approximate"] = True
            if json_length(told) > max_chars:
                del one[key]
                if "distinct" not in one:
                    one.pop("approximate", None)
    return {name: one for name, one in told.items() if one}


def _distinct(stat: dict[str, Any]) -> int | None:
    return stat.get("distinct")


def _top(stat: dict[str, Any]) -> list[list[Any]] | None:
    """The three most frequent values with their counts, where any value comes more than once."""
    top = [[cut_cell(value, 20)[0], count] for value, count in (stat.get("top") or [])[:3]]
    return top if top and top[0][1] > 1 else None


def _free_name(name: str, taken: dict[str, dict[str, Any]]) -> str:
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free
