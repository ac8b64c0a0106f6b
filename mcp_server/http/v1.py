"""``/v1``: jobs for programs. Joins its operations and their description; each has a module of its own."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from mcp_server.http.asking import Asked, asked
from mcp_server.http.events import events_operation
from mcp_server.http.exports import export_operations
from mcp_server.http.jobs import job_operations
from mcp_server.http.openapi import document
from mcp_server.http.operations import Answer, Operation, routes_of
from mcp_server.http.reach import WebReach
from mcp_server.http.results import results_operation
from mcp_server.http.rows import rows_operation
from mcp_server.http.sources import source_operations
from mcp_server.http.views import json_answer


def v1_operations(reach: WebReach) -> list[Operation]:
    """Every operation but the one that describes them."""
    return [
        *source_operations(reach),
        *job_operations(reach),
        results_operation(reach),
        rows_operation(reach),
        events_operation(reach),
        *export_operations(reach),
    ]


def v1_application(reach: WebReach, *, version: str, metadata_url: str | None) -> Starlette:
    """The application to be mounted at ``/v1``.

    Args:
        reach: what its operations are done with.
        version: of the product.
        metadata_url: where clients learn how to sign in.
    """
    operations = v1_operations(reach)

    async def openapi(request: Request) -> Response:
        asked(request, Asked)
        return json_answer(described, headers={"Cache-Control": "no-cache"})

    operations.append(
        Operation(
            name="openapi",
            method="GET",
            path="/openapi.json",
            summary="This description.",
            scope=None,
            endpoint=openapi,
            answers={200: Answer(description="OpenAPI 3.1.", content={"application/json": None})},
        )
    )
    described = document(operations, version=version, signs_in=reach.settings.auth is not None)
    return Starlette(routes=routes_of(operations, reach.calls, metadata_url=metadata_url))
