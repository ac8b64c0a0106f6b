"""How rows reach a terminal or a file: a table to look at, or the whole result in a format for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from executor import Job, ResultColumn, SettingsInvalid
from mcp_server.whole_file import whole_file

if TYPE_CHECKING:
    from executor import Executor

RowFormat = Literal["table", "csv", "json", "parquet", "arrow"]

TABLE_ROWS = 100
"""Rows that a table shows; the rest is a matter for a file."""

_RIGHT = ("int", "double", "float", "decimal", "numeric", "real", "bigint", "smallint", "hugeint", "ubigint", "uint")


def refuse_binary_terminal(format: RowFormat, output: Path | None) -> None:  # noqa: A002 - the word users know
    """Raises `SettingsInvalid` before any work when binary rows would go to a terminal, or a table to a file."""
    if format in ("parquet", "arrow") and output is None and sys.stdout.isatty():
        raise SettingsInvalid(message=f"{format} is binary, standard output a terminal.", hint="Add --output FILE.")
    if format == "table" and output is not None:
        raise SettingsInvalid(message="A table is for looking at.", hint="Add --format csv, json, parquet or arrow.")
    if output is not None and output.is_dir():
        raise SettingsInvalid(message=f"{output} is a folder.", hint="Name a file in it.")
    if output is not None and not output.parent.is_dir():
        raise SettingsInvalid(message=f"There is no folder {output.parent}.", hint="Make it, or write elsewhere.")


def print_table(columns: Sequence[ResultColumn], rows: Sequence[Sequence[Any]]) -> None:
    """Prints rows as a table on standard output; cells are data, never markup."""
    console = Console(highlight=False)
    if not columns:
        console.print(f"({len(rows)} rows without columns)")
        return
    table = Table(show_edge=False, header_style="bold")
    for column in columns:
        is_number = column.type.lower().startswith(_RIGHT)
        table.add_column(Text(column.name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)


def _cell(value: Any) -> Text:
    if value is None:
        return Text("NULL", style="dim")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Text(text if text.isprintable() else text.encode("unicode_escape").decode())


async def write_result(
    executor: Executor,
    job: Job,
    *,
    owner: str,
    format: RowFormat,  # noqa: A002 - the word users know
    output: Path | None,
    rows_shown: int = TABLE_ROWS,
) -> str:
    """Writes a succeeded job's rows; one line about what was written, for standard error.

    A file appears whole or not at all.
    """
    count = job.summary.row_count if job.summary else 0
    if format == "table":
        page = await executor.page(job.id, owner=owner, limit=rows_shown)
        print_table(page.columns, page.rows)
        rest = count - len(page.rows)
        return f"{count:,} rows" + (f", {rest:,} not shown; --format csv --output FILE writes all" if rest else "")
    if output is None:
        await executor.export(job.id, owner=owner, format=format, out=sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return f"{count:,} rows"
    with whole_file(output) as out:
        await executor.export(job.id, owner=owner, format=format, out=out)
        size = out.tell()
    return f"{count:,} rows in {output} ({size:,} bytes)"
