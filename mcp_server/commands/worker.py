"""``awaitsql worker``: one worker process in the foreground, for servers elsewhere or beside it."""

from __future__ import annotations

from typing import Literal

from executor import SettingsInvalid, log_as_json, open_broker, run_worker, signing_key
from mcp_server.commands.exits import Exit
from mcp_server.commands.options import Where

Queue = Literal["statements", "generate"]


def run_worker_command(where: Where, *, queue: Queue, concurrency: int | None, log_level: str) -> int:
    """Runs jobs until a signal, then finishes what runs; a second signal hurries. Answers the exit code.

    Without a configured broker it shares, or starts, this configuration's own.
    """
    log_as_json(log_level)
    settings = where.settings()
    if queue == "generate":
        if settings.mcp_server.ask is None:
            raise SettingsInvalid(
                message="No model is configured, so there are no questions to work on.",
                hint="Set [mcp_server.ask] model, or AWAITSQL_MCP_SERVER__ASK__MODEL.",
            )
        # the model's library takes a second to load
        from mcp_server.generate.worker import run_questions_worker  # noqa: PLC0415

        with open_broker(settings.executor) as broker_url:
            key = signing_key(settings.executor)
            in_order = run_questions_worker(settings, broker_url, key, slots=concurrency)
        return Exit.DONE if in_order else Exit.STUCK
    executor = settings.executor
    if concurrency is not None:
        executor = executor.model_copy(update={"concurrency": concurrency})
    key = signing_key(executor)
    with open_broker(executor) as broker_url:
        run_worker(executor, broker_url, key)
    return Exit.DONE
