"""What both faces stand on: the executor, the settings, who may read what. Made in ``app.py``. Knows no protocol."""

from __future__ import annotations

import asyncio
import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from executor import ExecutorError, SourceInfo, SourceProfile, SourceSchema
from mcp_server.calls import Calls
from mcp_server.errors import CallCode, CallRefused
from mcp_server.farewells import Farewells
from mcp_server.grants import Policies
from mcp_server.knowledge.known import Known, known
from mcp_server.knowledge.meanings import Glossaries
from mcp_server.knowledge.verified import VerifiedQueries
from mcp_server.principal import Principal
from mcp_server.settings import McpServerSettings
from mcp_server.tables import visible

if TYPE_CHECKING:  # its client and drivers are loaded by whoever makes one
    from executor import Executor


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What every call works with, whichever way it came.

    Attributes:
        executor: the front door to jobs, entered.
        settings: the ``[mcp_server]`` table.
        policies: what a principal may read of a source.
        farewells: takes the jobs of callers that gave up.
        verified: questions with confirmed SQL; None where none are kept.
        glossaries: what the owners of the sources say their words mean.
        calls: counts what is asked; where nobody reads it, too.
    """

    executor: Executor
    settings: McpServerSettings
    policies: Policies
    farewells: Farewells
    verified: VerifiedQueries | None = None
    glossaries: Glossaries = field(default_factory=Glossaries)
    calls: Calls = field(default_factory=lambda: Calls(CollectorRegistry()))

    def sources(self, principal: Principal) -> list[SourceInfo]:
        """The sources that exist for the caller, in the configuration's order."""
        return [info for info in self.executor.sources() if self.policies.sees(principal, info.name)]

    def source(self, principal: Principal, name: str | None) -> SourceInfo:
        """The source of that name; without a name, the only one there is for the caller.

        Raises:
            CallRefused: ``unknown_source`` with a suggestion, or when there are several and none was named.
        """
        sources = self.sources(principal)
        names = [s.name for s in sources]
        if name is None and len(sources) == 1:
            return sources[0]
        for info in sources:
            if name is not None and info.name == name.strip().lower():
                return info
        listed = f"Sources: {', '.join(names[:20])}." if names else "No source is configured."
        if name is None:
            raise CallRefused(CallCode.UNKNOWN_SOURCE, "Which source? There is not exactly one.", hint=listed)
        close = difflib.get_close_matches(name.lower(), names, n=1)
        hint = f"Did you mean {close[0]}? {listed}" if close else listed
        raise CallRefused(CallCode.UNKNOWN_SOURCE, f'There is no source "{name[:80]}".', hint=hint)

    async def visible_schema(self, principal: Principal, source: str, *, wait_s: float) -> SourceSchema:
        """The tables of `source` as the caller may see them, waited for up to `wait_s` seconds.

        Raises:
            ExecutorError: ``source_not_ready``, or why it could not be read.
        """
        schema = await self.executor.source_schema(source, wait_s=wait_s)
        return visible(schema, self.policies.grant(principal, schema))

    async def shared_profile(self, source: str, *, wait_s: float = 0.0) -> SourceProfile:
        """What is known of the rows of `source`, of tables that all who see them see alike; one object while it is so.

        What of them a caller may see, is still the caller's grant to say. Raises as `Executor.source_profile`.
        """
        schema = await self.executor.source_schema(source, wait_s=wait_s or 1.0)
        return await self.executor.source_profile(source, tables=self.policies.shared_tables(schema), wait_s=wait_s)

    async def known(self, principal: Principal, source: str, *, wait_s: float) -> Known:
        """What the caller may know of `source`: its tables, their cards, the search; the schema as `visible_schema`.

        Raises:
            ExecutorError: as `visible_schema`.
        """
        schema = await self.executor.source_schema(source, wait_s=wait_s)
        grant = self.policies.grant(principal, schema)
        try:
            profile = await self.shared_profile(source)
        except ExecutorError:  # tables can be told without it
            profile = None
        return await asyncio.to_thread(known, schema, grant, profile, self.glossaries.of(source))
