"""The ``[mcp_server]`` table, and the whole configuration: a TOML file, the environment, ``--db``, in one value.

What a variable says comes before the file, what the file says before the default. Called once, at the edge; hands the
``[executor]`` table to the executor's own model and opens no database (``--db`` looks at a file's first bytes).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from executor import ExecutorSettings, SettingsInvalid
from mcp_server.ask_settings import AskSettings
from mcp_server.auth_settings import AuthSettings
from mcp_server.databases import sources_from
from mcp_server.overrides import closest, inside, read_overrides, rebased
from mcp_server.policy_settings import CostSettings, LocalPrincipalSettings, PolicySettings
from mcp_server.principal import Principal, with_rights
from mcp_server.problems import Places, sentences

_COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""OpenTelemetry's own variable for where spans go; a setting of ours comes before it."""

_HINT = "config.example.toml lists every setting with its default."


def _web_origin(text: str) -> str:
    """`text` as browsers write it. Raises `ValueError` for what no browser sends."""
    origin = text.lower()
    if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#@*\s]+(:\*)?", origin):
        raise ValueError("must be an origin: scheme://host or scheme://host:port, no path (:* is any port)")
    return origin


WebOrigin = Annotated[str, AfterValidator(_web_origin)]
"""``scheme://host``, with a port or ``:*`` where it is not the scheme's own."""


class McpServerSettings(BaseModel):
    """How the server speaks. Frozen; a key it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="127.0.0.1", min_length=1, description="The address served over HTTP.")
    port: int = Field(default=8765, ge=0, le=65_535, description="0: any free port.")
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Host headers accepted beside loopback's; behind a proxy or tunnel, its name."
    )
    allowed_origins: tuple[WebOrigin, ...] = Field(
        default=(),
        description="Web pages that may ask from a browser, as https://host or http://host:port; :* is any port.",
    )
    preview_chars: int = Field(
        default=8_000, ge=0, le=100_000, description="The most characters of rows that an answer shows."
    )

    unready_s: float = Field(
        default=0.0, ge=0, le=300, description="Over HTTP: asked to stop, how long /readyz says no before the end."
    )
    drain_timeout_s: float = Field(
        default=10.0, ge=0, le=3600, description="Over HTTP: what answers under way, such as downloads, are given then."
    )

    ask: AskSettings | None = Field(
        default=None, description="The model that answers questions; without it there is no ask."
    )
    auth: AuthSettings | None = Field(
        default=None, description="How callers over HTTP sign in; without it they are the local principal."
    )
    cost: CostSettings = Field(
        default=CostSettings(), description="What a statement may cost where no rule of a policy says otherwise."
    )
    glossary: dict[str, Path] = Field(
        default_factory=dict, description="By source: the YAML file that says what its words, figures and columns mean."
    )
    local_principal: LocalPrincipalSettings = LocalPrincipalSettings()
    policies: PolicySettings = Field(default_factory=dict)


class _Root(BaseModel):
    """All tables of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    executor: ExecutorSettings
    mcp_server: McpServerSettings = McpServerSettings()


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration.

    Attributes:
        executor: the ``[executor]`` table with every source.
        mcp_server: the ``[mcp_server]`` table.
        places: where each setting was written.
        secrets: passwords taken out of ``--db`` URLs, by the name of the environment variable that `executor` refers
            to; the edge exports them to itself and its workers.
    """

    executor: ExecutorSettings
    mcp_server: McpServerSettings
    places: Places = field(default_factory=Places, repr=False)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def principal(self) -> Principal:
        """The local principal with the roles and attributes that the configuration gives it."""
        local = self.mcp_server.local_principal
        return with_rights(local.roles, local.attributes)


def load_settings(*, config: Path | None, databases: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """The configuration of this process.

    Args:
        config: a TOML file; relative paths in it begin at its folder. None: no file.
        databases: what ``--db`` was given: files, folders, URLs. They join the file's sources.
        environ: the environment; ``AWAITSQL_EXECUTOR__LEASE_S`` overrides ``[executor] lease_s``, and
            ``OTEL_EXPORTER_OTLP_ENDPOINT`` stands in for an ``[executor.tracing] otlp_endpoint`` that is not given.

    Raises:
        SettingsInvalid: one sentence per problem, each on its own line, with file and line or the variable's name.
    """
    data, text = _read(config)
    name = config.name if config else ""
    unknown = [
        f"{Places(name, text).of((key,))} is not a table of this file.{closest(key, _Root.model_fields)}"
        for key in data
        if key not in _Root.model_fields
    ]
    data = {key: value for key, value in data.items() if key in _Root.model_fields}
    if config is not None:
        data = rebased(data, _Root, config.absolute().parent)

    overrides, problems = read_overrides(environ, _Root, _source_names(data))
    for path, value in overrides.items():
        _put(data, path, rebased(value, _annotation(path), Path.cwd()))

    executor: Any = data.setdefault("executor", {})
    if environ.get(_COLLECTOR, "").startswith("http"):  # gRPC's form has no scheme
        tracing = executor.setdefault("tracing", {}) if isinstance(executor, dict) else None
        if isinstance(tracing, dict):
            tracing.setdefault("otlp_endpoint", environ[_COLLECTOR])
    secrets: dict[str, str] = {}
    if isinstance(executor, dict):
        executor.setdefault("state_dir", platformdirs.user_state_dir("awaitsql", appauthor=False))
        named = executor.setdefault("sources", {})
        if databases and isinstance(named, dict):
            added, secrets = sources_from(databases, taken=_source_names(data))
            named.update({source: made.model_dump() for source, made in added.items()})
    problems = [*unknown, *problems]
    places = Places(name, text, overrides)
    try:
        root = _Root.model_validate(data)
    except ValidationError as error:
        problems += sentences(error, _Root, data, places)
    else:
        problems += _about_nothing(root, places)
        if not problems:
            return Settings(_in_its_realm(root), root.mcp_server, places, secrets)
    raise SettingsInvalid(message="\n".join(problems), hint=_HINT)


def _about_nothing(root: _Root, places: Places) -> list[str]:
    """A sentence for each source that has a policy or a glossary and is not there.

    A misspelt name would leave the right one open, or without its words.
    """
    named = [("policies", source) for source in root.mcp_server.policies]
    named += [("glossary", source) for source in root.mcp_server.glossary]
    return [
        f"{places.of(('mcp_server', table, source))}: there is no source {source}."
        f"{closest(source, root.executor.sources)}"
        for table, source in named
        if source not in root.executor.sources
    ]


def _in_its_realm(root: _Root) -> ExecutorSettings:
    """The ``[executor]`` table; with policies its jobs never share a queue with servers that have none.

    A deployment keeps its queue when it is given policies: what was checked without them does not run any more.
    """
    if not root.mcp_server.policies or root.executor.realm or root.executor.deployment:
        return root.executor
    return root.executor.model_copy(update={"realm": "policies"})


def _read(config: Path | None) -> tuple[dict[str, Any], str]:
    if config is None:
        return {}, ""
    try:
        text = config.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsInvalid(message=f"There is no configuration file {config}.", hint=_HINT) from error
    except UnicodeDecodeError as error:
        raise SettingsInvalid(message=f"{config} is not a text file in UTF-8.", hint=_HINT) from error
    except OSError as error:
        raise SettingsInvalid(message=f"{config} cannot be read: {error.strerror}.", hint=_HINT) from error
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(message=f"{config.name} is not TOML: {error}.", hint=_HINT) from error


def _annotation(path: Sequence[str]) -> Any:
    annotation: Any = _Root
    for key in path:
        annotation = inside(annotation, key)
    return annotation


def _put(data: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for key in path[:-1]:
        below = data.setdefault(key, {})
        if not isinstance(below, dict):  # the model says what it should have been
            return
        data = below
    data[path[-1]] = value


def _source_names(data: Mapping[str, Any]) -> list[str]:
    executor = data.get("executor")
    sources = executor.get("sources") if isinstance(executor, dict) else None
    return [str(name) for name in sources] if isinstance(sources, dict) else []
