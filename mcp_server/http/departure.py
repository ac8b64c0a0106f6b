"""A server on its way out: not ready any more, its callers answered at once, what it is sending finished within a time.

Streams of events are not waited for: they have no end of their own, and whoever reads one connects again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:  # the types only: what is used is handed in
    from executor import Executor
    from mcp_server.farewells import Farewells

_STREAM = b"text/event-stream"


class Departure:
    """Of one server process.

    Args:
        executor: whose callers are answered.
        farewells: to be told that it is not the callers who leave.
    """

    def __init__(self, executor: Executor, farewells: Farewells) -> None:
        self._executor = executor
        self._farewells = farewells
        self._open = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self.has_begun = False

    async def depart(self, *, unready_s: float, timeout_s: float) -> None:
        """Returns when the server may close its connections.

        Args:
            unready_s: seconds for which requests are still taken, so that whoever spreads them sees us unready first.
            timeout_s: seconds that answers under way, downloads among them, are given after that.
        """
        self.has_begun = True
        self._farewells.keep_jobs()
        self._executor.stop_waiting()
        await asyncio.sleep(unready_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._is_idle.wait()

    def watching(self, application: ASGIApp) -> ASGIApp:
        """`application`, its open requests counted."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await application(scope, receive, send)
                return
            counts = True

            def end() -> None:
                nonlocal counts
                if counts:
                    counts = False
                    self._open -= 1
                    if self._open == 0:
                        self._is_idle.set()

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start" and _is_stream(message):
                    end()
                await send(message)

            self._open += 1
            self._is_idle.clear()
            try:
                await application(scope, receive, sending)
            finally:
                end()

        return watched


def _is_stream(start: Message) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(_STREAM) for name, value in start["headers"])
