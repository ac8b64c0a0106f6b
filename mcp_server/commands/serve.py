"""``awaitsql serve``: the MCP server with its broker and workers, as one process tree that ends together."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import signal
import sys
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from typing import Literal

from executor import SettingsInvalid, log_as_json
from mcp_server.commands.exits import Exit
from mcp_server.commands.options import Where
from mcp_server.commands.rereading import Rereading, may_reload
from mcp_server.generate.keys import check_model
from mcp_server.http.loopback import refuse_open_host
from mcp_server.machine import Machine, running_machine
from mcp_server.registered import registered
from mcp_server.reloading import digest
from mcp_server.settings import Settings

_FAREWELL_S = 2.0


def run_serve(
    where: Where,
    *,
    transport: Literal["stdio", "http"],
    host: str | None,
    port: int | None,
    workers: int,
    log_level: str,
) -> int:
    """Serves until the client leaves (stdio) or a signal comes (both); over HTTP a second signal hurries."""
    log_as_json(log_level)
    settings = where.settings()
    if not settings.executor.sources:
        raise SettingsInvalid(
            message="No source is configured.", hint="Give --db FILE_OR_URL, or a [executor.sources.NAME] table."
        )
    if workers < 0:
        raise SettingsInvalid(message="--workers is a number of processes.", hint="0 leaves the work to others.")
    if settings.mcp_server.ask is not None and workers > 0:
        check_model(settings.mcp_server.ask)
    asyncio.run(_serve(where, settings, transport, host, port, workers, log_level))
    return Exit.DONE


async def _serve(
    where: Where,
    settings: Settings,
    transport: Literal["stdio", "http"],
    host: str | None,
    port: int | None,
    workers: int,
    level: str,
) -> None:
    asked = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    face = settings.mcp_server.model_copy(update=asked)
    if transport == "http":
        refuse_open_host(face.host, signs_in=face.auth is not None)
    version = importlib.metadata.version("awaitsql")
    stop, hurry = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        if stop.is_set() or transport == "stdio":
            hurry.set()
        stop.set()

    loop, reloads = asyncio.get_running_loop(), transport == "http" and may_reload()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    async with (
        running_machine(settings, workers=workers, log_level=level, submits=True, questions=True) as machine,
        AsyncExitStack() as stack,
    ):
        # the protocol's library takes a second to load; the workers start meanwhile
        from mcp_server.app import serve_http, serve_stdio  # noqa: PLC0415

        if reloads:
            stack.enter_context(_reloading(where, settings, machine))
        serving = asyncio.create_task(
            serve_stdio(machine, face, version=version)
            if transport == "stdio"
            else serve_http(machine, face, stop=stop, version=version)
        )
        stopping = asyncio.create_task(hurry.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        else:
            serving.cancel()
            # calls that are waiting take their jobs with them
            await asyncio.wait({serving}, timeout=_FAREWELL_S)
    if not serving.done():
        # a thread is still blocked reading standard input and cannot be joined; all else is stopped by now
        sys.stderr.flush()
        os._exit(Exit.DONE)


@contextmanager
def _reloading(where: Where, settings: Settings, machine: Machine) -> Generator[None]:
    """While inside, SIGHUP lets the server and its workers go by the configuration as it is then."""
    loop, turn = asyncio.get_running_loop(), asyncio.Lock()
    reloads: set[asyncio.Task[None]] = set()
    with registered(settings.executor, "server", digest(settings)) as entry:
        rereading = Rereading(settings, where.settings, machine.key, entry)

        async def work() -> None:
            async with turn:
                await rereading.hold_here(machine.reload)

        def on_hang_up() -> None:
            begun = asyncio.ensure_future(work())
            reloads.add(begun)
            begun.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, on_hang_up)
        yield
