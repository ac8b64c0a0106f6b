"""``/v1/jobs/{job_id}/rows``: a page of rows as JSON, CSV or an Arrow stream, whichever the client accepts."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from executor import ResultPage
from mcp_server.auth.scopes import READ
from mcp_server.held import held_job
from mcp_server.http.asking import Asked, asked
from mcp_server.http.negotiation import chosen
from mcp_server.http.operations import Answer, Operation
from mcp_server.http.problems import HttpCode, HttpRefused
from mcp_server.http.reach import WebReach
from mcp_server.http.views import NOT_KEPT, json_answer, path_of
from mcp_server.views import ColumnView, PageView

_JSON = "application/json"
_BLOCKS: dict[str, Literal["csv", "arrow_stream"]] = {
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow_stream",
}
_OFFERED = (_JSON, *_BLOCKS)
_CUT = "cells were cut, because their row alone is larger than a page; CSV, Arrow and exports have them whole."


class RowsAsked(Asked):
    """Which rows."""

    cursor: Annotated[str, Field(description="next_cursor of the page before; none: from the first row.")] = ""
    limit: Annotated[
        int,
        Field(ge=1, le=1_000_000, description="Rows. A page ends sooner: JSON at 32 kB, the others at 8 MB of data."),
    ] = 1_000
    columns: Annotated[list[str], Field(default_factory=list[str], description="Only these, in this order.")]


def rows_operation(reach: WebReach) -> Operation:
    """Pages of rows, over `reach`."""

    async def rows(request: Request) -> Response:
        principal = reach.caller_of(request)
        told = asked(request, RowsAsked)
        kind = chosen(request.headers.get("accept", ""), _OFFERED)
        if kind is None:
            raise HttpRefused(HttpCode.NOT_ACCEPTABLE, "Rows cannot be had like that.", hint=", ".join(_OFFERED))
        job = await held_job(reach, principal, request.path_params["job_id"])
        cursor, columns = told.cursor or None, told.columns or None
        if kind == _JSON:
            page = await reach.executor.page(
                job.id, owner=principal.owner, cursor=cursor, limit=told.limit, columns=columns
            )
            more = _next(path_of(job), page.next_cursor, told)
            return json_answer(_page(page, job.id, more).content(), headers=_link(more))
        block = await reach.executor.block(
            job.id, owner=principal.owner, format=_BLOCKS[kind], cursor=cursor, limit=told.limit, columns=columns
        )
        more = _next(path_of(job), block.next_cursor, told)
        headers = {**NOT_KEPT, **_link(more), "X-Content-Type-Options": "nosniff"}
        return Response(block.data, headers=headers, media_type=kind)

    return Operation(
        name="get_rows",
        method="GET",
        path="/jobs/{job_id}/rows",
        summary="A page of a job's rows, from the first or from cursor; also while the job still runs.",
        scope=READ,
        endpoint=rows,
        query=RowsAsked,
        answers={
            200: Answer(
                description="The page. Read on at Link while there is one; an empty page with one comes too early.",
                content={_JSON: PageView, **dict.fromkeys(_BLOCKS)},
                headers={"Link": 'The next page: <address>; rel="next".', "Vary": "Accept."},
            )
        },
    )


def _next(path: str, cursor: str | None, told: RowsAsked) -> str | None:
    if cursor is None:
        return None
    return f"{path}/rows?" + urlencode({"cursor": cursor, "limit": told.limit, "columns": told.columns}, doseq=True)


def _link(more: str | None) -> dict[str, str]:
    return {"Vary": "Accept"} if more is None else {"Vary": "Accept", "Link": f'<{more}>; rel="next"'}


def _page(page: ResultPage, job_id: str, more: str | None) -> PageView:
    """Every cell as it is: a program has no context to flood."""
    if not page.rows and not page.complete:
        step = f"GET /v1/jobs/{job_id}?wait_seconds=30: the job still runs, no rows from here on yet."
    elif more is not None:
        step = f"GET {more} reads on."
    else:
        step = "These are the last rows; nothing more to fetch."
    return PageView(
        job_id=job_id,
        columns=[ColumnView(name=column.name, type=column.type) for column in page.columns],
        rows=page.rows,
        offset=page.offset,
        next_cursor=page.next_cursor,
        complete=page.complete,
        warnings=[] if not page.cut_cells else [f"{page.cut_cells} {_CUT}"],
        next_step=step,
    )
