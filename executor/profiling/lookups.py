"""Whether the values of one column are in a key of another table, asked of the database. Never scans a huge table."""

from __future__ import annotations

import json
from collections.abc import Mapping

from executor.profiles import TableProfile
from executor.profiling.keys import Guess
from executor.profiling.reading import Reading
from executor.profiling.statements import found_sql, limited, name_of, sampled_from
from executor.running import StoppedFromOutside
from executor.settings import ProfileSettings

_LOOKED_FOR = 500
"""Different values of a column that are looked for in a key."""


class Lookups:
    """Looks values up between the tables of `profiles`, with the statements of one job."""

    def __init__(
        self,
        reading: Reading,
        dialect: str,
        profiles: Mapping[tuple[str, str], TableProfile],
        settings: ProfileSettings,
    ) -> None:
        self._reading = reading
        self._dialect = dialect
        self._profiles = profiles
        self._settings = settings

    def name(self, guess: Guess) -> str:
        """Names the columns and the readings of their tables: what was found holds while both are the same."""
        child, parent = self._ends(guess)
        return json.dumps([child.version, guess.column.name, parent.version, guess.key.name])

    def share(self, guess: Guess) -> float | None:
        """Which share of the column's values, of some hundreds at most, is in the key.

        None where there are no values, they cannot be compared, or it would take too long.

        Raises:
            StoppedFromOutside: the job was told to stop.
        """
        child, parent = self._ends(guess)
        if not child.rows_read or not parent.rows_read:
            return None
        is_indexed = guess.parent.primary_key == (guess.key.name,)
        if (parent.row_count is None or parent.row_count > self._settings.scan_rows) and not is_indexed:
            return None
        origin = name_of(guess.child, self._dialect)
        if child.row_count is None or child.row_count > child.rows_read:
            most = self._settings.max_rows
            sample = sampled_from(guess.child, self._dialect, most, child.row_count or most)
            origin = f"({limited('*', sample, most, self._dialect)}) AS s"
        sql = found_sql(origin, guess.column.name, guess.parent, guess.key.name, _LOOKED_FOR, self._dialect)
        try:
            values, there = self._reading.number(sql)
        except StoppedFromOutside:
            raise
        except Exception:  # noqa: BLE001 - types that cannot be compared, or too slow: nothing is known, then
            return None
        return None if not values or there is None else there / values

    def _ends(self, guess: Guess) -> tuple[TableProfile, TableProfile]:
        child = self._profiles[guess.child.schema, guess.child.name]
        return child, self._profiles[guess.parent.schema, guess.parent.name]
