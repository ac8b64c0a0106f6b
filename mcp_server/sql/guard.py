"""The guard's door and the order of its rules: text in, statement or refusal out. Runs nothing."""

from __future__ import annotations

from dataclasses import replace

from executor import Limits, SourceSchema, Statement, Touch
from mcp_server.policy import Grant
from mcp_server.sql.calls import calls
from mcp_server.sql.cautions import cautions
from mcp_server.sql.checked import Checked, Rule, begin
from mcp_server.sql.columns import columns
from mcp_server.sql.emit import emit
from mcp_server.sql.explain import explain
from mcp_server.sql.fences import fences
from mcp_server.sql.granted import GrantedTable
from mcp_server.sql.intake import intake
from mcp_server.sql.limit import limit
from mcp_server.sql.names import names
from mcp_server.sql.nodes import nodes
from mcp_server.sql.parse import parse
from mcp_server.sql.plainer import plainer
from mcp_server.sql.refusal import RefusalCode, StatementRefused
from mcp_server.sql.result_names import result_names
from mcp_server.sql.second_opinion import second_opinion
from mcp_server.sql.shareable import is_shareable
from mcp_server.sql.spacing import spacing
from mcp_server.sql.statement import statement
from mcp_server.sql.telling import Telling
from mcp_server.sql.translate import translated

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


def check(
    sql: str,
    *,
    source_schema: SourceSchema,
    grant: Grant,
    limits: Limits,
    dialect: str | None = None,
    telling: Telling | None = None,
) -> Statement:
    """The statement that `sql` stands for, safe to run on the source and rewritten to what `grant` gives.

    Args:
        sql: text from a model, untrusted.
        source_schema: what the source holds, as a worker found it.
        grant: what the principal may read of it.
        limits: what the job may use, lowered to the grant's own; the statement gives at most ``max_rows`` + 1 rows.
        dialect: what `sql` is written in, where that is not the source's own dialect; it is translated first, and what
            comes of it is checked like any other.
        telling: the columns that say which rows usually do not count, for what is said of the rows.

    Raises:
        StatementRefused: the guard says no. Whatever goes wrong in here is a refusal, too.
    """
    limits = _lowered(limits, grant)
    try:
        text = sql
        if dialect is not None and dialect != source_schema.dialect:
            text = translated(sql, dialect, source_schema.dialect)
        checked = _checked(text, source_schema, grant, limits, telling or {}, is_translated=text is not sql)
    except StatementRefused as refused:
        refused.locate(sql)
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
        # A plan of a plan is nothing a database knows.
        cost=None if checked.explain else grant.cost,
        cautions=checked.cautions,
        proof=tuple(_touch(table, grant) for table in checked.tables.values()),
        priority=grant.priority,
        session=grant.session,
        shared_with=grant.shared_with if is_shareable(checked) else "nobody",
    )


def _checked(
    sql: str, schema: SourceSchema, grant: Grant, limits: Limits, telling: Telling, *, is_translated: bool
) -> Checked:
    checked = begin(sql, schema, grant, limits)
    try:
        for rule in RULES:
            rule(checked)
            if rule is columns:
                # the caller's own text, resolved: what comes after lowers its LIMIT and puts the policy in
                checked.cautions = cautions(checked, telling)
    except StatementRefused as refused:
        if is_translated:
            # a place in a text that the caller has not written says nothing; the text itself does
            refused.position = None
            refused.hint = f"{refused.hint} Translated, it reads: {sql[:300]}".strip()
        raise
    return checked


def _lowered(limits: Limits, grant: Grant) -> Limits:
    return replace(
        limits,
        max_rows=min(limits.max_rows, grant.max_rows or limits.max_rows),
        max_bytes=min(limits.max_bytes, grant.max_bytes or limits.max_bytes),
        timeout_s=min(limits.timeout_s, grant.timeout_s or limits.timeout_s),
    )


def _touch(granted: GrantedTable, grant: Grant) -> Touch:
    return Touch(
        table=f"{granted.table.schema}.{granted.table.name}",
        rule=grant.label,
        filtered=bool(granted.filters) or granted.reaches,
        masked=tuple(column.name for column in granted.columns if column.name in granted.masks),
        denied=granted.denied,
    )
