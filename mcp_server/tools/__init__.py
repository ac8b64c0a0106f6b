"""The tools, in the order they are listed. Each module has one role; `all_tools` joins them with what they need."""

from __future__ import annotations

from mcp_server.tools.access import Access
from mcp_server.tools.ask import ask_tool
from mcp_server.tools.checked import CheckedTool
from mcp_server.tools.export import Delivery, export_tool
from mcp_server.tools.jobs import job_tools
from mcp_server.tools.query import query_tool
from mcp_server.tools.results import query_result_tool
from mcp_server.tools.rows import rows_tool
from mcp_server.tools.sources import source_tools
from mcp_server.tools.values import values_tool
from mcp_server.tools.verified import verified_tool

__all__ = ["MAKE_JOBS", "Access", "CheckedTool", "all_tools"]

MAKE_JOBS = frozenset({"query", "ask", "query_result"})
"""The tools whose answer may be a job that goes on."""


def all_tools(access: Access, *, delivery: Delivery) -> list[CheckedTool]:
    """Every tool, in the order of the list a client sees, ``ask`` only where a model is configured.

    `delivery` is how ``export`` hands over its files.
    """
    get_job, answer_job, cancel_job, list_jobs = job_tools(access)
    over_results = [query_result_tool(access), export_tool(access, delivery)]
    asks = [] if access.settings.ask is None else [ask_tool(access)]
    return [
        *source_tools(access),
        values_tool(access),
        query_tool(access),
        *asks,
        get_job,
        rows_tool(access),
        *over_results,
        answer_job,
        cancel_job,
        list_jobs,
        verified_tool(access),
    ]
