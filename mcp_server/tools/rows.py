"""The tool ``get_rows``: pages through the rows of a result. Makes no job and waits for none."""

from __future__ import annotations

from typing import Annotated, Any

from mcp_types import CallToolResult
from pydantic import Field

from executor import ResultPage
from mcp_server.bounds import CELL_CHARS, columns_that_fit, cut_cell, preview
from mcp_server.errors import answer
from mcp_server.principal import Principal
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments, Names
from mcp_server.tools.checked import READS, CheckedTool, checked_tool
from mcp_server.wire import PageView, page_view

PAGE_CHARS = 16_000
"""The most characters of rows in one page as JSON, whatever `limit` and `cell_chars` say."""

MAX_PAGE_ROWS = 1_000
MAX_CELL_CHARS = 20_000


class GetRowsArguments(Arguments):
    """See the tool's description."""

    job_id: str
    cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None
    limit: Annotated[int, Field(ge=1, description="Rows, at most 1000")] = 100
    columns: Annotated[Names | None, Field(description="Only these columns")] = None
    cell_chars: Annotated[int, Field(ge=1, description="Longer cells are cut")] = CELL_CHARS


def rows_tool(access: Access) -> CheckedTool:
    """``get_rows`` over `access`."""

    async def get_rows(arguments: GetRowsArguments, context: ToolContext) -> CallToolResult:
        view = await read_page(
            access,
            principal=access.principal_of(context),
            job_id=arguments.job_id,
            cursor=arguments.cursor,
            limit=arguments.limit,
            columns=arguments.columns,
            cell_chars=arguments.cell_chars,
        )
        return answer(view.content())

    return checked_tool(
        "get_rows",
        GetRowsArguments,
        get_rows,
        description=(
            "A page of a job's rows, from the first or from cursor; also while the job still runs. Use it to show "
            "rows, not to add them up."
        ),
        annotations=READS,
    )


async def read_page(
    access: Access,
    *,
    principal: Principal,
    job_id: str,
    cursor: str | None = None,
    limit: int = 100,
    columns: list[str] | None = None,
    cell_chars: int = CELL_CHARS,
) -> PageView:
    """One page of at most `limit` rows and `PAGE_CHARS` characters, with cells of at most `cell_chars` characters.

    Raises:
        ExecutorError: as `Executor.page`; ``policy_changed`` where the caller may no longer read what the job read.
    """
    owner = principal.owner
    access.policies.hold(principal, await access.executor.get(job_id, owner=owner))
    warnings: list[str] = []
    if limit > MAX_PAGE_ROWS:
        warnings.append(f"limit was cut from {limit} to {MAX_PAGE_ROWS} rows a page.")
    if cell_chars > MAX_CELL_CHARS:
        warnings.append(f"cell_chars was cut from {cell_chars} to {MAX_CELL_CHARS}.")

    async def page_of(rows: int) -> ResultPage:
        return await access.executor.page(job_id, owner=owner, cursor=cursor, limit=rows, columns=columns)

    most = min(limit, MAX_PAGE_ROWS)
    page = await page_of(most)
    cells = min(cell_chars, MAX_CELL_CHARS)
    width = len(columns_that_fit(page.columns))
    if width < len(page.columns):
        warnings.append(f"Only the first {width} of {len(page.columns)} columns are shown; name columns for others.")
    shown = preview(page.rows, max_chars=PAGE_CHARS, cell_chars=cells, columns=width)
    rows, cut_cells = shown.rows, shown.cut_cells
    if page.rows and not rows:
        rows, cut_cells = _first_row(page.rows[0][:width], cells)
    if len(rows) < len(page.rows):
        # The cursor of a shorter page is the executor's to make.
        warnings.append(f"The page ends after {len(rows)} rows: {PAGE_CHARS} characters are the most at once.")
        page = await page_of(len(rows))
    if cut_cells:
        warnings.append(f"{cut_cells} long cells were cut; a larger cell_chars (to {MAX_CELL_CHARS}) shows more.")
    return page_view(page, job_id=job_id, shown=rows, warnings=warnings)


def _first_row(row: list[Any], cell_chars: int) -> tuple[list[list[Any]], int]:
    """A row that alone is more than a page: its cells are cut until it is one."""
    while cell_chars > 1:
        cell_chars //= 2
        shown = preview([row], max_chars=PAGE_CHARS, cell_chars=cell_chars)
        if shown.rows:
            return shown.rows, shown.cut_cells
    return [[cut_cell(value, 1)[0] for value in row]], len(row)
