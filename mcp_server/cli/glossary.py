"""The command ``awaitsql glossary``: what the words of a source mean."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from mcp_server.commands.options import HERE, Where

glossary_app = App(name="glossary")


@glossary_app.command(name="draft")
def glossary_draft(source: str | None = None, *, where: Where = HERE, output: Path | None = None) -> int:
    """Write a glossary of a source's tables and columns to begin with, from its schema and comments.

    Parameters:
        source: which source, where there are several.
        output: a new file instead of standard output.
    """
    from mcp_server.commands.glossary import run_draft  # noqa: PLC0415 - a command loads what it needs

    return run_draft(source, where, output=output)
