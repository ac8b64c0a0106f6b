"""The commands that send SQL or a question: query, ask, check."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mcp_server.commands.options import HERE, NOWHERE, Flag, Format, Json, Many, Sql, There, Where


def query(
    sql: Sql,
    *,
    where: Where = HERE,
    there: There = NOWHERE,
    source: str | None = None,
    format: Format = "table",  # noqa: A002 - the word users know
    output: Path | None = None,
    wait: float | None = None,
    max_rows: int | None = None,
    dialect: str | None = None,
    dry_run: Flag = False,
    fresh: Flag = False,
    over: Many = (),
    json: Json = False,
) -> int:
    """Run one read-only statement and print its rows. Ctrl-C cancels it down to the database.

    Parameters:
        sql: one read-only statement; - reads it from standard input.
        source: which source, where there are several.
        format: how the rows are written; parquet and arrow need --output.
        output: a file for the rows instead of standard output.
        wait: seconds to wait before leaving with the job's handle (exit code 5); without it, until the end.
        max_rows: the most rows to keep.
        dialect: what the SQL is written in, if not the source's own dialect; it is translated.
        dry_run: show the plan and what it would cost, and run nothing.
        fresh: run it, though an equal statement has just brought its rows.
        over: a job whose result is read instead of a source; r1 is the first, r2 the next. DuckDB's dialect.
        json: print the job as the MCP tools show it, with the first rows.
    """
    text = sys.stdin.read() if sql == "-" else sql
    asked: dict[str, Any] = {
        "source": source,
        "format": format,
        "output": output,
        "wait_s": wait,
        "max_rows": max_rows,
        "dialect": dialect,
        "is_dry": dry_run,
        "is_fresh": fresh,
        "over": over,
        "as_json": json,
    }
    if there.is_meant(where):
        from mcp_server.commands.query_there import run_query_there  # noqa: PLC0415 - a command loads what it needs

        return run_query_there(text, there, **asked)
    from mcp_server.commands.query import run_query  # noqa: PLC0415 - as above

    return run_query(text, where, **asked)


def ask(
    question: str,
    *,
    where: Where = HERE,
    there: There = NOWHERE,
    source: str | None = None,
    format: Format = "table",  # noqa: A002 - the word users know
    output: Path | None = None,
    wait: float | None = None,
    max_rows: int | None = None,
    conversation: str | None = None,
    json: Json = False,
) -> int:
    """Answer a question in plain words: the configured model writes the SQL, and its rows are printed.

    Parameters:
        question: in plain words.
        source: which source, where there are several.
        format: how the rows are written; parquet and arrow need --output.
        output: a file for the rows instead of standard output.
        wait: seconds to wait before leaving with the job's handle (exit code 5); without it, until the end.
        max_rows: the most rows to keep.
        conversation: the handle of an earlier answer, for a question that follows it.
        json: print the job as the MCP tools show it, with the first rows.
    """
    asked: dict[str, Any] = {
        "source": source,
        "format": format,
        "output": output,
        "wait_s": wait,
        "max_rows": max_rows,
        "conversation": conversation,
        "as_json": json,
    }
    if there.is_meant(where):
        from mcp_server.commands.ask_there import run_ask_there  # noqa: PLC0415 - a command loads what it needs

        return run_ask_there(question, there, **asked)
    from mcp_server.commands.ask import run_ask  # noqa: PLC0415 - as above

    return run_ask(question, where, **asked)


def check(
    sql: Sql, *, where: Where = HERE, source: str | None = None, dialect: str | None = None, json: Json = False
) -> int:
    """Show the SQL that would run, or why it is refused, without running it.

    Parameters:
        sql: one statement; - reads it from standard input.
        source: which source, where there are several.
        dialect: what the SQL is written in, if not the source's own dialect; it is translated.
        json: for a program.
    """
    from mcp_server.commands.check import run_check  # noqa: PLC0415 - a command loads what it needs

    return run_check(sys.stdin.read() if sql == "-" else sql, where, source=source, dialect=dialect, as_json=json)
