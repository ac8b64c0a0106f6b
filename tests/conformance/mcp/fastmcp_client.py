"""The client of fastmcp, once through the loop. Writes what it saw.

python fastmcp_client.py URL
python fastmcp_client.py COMMAND ARGUMENT ...
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from the_loop import loop


async def main(target: list[str]) -> None:
    is_url = target[0].startswith("http")
    server: Any = target[0] if is_url else StdioTransport(target[0], target[1:], env=dict(os.environ), keep_alive=False)
    async with Client(server) as client:

        async def call(tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
            content = (await client.call_tool(tool, arguments)).structured_content
            if content is None:
                raise RuntimeError(f"{tool} answered without structured content")
            return content

        tools = await client.list_tools()
        version = client.session.protocol_version
        print(json.dumps({"version": version, "tools": [tool.name for tool in tools], **await loop(call)}))


asyncio.run(main(sys.argv[1:]))
