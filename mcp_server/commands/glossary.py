"""``awaitsql glossary``: a draft of what a source's words mean, for its owner to go on with."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from executor import SettingsInvalid
from mcp_server.commands.exits import Exit
from mcp_server.commands.follow import run_until_interrupted
from mcp_server.commands.options import Where, chosen_source
from mcp_server.knowledge.drafting import drafted
from mcp_server.machine import running_machine

_PROFILE_S = 60.0
"""How long the source's values are waited for; a draft without them is one, too."""


def run_draft(source: str | None, where: Where, *, output: Path | None) -> int:
    """Writes the draft to standard output, or to a file that is not there yet.

    Raises:
        SettingsInvalid: no such source, or the file is there.
    """
    settings = where.settings()
    name = chosen_source(settings, source)

    async def main() -> str:
        async with running_machine(settings, workers=1) as machine:
            schema = await machine.executor.source_schema(name, wait_s=60)
            # values only of what everybody sees whole: the glossary is told to all
            shared = machine.policies.shared_tables(schema)
            return drafted(schema, await machine.executor.source_profile(name, tables=shared, wait_s=_PROFILE_S))

    text = run_until_interrupted(main)
    if output is None:
        sys.stdout.write(text)
        return Exit.DONE
    try:
        with output.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise SettingsInvalid(message=f"{output} cannot be written: {error}", hint="Name a new file.") from error
    console = Console(stderr=True, highlight=False)
    console.print(f"{output}: add it to the configuration under [mcp_server.glossary]", markup=False)
    console.print(f'  {name} = "{output}"', markup=False)
    return Exit.DONE
