"""``awaitsql worker``: one worker process in the foreground, for servers elsewhere or beside it."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Literal

from executor import SettingsInvalid, log_as_json, open_broker, run_worker, signing_key
from mcp_server.commands.exits import Exit
from mcp_server.commands.options import Where
from mcp_server.commands.rereading import Rereading, may_reload
from mcp_server.registered import registered
from mcp_server.reloading import digest
from mcp_server.settings import Settings

Queue = Literal["statements", "generate"]


def run_worker_command(where: Where, *, queue: Queue, concurrency: int | None, log_level: str) -> int:
    """Runs jobs until a signal, then finishes what runs; a second signal hurries. Answers the exit code.

    Without a configured broker it shares, or starts, this configuration's own.
    """
    log_as_json(log_level)
    settings = where.settings()
    key = signing_key(settings.executor)
    if queue == "generate":
        if settings.mcp_server.ask is None:
            raise SettingsInvalid(
                message="No model is configured, so there are no questions to work on.",
                hint="Set [mcp_server.ask] model, or AWAITSQL_MCP_SERVER__ASK__MODEL.",
            )
        # the model's library takes a second to load
        from mcp_server.generate.worker import run_questions_worker  # noqa: PLC0415

        with (
            open_broker(settings.executor) as broker_url,
            _rereading(where, settings, key, "questions worker") as rereading,
        ):
            read_again = None if rereading is None else rereading.hold_here
            in_order = run_questions_worker(settings, broker_url, key, slots=concurrency, read_again=read_again)
        return Exit.DONE if in_order else Exit.STUCK
    executor = settings.executor
    if concurrency is not None:
        executor = executor.model_copy(update={"concurrency": concurrency})
    with open_broker(executor) as broker_url, _rereading(where, settings, key, "worker") as rereading:
        if rereading is None:
            run_worker(executor, broker_url, key)
        else:
            run_worker(
                executor,
                broker_url,
                key,
                read_again=lambda reload: rereading.hold(lambda found: reload(found.executor)),
            )
    return Exit.DONE


@contextmanager
def _rereading(where: Where, settings: Settings, key: bytes, what: str) -> Generator[Rereading | None]:
    """What reads the configuration again at SIGHUP; None where that signal means the end."""
    if not may_reload():
        yield None
        return
    # until the worker listens: one that comes too early must not be the end
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with registered(settings.executor, what, digest(settings)) as entry:
        yield Rereading(settings, where.settings, key, entry)
