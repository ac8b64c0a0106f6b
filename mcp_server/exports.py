"""A job's whole result as a file in a folder that is kept tidy. Decides nothing about who may have it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio.to_thread

from executor import Job
from mcp_server.whole_file import whole_file

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor

ExportFormat = Literal["csv", "json", "parquet", "arrow"]

SUFFIX: dict[ExportFormat, str] = {"csv": "csv", "json": "jsonl", "parquet": "parquet", "arrow": "arrow"}
"""How the file of a format ends; json is JSON lines."""

CUT = "The result was cut, so the file does not hold every row that the statement gives."
"""Said with the file of a truncated result."""


async def exported(
    executor: Executor,
    job: Job,
    *,
    format: ExportFormat,  # noqa: A002 - the word users know
    folder: Path,
    kept_s: float | None = None,
    again: bool = True,
) -> Path:
    """The file with all rows of `job`, whole or not there at all.

    Args:
        executor: where the rows are.
        job: a succeeded one.
        format: what is written.
        folder: made if it is not there. Files in it that nobody has asked for during `kept_s` are deleted first.
        kept_s: seconds; as long as results are kept, where it is not given.
        again: False takes a file that is there already: a job's rows do not change.

    Raises:
        ExecutorError: as `Executor.export`.
    """
    path = folder / f"{job.id}.{SUFFIX[format]}"
    await anyio.to_thread.run_sync(_tidy, folder, executor.settings.result_ttl_s if kept_s is None else kept_s)
    if not again and await anyio.to_thread.run_sync(_is_there, path):
        return path
    with whole_file(path, mode=0o600) as out:
        await executor.export(job.id, owner=job.owner, format=format, out=out)
    return path


def _is_there(path: Path) -> bool:
    """Whether the file is there; from now on it counts as new."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _tidy(folder: Path, kept_s: float) -> None:
    """Make the folder, and take out of it what is older."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.iterdir():
        try:
            is_old = time.time() - file.stat().st_mtime > kept_s
        except FileNotFoundError:  # another process is as tidy
            continue
        if is_old:
            file.unlink(missing_ok=True)
