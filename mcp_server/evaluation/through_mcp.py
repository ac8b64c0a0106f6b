"""A writer that is an MCP server elsewhere: its tool ``ask`` is called with each question, as any client would."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from executor import ExecutorError, SettingsInvalid
from mcp_server.evaluation.answers import Asked, Written

_AWAY = (OSError, MCPError, httpx2.HTTPError)
_TOOL = "ask"
_WAIT_S = 40
_GOES_ON = ("queued", "running")
_CALL_S = 120


class ThroughMcp:
    """Calls ``ask`` of a connected server and follows its job to the end."""

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._name = name

    @property
    def name(self) -> str:
        """How the server was named."""
        return self._name

    async def write(self, asked: Asked) -> Written:
        """The SQL of the server's answer."""
        try:
            view = await self._call(_TOOL, question=asked.text, source=asked.source, wait_seconds=_WAIT_S)
            while view.get("state") in _GOES_ON:
                view = await self._call("get_job", job_id=view["job_id"], wait_seconds=_WAIT_S)
            return await self._written(view)
        except MCPError as error:
            return Written(None, error=f"mcp_failed: {error}")

    async def _call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return dict((await self._client.call_tool(tool, arguments)).structured_content or {})

    async def _written(self, view: dict[str, Any]) -> Written:
        error = view.get("error")
        if error is not None:
            return Written(None, error=f"{error.get('code', 'failed')}: {error.get('message', '')}")
        if view.get("state") != "succeeded":
            return Written(None, error=f"{view.get('state', 'no_job')}: {view.get('next_step', '')}")
        # a tool's answer cuts a long statement
        whole = await self._client.read_resource(f"job://{view['job_id']}")
        told: dict[str, Any] = json.loads(getattr(whole.contents[0], "text", "{}"))
        sql = told.get("sql")
        return Written(sql, error="" if sql else "no_sql: the job shows no statement")


@asynccontextmanager
async def through_mcp(target: str, *, token: str | None) -> AsyncGenerator[ThroughMcp]:
    """The server at `target`, a URL or the command line that starts one over stdio, connected.

    Args:
        target: ``https://host/mcp``, or a command with its arguments.
        token: sent as a bearer token to a URL; None sends nothing.

    Raises:
        SettingsInvalid: it cannot be reached, or has no tool ``ask``.
    """
    try:
        async with _connected(target, token) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            if _TOOL not in tools:
                raise SettingsInvalid(
                    message=f"{target} has no tool {_TOOL}.", hint="The server needs a model in its configuration."
                )
            yield ThroughMcp(client, target)
    except _AWAY as error:
        raise _does_not_answer(target, error) from error
    except ExceptionGroup as group:
        # the client's own tasks wrap whatever goes wrong inside it
        error = _first(group)
        if isinstance(error, ExecutorError):
            raise error from group
        if isinstance(error, _AWAY):
            raise _does_not_answer(target, error) from group
        raise


def _does_not_answer(target: str, error: Exception) -> SettingsInvalid:
    return SettingsInvalid(
        message=f"{target} does not answer as an MCP server ({error}).",
        hint="Give the URL of its endpoint, or the command that starts it.",
    )


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


@asynccontextmanager
async def _connected(target: str, token: str | None) -> AsyncGenerator[Client]:
    if target.startswith(("http://", "https://")):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=_CALL_S) as http,
            Client(streamable_http_client(target, http_client=http), read_timeout_seconds=_CALL_S) as client,
        ):
            yield client
        return
    command, *arguments = shlex.split(target)
    server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
    async with Client(stdio_client(server, errlog=sys.stderr), read_timeout_seconds=_CALL_S) as client:
        yield client
