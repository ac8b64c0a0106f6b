"""The lines to paste into the usual assistants. The same words stand in README, and a test compares them."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Sequence


def paste_lines(databases: Sequence[str]) -> str:
    """What to type or paste for Claude Code, Claude Desktop, VS Code and Cursor, for these databases."""
    command = shutil.which("awaitsql") or sys.argv[0]
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
