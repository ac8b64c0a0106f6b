"""The value indexes of a configuration: one file a source, built anew when the source's lists of values changed.

Several servers of one machine share the files, which appear whole. A server on another machine has
its own. A search meanwhile uses the older file, among the columns that may be searched now.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from executor import ExecutorError, SourceProfile
from mcp_server.knowledge.value_index import IndexWriter, ValueIndex

if TYPE_CHECKING:  # the type only: what is used is handed in
    from executor import Executor

log = logging.getLogger(__name__)


class ValueFiles:
    """The indexes of one configuration, in its own folder below the state folder."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._folder = executor.settings.home / "values"
        self._open: dict[str, tuple[str, ValueIndex]] = {}
        self._building: dict[str, asyncio.Task[None]] = {}

    async def index(self, profile: SourceProfile, *, wait_s: float) -> ValueIndex | None:
        """The index of the profile's lists, or an older one while it is built; None before the first.

        Args:
            profile: of one source.
            wait_s: how long to wait for the first.
        """
        source, key = profile.source, _key(profile)
        opened = self._open.get(source)
        if opened is not None and (opened[0] == key or not profile.complete):
            return opened[1]
        if not profile.tables:
            return None
        if source not in self._building:
            task = asyncio.create_task(self._build(profile, key))
            self._building[source] = task
            task.add_done_callback(lambda _: self._building.pop(source, None))
        if opened is None:
            await asyncio.wait({self._building[source]}, timeout=wait_s)
            opened = self._open.get(source)
        return None if opened is None else opened[1]

    async def _build(self, profile: SourceProfile, key: str) -> None:
        path = self._folder / f"{profile.source}.{key}.sqlite"
        try:
            if not path.exists():
                draft = await asyncio.to_thread(self._draft, profile.source)
                try:
                    await self._write(profile, draft)
                    await asyncio.to_thread(self._put, draft, path, profile.source)
                finally:
                    draft.unlink(missing_ok=True)
            self._open[profile.source] = (key, await asyncio.to_thread(ValueIndex, path))
        except (OSError, ExecutorError) as error:
            log.warning("value_index_not_built", extra={"source": profile.source, "error": type(error).__name__})

    async def _write(self, profile: SourceProfile, draft: Path) -> None:
        writer = await asyncio.to_thread(IndexWriter, draft)
        with writer:
            for table in profile.tables:
                if not table.listed:
                    continue
                async for block in self._executor.listed_values(profile.source, table):
                    by_column: dict[str, list[tuple[str, int]]] = {}
                    for one in block:
                        by_column.setdefault(one.column, []).append((one.value, one.rows))
                    for column, values in by_column.items():
                        await asyncio.to_thread(writer.add, (table.schema, table.name, column), values)
            await asyncio.to_thread(writer.finish)

    def _draft(self, source: str) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f".{source}.{os.getpid()}.{secrets.token_hex(4)}"
        draft.touch(mode=0o600)
        return draft

    def _put(self, draft: Path, path: Path, source: str) -> None:
        """The new index in place of the older ones; those who read them have them open."""
        with _only_one(self._folder / f".{source}.lock"):
            draft.replace(path)
            for older in self._folder.glob(f"{source}.*.sqlite"):
                if older != path:
                    with suppress(FileNotFoundError):
                        older.unlink()


@contextmanager
def _only_one(lock: Path) -> Generator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file closes, also by a kill
        yield


def _key(profile: SourceProfile) -> str:
    told = sorted([t.schema, t.name, t.version] for t in profile.tables if t.listed)
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=8).hexdigest()
