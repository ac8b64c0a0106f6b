"""``awaitsql eval linking``: how often the search behind ``search_schema`` finds every table that a question needs.

A file of tables becomes one source schema, each ``db`` of it a schema, and a question's words are the keywords.
recall@K is the share of questions whose gold tables are all among the first K found.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console

from executor import Column, ForeignKey, SettingsInvalid, SourceSchema, Table
from mcp_server.commands.exits import Exit
from mcp_server.knowledge.index import SchemaIndex


class TableRow(BaseModel):
    """A line of the file of tables."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    db: str
    table: str
    columns: list[str]
    desc: str = ""
    fks: list[str] = []


class QuestionRow(BaseModel):
    """A line of the file of questions."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    question: str
    gold: Annotated[list[str], Field(min_length=1)]


_RowT = TypeVar("_RowT", bound=BaseModel)


def run_linking(tables: Path, questions: Path, k: str, *, as_json: bool) -> int:
    """Prints recall@K for each K.

    Raises:
        SettingsInvalid: a file that cannot be read, with the line; or a K that is no number above 0.
    """
    cuts = _cuts(k)
    rows = list(_read(tables, TableRow))
    asked = list(_read(questions, QuestionRow))
    if not rows or not asked:
        raise SettingsInvalid(
            message=f"There is nothing in {tables if not rows else questions}.", hint="Give JSON lines."
        )
    recalls = measured(schema_of(rows), asked, cuts)
    if as_json:
        sys.stdout.write(json.dumps({f"recall@{cut}": round(share, 4) for cut, share in recalls.items()}) + "\n")
        return Exit.DONE
    console = Console(highlight=False)
    console.print(f"{len(asked)} questions over {len(rows)} tables")
    for cut, share in recalls.items():
        console.print(f"recall@{cut}: {share:.3f}")
    return Exit.DONE


def schema_of(rows: Sequence[TableRow]) -> SourceSchema:
    """The tables of a file as one source schema; types are not known there, and foreign keys have no columns."""
    places = {row.id: (row.db, row.table) for row in rows}
    tables = tuple(
        Table(
            schema=row.db,
            name=row.table,
            columns=tuple(Column(name, "") for name in row.columns),
            foreign_keys=tuple(ForeignKey((), *places[key], ()) for key in row.fks if key in places),
            comment=row.desc,
        )
        for row in rows
    )
    return SourceSchema(source="linking", dialect="sqlite", default_schema="", tables=tables)


def measured(schema: SourceSchema, asked: Sequence[QuestionRow], cuts: Sequence[int]) -> dict[int, float]:
    """recall@K by K."""
    index = SchemaIndex(schema)
    hits = dict.fromkeys(cuts, 0)
    for row in asked:
        found = [f"{t.schema}.{t.name}" for t in index.ranked([row.question], limit=max(cuts))]
        for cut in cuts:
            hits[cut] += set(row.gold) <= set(found[:cut])
    return {cut: count / len(asked) for cut, count in hits.items()}


def _cuts(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise SettingsInvalid(message=f"--k {text} is not a list of numbers above 0.", hint="Write it like --k 10,20")
    return [int(part) for part in parts]


def _read(path: Path, model: type[_RowT]) -> Iterator[_RowT]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(message=f"{path} cannot be read: {error}", hint="Give a file of JSON lines.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield model.model_validate_json(line)
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(str(part) for part in wrong["loc"])
            raise SettingsInvalid(
                message=f"{path}, line {number}: {place} {wrong['msg']}", hint="See --help."
            ) from error
