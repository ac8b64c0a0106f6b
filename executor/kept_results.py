"""What servers open of the result store: rows of jobs, and values that profiles list. Says nothing of whose they are.

Arrow is loaded when the first of them is read: a server that answers from the broker's rows never needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from executor.in_force import InForce
from executor.profiles import TableProfile
from executor.results import ResultStore

if TYPE_CHECKING:
    from executor.results.value_lists import ListedValue


class KeptResults:
    """The result store of one configuration, opened when it is first asked for."""

    def __init__(self, in_force: InForce) -> None:
        self._in_force = in_force
        self._opened: ResultStore | None = None

    def store(self) -> ResultStore:
        """Where rows are. Its calls block."""
        if self._opened is None:
            from executor.results.opening import open_results  # noqa: PLC0415 - loads Arrow

            self._opened = open_results(self._in_force.settings)
        return self._opened

    async def listed_values(self, source: str, table: TableProfile) -> AsyncGenerator[list[ListedValue]]:
        """See `Executor.listed_values`."""
        from executor.results.opening import open_value_lists  # noqa: PLC0415 - as above

        blocks = open_value_lists(self._in_force.settings).read(source, (table.schema, table.name), table.version)
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            yield block
