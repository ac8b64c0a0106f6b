"""The prompts that clients are offered: the files of ``prompts/``, registered with the server."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument

from mcp_server.prompt_files import PromptText, load_prompts, prompt_folder


def add_prompts(server: MCPServer[Any]) -> None:
    """Register every prompt on `server`."""
    for prompt in load_prompts(prompt_folder()):
        server.add_prompt(_registered(prompt))


def _registered(prompt: PromptText) -> Prompt:
    def render(**values: str) -> str:
        return prompt.filled(values)

    return Prompt(
        name=prompt.name,
        title=None,
        description=prompt.description,
        arguments=[
            PromptArgument(name=a.name, description=a.description, required=a.required) for a in prompt.arguments
        ],
        fn=render,
        context_kwarg=None,
    )
