"""The end of a background task of a server: asked until it is over."""

from __future__ import annotations

import asyncio

_ASK_EVERY_S = 0.2


async def end_task(task: asyncio.Task[None]) -> None:
    """Cancels `task` and waits for its end.

    Once is not always enough: a library that is just handling the result of what it awaited may swallow a cancel.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_ASK_EVERY_S)
