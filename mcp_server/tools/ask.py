"""The tool ``ask``: a question in plain words, answered by SQL that a configured model writes, as a job."""

from __future__ import annotations

from typing import Annotated

from mcp_types import CallToolResult, InputRequiredResult
from pydantic import Field

from mcp_server.questions import Asking, submitted_question
from mcp_server.tools.access import Access, ToolContext
from mcp_server.tools.arguments import Arguments
from mcp_server.tools.asked import answered_before
from mcp_server.tools.checked import READS, CheckedTool, checked_tool
from mcp_server.tools.query import answered
from mcp_server.waiting import clamped_wait


class AskArguments(Arguments):
    """See the tool's description."""

    question: str
    source: str | None = None
    wait_seconds: Annotated[float, Field(ge=0)] = 20
    conversation: Annotated[str | None, Field(description="Of the answer it follows")] = None
    max_rows: Annotated[int | None, Field(ge=1)] = None
    idempotency_key: Annotated[str | None, Field(min_length=1, max_length=200)] = None


def ask_tool(access: Access) -> CheckedTool:
    """``ask`` over `access`."""

    async def ask(arguments: AskArguments, context: ToolContext) -> CallToolResult | InputRequiredResult:
        principal = access.principal_of(context)
        wait_s, warnings = clamped_wait(arguments.wait_seconds)
        asking = Asking(
            question=arguments.question,
            source=arguments.source,
            max_rows=arguments.max_rows,
            conversation=arguments.conversation,
            idempotency_key=arguments.idempotency_key,
        )
        job = await answered_before(access, context, owner=principal.owner)
        if job is None:
            job = await submitted_question(access, principal, asking)
        return await answered(
            access,
            job,
            owner=principal.owner,
            wait_s=wait_s,
            context=context,
            warnings=warnings,
        )

    return checked_tool(
        "ask",
        AskArguments,
        ask,
        calls=access.calls,
        description="A question in plain words; a model here writes the SQL. A job like query's.",
        annotations=READS,
    )
