"""Reading the configuration again in a process that runs: once it is told to, and what it says of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable

from executor import ExecutorError, SettingsInvalid
from mcp_server.registered import Entry
from mcp_server.reloading import ReadAgain, digest, read_again
from mcp_server.settings import Settings

log = logging.getLogger(__name__)


def may_reload() -> bool:
    """Whether SIGHUP asks this process to read its configuration again: at a terminal it says that this goes."""
    return not os.isatty(0)


class Rereading:
    """Of one process.

    Args:
        settings: as they were first loaded.
        load: reads the configuration.
        key: the signing key.
        entry: where it is told how it went.
    """

    def __init__(self, settings: Settings, load: Callable[[], Settings], key: bytes, entry: Entry) -> None:
        self._settings = settings
        self._load = load
        self._key = key
        self._entry = entry

    def hold(self, reload: Callable[[Settings], None]) -> None:
        """Reads the configuration again, and lets `reload` make it the one that holds, unless it is wrong."""
        found = self._read()
        if found is not None:
            reload(found.settings)
            self._accept(found)

    async def hold_here(self, reload: Callable[[Settings], Awaitable[None]]) -> None:
        """As `hold`; where `reload` raises an `ExecutorError` nothing has changed, either."""
        found = self._read()
        if found is None:
            return
        try:
            await reload(found.settings)
        except ExecutorError as error:
            self._refuse(error.message)
        else:
            self._accept(found)

    def _read(self) -> ReadAgain | None:
        try:
            return read_again(self._settings, self._load, self._key)
        except SettingsInvalid as error:
            self._refuse(error.message)
            return None

    def _accept(self, found: ReadAgain) -> None:
        self._settings = found.settings
        log.info("configuration_reloaded", extra={"digest": digest(found.settings), "at_restart": found.at_restart})
        self._entry.tell(digest(found.settings), at_restart=found.at_restart)

    def _refuse(self, why: str) -> None:
        log.error("configuration_not_reloaded", extra={"error": why})
        self._entry.tell(digest(self._settings), trouble=why)
