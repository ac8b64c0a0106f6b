"""The sources that one worker has open: their adapters, made when first used, and let go when they are configured anew.

A statement is lent the source that it was checked for, and keeps it; what was configured otherwise by then is another.
Knows no broker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

from executor.adapters import make_adapter
from executor.adapters.base import Adapter
from executor.errors import ErrorCode, SourceFailed
from executor.orders import source_changed
from executor.running import RunningJob
from executor.settings import ExecutorSettings


class OpenSources:
    """Of one worker process. Thread-safe.

    Args:
        settings: with the sources.
        running: the jobs that run now; a source that one of them was lent stays open for it.
    """

    def __init__(self, settings: ExecutorSettings, running: Callable[[], Collection[RunningJob]]) -> None:
        self._settings = settings
        self._running = running
        self._adapters: dict[str, Adapter] = {}
        self._retired: list[Adapter] = []
        self._lock = threading.Lock()

    @property
    def settings(self) -> ExecutorSettings:
        """Those that hold now."""
        return self._settings

    def adapter(self, source: str) -> Adapter:
        """The source's adapter as it is configured now.

        Raises:
            SourceFailed: an unknown source, or a missing driver.
        """
        with self._lock:
            return self._adapter(source)

    def lend(self, job: RunningJob, source: str, fingerprint: str) -> Adapter:
        """The adapter that `job` runs on, from now to its end.

        Raises:
            SourceFailed: as `adapter`.
            StatementFailed: ``statement_expired`` where the source was configured anew since the order was checked.
        """
        with self._lock:
            config = self._settings.sources.get(source)
            if config is not None and config.fingerprint() != fingerprint:
                raise source_changed(source)
            job.lent = adapter = self._adapter(source)
            return adapter

    def known(self, source: str) -> Adapter | None:
        """The source's adapter, if it was used before."""
        return self._adapters.get(source)

    def reload(self, settings: ExecutorSettings) -> None:
        """From now on the sources of `settings` are those there are."""
        with self._lock:
            before, now = self._settings.sources, settings.sources
            for source in [name for name in self._adapters if now.get(name) != before[name]]:
                self._retired.append(self._adapters.pop(source))
            self._settings = settings
        self.tidy()

    def tidy(self) -> None:
        """Closes what was configured anew and runs nothing any more."""
        if not self._retired:
            return
        with self._lock:
            in_use = [job.lent for job in self._running()]
            idle = [adapter for adapter in self._retired if adapter not in in_use]
            self._retired = [adapter for adapter in self._retired if adapter in in_use]
        for adapter in idle:
            adapter.close()

    def close(self) -> None:
        """Closes every connection."""
        with self._lock:
            for adapter in (*self._adapters.values(), *self._retired):
                adapter.close()
            self._adapters.clear()
            self._retired.clear()

    def _adapter(self, source: str) -> Adapter:
        if source not in self._adapters:
            config = self._settings.sources.get(source)
            if config is None:
                raise SourceFailed(
                    ErrorCode.SOURCE_REMOVED,
                    f"The worker has no source named {source} (any more).",
                    hint="Start servers and workers with the same configuration.",
                )
            self._adapters[source] = make_adapter(source, config)
        return self._adapters[source]
