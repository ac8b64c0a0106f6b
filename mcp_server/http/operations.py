"""One operation of ``/v1``: what it is called with, what it answers, what does it.

The routes and the description of the interface are both made from these: neither knows of one the other does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_server.calls import Calls
from mcp_server.errors import ANSWERED
from mcp_server.http.asking import Asked, Sent
from mcp_server.http.presence import ClientGone
from mcp_server.http.problems import HttpCode, HttpRefused, problem_answer
from mcp_server.http.sign_in import challenge, has_scope
from mcp_server.http.spans import request_span
from mcp_server.spans import tell_code

Endpoint = Callable[[Request], Awaitable[Response]]

_GONE = 499


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer without an error.

    Attributes:
        description: one line.
        content: its shape by media type; None for bytes or text without one.
        headers: what they say, by name.
    """

    description: str
    content: Mapping[str, type[BaseModel] | None] = field(default_factory=dict[str, type[BaseModel] | None])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method of one path.

    Attributes:
        name: its name for generated clients.
        method: of HTTP.
        path: below ``/v1``, with ``{parameters}``.
        summary: one line.
        scope: what a token must be good for; None: served to everybody.
        endpoint: does it.
        answers: by status.
        query: the shape of the query string.
        headers: the request's headers that count, and what they do.
        body: the shape of the body.
    """

    name: str
    method: Literal["GET", "POST", "DELETE"]
    path: str
    summary: str
    scope: str | None
    endpoint: Endpoint
    answers: Mapping[int, Answer]
    query: type[Asked] = Asked
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: type[Sent] | None = None


def routes_of(operations: Sequence[Operation], calls: Calls, *, metadata_url: str | None) -> list[Route]:
    """A route for each path; it answers every failure that is one as a problem, and counts what is asked in `calls`."""
    paths: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method] = operation
    return [_route(path, methods, calls, metadata_url) for path, methods in paths.items()]


def _route(path: str, operations: Mapping[str, Operation], calls: Calls, metadata_url: str | None) -> Route:
    async def answered(request: Request) -> Response:
        operation = operations["GET" if request.method == "HEAD" else request.method]
        if operation.scope is not None and not has_scope(request, operation.scope):
            return scope_missing(operation.scope, metadata_url)
        try:
            with calls.counted("http", operation.name, refused=HttpRefused, left=ClientGone):
                return await operation.endpoint(request)
        except HttpRefused as refused:
            tell_code(refused.code)
            return problem_answer(refused)
        except ANSWERED as failed:
            tell_code(str(failed.code))  # pyright: ignore[reportAttributeAccessIssue] - as below
            return problem_answer(failed)  # pyright: ignore[reportArgumentType] - ANSWERED is AnsweredError's members
        except ClientGone:
            return Response(status_code=_GONE)

    async def endpoint(request: Request) -> Response:
        with request_span(request, f"/v1{path}") as span:
            return span.tell(await answered(request))

    return Route(path, endpoint, methods=list(operations))


def scope_missing(scope: str, metadata_url: str | None) -> Response:
    """403, with the scope that the token would have to have."""
    why = f"This needs the scope {scope}."
    header = challenge(metadata_url, error="insufficient_scope", why=why, scope=scope)
    return problem_answer(HttpRefused(HttpCode.INSUFFICIENT_SCOPE, why), headers={"WWW-Authenticate": header})
