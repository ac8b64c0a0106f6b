"""The process that serves the queue of questions: the body, with the model's key, beside the executor's front door.

As a program (``python -m mcp_server.generate.worker``) it is a child of a server or of the command line: it reads its
settings as one JSON line from standard input and lives until that pipe closes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
from typing import Any

from executor import EXIT_ASKED, EXIT_STUCK, GENERATE, Executor, ExecutorSettings, SettingsInvalid, log_as_json
from mcp_server.generate.asking import Asker
from mcp_server.generate.models import model_of
from mcp_server.generate.writer import Writer
from mcp_server.machine import policies_of
from mcp_server.problems import Places
from mcp_server.settings import McpServerSettings, Settings


async def serve_questions(
    settings: Settings,
    broker_url: str,
    key: bytes,
    *,
    drain: asyncio.Event,
    slots: int | None = None,
    worker: str = "",
) -> bool:
    """Works on questions until it is cancelled; what it was at goes back in line. See `Executor.serve`.

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
    policies = policies_of(settings, key)
    async with Executor(settings.executor, broker_url, key, policy_version=policies.version, submits=False) as executor:
        asker = Asker(executor, policies, ask, Writer(model, ask, executor))
        return await executor.serve(GENERATE, asker, slots=slots or ask.concurrency, drain=drain, worker=worker)


def run_questions_worker(
    settings: Settings,
    broker_url: str,
    key: bytes,
    *,
    slots: int | None = None,
    worker: str = "",
    stop_with_stdin: bool = False,
) -> bool:
    """Works on questions until a signal (or, with `stop_with_stdin`, the end of standard input) says stop.

    At SIGTERM or SIGINT what is being worked on is finished within ``drain_timeout_s``; a second one, or the end of
    standard input, ends it at once. False where the process is of no more use, see `Executor.serve`.

    Raises: as `serve_questions`.
    """

    async def main() -> bool:
        drain = asyncio.Event()
        task = asyncio.ensure_future(
            serve_questions(settings, broker_url, key, drain=drain, slots=slots, worker=worker)
        )
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            if drain.is_set():
                task.cancel()
            drain.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        if stop_with_stdin:

            def on_stdin_end() -> None:
                while sys.stdin.buffer.read(4096):
                    pass
                loop.call_soon_threadsafe(task.cancel)

            threading.Thread(target=on_stdin_end, name="awaitsql-parent", daemon=True).start()
        try:
            return await task
        except asyncio.CancelledError:
            return True

    return asyncio.run(main())


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
    key = bytes.fromhex(told["signing_key"])
    in_order = run_questions_worker(settings, told["broker_url"], key, worker=told["worker"], stop_with_stdin=True)
    # threads of Celery's may still sleep on the broker; nothing here needs them any more
    os._exit(EXIT_ASKED if in_order else EXIT_STUCK)


if __name__ == "__main__":
    main()
