"""An MCP server whose tool ``ask`` knows one answer: a double of a server with a model, for ``eval sql --mcp``."""

from __future__ import annotations

import json
from typing import Any

from mcp.server.mcpserver import MCPServer

server: MCPServer[Any] = MCPServer("asked", log_level="WARNING")
SQL = "SELECT count(*) FROM songs"


@server.tool()
def ask(question: str, source: str, wait_seconds: float) -> dict[str, Any]:
    """Knows how many songs there are, later; fails to order them; and has one more wrong answer."""
    assert source == "music_1"
    assert wait_seconds > 0
    if "length" in question:
        return {"job_id": "J2", "state": "failed", "error": {"code": "model_unavailable", "message": "none"}}
    return {"job_id": "J1", "state": "running", "next_step": "get_job"}


@server.tool()
def get_job(job_id: str, wait_seconds: float) -> dict[str, Any]:
    """The answer, its SQL cut."""
    assert wait_seconds > 0
    return {"job_id": job_id, "state": "succeeded", "sql": SQL[:9]}


@server.resource("job://{id}")
def job(id: str) -> str:  # noqa: A002 - the template's variable
    """The answer, whole."""
    return json.dumps({"job_id": id, "state": "succeeded", "sql": SQL})


if __name__ == "__main__":
    server.run()
