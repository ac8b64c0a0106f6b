"""``awaitsql verified``: the questions whose SQL a person has confirmed; added, looked at, reviewed, removed."""

from __future__ import annotations

import getpass
import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from executor import SettingsInvalid, SourceSchema
from mcp_server.commands.acting import put_on_record
from mcp_server.commands.exits import Exit, say_error
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import Where, chosen_source
from mcp_server.knowledge.verified import State, VerifiedQueries, VerifiedQuery, columns_used
from mcp_server.machine import running_machine
from mcp_server.settings import Settings
from mcp_server.sql import StatementRefused
from mcp_server.submission import checked_statement


def run_add(question: str, sql: str, where: Where, *, source: str | None, by: str | None, as_json: bool) -> int:
    """Keeps a query as verified, once the guard has let its SQL pass."""
    settings = where.settings()
    name = chosen_source(settings, source)
    console = Console(stderr=True, highlight=False)

    async def main() -> VerifiedQuery:
        async with running_machine(settings, workers=1) as machine:
            statement = await checked_statement(
                machine.executor,
                machine.policies,
                settings.principal,
                sql,
                source=name,
                limits=settings.executor.limits.limits(),
            )
            read = columns_used(sql, statement, await machine.executor.source_schema(name))
            store = VerifiedQueries(settings.executor)
            put_on_record(settings.executor, "verified_query_added", source=name, question=question, by=by or _person())
            return store.add(name, question, sql, read=read, by=by or _person(), is_verified=True)

    try:
        kept = run_until_interrupted(main)
    except StatementRefused as refused:
        say_error(console, refused, sql=sql, as_json=as_json)
        return Exit.REFUSED
    if as_json:
        sys.stdout.write(json.dumps(_told(kept)) + "\n")
    else:
        console.print(f"kept as {kept.id}", markup=False)
    return Exit.DONE


def run_verified(where: Where, *, source: str | None, pending: bool, as_json: bool) -> int:
    """Lists a source's queries and says which are out of date."""
    settings = where.settings()
    name = chosen_source(settings, source)
    state: State | None = "pending" if pending else None
    queries = VerifiedQueries(settings.executor).of(name, state=state)
    schema = _schema(settings, name) if queries else None
    told = [_told(query, schema) for query in queries]
    if as_json:
        sys.stdout.write(json.dumps({"verified": told}) + "\n")
        return Exit.DONE
    if not told:
        Console(stderr=True).print(f"none yet: awaitsql verified add QUESTION SQL --source {name}")
        return Exit.DONE
    table = Table(show_edge=False, header_style="bold")
    for column in ("id", "state", "question", "SQL", "by"):
        table.add_column(column, overflow="fold")
    for one in told:
        standing = f"out of date: {one['out_of_date']}" if one["out_of_date"] else one["state"]
        table.add_row(one["id"], standing, one["question"], one["sql"], one["reviewed_by"] or one["proposed_by"])
    Console(highlight=False, markup=False).print(table)
    return Exit.DONE


def run_remove(id_: str, where: Where, *, as_json: bool) -> int:
    """Forgets one.

    Raises:
        SettingsInvalid: there is none of that id.
    """
    settings = where.settings().executor
    put_on_record(settings, "verified_query_removed", query=id_)
    if not VerifiedQueries(settings).remove(id_):
        raise _none(id_)
    if as_json:
        sys.stdout.write(json.dumps({"removed": id_}) + "\n")
    return Exit.DONE


def run_review(id_: str | None, where: Where, *, accept: bool | None, by: str | None, as_json: bool) -> int:
    """Says yes or no to one; without one, asks at the terminal for each that is pending.

    Raises:
        SettingsInvalid: there is none of that id, or nobody sits at the terminal.
    """
    settings = where.settings()
    store = VerifiedQueries(settings.executor)
    if id_ is not None and accept is not None:
        put_on_record(settings.executor, "verified_query_reviewed", query=id_, accepted=accept, by=by or _person())
        kept = store.review(id_, accept=accept, by=by or _person())
        if kept is None:
            raise _none(id_)
        if as_json:
            sys.stdout.write(json.dumps(_told(kept)) + "\n")
        return Exit.DONE
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise SettingsInvalid(
            message="A review needs somebody at the terminal.", hint="Or: awaitsql verified review ID --accept"
        )
    console = Console(stderr=True, highlight=False, markup=False)
    waiting = [q for name in settings.executor.sources for q in store.of(name, state="pending")]
    for query in (q for q in waiting if id_ in (None, q.id)):
        console.print(f"\n{query.source}: {query.question}\n{query.sql}\nproposed by {query.proposed_by}")
        console.print("Right? [y]es, [n]o, anything else leaves it: ", end="")
        said = sys.stdin.readline().strip().lower()
        if said in {"y", "yes", "n", "no"}:
            accepted = said.startswith("y")
            put_on_record(
                settings.executor, "verified_query_reviewed", query=query.id, accepted=accepted, by=by or _person()
            )
            store.review(query.id, accept=accepted, by=by or _person())
    return Exit.DONE


def _schema(settings: Settings, source: str) -> SourceSchema:
    async def main() -> SourceSchema:
        async with running_machine(settings, workers=1) as machine:
            return await machine.executor.source_schema(source, wait_s=60)

    return run_until_interrupted(main)


def _person() -> str:
    return getpass.getuser()


def _none(id_: str) -> SettingsInvalid:
    return SettingsInvalid(message=f"There is no verified query {id_[:40]}.", hint="awaitsql verified list shows them.")


def _told(query: VerifiedQuery, schema: SourceSchema | None = None) -> dict[str, Any]:
    return {
        "id": query.id,
        "source": query.source,
        "question": query.question,
        "sql": query.sql,
        "tables": list(query.tables),
        "state": query.state,
        "proposed_by": query.proposed_by,
        "proposed_at": query.proposed_at,
        "reviewed_by": query.reviewed_by,
        "reviewed_at": query.reviewed_at,
        "out_of_date": query.changes(schema) if schema is not None else "",
    }
