"""``/v1/sources``: which databases there are, and their tables."""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from mcp_server.auth.scopes import READ
from mcp_server.http.asking import Asked, asked
from mcp_server.http.operations import Answer, Operation
from mcp_server.http.reach import WebReach
from mcp_server.http.shapes import SourceList, TableList
from mcp_server.http.steps import in_http
from mcp_server.http.views import json_answer
from mcp_server.sources import MOST_NAMES, MOST_OF_A_COLUMN, READY_WITHIN_S, described, list_of_sources
from mcp_server.sql import RefusalCode, StatementRefused


class TablesAsked(Asked):
    """Which tables."""

    tables: Annotated[
        list[str],
        Field(
            default_factory=list[str],
            max_length=MOST_NAMES,
            description="Names; * matches any letters; none: a line for each table.",
        ),
    ]
    columns: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MOST_OF_A_COLUMN,
            description="A column's name, or a part of one with *: only such columns are told.",
        ),
    ] = None


def source_operations(reach: WebReach) -> list[Operation]:
    """Sources and their tables, over `reach`."""

    async def sources(request: Request) -> Response:
        asked(request, Asked)
        told = await list_of_sources(reach, reach.caller_of(request))
        return json_answer({"sources": told})

    async def tables(request: Request) -> Response:
        principal = reach.caller_of(request)
        wanted = asked(request, TablesAsked)
        source = reach.source(principal, request.path_params["source"])
        known = await reach.known(principal, source.name, wait_s=READY_WITHIN_S)
        content, is_error = await asyncio.to_thread(described, known, wanted.tables, wanted.columns)
        if is_error:
            error = content["error"]
            raise StatementRefused(RefusalCode(error["code"]), error["message"], hint=error["hint"])
        if "next_step" in content:
            content["next_step"] = in_http(content["next_step"])
        return json_answer(content)

    return [
        Operation(
            name="list_sources",
            method="GET",
            path="/sources",
            summary="The databases here.",
            scope=READ,
            endpoint=sources,
            answers={200: Answer(description="A line each.", content={"application/json": SourceList})},
        ),
        Operation(
            name="describe_tables",
            method="GET",
            path="/sources/{source}/tables",
            summary="Tables of a source; of those that are named, columns, types, keys and comments.",
            scope=READ,
            endpoint=tables,
            query=TablesAsked,
            answers={200: Answer(description="The tables.", content={"application/json": TableList})},
        ),
    ]
