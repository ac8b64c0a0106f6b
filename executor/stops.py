"""Looks whether a database has really stopped a statement. Knows no job and no broker."""

from __future__ import annotations

import logging
import time

from executor.jobs import StopSeen
from executor.running import Looks

log = logging.getLogger(__name__)

_PAUSE_S = 0.01  # doubled from one look to the next, up to
_PAUSE_MOST_S = 0.2


def see_the_end(database: Looks, query_id: str, *, within_s: float) -> StopSeen | None:
    """How the statement was seen to have ended, or None when it was not within `within_s` seconds.

    Args:
        database: that the statement ran on.
        query_id: the session's.
        within_s: seconds to go on looking.
    """
    until = time.monotonic() + within_s
    pause = _PAUSE_S
    while True:
        try:
            if not database.runs(query_id):
                return "server"
        except Exception as error:  # noqa: BLE001 - a server that cannot be asked has shown nothing
            log.warning("end_not_seen", extra={"error": type(error).__name__})
            return None
        if time.monotonic() + pause > until:
            return None
        time.sleep(pause)
        pause = min(2 * pause, _PAUSE_MOST_S)
