"""From what a client sent to a call's arguments, or a refusal it can act on. Knows no executor and no protocol.

Whoever misspells an argument would believe that it counted, were it ignored: every unknown name is refused with the
nearest right one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mcp_server.errors import CallCode, CallRefused

ModelT = TypeVar("ModelT", bound=BaseModel)

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


def read_arguments(call: str, model: type[ModelT], sent: Mapping[str, Any]) -> ModelT:
    """The arguments in `sent`, checked; `call` names in errors what was called.

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
            CallCode.INVALID_ARGUMENTS, f'{call} has no argument "{unknown[0][:80]}".', hint=hint + listed
        )
    try:
        return model.model_validate(dict(sent))
    except ValidationError as invalid:
        raise CallRefused(
            CallCode.INVALID_ARGUMENTS,
            f"{call}: {_words(invalid)}",
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
