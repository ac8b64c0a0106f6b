"""The guard's door and the order of its rules: text in, statement or refusal out. Runs nothing."""

from __future__ import annotations

from dataclasses import replace

from executor import Limits, SourceSchema, Statement
from mcp_server.policy import Grant
from mcp_server.sql.calls import calls
from mcp_server.sql.checked import Rule, begin
from mcp_server.sql.columns import columns
from mcp_server.sql.emit import emit
from mcp_server.sql.explain import explain
from mcp_server.sql.fences import fences
from mcp_server.sql.intake import intake
from mcp_server.sql.limit import limit
from mcp_server.sql.names import names
from mcp_server.sql.nodes import nodes
from mcp_server.sql.parse import parse
from mcp_server.sql.plainer import plainer
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.result_names import result_names
from mcp_server.sql.second_opinion import second_opinion
from mcp_server.sql.spacing import spacing
from mcp_server.sql.statement import statement

RULES: tuple[Rule, ...] = (
    intake,
    statement,
    spacing,
    explain,
    parse,
    plainer,
    nodes,
    calls,
    second_opinion,
    result_names,
    names,
    columns,
    limit,
    fences,
    emit,
)
"""The passes, in order. `emit` must be the last."""


def check(sql: str, *, source_schema: SourceSchema, grant: Grant, limits: Limits) -> Statement:
    """The statement that `sql` stands for, safe to run on the source and rewritten to what `grant` gives.

    Args:
        sql: text from a model, untrusted.
        source_schema: what the source holds, as a worker found it.
        grant: what the principal may read of it.
        limits: what the job may use, lowered to the grant's ``max_rows``; the statement gives at most one row more.

    Raises:
        StatementRefused: the guard says no. Whatever goes wrong in here is a refusal, too.
    """
    if grant.max_rows is not None and grant.max_rows < limits.max_rows:
        limits = replace(limits, max_rows=grant.max_rows)
    try:
        checked = begin(sql, source_schema, grant, limits)
        for rule in RULES:
            rule(checked)
    except StatementRefused:
        raise
    except (RecursionError, MemoryError) as error:
        raise StatementRefused(
            RefusalCode.TOO_COMPLEX, "The SQL is nested too deeply.", hint="Split it into smaller statements."
        ) from error
    except Exception as error:  # Fail closed: what we did not foresee is not let through.
        raise StatementRefused(
            RefusalCode.CONSTRUCT_NOT_ALLOWED,
            "The SQL could not be checked, so it was not run.",
            hint="Write it in plainer terms.",
        ) from error
    return Statement(
        source=source_schema.source,
        sql=checked.text,
        shown_sql=checked.shown,
        limits=limits,
        policy_hash=grant.hash(),
        tables=tuple(f"{schema}.{name}" for schema, name in checked.tables),
    )
