"""Makes the wall clock of a Python process wrong. `clocks.wrong_clocks` puts it on the path of child processes.

`time.time` and its kin are shifted. The monotonic clock and the stamps on files are not: so it is on a machine whose
clock is wrong and whose files lie on a server. `datetime` is left alone: its class cannot be changed, and extension
modules crash over one that takes its place.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path


def _offset() -> float:
    """The processes that are started take their turns in the order in which they come here."""
    with Path(os.environ["TEST_CLOCK_TURNS"]).open("ab") as turns:
        turns.write(b".")
        turns.flush()
        offsets = json.loads(os.environ["TEST_CLOCK_OFFSETS"])
        return float(offsets[(turns.tell() - 1) % len(offsets)])


def _shift(offset: float) -> None:
    now, now_ns, gmtime, localtime = time.time, time.time_ns, time.gmtime, time.localtime
    time.time = lambda: now() + offset
    time.time_ns = lambda: now_ns() + int(offset * 1e9)
    time.gmtime = lambda seconds=None: gmtime(time.time() if seconds is None else seconds)
    time.localtime = lambda seconds=None: localtime(time.time() if seconds is None else seconds)


if "TEST_CLOCK_OFFSETS" in os.environ:
    _shift(_offset())
