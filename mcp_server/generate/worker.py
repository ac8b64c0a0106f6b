"""The process that serves the queue of questions: the body, with the model's key, beside the executor's front door.

As a program (``python -m mcp_server.generate.worker``) it is a child of a server or of the command line: it reads its
settings as one JSON line from standard input and lives until that pipe closes.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from executor import (
    EXIT_ASKED,
    EXIT_STUCK,
    GENERATE,
    Executor,
    ExecutorSettings,
    PlacedKeys,
    SettingsInvalid,
    TraceExport,
    log_as_json,
    process_registry,
    serving_metrics,
    signing_keys,
)
from mcp_server.generate.asking import Asker
from mcp_server.generate.models import model_of
from mcp_server.generate.writer import Writer
from mcp_server.knowledge.meanings import Glossaries
from mcp_server.knowledge.verified import VerifiedQueries
from mcp_server.machine import policies_of
from mcp_server.problems import Places
from mcp_server.settings import McpServerSettings, Settings
from mcp_server.sql import without_literals

log = logging.getLogger(__name__)

Reload = Callable[[Settings], Awaitable[None]]
"""Lets what runs go on under other settings."""


async def serve_questions(
    settings: Settings,
    broker_url: str,
    keys: PlacedKeys,
    *,
    drain: asyncio.Event,
    ready: asyncio.Future[Reload],
    slots: int | None = None,
    worker: str = "",
) -> bool:
    """Works on questions until it is cancelled; what it was at goes back in line. See `Executor.serve`.

    `ready` is given what lets it go on under other settings.

    Raises:
        SettingsInvalid: no model is configured, or its key is not there.
    """
    ask = settings.mcp_server.ask
    if ask is None:
        raise SettingsInvalid(
            message="No model is configured, so there are no questions to work on.",
            hint="Set [mcp_server.ask] model, or AWAITSQL_MCP_SERVER__ASK__MODEL.",
        )
    model = model_of(ask)
    policies = policies_of(settings, keys)
    registry = process_registry(importlib.metadata.version("awaitsql"))
    async with Executor(
        settings.executor,
        broker_url,
        keys,
        policy_version=policies.version,
        redact=without_literals,
        submits=False,
    ) as executor:
        glossaries = Glossaries.read(settings.mcp_server.glossary)
        verified = VerifiedQueries(settings.executor)
        asker = Asker(executor, policies, ask, Writer(model, ask, executor), glossaries, verified)

        async def reload(found: Settings) -> None:
            rules, words = policies_of(found, keys), Glossaries.read(found.mcp_server.glossary)
            await executor.reload(found.executor, policy_version=rules.version, published={})
            policies.become(rules)
            glossaries.become(words)
            log.info("worker_reloaded", extra={"worker": worker, "sources": list(found.executor.sources)})

        ready.set_result(reload)
        with serving_metrics(registry, settings.executor.metrics_host, settings.executor.metrics_port):
            slots = slots or ask.concurrency
            return await executor.serve(GENERATE, asker, slots=slots, drain=drain, worker=worker, registry=registry)


def run_questions_worker(
    settings: Settings,
    broker_url: str,
    keys: PlacedKeys,
    *,
    slots: int | None = None,
    worker: str = "",
    read_again: Callable[[Reload], Awaitable[None]] | None = None,
    stop_with_stdin: bool = False,
) -> bool:
    """Works on questions until a signal (or, with `stop_with_stdin`, the end of standard input) says stop.

    At SIGTERM or SIGINT what is being worked on is finished within ``drain_timeout_s``; a second one, or the end of
    standard input, ends it at once. False where the process is of no more use, see `Executor.serve`. At SIGHUP
    `read_again` is called; each further line of standard input, with `stop_with_stdin`, is settings to go on under.

    Raises: as `serve_questions`.
    """

    async def main() -> bool:
        drain, loop = asyncio.Event(), asyncio.get_running_loop()
        ready: asyncio.Future[Reload] = loop.create_future()
        reloads: set[asyncio.Task[None]] = set()

        def begin_reload(how: Callable[[Reload], Awaitable[None]]) -> None:
            async def work() -> None:
                await how(await ready)

            begun = asyncio.ensure_future(work())
            reloads.add(begun)
            begun.add_done_callback(reloads.discard)

        task = asyncio.ensure_future(
            serve_questions(settings, broker_url, keys, drain=drain, ready=ready, slots=slots, worker=worker)
        )

        def on_signal() -> None:
            if drain.is_set():
                task.cancel()
            drain.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        if read_again is None:
            loop.add_signal_handler(signal.SIGHUP, on_signal)
        else:
            loop.add_signal_handler(signal.SIGHUP, begin_reload, read_again)
        if stop_with_stdin:

            def on_stdin() -> None:
                while line := sys.stdin.buffer.readline():
                    try:
                        found = _settings(json.loads(line))
                    except Exception:
                        # without this thread our parent's end would not be seen
                        log.exception("worker_not_reloaded", extra={"worker": worker})
                    else:
                        loop.call_soon_threadsafe(begin_reload, _going_on_with(found))
                loop.call_soon_threadsafe(task.cancel)

            threading.Thread(target=on_stdin, name="awaitsql-parent", daemon=True).start()
        try:
            return await task
        except asyncio.CancelledError:
            return True

    with TraceExport(settings.executor.tracing, role="questions"):
        return asyncio.run(main())


def _going_on_with(found: Settings) -> Callable[[Reload], Awaitable[None]]:
    return lambda reload: reload(found)


def _settings(told: Mapping[str, Any]) -> Settings:
    """As the parent tells them."""
    more = told["more"]
    return Settings(
        ExecutorSettings.model_validate(told["settings"]),
        McpServerSettings.model_validate(more["mcp_server"]),
        Places(more["file"], more["text"], [tuple(path) for path in more["overridden"]]),
    )


def main() -> None:
    """The child process: settings from standard input, then questions until the pipe closes."""
    told: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    log_as_json(told["log_level"])
    settings = _settings(told)
    keys = signing_keys(settings.executor)
    in_order = run_questions_worker(settings, told["broker_url"], keys, worker=told["worker"], stop_with_stdin=True)
    # threads of Celery's may still sleep on the broker; nothing here needs them any more
    os._exit(EXIT_ASKED if in_order else EXIT_STUCK)


if __name__ == "__main__":
    main()
