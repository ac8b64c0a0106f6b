"""A page of a result as a model is shown it: bounded in rows, characters and the length of a cell."""

from __future__ import annotations

from typing import Any

from executor import ResultPage
from mcp_server.bounds import CELL_CHARS, columns_that_fit, cut_cell, preview
from mcp_server.principal import Principal
from mcp_server.reach import Reach
from mcp_server.views import PageView
from mcp_server.wire import page_view

PAGE_CHARS = 16_000
"""The most characters of rows in one page as JSON, whatever `limit` and `cell_chars` say."""

MAX_PAGE_ROWS = 1_000
MAX_CELL_CHARS = 20_000


async def read_page(
    reach: Reach,
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
    reach.policies.hold(principal, await reach.executor.get(job_id, owner=owner))
    warnings: list[str] = []
    if limit > MAX_PAGE_ROWS:
        warnings.append(f"limit was cut from {limit} to {MAX_PAGE_ROWS} rows a page.")
    if cell_chars > MAX_CELL_CHARS:
        warnings.append(f"cell_chars was cut from {cell_chars} to {MAX_CELL_CHARS}.")

    async def page_of(rows: int) -> ResultPage:
        return await reach.executor.page(job_id, owner=owner, cursor=cursor, limit=rows, columns=columns)

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
    if page.cut_cells:
        warnings.append(f"{page.cut_cells} cells are longer than any page shows; export has them whole.")
    elif cut_cells:
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
