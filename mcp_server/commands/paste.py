"""The lines to paste into the usual assistants. docs/quick-start.md has the same; a test compares."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path


def paste_lines(databases: Sequence[str]) -> str:
    """What to type or paste for Claude Code, Claude Desktop, VS Code and Cursor, for these databases."""
    # whole, because an assistant starts it in a folder of its own; not resolved, because a venv is found by its link
    beside = Path(sys.executable).absolute().with_name("awaitsql")
    command = str(beside) if beside.exists() else shutil.which("awaitsql") or "awaitsql"
    arguments = ["serve", "--transport", "stdio"]
    for database in databases:
        arguments += ["--db", database]
    server = {"command": command, "args": arguments}
    typed = shlex.join([command, *arguments])
    desktop = json.dumps({"mcpServers": {"awaitsql": server}}, indent=2)
    code = json.dumps({"servers": {"awaitsql": {"type": "stdio", **server}}}, indent=2)
    return (
        f"Claude Code:\n  claude mcp add awaitsql -- {typed}\n\n"
        f"Claude Desktop (claude_desktop_config.json) and Cursor (.cursor/mcp.json):\n{desktop}\n\n"
        f"VS Code (.vscode/mcp.json):\n{code}"
    )
