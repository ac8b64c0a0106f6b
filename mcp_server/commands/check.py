"""``awaitsql check``: the guard's verdict on SQL, without running it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import Console

from executor import Touch
from mcp_server.commands.exits import Exit, say_error
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import Where, chosen_source
from mcp_server.machine import running_machine
from mcp_server.settings import Settings
from mcp_server.sql import StatementRefused
from mcp_server.submission import checked_statement


def run_check(sql: str, where: Where, *, source: str | None, dialect: str | None, as_json: bool) -> int:
    """Prints the rewritten SQL, or the refusal with a caret under the place."""
    settings = where.settings()
    name = chosen_source(settings, source)

    async def main() -> int:
        return await _check(settings, name, sql, dialect, as_json=as_json)

    return run_until_interrupted(main)


async def _check(settings: Settings, source: str, sql: str, dialect: str | None, *, as_json: bool) -> int:
    async with running_machine(settings, workers=1) as machine:
        try:
            statement = await checked_statement(
                machine.executor,
                machine.policies,
                settings.principal,
                sql,
                source=source,
                limits=settings.executor.limits.limits(),
                dialect=dialect,
            )
        except StatementRefused as refused:
            say_error(Console(stderr=True, highlight=False), refused, sql=sql, as_json=as_json)
            return Exit.REFUSED
    sql_shown = machine.policies.without_salt(statement.sql)
    if as_json:
        told = {
            "sql": sql_shown,
            "source": source,
            "tables": list(statement.tables),
            "proof": [asdict(touch) for touch in statement.proof],
        }
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(sql_shown + "\n")
        for line in proof_lines(statement.proof):
            Console(stderr=True, highlight=False).print(line, markup=False, soft_wrap=True)
    return Exit.DONE


def proof_lines(proof: Sequence[Touch]) -> Iterator[str]:
    """What the policy did to each table, in words; nothing for tables that no rule is about."""
    for touch in proof:
        did = ["rows filtered"] if touch.filtered else []
        did += [f"{', '.join(touch.masked)} masked"] if touch.masked else []
        did += [f"{', '.join(touch.denied)} denied"] if touch.denied else []
        if touch.rule:
            yield f"{touch.table}: {'; '.join(did) or 'whole'}, by {touch.rule}"
