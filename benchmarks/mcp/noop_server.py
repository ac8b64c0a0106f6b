"""The peer: an MCP server whose one tool does nothing, over stdio, or over HTTP on the port given."""

from __future__ import annotations

import sys

from mcp.server.mcpserver import MCPServer

server = MCPServer("noop", log_level="ERROR")


@server.tool()
def noop() -> str:
    """Nothing."""
    return "1"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        import uvicorn

        uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
    else:
        server.run("stdio")
