"""The commands ``awaitsql verified``: questions with SQL that a person has confirmed."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import App, Parameter

from mcp_server.commands.options import HERE, Flag, Json, Sql, Where

verified_app = App(name="verified")


@verified_app.command(name="add")
def verified_add(
    question: str,
    sql: Sql,
    *,
    where: Where = HERE,
    source: str | None = None,
    by: str | None = None,
    json: Json = False,
) -> int:
    """Keep a question with SQL that is right for it; shown from now on to whoever asks alike and could run it.

    Parameters:
        question: in plain language.
        sql: one statement; - reads it from standard input.
        source: which source, where there are several.
        by: who says so; without it, whoever is logged in.
        json: for a program.
    """
    from mcp_server.commands.verified import run_add  # noqa: PLC0415 - a command loads what it needs

    text = sys.stdin.read() if sql == "-" else sql
    return run_add(question, text, where, source=source, by=by, as_json=json)


@verified_app.command(name="list")
def verified_list(
    *,
    where: Where = HERE,
    source: str | None = None,
    pending: Flag = False,
    json: Json = False,
) -> int:
    """The queries of a source, and which are out of date because a column they use has changed.

    Parameters:
        source: which source, where there are several.
        pending: only those that wait for review.
        json: for a program.
    """
    from mcp_server.commands.verified import run_verified  # noqa: PLC0415 - a command loads what it needs

    return run_verified(where, source=source, pending=pending, as_json=json)


@verified_app.command(name="remove")
def verified_remove(query_id: str, *, where: Where = HERE, json: Json = False) -> int:
    """Forget one.

    Parameters:
        query_id: as the list shows it.
        json: for a program.
    """
    from mcp_server.commands.verified import run_remove  # noqa: PLC0415 - a command loads what it needs

    return run_remove(query_id, where, as_json=json)


@verified_app.command(name="review")
def verified_review(
    query_id: str | None = None,
    *,
    where: Where = HERE,
    accept: Annotated[bool | None, Parameter(negative="--reject")] = None,
    by: str | None = None,
    json: Json = False,
) -> int:
    """Say whether proposed SQL is right for its question; without an id, go through all that wait.

    Parameters:
        query_id: as the list shows it.
        accept: what to say of it: --accept or --reject; without either, it is asked.
        by: who says so; without it, whoever is logged in.
        json: for a program.
    """
    from mcp_server.commands.verified import run_review  # noqa: PLC0415 - a command loads what it needs

    return run_review(query_id, where, accept=accept, by=by, as_json=json)
