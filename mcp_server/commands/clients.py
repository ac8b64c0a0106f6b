"""The programs that can be told of this server: where each keeps its configuration, and what an entry looks like there.

Places and shapes are those of each program's own documentation. Touches no file.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Client:
    """One program.

    Attributes:
        name: as it is typed.
        title: as people know it.
        file: its configuration file, JSON.
        table: the key in it that holds servers by name.
        says_type: whether an entry says that it is spoken to over stdio.
        after: what to do for it to be read.
    """

    name: str
    title: str
    file: Path
    table: str
    says_type: bool
    after: str

    def entry(self, command: str, arguments: list[str]) -> dict[str, object]:
        """What stands there for one server."""
        kind = {"type": "stdio"} if self.says_type else {}
        return {**kind, "command": command, "args": arguments}


def clients(home: Path, environ: Mapping[str, str], *, platform: str = sys.platform) -> dict[str, Client]:
    """The programs by name, with their files for the user whose `home` it is."""
    if platform == "darwin":
        support = home / "Library" / "Application Support"
    elif platform == "win32":
        support = Path(environ.get("APPDATA", home / "AppData" / "Roaming"))
    else:
        support = Path(environ.get("XDG_CONFIG_HOME", home / ".config"))
    restart = "Restart it."
    known = [
        Client("claude-code", "Claude Code", home / ".claude.json", "mcpServers", True, "Type /mcp in it."),
        Client(
            "claude-desktop",
            "Claude Desktop",
            support / "Claude" / "claude_desktop_config.json",
            "mcpServers",
            False,
            restart,
        ),
        Client("cursor", "Cursor", home / ".cursor" / "mcp.json", "mcpServers", False, restart),
        Client("gemini", "Gemini CLI", home / ".gemini" / "settings.json", "mcpServers", False, restart),
        Client(
            "vscode", "VS Code", support / "Code" / "User" / "mcp.json", "servers", True, "Run MCP: List Servers in it."
        ),
        Client(
            "windsurf", "Windsurf", home / ".codeium" / "windsurf" / "mcp_config.json", "mcpServers", False, restart
        ),
    ]
    return {client.name: client for client in known}
