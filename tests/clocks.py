"""Processes whose clocks are wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ON_THE_PATH = Path(__file__).parent / "wrong_clock"


@contextmanager
def wrong_clocks(folder: Path, *offsets: float) -> Iterator[Path]:
    """Python processes that this one starts meanwhile have clocks that are wrong by these seconds, in turns.

    Yields the file in `folder` in which each of them leaves a byte.
    """
    turns = folder / "clocks"
    turns.touch()
    path = os.pathsep.join(filter(None, [str(_ON_THE_PATH), os.environ.get("PYTHONPATH")]))
    told = {"PYTHONPATH": path, "TEST_CLOCK_OFFSETS": json.dumps(offsets), "TEST_CLOCK_TURNS": str(turns)}
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield turns
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
