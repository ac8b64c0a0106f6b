"""The Python SDK before the stateless protocol (mcp 1.30), once through the loop. Writes what it saw.

python mcp_1_client.py URL
python mcp_1_client.py COMMAND ARGUMENT ...
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from the_loop import loop


async def main(target: list[str]) -> None:
    async with AsyncExitStack() as stack:
        if target[0].startswith("http"):
            read, write, _ = await stack.enter_async_context(streamable_http_client(target[0]))
        else:
            server = StdioServerParameters(command=target[0], args=target[1:], env=dict(os.environ))
            read, write = await stack.enter_async_context(stdio_client(server))
        session = await stack.enter_async_context(ClientSession(read, write))
        greeted = await session.initialize()

        async def call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
            answer = await session.call_tool(tool, arguments)
            if answer.isError or answer.structuredContent is None:
                raise RuntimeError(str(answer))
            return answer.structuredContent

        tools = await session.list_tools()
        seen = {"version": greeted.protocolVersion, "tools": [tool.name for tool in tools.tools], **await loop(call)}
        print(json.dumps(seen))


asyncio.run(main(sys.argv[1:]))
