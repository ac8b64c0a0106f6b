"""One process tree on one machine: the broker, the workers and the executor, started in order and stopped in reverse.

For every command that runs jobs itself. Speaks no protocol; with ``workers=0`` others are expected to execute.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from executor import (
    ExecutorSettings,
    PlacedKeys,
    Program,
    Signer,
    TraceExport,
    WorkerFleet,
    open_broker,
    signing_keys,
)
from mcp_server.enforceable import check_enforceable
from mcp_server.farewells import Farewells
from mcp_server.grants import Policies
from mcp_server.knowledge.meanings import Glossaries
from mcp_server.settings import Settings
from mcp_server.sql import without_literals

if TYPE_CHECKING:
    from executor import Executor


@dataclass(frozen=True, slots=True)
class Machine:
    """What runs: the front door to jobs, who may read what, what words mean, farewells, and what signs for the servers.

    `statements` and `questions` are the worker processes; `keys` the configuration's.
    """

    executor: Executor
    policies: Policies
    glossaries: Glossaries
    farewells: Farewells
    statements: WorkerFleet
    questions: WorkerFleet
    broker_url: str = field(repr=False)
    keys: PlacedKeys = field(repr=False)
    signer: Signer = field(repr=False)

    async def reload(self, settings: Settings) -> None:
        """From now on `settings` hold, here and in the worker processes, as far as `mcp_server.reloading` lets them.

        Raises:
            SettingsInvalid: as `running_machine`; nothing has changed.
            ExecutorError: ``executor_unavailable``; nothing has changed.
        """
        policies = policies_of(settings, self.keys)
        glossaries = Glossaries.read(settings.mcp_server.glossary)
        await self.executor.reload(settings.executor, policy_version=policies.version, published=published(settings))
        self.policies.become(policies)
        self.glossaries.become(glossaries)
        self.statements.reload(settings.executor, _statements(settings))
        self.questions.reload(settings.executor, _questions(settings))


def policies_of(settings: Settings, keys: PlacedKeys) -> Policies:
    """The configuration's policies; hash masks are salted by what only holders of the signing `keys` can know.

    Raises:
        SettingsInvalid: as `Policies`, and as `check_enforceable`.
    """
    check_enforceable(settings)
    return Policies(
        settings.mcp_server,
        settings.places,
        salt=keys.ring().masks,
        sessions=settings.executor.sessions(),
        sources=settings.executor.sources,
    )


def published(settings: Settings) -> dict[str, str]:
    """What begins to hold with a server of these `settings`, beside the policies: names and hashes, for the record."""
    texts = {"mcp_server": settings.mcp_server.model_dump_json().encode()}
    for source, path in settings.mcp_server.glossary.items():
        with suppress(OSError):  # whoever reads the glossary says so
            texts[f"glossary of {source}"] = path.read_bytes()
    return {name: hashlib.blake2b(text, digest_size=16).hexdigest() for name, text in texts.items()}


def _statements(settings: Settings) -> Program:
    """Workers that run statements: they have no use for the model's key."""
    ask = settings.mcp_server.ask
    key = None if ask is None or ask.key is None else ask.key.env
    return Program("executor.worker", "worker", hidden=frozenset({key or ""}) - _passwords(settings))


def _questions(settings: Settings) -> Program:
    """Workers that work on questions: they have no use for the sources' passwords."""
    # what is not set stays so: a rule takes it from the settings of all
    more = {"mcp_server": settings.mcp_server.model_dump(mode="json", exclude_unset=True), **settings.places.told()}
    ask = settings.mcp_server.ask
    key = None if ask is None or ask.key is None else ask.key.env
    return Program("mcp_server.generate.worker", "questions", more, hidden=_passwords(settings) - {key or ""})


def _passwords(settings: Settings) -> frozenset[str]:
    """The variables that hold the sources' secrets."""

    def named(told: Any) -> Iterator[str]:
        if isinstance(told, dict):
            if set(told) == {"env", "file"} and told["env"] is not None:
                yield str(told["env"])
            for value in told.values():
                yield from named(value)

    sources = {name: source.model_dump(mode="json") for name, source in settings.executor.sources.items()}
    return frozenset(named(sources))


def _beside(settings: ExecutorSettings, workers: int) -> ExecutorSettings:
    """For processes beside so many workers: those serve their metrics on as many ports."""
    first = settings.metrics_port
    return settings if first is None else settings.model_copy(update={"metrics_port": first + workers})


@asynccontextmanager
async def running_machine(
    settings: Settings, *, workers: int, log_level: str = "INFO", submits: bool = False, questions: bool = False
) -> AsyncGenerator[Machine]:
    """The executor's front door, with `workers` worker processes behind it that end with this process.

    With `questions`, and a model configured, one more process works on questions. With `submits` statements may be
    submitted, and the policies of these `settings` are the ones that hold from now on.

    Raises:
        SettingsInvalid: the configuration cannot be run as it is.
        ExecutorError: ``executor_unavailable`` when the broker does not answer or cannot be started.
    """
    from executor import Executor  # noqa: PLC0415 - loads the broker's client, after what needs no broker was checked

    keys = signing_keys(settings.executor)
    policies = policies_of(settings, keys)
    glossaries = Glossaries.read(settings.mcp_server.glossary)
    with (
        TraceExport(settings.executor.tracing, role="server"),
        open_broker(settings.executor) as broker_url,
        WorkerFleet(
            settings.executor, broker_url, workers, log_level=log_level, program=_statements(settings)
        ) as statements,
        WorkerFleet(
            _beside(settings.executor, workers),
            broker_url,
            int(questions and workers > 0 and settings.mcp_server.ask is not None),
            log_level=log_level,
            program=_questions(settings),
        ) as asked,
    ):
        async with (
            Executor(
                settings.executor,
                broker_url,
                keys,
                policy_version=policies.version,
                published=published(settings),
                redact=without_literals,
                submits=submits,
            ) as executor,
            Farewells(executor) as farewells,
        ):
            yield Machine(executor, policies, glossaries, farewells, statements, asked, broker_url, keys, Signer(keys))
