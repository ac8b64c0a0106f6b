"""The arguments of tools, as models are known to send them. Knows no executor.

What is understood: null for an argument left out, numbers as text, a list as JSON text, one name where a list is asked
for. The SDK ignores arguments it does not know; here they are refused.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import BeforeValidator, ConfigDict

from mcp_server.arguments import read_arguments


class Arguments(ArgModelBase):
    """The arguments of a tool. Subclasses name them; others are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


def _unpacked(value: Any) -> Any:
    """A list sent as JSON text, as the list."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _listed(value: Any) -> Any:
    """One name as a list of one."""
    unpacked = _unpacked(value)
    return [unpacked] if isinstance(unpacked, str) else unpacked


Names = Annotated[list[str], BeforeValidator(_listed)]
"""A list of names; one alone is a list of one."""

OneOrSeveral = Annotated[str | list[str], BeforeValidator(_unpacked)]
"""One text, or a list of them."""


def _packed(value: Any) -> Any:
    """An object as JSON text, and so are yes and no."""
    return json.dumps(value) if isinstance(value, dict | bool) else value


AsText = Annotated[str, BeforeValidator(_packed)]
"""A text; an object or a truth value is its JSON."""


def read_tool_arguments(tool: str, model: type[ArgumentsT], sent: dict[str, Any]) -> ArgumentsT:
    """The arguments in `sent`, checked.

    Raises:
        CallRefused: as `read_arguments`.
    """
    return read_arguments(tool, model, {k: v for k, v in sent.items() if v is not None or k not in model.model_fields})
