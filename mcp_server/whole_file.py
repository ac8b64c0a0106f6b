"""A file that is there whole or not at all, whoever looks and whatever happens meanwhile."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(output: Path, *, mode: int = 0o644) -> Generator[BinaryIO]:
    """A file that appears at `output` when the context ends well, and not at all otherwise."""
    handle, draft = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
        Path(draft).chmod(mode)
        Path(draft).replace(output)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
