"""A tool that checks its own arguments and answers failures as results a model can act on. Knows no single tool."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import FuncMetadata
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import Field

from mcp_server.calls import Calls
from mcp_server.errors import ANSWERED, error_answer
from mcp_server.spans import tell_answer
from mcp_server.tools.arguments import Arguments, read_tool_arguments

READS = ToolAnnotations(read_only_hint=True)
"""It changes nothing in a database; ``query`` makes a job, which can only read."""

STEERS = ToolAnnotations(destructive_hint=False)
"""It ends a job or lets it go on, and changes nothing in a database."""


class CheckedTool(Tool):
    """A tool whose function is given its `Arguments` and the call's context, and answers with a `CallToolResult`."""

    arguments: type[Arguments] = Field(exclude=True)
    counted: Callable[[], AbstractContextManager[None]] = Field(exclude=True)

    async def run(  # the SDK's signature
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> CallToolResult | InputRequiredResult:
        """Check `arguments`, call the function, and turn every failure that is an answer into one.

        Raises:
            UnexpectedToolError: anything else; the client sees only the tool's name, the log has the traceback.
        """
        try:
            with self.counted():
                result = await self.fn(read_tool_arguments(self.name, self.arguments, arguments), context)
        except ANSWERED as failed:
            result = error_answer(failed)  # pyright: ignore[reportArgumentType] - ANSWERED is AnsweredError's members
        except MCPError:
            raise
        except Exception as crash:
            raise UnexpectedToolError(f"Error executing tool {self.name}") from crash
        if isinstance(result, CallToolResult):
            tell_answer(result.structured_content)
        return result


def checked_tool(
    name: str,
    arguments: type[Arguments],
    fn: Callable[[Any, Context[Any, Any]], Awaitable[CallToolResult | InputRequiredResult]],
    *,
    calls: Calls,
    description: str,
    annotations: ToolAnnotations,
) -> CheckedTool:
    """A tool with `description` and the trimmed schema of `arguments`; `fn` does its work, `calls` counts it."""
    return CheckedTool(
        fn=fn,
        name=name,
        title=None,
        description=description,
        parameters=trimmed_schema(arguments),
        fn_metadata=FuncMetadata(arg_model=arguments),
        is_async=True,
        context_kwarg=None,
        annotations=annotations,
        arguments=arguments,
        counted=lambda: calls.counted("mcp", name),
    )


_UNTOLD = frozenset({"title", "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum"})
"""What a refusal says soon enough."""


def trimmed_schema(model: type[Arguments]) -> dict[str, Any]:
    """The JSON schema of a tool's arguments without what costs a context and tells a model nothing.

    Titles go, and so do bounds, null as a type (an argument left out says the same), and that other arguments are
    refused, which the refusal says; types, defaults and descriptions stay.
    """
    schema = model.model_json_schema()
    properties: dict[str, Any] = {
        name: _trimmed(told, optional=name not in schema.get("required", []))
        for name, told in schema.get("properties", {}).items()
    }
    trimmed: dict[str, Any] = {"type": "object", "properties": properties}
    if schema.get("required"):
        trimmed["required"] = schema["required"]
    return trimmed


def _trimmed(told: dict[str, Any], *, optional: bool) -> dict[str, Any]:
    kept = dict(told)
    if "anyOf" in kept:
        kinds = [kind for kind in kept.pop("anyOf") if not (optional and kind.get("type") == "null")]
        kept = {**kinds[0], **kept} if len(kinds) == 1 else {"anyOf": kinds, **kept}
    if not kept.get("default", ...):  # none, no, nothing
        del kept["default"]
    return {key: value for key, value in kept.items() if key not in _UNTOLD}
