"""``awaitsql check``: the guard's verdict on SQL, without running it."""

from __future__ import annotations

import json
import sys

from rich.console import Console

from mcp_server.commands.exits import Exit, say_error
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import Where, chosen_source
from mcp_server.machine import running_machine
from mcp_server.policy import Grant
from mcp_server.settings import Settings
from mcp_server.sql import StatementRefused
from mcp_server.submission import checked_statement


def run_check(sql: str, where: Where, *, source: str | None, as_json: bool) -> int:
    """Prints the rewritten SQL, or the refusal with a caret under the place."""
    settings = where.settings()
    name = chosen_source(settings, source)

    async def main() -> int:
        return await _check(settings, name, sql, as_json=as_json)

    return run_until_interrupted(main)


async def _check(settings: Settings, source: str, sql: str, *, as_json: bool) -> int:
    async with running_machine(settings.executor, workers=1) as executor:
        try:
            statement = await checked_statement(
                executor, sql, source=source, grant=Grant.everything(), limits=settings.executor.limits.limits()
            )
        except StatementRefused as refused:
            say_error(Console(stderr=True, highlight=False), refused, sql=sql, as_json=as_json)
            return Exit.REFUSED
    if as_json:
        told = {"sql": statement.sql, "source": source, "tables": list(statement.tables)}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(statement.sql + "\n")
    return Exit.DONE
