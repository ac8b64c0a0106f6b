"""Which threads of a process are at work, seen from outside: what runs in a database that has no server to ask."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

_LOOKS = 20
_BETWEEN_S = 0.01


def look(pids: Iterable[int]) -> list[set[int]]:
    """The native ids of the threads at work, in each of the looks of a fifth of a second.

    A thread that wants a processor and has to wait for one counts too, so that a machine under load shows the same as
    an idle one, which the processor time that a thread got would not.
    """
    looks: list[set[int]] = []
    for _ in range(_LOOKS):
        looks.append({thread for pid in pids for thread in _at_work(pid)})
        time.sleep(_BETWEEN_S)
    return looks


def hot(looks: list[set[int]], share: float) -> set[int]:
    """The threads that were at work in this share of the looks, or more."""
    seen = set[int]().union(*looks)
    return {thread for thread in seen if sum(thread in found for found in looks) >= share * len(looks)}


def _at_work(pid: int) -> list[int]:
    """The threads that run, could run, or wait for a disk."""
    try:
        tasks = [(int(task.name), (task / "stat").read_text()) for task in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return []  # the process, or one of its threads, ended meanwhile: the next look sees who is left
    return [thread for thread, stat in tasks if stat.rpartition(")")[2].split()[0] in "RD"]
