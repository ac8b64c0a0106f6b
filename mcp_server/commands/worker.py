"""``awaitsql worker``: one worker process in the foreground, for servers elsewhere or beside it."""

from __future__ import annotations

from executor import log_as_json, open_broker, run_worker, signing_key
from mcp_server.commands.exits import Exit
from mcp_server.commands.options import Where


def run_worker_command(where: Where, *, concurrency: int | None, log_level: str) -> int:
    """Runs jobs until a signal. Without a configured broker it shares, or starts, this configuration's own."""
    log_as_json(log_level)
    settings = where.settings().executor
    if concurrency is not None:
        settings = settings.model_copy(update={"concurrency": concurrency})
    key = signing_key(settings)
    with open_broker(settings) as broker_url:
        run_worker(settings, broker_url, key)
    return Exit.DONE
