"""Errors over HTTP: problem details (RFC 9457) with the tools' codes. The one table from a code to its status."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from executor import ErrorCode
from mcp_server.errors import AnsweredError, CallCode, error_content
from mcp_server.http.steps import in_http
from mcp_server.sql import RefusalCode

MEDIA_TYPE = "application/problem+json"

_RETRY_S = "2"


class HttpCode(StrEnum):
    """What can be wrong with a request as such. Listed in docs/errors.md, never renamed."""

    SIGN_IN_REQUIRED = "sign_in_required"
    SIGN_IN_UNAVAILABLE = "sign_in_unavailable"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    ORIGIN_REFUSED = "origin_refused"
    HOST_REFUSED = "host_refused"
    NO_SUCH_PATH = "no_such_path"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    INVALID_LINK = "invalid_link"
    LINK_EXPIRED = "link_expired"
    INTERNAL_ERROR = "internal_error"


class HttpRefused(Exception):
    """A request that is refused as such.

    Attributes:
        code: one of `HttpCode`.
        message: one sentence.
        hint: what would be accepted.
    """

    def __init__(self, code: HttpCode, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


STATUS: Mapping[str, int] = {
    CallCode.INVALID_ARGUMENTS: 400,
    CallCode.UNKNOWN_SOURCE: 404,
    # what is well formed, and the caller can mend
    **dict.fromkeys(RefusalCode, 422),
    ErrorCode.INVALID_CURSOR: 422,
    ErrorCode.STATEMENT_FAILED: 422,
    ErrorCode.STATEMENT_TIMEOUT: 422,
    ErrorCode.RESULT_TOO_LARGE: 422,
    ErrorCode.TOO_EXPENSIVE: 422,
    ErrorCode.INVALID_ANSWER: 422,
    ErrorCode.CANNOT_ANSWER: 422,
    ErrorCode.NO_WORKING_SQL: 422,
    CallCode.NO_MODEL: 422,
    CallCode.UNKNOWN_CONVERSATION: 404,
    # what has to be asked for anew, or otherwise
    ErrorCode.NEEDS_CONFIRMATION: 409,
    ErrorCode.POLICY_CHANGED: 409,
    ErrorCode.IDEMPOTENCY_CONFLICT: 409,
    ErrorCode.RESULT_RESTARTED: 409,
    ErrorCode.STATEMENT_EXPIRED: 409,
    ErrorCode.INPUT_TIMEOUT: 409,
    ErrorCode.NOT_WAITING: 409,
    ErrorCode.HUMAN_REQUIRED: 403,
    ErrorCode.ATTRIBUTE_MISSING: 403,
    # what is not there, or no longer
    ErrorCode.JOB_NOT_FOUND: 404,
    ErrorCode.INVALID_HANDLE: 404,
    ErrorCode.JOB_LOST: 410,
    ErrorCode.RESULT_EXPIRED: 410,
    # what may go away by itself
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.BUDGET_EXHAUSTED: 429,
    ErrorCode.MODEL_UNAVAILABLE: 503,
    ErrorCode.WORKER_LOST: 503,
    ErrorCode.NO_WORKERS: 503,
    ErrorCode.QUEUE_FULL: 503,
    ErrorCode.EXECUTOR_UNAVAILABLE: 503,
    ErrorCode.STORE_UNAVAILABLE: 503,
    ErrorCode.SOURCE_BUSY: 503,
    ErrorCode.SOURCE_NOT_READY: 503,
    # what somebody has to mend behind us
    ErrorCode.SOURCE_UNAVAILABLE: 502,
    ErrorCode.SOURCE_REMOVED: 410,
    ErrorCode.SOURCE_AUTH_FAILED: 502,
    ErrorCode.STORE_FULL: 507,
    ErrorCode.INVALID_SETTINGS: 500,
    HttpCode.SIGN_IN_REQUIRED: 401,
    HttpCode.SIGN_IN_UNAVAILABLE: 503,
    HttpCode.INSUFFICIENT_SCOPE: 403,
    HttpCode.ORIGIN_REFUSED: 403,
    HttpCode.HOST_REFUSED: 421,
    HttpCode.NO_SUCH_PATH: 404,
    HttpCode.METHOD_NOT_ALLOWED: 405,
    HttpCode.NOT_ACCEPTABLE: 406,
    HttpCode.BODY_TOO_LARGE: 413,
    HttpCode.UNSUPPORTED_MEDIA_TYPE: 415,
    HttpCode.RANGE_NOT_SATISFIABLE: 416,
    HttpCode.INVALID_LINK: 404,
    HttpCode.LINK_EXPIRED: 410,
    HttpCode.INTERNAL_ERROR: 500,
}
"""The HTTP status of every code."""

_OF_STATUS: Mapping[int, tuple[StrEnum, str]] = {
    400: (CallCode.INVALID_ARGUMENTS, "The request cannot be understood."),
    401: (HttpCode.SIGN_IN_REQUIRED, "Sign in first."),
    403: (HttpCode.ORIGIN_REFUSED, "Web pages of that origin may not ask this server."),
    404: (HttpCode.NO_SUCH_PATH, "There is nothing at this path."),
    405: (HttpCode.METHOD_NOT_ALLOWED, "This path does not know that method."),
    416: (HttpCode.RANGE_NOT_SATISFIABLE, "The file does not have that range."),
    421: (HttpCode.HOST_REFUSED, "This server does not answer to that name."),
    429: (ErrorCode.RATE_LIMITED, "Too many calls."),
    503: (HttpCode.SIGN_IN_UNAVAILABLE, "Nobody can sign in now."),
}
"""What an answer is about that was made without a code: by the router, by a file's response, before sign-in."""

_NEXT_STEP: Mapping[str, str] = {
    CallCode.INVALID_ARGUMENTS: "Mend the request and send it again; GET /v1/openapi.json describes it.",
    ErrorCode.RATE_LIMITED: "Send it again after the seconds that Retry-After names.",
    HttpCode.SIGN_IN_REQUIRED: "Send Authorization: Bearer TOKEN.",
    HttpCode.SIGN_IN_UNAVAILABLE: "Send it again after the seconds that Retry-After names.",
    HttpCode.INSUFFICIENT_SCOPE: "Ask for a token with that scope.",
    HttpCode.ORIGIN_REFUSED: "Whoever runs the server can add it to [mcp_server] allowed_origins.",
    HttpCode.HOST_REFUSED: "Whoever runs the server can add it to [mcp_server] allowed_hosts.",
    HttpCode.RANGE_NOT_SATISFIABLE: "Ask for the length first: HEAD.",
    HttpCode.INVALID_LINK: "POST /v1/jobs/{job_id}/export makes a link.",
    HttpCode.LINK_EXPIRED: "POST /v1/jobs/{job_id}/export makes a new link.",
    HttpCode.INTERNAL_ERROR: "Tell whoever runs the server; its log has more.",
}
_LOOK_UP = "GET /v1/openapi.json tells what there is."


class Problem(BaseModel):
    """What went wrong. `code` never changes; words may."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str = Field(description="A URN made from the code.")
    title: str = Field(description="The code in words.")
    status: int
    detail: str = Field(description="One sentence.")
    code: str = Field(description="Stable; docs/errors.md lists them all.")
    hint: str | None = Field(default=None, description="The right spelling, or what there is to choose from.")
    position: int | None = Field(default=None, description="1-based character of the SQL.")
    line: int | None = None
    column: int | None = None
    next_step: str = Field(description="What to do now.")


def problem_of(error: AnsweredError | HttpRefused) -> Problem:
    """`error` as problem details."""
    if isinstance(error, HttpRefused):
        return _problem(error.code, error.message, {"hint": error.hint or None})
    told = error_content(error)
    code, message, step = told.pop("code"), told.pop("message"), told.pop("next_step")
    if "hint" in told:
        told["hint"] = in_http(told["hint"])
    return _problem(code, message, told, step=in_http(step))


def problem_answer(error: AnsweredError | HttpRefused, *, headers: Mapping[str, str] | None = None) -> Response:
    """`error` as a response, with ``Retry-After`` where it may go away by itself."""
    problem = problem_of(error)
    told = dict(headers or {})
    if problem.status in {429, 503}:
        told.setdefault("Retry-After", _RETRY_S)
    return Response(_json(problem), problem.status, told, MEDIA_TYPE)


def _problem(code: str, message: str, more: Mapping[str, Any], *, step: str = _LOOK_UP) -> Problem:
    return Problem(
        type=f"urn:awaitsql:error:{code}",
        title=str(code).replace("_", " ").capitalize(),
        status=STATUS[code],
        detail=message,
        code=str(code),
        next_step=_NEXT_STEP.get(code, step),
        **more,
    )


def _json(problem: Problem) -> bytes:
    return problem.model_dump_json(exclude_none=True).encode()


class Problems:
    """Middleware: makes problem details of refusals below `path` that were not made here. Keeps their headers."""

    def __init__(self, app: ASGIApp, *, path: str) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http" or not scope["path"].startswith(self._path):
            await self._app(scope, receive, send)
            return
        refusal: Message | None = None
        said = bytearray()

        async def watched(message: Message) -> None:
            nonlocal refusal
            if message["type"] == "http.response.start" and message["status"] >= 400:
                if not Headers(raw=message["headers"]).get("content-type", "").startswith(MEDIA_TYPE):
                    refusal = message
                    return
            elif refusal is not None:
                said.extend(message.get("body", b""))
                if message.get("more_body"):
                    return
                body = _json(_said_elsewhere(refusal["status"], bytes(said)))
                headers = MutableHeaders(raw=refusal["headers"])
                headers["content-type"], headers["content-length"] = MEDIA_TYPE, str(len(body))
                await send({**refusal, "headers": headers.raw})
                message = {**message, "body": body}
            await send(message)

        await self._app(scope, receive, watched)


def _said_elsewhere(status: int, body: bytes) -> Problem:
    code, message = _OF_STATUS.get(status, (HttpCode.INTERNAL_ERROR, "Something went wrong here."))
    try:
        told: Any = json.loads(body)
    except ValueError:
        told = None
    if isinstance(told, dict) and isinstance(told.get("error_description"), str):
        message = told["error_description"]
        if told.get("error") == HttpCode.INSUFFICIENT_SCOPE:
            code = HttpCode.INSUFFICIENT_SCOPE
    # what it is told with counts, even where no code has that status
    return _problem(code, message, {}).model_copy(update={"status": status})
