"""The job that profiles one source: table by table, each kept as it is read, so that any worker can go on.

Between statements it asks whether others wait for its slot and gives way to them. Of a table that cannot be read the
log names the table and the code, never a value.
"""

# pyarrow ships no types: its tables are unknown to the checker.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from executor.adapters.base import Adapter
from executor.errors import ExecutorError, StatementFailed
from executor.profile_store import ProfileHead, ProfileStore, tables_hash
from executor.profiles import ColumnProfile, InferredKey, TableProfile
from executor.profiling.figures import Counted, Figures, figures, is_worth_listing, shown_ends, with_counted
from executor.profiling.keys import Guess, infer_keys
from executor.profiling.lookups import Lookups
from executor.profiling.reading import Reading
from executor.profiling.statements import (
    MOST_COLUMNS,
    counted_sql,
    ends_sql,
    is_ordered,
    is_plain,
    limited,
    name_of,
    sampled_from,
    selected,
    size_sql,
    sliced_sql,
    slicing_key,
    span_sql,
)
from executor.results.value_lists import ValueLists
from executor.running import StoppedFromOutside
from executor.settings import ProfileSettings
from executor.source_schema import Column, SourceSchema, Table

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

_SPARE_S = 3.0
"""What is left of the job's time for its end."""

_HEAD_EVERY_S = 2.0
_TELL_EVERY_S = 0.2
_SLICE_S = 1.0
"""How long a job works at least before it gives way, so that it gets on at all."""

_MANY_BYTES = 64_000_000
_ALL_TABLES = ("", "")


class GaveWay(Exception):
    """Others wait for the slot; the job is back in line."""


class Profiler:
    """One attempt of one job.

    Args:
        reading: runs its statements.
        adapter: the source's.
        schema: of the source.
        store: where the profile goes.
        lists: where the listed values go.
        settings: how much is read.
        note: tells how many tables of how many are done.
        give_way: True when the job was put back in line for others.
        now: the broker's time.
    """

    def __init__(
        self,
        reading: Reading,
        adapter: Adapter,
        schema: SourceSchema,
        store: ProfileStore,
        lists: ValueLists,
        settings: ProfileSettings,
        *,
        note: Callable[[int, int], None],
        give_way: Callable[[], bool],
        now: Callable[[], float],
    ) -> None:
        self._reading = reading
        self._adapter = adapter
        self._schema = schema
        self._dialect = schema.dialect
        self._store = store
        self._lists = lists
        self._settings = settings
        self._note = note
        self._give_way = give_way
        self._now = now
        self._began = time.monotonic()
        self._head_at = self._told_at = float("-inf")
        self._kept: dict[tuple[str, str], TableProfile] = {}
        self._checks: dict[str, float] = {}
        self._inferred: tuple[InferredKey, ...] = ()
        self._asked = ""

    def run(self, allowed: Sequence[tuple[str, str]], *, anew_since: float = 0.0) -> int:
        """Profiles the tables `allowed`, forgets all others; the number of tables that are profiled at the end.

        Args:
            allowed: ``(schema, table)`` pairs.
            anew_since: entries older than this are read again whether they changed or not (broker's Unix seconds).

        Raises:
            GaveWay: what was read is kept; the job goes on later.
            StoppedFromOutside: likewise, and it does not.
            ExecutorError: the source cannot be read at all.
        """
        wanted = set(allowed)
        self._asked = tables_hash(allowed)
        tables = [t for t in self._schema.tables if (t.schema, t.name) in wanted]
        self._kept = self._store.tables()
        head = self._store.head()
        self._inferred = head.inferred if head is not None else ()
        self._forget_all_but({(t.schema, t.name) for t in tables})
        versions = self._adapter.data_versions()
        complete = True
        for done, table in enumerate(tables):
            self._tell_progress(done, len(tables))
            made_of = self._made_of(table, versions)
            since = anew_since
            if self._rows_version(table, versions) is None:
                since = max(since, self._now() - self._settings.max_age_s)
            if self._is_good(self._kept.get((table.schema, table.name)), made_of, since):
                continue
            if self._reading.left_s < _SPARE_S:
                complete = False
                break
            self._keep(self._profiled(table, made_of))
            self._say_head(complete=False)
            self._pause()
        self._tell_progress(len(tables), len(tables))
        complete = self._infer(tables) and complete
        self._say_head(complete=complete, at_once=True)
        self._lists.keep_only(self._schema.source, [(key, t.version) for key, t in self._kept.items() if t.listed])
        return len(self._kept)

    # -- what is kept ----------------------------------------------------------------------------------------------

    def _forget_all_but(self, wanted: set[tuple[str, str]]) -> None:
        gone = [key for key in self._kept if key not in wanted]
        if not gone:
            return
        self._store.drop(gone)
        for key in gone:
            del self._kept[key]
        self._inferred = tuple(
            k
            for k in self._inferred
            if (k.schema, k.table) in self._kept and (k.key.ref_schema, k.key.ref_table) in self._kept
        )
        self._say_head(complete=False, at_once=True)
        self._lists.keep_only(self._schema.source, [(key, t.version) for key, t in self._kept.items() if t.listed])

    def _keep(self, table: TableProfile) -> None:
        self._store.save_table(table)
        self._kept[table.schema, table.name] = table

    def _say_head(self, *, complete: bool, at_once: bool = False) -> None:
        if not at_once and time.monotonic() - self._head_at < _HEAD_EVERY_S:
            return
        self._head_at = time.monotonic()
        self._store.save_head(
            ProfileHead(
                version=secrets.token_hex(6),
                schema_hash=self._schema.hash(),
                asked=self._asked,
                complete=complete,
                made_at=self._now(),
                inferred=self._inferred,
            )
        )

    def _tell_progress(self, done: int, total: int) -> None:
        if done == total or not done or time.monotonic() - self._told_at >= _TELL_EVERY_S:
            self._told_at = time.monotonic()
            self._note(done, total)

    def _pause(self) -> None:
        if time.monotonic() - self._began >= _SLICE_S and self._give_way():
            raise GaveWay

    def _made_of(self, table: Table, versions: Mapping[tuple[str, str], str]) -> str:
        told = [
            [[c.name, c.type] for c in table.columns],
            table.primary_key,
            self._rows_version(table, versions),
            self._settings.model_dump(include={"max_rows", "max_values", "value_chars", "scan_rows"}),
        ]
        return hashlib.blake2b(json.dumps(told).encode(), digest_size=8).hexdigest()

    def _rows_version(self, table: Table, versions: Mapping[tuple[str, str], str]) -> object:
        """What the database tells of whether rows have changed; None where it tells nothing."""
        of_all = versions.get(_ALL_TABLES)
        own = versions.get((table.schema, table.name), of_all)
        if table.kind == "view" and table.reads:
            below = [versions.get(name, of_all) for name in table.reads]
            return None if None in below else below
        return table.row_estimate if own is None else own

    def _is_good(self, kept: TableProfile | None, made_of: str, since: float) -> bool:
        return kept is not None and kept.made_of == made_of and kept.profiled_at >= since

    # -- one table -------------------------------------------------------------------------------------------------

    def _profiled(self, table: Table, made_of: str) -> TableProfile:
        empty = TableProfile(table.schema, table.name, profiled_at=self._now(), made_of=made_of)
        if not table.columns:
            return empty
        try:
            return self._read(table, empty)
        except StoppedFromOutside:
            raise
        except Exception as error:  # noqa: BLE001 - drivers raise what they like; `classify` knows
            failed = error if isinstance(error, ExecutorError) else self._adapter.classify(error)
            if not isinstance(failed, StatementFailed):
                raise failed from None
            # the driver's words may quote values
            log.warning(
                "table_not_profiled",
                extra={"source": self._schema.source, "table": table.name, "code": str(failed.code)},
            )
            return empty

    def _read(self, table: Table, empty: TableProfile) -> TableProfile:
        columns = table.columns[:MOST_COLUMNS]
        total, rows = self._some_rows(table)
        count = rows.num_rows
        found = [
            figures(c.name, rows.column(i), rows=count, total=total, is_plain=is_plain(c))
            for i, c in enumerate(columns)
        ]
        lists: dict[str, tuple[Sequence[str], Sequence[int]]] = {}
        told: list[ColumnProfile] = []
        for one in found:
            counted = self._counted(table, one, total, sampled=total is None or total > count)
            told.append(one.profile if counted is None or counted is one.text else with_counted(one.profile, counted))
            if counted is not None and (listed := self._listed(counted)) is not None:
                lists[one.profile.name] = listed
        if total is not None and count < total <= self._settings.scan_rows:
            told = self._with_ends(table, columns, told)
        version = secrets.token_hex(6)
        if lists:
            self._lists.write(self._schema.source, (table.schema, table.name), version, lists)
        return replace(
            empty, row_count=total, rows_read=count, columns=tuple(told), version=version, listed=tuple(lists)
        )

    def _some_rows(self, table: Table) -> tuple[int | None, pa.Table]:
        """How many rows the table has, as far as is known, and all of them or a sample."""
        most, dialect = self._settings.max_rows, self._dialect
        select = selected(table.columns[:MOST_COLUMNS], dialect)
        about = self._size(table)
        if about is None or about <= most:
            sql = limited(select, name_of(table, dialect), most + 1, dialect)
            rows, whole = self._rows(sql, most + 1)
            if whole:
                return rows.num_rows, rows
            if about is None or about <= rows.num_rows:
                return None, rows.slice(0, most)
            return about, rows.slice(0, most)
        key = slicing_key(table, dialect)
        if key is not None:
            first, last = self._reading.number(span_sql(table, key, dialect))
            if first is None or last is None:
                return about, self._rows(limited(select, name_of(table, dialect), most, dialect), most)[0]
            return about, self._rows(sliced_sql(table, select, key, (first, last), most, dialect), most)[0]
        rows, _ = self._rows(limited(select, sampled_from(table, dialect, most, about), most, dialect), most)
        if not rows.num_rows:  # whole blocks are drawn, and sometimes none
            rows, _ = self._rows(limited(select, name_of(table, dialect), most, dialect), most)
        return about, rows

    def _rows(self, sql: str, most_rows: int) -> tuple[pa.Table, bool]:
        return self._reading.rows(sql, most_rows=most_rows, most_bytes=self._settings.max_bytes)

    def _size(self, table: Table) -> int | None:
        sql = size_sql(table, self._dialect)
        if sql is None:
            return table.row_estimate
        try:
            size = self._reading.number(sql)[0]
        except StoppedFromOutside:
            raise
        except Exception:  # noqa: BLE001 - no rowid, or another driver's way to say so: it is not known, then
            return table.row_estimate
        return 0 if size is None else size

    def _with_ends(self, table: Table, columns: Sequence[Column], told: Sequence[ColumnProfile]) -> list[ColumnProfile]:
        """The columns with the least and the greatest numbers and times of the whole table, where it can be asked."""
        ordered = [
            place
            for place, (column, one) in enumerate(zip(columns, told, strict=True))
            if one.least is not None and is_ordered(column)
        ]
        found = list(told)
        if not ordered or table.kind == "view" or self._reading.left_s < _SPARE_S:
            return found
        sql = ends_sql(table, [columns[place].name for place in ordered], self._dialect)
        try:
            rows, _ = self._reading.rows(sql, most_rows=2, most_bytes=_MANY_BYTES)
        except StoppedFromOutside:
            raise
        except Exception:  # noqa: BLE001 - it took too long, or has no order: the sample has to do
            return found
        for number, place in enumerate(ordered):
            least, greatest = shown_ends(rows.column(2 * number), rows.column(2 * number + 1))
            found[place] = replace(found[place], least=least, greatest=greatest)
        return found

    def _counted(self, table: Table, one: Figures, total: int | None, *, sampled: bool) -> Counted | None:
        """The column's different values in the whole table where they are text, or as many as the rows read show."""
        text = one.text
        most = self._settings.max_values
        if text is None or not is_worth_listing(text, most_chars=self._settings.value_chars):
            return text
        if not sampled or total is None or total > self._settings.scan_rows or table.kind == "view" or not most:
            return text
        if self._reading.left_s < _SPARE_S:
            return text
        sql = counted_sql(table, one.profile.name, most + 1, self._dialect)
        try:
            rows, whole = self._reading.rows(sql, most_rows=most + 2, most_bytes=_MANY_BYTES)
        except StoppedFromOutside:
            raise
        except Exception:  # noqa: BLE001 - it took too long, or cannot be grouped by: the sample has to do
            return text
        values, numbers = rows.column(0).to_pylist(), rows.column(1).to_pylist()
        return Counted([str(v) for v in values], [int(n) for n in numbers], whole=whole and len(values) <= most)

    def _listed(self, counted: Counted) -> tuple[Sequence[str], Sequence[int]] | None:
        if not is_worth_listing(counted, most_chars=self._settings.value_chars):
            return None
        most, longest = self._settings.max_values, self._settings.value_chars
        pairs = [
            (value, rows)
            for value, rows in zip(counted.values[:most], counted.rows[:most], strict=True)
            if value.strip() and len(value) <= longest
        ]
        return ([value for value, _ in pairs], [rows for _, rows in pairs]) if pairs else None

    # -- keys between tables ---------------------------------------------------------------------------------------

    def _infer(self, tables: Sequence[Table]) -> bool:
        """Finds keys that are not declared; False where time ran out."""
        self._checks = self._store.checks()
        used: dict[str, float] = {}
        complete = True

        shown = {(t.schema, t.name) for t in tables}
        profiles = {key: profile for key, profile in self._kept.items() if key in shown}
        looking = Lookups(self._reading, self._dialect, profiles, self._settings)

        def found(guess: Guess) -> float | None:
            nonlocal complete
            name = looking.name(guess)
            if name not in self._checks:
                if self._reading.left_s < _SPARE_S:
                    complete = False
                    return None
                share = looking.share(guess)
                self._checks[name] = -1.0 if share is None else share
                try:
                    self._pause()
                except GaveWay:
                    self._store.save_checks(self._checks)
                    raise
            used[name] = self._checks[name]
            return None if used[name] < 0 else used[name]

        self._inferred = tuple(infer_keys(self._schema, profiles, found))
        self._store.save_checks(used)
        return complete
