"""The server that the official suite's tasks scenarios want: their tools, over everything of the product's.

Access, statements, submits, the Tasks extension, subscriptions and the HTTP application are the product's own, and the
jobs run in a real worker; the task that asks its client something is a job of the product's that waits for a yes. Only
what no job can do is added here: a task that asks two things at once, and one that ends in a JSON-RPC error.

    python fixture_server.py PORT FILE
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer, require_client_extension
from mcp_types import (
    INTERNAL_ERROR,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    TextContent,
)
from prometheus_client import CollectorRegistry

from executor import CostGate, Job
from mcp_server.app import caller_of, local_caller
from mcp_server.declared import TASKS
from mcp_server.http.application import http_application
from mcp_server.http.departure import Departure
from mcp_server.http.downloads import Downloads
from mcp_server.http.links import Links
from mcp_server.http.loopback import listening_socket
from mcp_server.http.reach import WebReach
from mcp_server.machine import Machine, running_machine
from mcp_server.principal import Principal
from mcp_server.queries import submitted
from mcp_server.settings import Settings, load_settings
from mcp_server.submission import checked_statement
from mcp_server.subscriptions import Subscriptions
from mcp_server.tasks import JobTasks, Task
from mcp_server.tasks_extension import TasksExtension
from mcp_server.tools.access import Access
from mcp_server.tools.as_task import mark
from mcp_server.tools.query import answered

ROWS_A_SECOND = 1_000_000
"""A fraction of what a free machine counts in a second: a busy one takes no longer than the suite waits."""

ToolContext = Context[Any, Any]


def counting(rows: int, select: str = "count(*) as n") -> str:
    """A statement that counts so many rows before it answers with `select`."""
    return f"with recursive r(n) as (select 1 union all select n + 1 from r where n < {rows}) select {select} from r"


FOR_EVER = counting(4_000_000_000)


class FixtureTasks(JobTasks):
    """The product's tasks, of which some ask two things at once and some break."""

    def __init__(self, access: Access) -> None:
        super().__init__(access)
        self._asked: dict[str, dict[str, Any]] = {}
        self._broken: set[str] = set()

    def ask(self, task_id: str, requests: Mapping[str, Any]) -> None:
        """The task waits until every one of the requests is answered."""
        self._asked[task_id] = dict(requests)

    def breaks(self, task_id: str) -> None:
        """The task ends in a JSON-RPC error, whatever its job ends in."""
        self._broken.add(task_id)

    def of_job(self, job: Job, principal: Principal) -> Task:
        task = super().of_job(job, principal)
        if self._asked.get(job.id):
            return replace(
                task, status="input_required", result=None, poll_s=1.0, input_requests=dict(self._asked[job.id])
            )
        if job.id in self._broken and job.is_finished:
            error = {"code": INTERNAL_ERROR, "message": "The call broke."}
            return replace(task, status="failed", message="The call broke.", result=None, error=error)
        return task

    async def cancel(self, task_id: str, principal: Principal) -> None:
        await super().cancel(task_id, principal)
        self._asked.pop(task_id, None)

    async def update(self, task_id: str, principal: Principal, responses: Mapping[str, Any]) -> None:
        await super().update(task_id, principal, responses)
        for key in responses:
            self._asked.get(task_id, {}).pop(key, None)


def question(message: str, field: str, kind: str) -> dict[str, Any]:
    """An elicitation as it stands in a task."""
    asked = ElicitRequest(params=_form(message, field, kind))
    return asked.model_dump(by_alias=True, mode="json", exclude_none=True)


def _form(message: str, field: str, kind: str) -> ElicitRequestFormParams:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequestFormParams(message=message, requested_schema=schema)


def build(machine: Machine, settings: Settings) -> MCPServer[Any]:
    """The server with the suite's tools."""
    caller = local_caller(settings.mcp_server)
    access = Access(
        executor=machine.executor,
        settings=settings.mcp_server,
        principal_of=lambda _context: caller(),
        policies=machine.policies,
        farewells=machine.farewells,
    )
    tasks = FixtureTasks(access)
    server: MCPServer[Any] = MCPServer("fixture", extensions=[TasksExtension(tasks)], log_level="WARNING")
    Subscriptions(access, tasks).add_to(server)

    async def query(
        context: ToolContext, sql: str, cost: CostGate | None = None
    ) -> tuple[Job, CallToolResult | InputRequiredResult]:
        principal = access.principal_of(context)
        limits = access.executor.settings.limits.limits()
        statement = await checked_statement(
            access.executor, access.policies, principal, sql, source="shop", limits=limits, dialect=None
        )
        job = await submitted(
            access, replace(statement, cost=cost), owner=principal.owner, fresh=True, asks=cost is not None
        )
        return job, await answered(access, job, owner=principal.owner, wait_s=0, context=context, warnings=[])

    @server.tool()
    async def greet(name: str) -> CallToolResult:
        return CallToolResult(content=[TextContent(type="text", text=f"Hello, {name}!")])

    @server.tool()
    async def slow_compute(
        seconds: float, context: ToolContext, label: str = ""
    ) -> CallToolResult | InputRequiredResult:
        sql = counting(int(seconds * ROWS_A_SECOND)) if seconds else "select 1 as one"
        if seconds > 10:
            sql = FOR_EVER
        return (await query(context, sql))[1]

    @server.tool()
    async def failing_job(context: ToolContext) -> CallToolResult | InputRequiredResult:
        require_client_extension(context.request_context, TASKS)
        sql = counting(ROWS_A_SECOND, f"abs(-9223372036854775808 + max(n) - {ROWS_A_SECOND}) as n")
        return (await query(context, sql))[1]

    @server.tool()
    async def protocol_error_job(context: ToolContext) -> CallToolResult:
        require_client_extension(context.request_context, TASKS)
        job, result = await query(context, "select 1 as one")
        tasks.breaks(job.id)
        return mark(result, job.id)

    @server.tool()
    async def confirm_delete(filename: str, context: ToolContext) -> CallToolResult | InputRequiredResult:
        require_client_extension(context.request_context, TASKS)
        del filename
        return (await query(context, "select count(*) as deleted from orders", cost=CostGate(confirm=1)))[1]

    @server.tool()
    async def multi_input(context: ToolContext) -> CallToolResult:
        require_client_extension(context.request_context, TASKS)
        job, result = await query(context, "select 2 as answers")
        asked = {"name": question("Who?", "name", "string"), "confirm": question("Sure?", "confirm", "boolean")}
        tasks.ask(job.id, asked)
        return mark(result, job.id)

    @server.tool()
    async def test_tool_with_task(context: ToolContext) -> CallToolResult | InputRequiredResult:
        require_client_extension(context.request_context, TASKS)
        responses = context.input_responses
        if not responses or "user_name" not in responses:
            asked = ElicitRequest(params=_form("Who are you?", "name", "string"))
            return InputRequiredResult(input_requests={"user_name": asked})
        content = responses["user_name"].content or {}  # pyright: ignore[reportAttributeAccessIssue]
        name = str(content.get("name", "")).replace("'", "''")
        job, result = await query(context, counting(ROWS_A_SECOND, f"'{name}' as name, count(*) as n"))
        return mark(result, job.id)

    return server


async def main(port: int, file: Path) -> None:
    """Serve until the process is told to stop."""
    state = {"AWAITSQL_EXECUTOR__STATE_DIR": str(file.parent / "state")}
    settings = load_settings(config=None, databases=[str(file)], environ=state)
    async with running_machine(settings, workers=1, submits=True) as machine:
        await machine.executor.source_schema("shop", wait_s=30)
        reach = WebReach(
            executor=machine.executor,
            settings=settings.mcp_server,
            policies=machine.policies,
            farewells=machine.farewells,
            caller_of=caller_of(settings.mcp_server),
            downloads=Downloads(machine.executor, Links(machine.link_key, policies=lambda: machine.policies.version)),
        )
        departure = Departure(machine.executor, machine.farewells)
        application = http_application(
            build(machine, settings), reach, departure, version="", registry=CollectorRegistry()
        )
        with listening_socket("127.0.0.1", port) as listening:
            config = uvicorn.Config(application, log_config=None, access_log=False, timeout_graceful_shutdown=1)
            await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
