"""The commands of a configuration's processes: serve, worker, workers, reload."""

from __future__ import annotations

from typing import Literal

from mcp_server.commands.options import HERE, Json, Where


def serve(
    *,
    where: Where = HERE,
    transport: Literal["stdio", "http"] = "stdio",
    host: str | None = None,
    port: int | None = None,
    workers: int = 1,
    log_level: str = "INFO",
) -> int:
    """Serve MCP over stdio or HTTP, with the broker and the workers it needs, as one process tree.

    Parameters:
        transport: stdio for a client that starts the server itself; http for clients that connect.
        host: the address to listen on (http); beyond loopback only with [mcp_server.auth].
        port: the port to listen on (http).
        workers: worker processes; 0 leaves the work to `awaitsql worker` elsewhere.
        log_level: DEBUG, INFO, WARNING or ERROR; the log goes to standard error.
    """
    from mcp_server.commands.serve import run_serve  # noqa: PLC0415 - a command loads what it needs

    return run_serve(where, transport=transport, host=host, port=port, workers=workers, log_level=log_level)


def worker(
    *,
    where: Where = HERE,
    queue: Literal["statements", "generate"] = "statements",
    concurrency: int | None = None,
    log_level: str = "INFO",
) -> int:
    """Run jobs for the servers of the same configuration, until Ctrl-C.

    Parameters:
        queue: statements (needs the sources' passwords), or generate: questions (needs the model's key).
        concurrency: jobs at once.
        log_level: DEBUG, INFO, WARNING or ERROR; the log goes to standard error.
    """
    from mcp_server.commands.worker import run_worker_command  # noqa: PLC0415 - a command loads what it needs

    return run_worker_command(where, queue=queue, concurrency=concurrency, log_level=log_level)


def workers(*, where: Where = HERE, json: Json = False) -> int:
    """The worker processes of this configuration on all machines: version, jobs, who leaves.

    Parameters:
        json: for a program.
    """
    from mcp_server.commands.workers import run_workers  # noqa: PLC0415 - a command loads what it needs

    return run_workers(where, as_json=json)


def reload(*, where: Where = HERE, json: Json = False) -> int:
    """Let this configuration's servers and workers on this machine read it again, after looking whether it is right.

    Parameters:
        json: for a program.
    """
    from mcp_server.commands.reload import run_reload  # noqa: PLC0415 - a command loads what it needs

    return run_reload(where, as_json=json)
