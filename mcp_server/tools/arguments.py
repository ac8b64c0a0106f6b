"""From what a client sent to a tool's arguments, or a refusal it can act on. Knows no executor.

The SDK ignores arguments it does not know; a model that misspells one would then believe that it counted. Here every
unknown name is refused with the nearest right one. What clients are known to send is understood: null for an argument
left out, numbers as text, a list as JSON text, one name where a list is asked for.
"""

from __future__ import annotations

import difflib
import json
from typing import Annotated, Any, TypeVar

from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from pydantic import BeforeValidator, ConfigDict, ValidationError

from mcp_server.errors import CallCode, CallRefused


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

_MEANT = {
    "limit": "max_rows",
    "row_limit": "max_rows",
    "database": "source",
    "db": "source",
    "datasource": "source",
    "connection": "source",
    "table": "tables",
    "table_names": "tables",
    "query": "sql",
    "statement": "sql",
    "timeout": "wait_seconds",
    "wait": "wait_seconds",
    "id": "job_id",
    "job": "job_id",
    "job_ids": "job_id",
    "handle": "job_id",
    "jobs": "job_ids",
    "results": "job_ids",
    "offset": "cursor",
    "page": "cursor",
    "page_size": "limit",
    "max_rows": "limit",
    "count": "limit",
    "fields": "columns",
}
"""What other tools call the same thing."""


def read_arguments(tool: str, model: type[ArgumentsT], sent: dict[str, Any]) -> ArgumentsT:
    """The arguments in `sent`, checked.

    Raises:
        CallRefused: ``invalid_arguments``, naming the argument and, for an unknown one, the one that may be meant.
    """
    known = list(model.model_fields)
    unknown = [name for name in sent if name not in known]
    if unknown:
        meant = _meant(unknown[0], known)
        hint = f"Did you mean {meant}? " if meant else ""
        listed = f"Its arguments: {', '.join(known)}." if known else "It takes no arguments."
        raise CallRefused(
            CallCode.INVALID_ARGUMENTS, f'{tool} has no argument "{unknown[0][:80]}".', hint=hint + listed
        )
    try:
        return model.model_validate({name: value for name, value in sent.items() if value is not None})
    except ValidationError as invalid:
        raise CallRefused(
            CallCode.INVALID_ARGUMENTS,
            f"{tool}: {_words(invalid)}",
            hint=f"Its arguments: {', '.join(known)}.",
        ) from invalid


def _meant(name: str, known: list[str]) -> str | None:
    candidates = {**{alias: right for alias, right in _MEANT.items() if right in known}, **{k: k for k in known}}
    close = difflib.get_close_matches(name.lower(), list(candidates), n=1, cutoff=0.7)
    return candidates[close[0]] if close else None


def _words(invalid: ValidationError) -> str:
    """Each argument at fault once, with what was expected; never the value, which is the caller's data."""
    told: dict[str, list[str]] = {}
    for error in invalid.errors(include_url=False, include_context=False, include_input=False):
        name = str(error["loc"][0]) if error["loc"] else "arguments"
        words = "is required" if error["type"] == "missing" else error["msg"].removeprefix("Input should be ")
        told.setdefault(name, []).append(words)
    return "; ".join(f"{name}: {' or '.join(dict.fromkeys(words))}" for name, words in told.items())
