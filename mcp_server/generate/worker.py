"""The process that serves the queue of questions: the body, with the model's key, beside the executor's front door.

As a program (``python -m mcp_server.generate.worker``) it is a child of a server or of the command line: it reads its
settings as one JSON line from standard input and lives until that pipe closes.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from executor import (
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


async def serve_questions(
    settings: Settings, broker_url: str, keys: PlacedKeys, *, slots: int | None = None, worker: str = ""
) -> None:
    """Works on questions until it is cancelled; what it was at goes back in line.

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
        with serving_metrics(registry, settings.executor.metrics_host, settings.executor.metrics_port):
            slots = slots or ask.concurrency
            await executor.serve(GENERATE, asker, slots=slots, worker=worker, registry=registry)


def run_questions_worker(
    settings: Settings,
    broker_url: str,
    keys: PlacedKeys,
    *,
    slots: int | None = None,
    worker: str = "",
    stop_with_stdin: bool = False,
) -> None:
    """Works on questions until a signal (or, with `stop_with_stdin`, the end of standard input) says stop.

    Raises: as `serve_questions`.
    """

    async def main() -> None:
        task = asyncio.ensure_future(serve_questions(settings, broker_url, keys, slots=slots, worker=worker))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        if stop_with_stdin:

            def on_stdin_end() -> None:
                while sys.stdin.buffer.read(4096):
                    pass
                loop.call_soon_threadsafe(task.cancel)

            threading.Thread(target=on_stdin_end, name="awaitsql-parent", daemon=True).start()
        with suppress(asyncio.CancelledError):
            await task

    with TraceExport(settings.executor.tracing, role="questions"):
        asyncio.run(main())


def main() -> None:
    """The child process: settings from standard input, then questions until the pipe closes."""
    told: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    log_as_json(told["log_level"])
    more = told["more"]
    settings = Settings(
        ExecutorSettings.model_validate(told["settings"]),
        McpServerSettings.model_validate(more["mcp_server"]),
        Places(more["file"], more["text"], [tuple(path) for path in more["overridden"]]),
    )
    keys = signing_keys(settings.executor)
    run_questions_worker(settings, told["broker_url"], keys, worker=told["worker"], stop_with_stdin=True)
    # threads of Celery's may still sleep on the broker; nothing here needs them any more
    os._exit(0)


if __name__ == "__main__":
    main()
