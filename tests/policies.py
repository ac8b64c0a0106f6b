"""Policies as a configuration file writes them, for tests: text of ``[mcp_server]`` -> who may read what."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from executor import ExecutorSettings, Limits, SourceSchema, Statement
from mcp_server.grants import Policies
from mcp_server.principal import AttributeValue, Principal, with_rights
from mcp_server.problems import Places
from mcp_server.settings import McpServerSettings
from mcp_server.sql import check

SALT = "a salt of the tests"
LIMITS = ExecutorSettings.model_validate({"state_dir": "/nowhere"}).limits.limits()


@dataclass(frozen=True)
class Policed:
    """A source's schema under the policies of a configuration."""

    policies: Policies
    schema: SourceSchema

    def check(self, sql: str, *, limits: Limits = LIMITS, **caller: object) -> Statement:
        """What the guard makes of `sql` for a caller with these `roles` and attributes."""
        grant = self.policies.grant(caller_with(**caller), self.schema)
        return check(sql, source_schema=self.schema, grant=grant, limits=limits)


def policies_of(text: str, *, sessions: Mapping[str, Mapping[str, str]] | None = None) -> Policies:
    """The policies of the file ``policy.toml`` with this text, over sources with these `sessions`."""
    settings = McpServerSettings.model_validate(tomllib.loads(text).get("mcp_server", {}))
    return Policies(settings, Places("policy.toml", text), salt=SALT, sessions=sessions)


def caller_with(*, roles: tuple[str, ...] = (), **attributes: AttributeValue) -> Principal:
    """A caller with these roles and attributes."""
    return with_rights(roles, attributes)
