"""Who may read what: a caller, a source's schema and the configuration's rules -> a grant. Applies nothing itself.

The first rule of a source that fits the caller counts. A source without rules is whole for everybody; one with rules
none of which fits does not exist for the caller. Rules are held to the schema when it is known: one that names what is
not there closes its source.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from executor import ErrorCode, Job, Origin, SettingsInvalid, SourceFailed, SourceSchema, StatementFailed
from mcp_server.binding import Unbound, bound, bound_session
from mcp_server.fit import Problem, named_table, problems_of, table_matches
from mcp_server.policy import AnyOf, Grant, Mask, TableGrant
from mcp_server.principal import Principal
from mcp_server.problems import Places
from mcp_server.rules import Rule, read_rule
from mcp_server.settings import McpServerSettings

log = logging.getLogger(__name__)

_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class _Known:
    """A grant and the schema it was made for."""

    schema: SourceSchema
    grant: Grant


class Policies:
    """All rules of one configuration.

    Args:
        settings: the ``[mcp_server]`` table.
        places: where its settings stand.
        salt: of hash masks; a secret, the same in every process of the configuration.
        sessions: the settings of database sessions by source, as they were configured.
        sources: the names of all that are configured; None where that is not known here.

    Raises:
        SettingsInvalid: a row filter that is not understood, with its place.
    """

    def __init__(
        self,
        settings: McpServerSettings,
        places: Places,
        *,
        salt: str = "",
        sessions: Mapping[str, Mapping[str, str]] | None = None,
        sources: Collection[str] | None = None,
    ) -> None:
        self._sources = None if sources is None else frozenset(sources)
        self._salt = salt
        self._sessions = sessions or {}
        self._default = Grant(others=TableGrant(), cost=settings.cost.gate(), version="whole")
        self._rules: dict[str, tuple[Rule, ...]] = {}
        told: list[str] = []
        for source, rules in settings.policies.items():
            read: list[Rule] = []
            for index, rule in enumerate(rules):
                try:
                    read.append(read_rule(source, index, rule, places, cost=self._default.cost))
                except ValueError as error:
                    told.append(str(error))
            self._rules[source] = tuple(read)
        if told:
            raise SettingsInvalid(
                message="\n".join(told), hint="A row filter reads like: tenant_id = :principal.tenant"
            )
        self._version = _version(settings)
        self._grants: OrderedDict[tuple[str, Principal], _Known] = OrderedDict()
        self._shared: dict[str, tuple[SourceSchema, frozenset[tuple[str, str]]]] = {}
        self._problems: dict[str, tuple[SourceSchema, tuple[Problem, ...]]] = {}

    def become(self, other: Policies) -> None:
        """From now on the rules of `other` are the ones that hold, wherever this object is in use."""
        vars(self).update(vars(other))

    @property
    def version(self) -> str:
        """Names all rules together. Statements that were checked under another version are not run."""
        return self._version

    def without_salt(self, text: str) -> str:
        """`text`, as SQL that a person is shown, without the secret of hash masks."""
        return text.replace(self._salt, "…") if self._salt else text

    def covers(self, source: str) -> bool:
        """Whether the source has rules at all."""
        return source in self._rules

    def sees(self, principal: Principal, source: str) -> bool:
        """Whether the source exists for the caller."""
        return source not in self._rules or self._rule(principal, source) is not None

    def hash_of(self, principal: Principal, source: str) -> str | None:
        """`Grant.hash` of what the caller is given of the source now; None when it does not exist for them."""
        try:
            if source not in self._rules:
                return self._with_session(self._default, principal, source).hash()
            rule = self._rule(principal, source)
            grant = None if rule is None else Grant(version=rule.version(principal, self._salt))
            return None if grant is None else self._with_session(grant, principal, source).hash()
        except StatementFailed:
            return None

    def hold(self, principal: Principal, job: Job) -> None:
        """Looks whether the caller may still read what `job` read.

        Raises:
            StatementFailed: ``policy_changed`` where they are given something else of a source behind it now.
            SourceFailed: ``source_removed`` where a source behind its rows is none any more.
        """
        # a job that does not say where its rows are from is nobody's to read
        for origin in job.origins or (Origin(job.source, ""),):
            if origin.policy_hash == self.hash_of(principal, origin.source):
                if job.summary is not None and self._sources is not None and origin.source not in self._sources:
                    raise SourceFailed(
                        ErrorCode.SOURCE_REMOVED,
                        f"Source {origin.source} is not in the configuration any more; the rows of job {job.id} are "
                        "not shown.",
                        hint="list_sources shows those that are.",
                    )
                continue
            raise StatementFailed(
                ErrorCode.POLICY_CHANGED,
                f"What you may read of source {origin.source} has changed since job {job.id} was submitted; its rows "
                "are not shown.",
                hint="Run the query again.",
            )

    def results_grant(self) -> Grant:
        """What a caller may read of results that `hold` let pass: all of it, policies were applied when it was read."""
        return self._default

    def problems(self, schema: SourceSchema) -> tuple[Problem, ...]:
        """What the source's rules name and `schema` has not, or cannot do."""
        known = self._problems.get(schema.source)
        if known is None or known[0] is not schema:
            found = tuple(p for rule in self._rules.get(schema.source, ()) for p in problems_of(rule, schema))
            for problem in found:
                log.error("policy_does_not_fit", extra={"source": schema.source, "place": problem.place})
            known = self._problems[schema.source] = (schema, found)
        return known[1]

    def grant(self, principal: Principal, schema: SourceSchema) -> Grant:
        """What the caller may read of the source.

        Raises:
            StatementFailed: ``attribute_missing`` where the caller lacks one that the source's sessions ask for.
            SourceFailed: ``source_not_ready`` when the rules do not fit the schema, with the place in the file; or when
                no rule is for the caller.
        """
        source = schema.source
        if source not in self._rules:
            return self._with_session(self._default, principal, source)
        wrong = self.problems(schema)
        if wrong:
            raise SourceFailed(
                ErrorCode.SOURCE_NOT_READY,
                f"The policy of source {source} does not fit its tables; nothing of it can be read: {wrong[0].line}.",
                hint="Tell whoever runs the server to look at that place; awaitsql doctor says what is wrong there.",
            )
        known = self._grants.get((source, principal))
        if known is None or known.schema is not schema:
            rule = self._rule(principal, source)
            if rule is None:
                raise SourceFailed(
                    ErrorCode.SOURCE_NOT_READY, f"Source {source} is not there.", hint="Call list_sources()."
                )
            grant = self._with_session(_made(rule, principal, schema, self._salt), principal, source)
            known = _Known(schema, grant)
            self._grants[source, principal] = known
            while len(self._grants) > _REMEMBERED:
                self._grants.popitem(last=False)
        return known.grant

    def shared_tables(self, schema: SourceSchema) -> frozenset[tuple[str, str]]:
        """``(schema, table)`` of all that everyone who may see them sees with the same rows and values.

        What is known of their rows may be told to all of those. Not among them are tables with a row filter or a mask
        in any rule, whatever inherits from or is inherited by one, views that read one or may; and no table at all
        where the database session itself is the caller's own, or where the rules do not fit the schema.
        """
        known = self._shared.get(schema.source)
        if known is None or known[0] is not schema:
            known = self._shared[schema.source] = (schema, self._shared_of(schema))
        return known[1]

    def _shared_of(self, schema: SourceSchema) -> frozenset[tuple[str, str]]:
        if schema.source in self._sessions or self.problems(schema):
            return frozenset()
        from mcp_server.sql import granted_tables  # noqa: PLC0415 - the grammar is loaded where it is needed

        hidden = TableGrant(rows=AnyOf(()))
        protected = {
            (table.schema, table.name): hidden
            for rule in self._rules.get(schema.source, ())
            for protection in rule.protections
            if (protection.rows is not None or protection.masks)
            and (table := named_table(protection.table, schema)) is not None
        }
        grant = Grant(tables=tuple(protected.items()), others=TableGrant())
        return frozenset(granted.key for granted in granted_tables(schema, grant) if not granted.hides)

    def _with_session(self, grant: Grant, principal: Principal, source: str) -> Grant:
        """`grant` with what the database session is given for the caller, which is part of its hash."""
        if source not in self._sessions:
            return grant
        try:
            session = bound_session(self._sessions[source], principal)
        except Unbound as missing:
            raise StatementFailed(
                ErrorCode.ATTRIBUTE_MISSING,
                f"Source {source} can only be read by callers with one value for the attribute {missing}.",
                hint="Whoever runs the server can give it to you.",
            ) from missing
        return replace(grant, session=session, version=json.dumps([grant.version, session]))

    def _rule(self, principal: Principal, source: str) -> Rule | None:
        return next((rule for rule in self._rules[source] if rule.fits(principal)), None)


def _made(rule: Rule, principal: Principal, schema: SourceSchema, salt: str) -> Grant:
    settings = rule.settings
    tables: dict[tuple[str, str], TableGrant] = {}
    if settings.tables is not None:
        for table in schema.tables:
            if any(table_matches(pattern, table, schema) for pattern in settings.tables):
                tables[table.schema, table.name] = TableGrant()
    for protection in rule.protections:
        table = named_table(protection.table, schema)
        if table is None or (settings.tables is not None and (table.schema, table.name) not in tables):
            continue
        try:
            rows = None if protection.rows is None else bound(protection.rows, table, principal)
        except Unbound as missing:
            log.warning("principal_lacks_attribute", extra={"attribute": str(missing), "source": schema.source})
            tables[table.schema, table.name] = TableGrant(exists=False)
            continue
        tables[table.schema, table.name] = TableGrant(
            columns=protection.columns,
            masks=tuple((column, _salted(mask, salt)) for column, mask in protection.masks),
            rows=rows,
            denied=protection.denied,
        )
    views = [named_table(name, schema) for name in settings.views]
    return Grant(
        schemas=settings.schemas,
        tables=tuple(tables.items()),
        others=TableGrant() if settings.tables is None else None,
        views=tuple((view.schema, view.name) for view in views if view is not None),
        max_rows=settings.max_rows,
        max_bytes=settings.max_bytes,
        timeout_s=settings.timeout_s,
        cost=rule.cost,
        priority=settings.weight,
        shared_with=settings.share,
        label=f"{rule.label} ({rule.place})",
        version=rule.version(principal, salt),
    )


def _salted(mask: Mask, salt: str) -> Mask:
    return replace(mask, value=salt) if mask.kind == "hash" else mask


def _version(settings: McpServerSettings) -> str:
    if not settings.policies:
        return ""
    told = {
        source: [rule.model_dump(mode="json", exclude={"name"}) for rule in rules]
        for source, rules in settings.policies.items()
    }
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()
