"""From a request to what it asks: its query string and its body, checked. Knows no executor."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request

from mcp_server.arguments import read_arguments
from mcp_server.errors import CallCode, CallRefused
from mcp_server.http.problems import HttpCode, HttpRefused

MAX_BODY_BYTES = 1_000_000


def _whole(value: Any) -> Any:
    """JSON has one sort of number: 3.0 is as whole as 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
"""A whole number in a body, at least one."""


class Asked(BaseModel):
    """The query string of an operation: text that is read as what it should be."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Sent(BaseModel):
    """The body of an operation: each field of its very type."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


AskedT = TypeVar("AskedT", bound=Asked)
SentT = TypeVar("SentT", bound=Sent)


def asked(request: Request, model: type[AskedT]) -> AskedT:
    """What the query string asks.

    Raises:
        CallRefused: ``invalid_arguments``.
    """
    told: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is list:
            told.setdefault(name, []).append(value)
        elif name in told:
            raise CallRefused(CallCode.INVALID_ARGUMENTS, f'"{name[:80]}" is given twice.')
        else:
            told[name] = value
    return read_arguments(_call(request), model, told)


async def sent(request: Request, model: type[SentT]) -> SentT:
    """What the body says, JSON of at most `MAX_BODY_BYTES`.

    Raises:
        HttpRefused: ``unsupported_media_type``, ``body_too_large``.
        CallRefused: ``invalid_arguments``.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HttpRefused(HttpCode.UNSUPPORTED_MEDIA_TYPE, "The body is not JSON.", hint="application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HttpRefused(HttpCode.BODY_TOO_LARGE, f"A body has at most {MAX_BODY_BYTES:,} bytes.")
    try:
        told: Any = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise CallRefused(CallCode.INVALID_ARGUMENTS, "The body is not JSON.") from error
    if not isinstance(told, dict):
        raise CallRefused(CallCode.INVALID_ARGUMENTS, "The body is not a JSON object.")
    return read_arguments(_call(request), model, told)


def _call(request: Request) -> str:
    return f"{request.method} {request.scope['root_path']}{request.scope['path'][len(request.scope['root_path']) :]}"
