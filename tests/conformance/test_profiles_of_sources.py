"""What a profile says of a table, over every kind of database: the statements, the figures, the lists of values."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from databases import Database

from executor import ForeignKey, InferredKey, SourceSchema, TableProfile
from executor.adapters.base import Adapter
from executor.profile_store import ProfileHead
from executor.profiling.profiler import Profiler
from executor.profiling.reading import Reading
from executor.results.local import LocalPlace
from executor.results.value_lists import ListedValue, ValueLists
from executor.running import RunningJob
from executor.settings import ProfileSettings


class Kept:
    """What the broker would keep, in memory: these tests are about reading."""

    def __init__(self) -> None:
        self.by_table: dict[tuple[str, str], TableProfile] = {}
        self.last: ProfileHead | None = None
        self.looked_up: dict[str, float] = {}

    def tables(self) -> dict[tuple[str, str], TableProfile]:
        return dict(self.by_table)

    def head(self) -> ProfileHead | None:
        return self.last

    def checks(self) -> dict[str, float]:
        return dict(self.looked_up)

    def save_table(self, table: TableProfile) -> None:
        self.by_table[table.schema, table.name] = table

    def save_head(self, head: ProfileHead) -> None:
        self.last = head

    def save_checks(self, checks: Mapping[str, float]) -> None:
        self.looked_up = dict(checks)

    def drop(self, tables: list[tuple[str, str]]) -> None:
        for table in tables:
            del self.by_table[table]


class Bench:
    """A profiler of one source without a broker."""

    def __init__(self, adapter: Adapter, folder: Path) -> None:
        self.adapter = adapter
        self.kept = Kept()
        self.lists = ValueLists(LocalPlace(folder))
        self.schema = adapter.inspect()

    def profile(self, schema: SourceSchema | None = None, **settings: int) -> dict[str, TableProfile]:
        told = ProfileSettings.model_validate(settings)
        schema = schema or self.schema
        job = RunningJob("bench", "1", "shop")
        reading = Reading(self.adapter, job, lambda _job: None, timeout_s=20, ends_at=time.monotonic() + 60)
        profiler = Profiler(
            reading,
            self.adapter,
            schema,
            self.kept,  # type: ignore[arg-type] # see its docstring
            self.lists,
            told,
            note=lambda _done, _total: None,
            give_way=lambda: False,
            now=time.time,
        )
        profiler.run([(t.schema, t.name) for t in schema.tables])
        return {name: table for (_, name), table in self.kept.by_table.items()}

    def values(self, table: TableProfile) -> list[ListedValue]:
        blocks = self.lists.read("shop", (table.schema, table.name), table.version)
        return [value for block in blocks for value in block]


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Iterator[Bench]:
    adapter = database.adapter()
    yield Bench(adapter, tmp_path / "lists")
    adapter.close()


def test_a_small_table_is_told_exactly(bench: Bench) -> None:
    customers = bench.profile()["customers"]
    id_, name = (next(c for c in customers.columns if c.name == wanted) for wanted in ("id", "name"))

    assert (customers.row_count, customers.rows_read) == (3, 3)
    assert (id_.null_share, id_.distinct, id_.least, id_.greatest, id_.approximate) == (0, 3, "1", "3", False)
    assert sorted(name.values) == ["", "Ada", "Béla"]
    assert sorted((v.column, v.value, v.rows) for v in bench.values(customers)) == [
        ("name", "Ada", 1),
        ("name", "Béla", 1),
    ]


def test_of_a_larger_table_a_bounded_piece_is_read(bench: Bench) -> None:
    orders = bench.profile(max_rows=2)["orders"]
    told = {column.name: column for column in orders.columns}

    assert 0 < orders.rows_read <= 2
    assert told["customer_id"].approximate
    assert {"1", "2"} >= set(told["customer_id"].values) > set()


def test_of_a_larger_table_values_and_ends_are_asked_of_the_database(bench: Bench) -> None:
    customers = bench.profile(max_rows=2)["customers"]
    told = {column.name: column for column in customers.columns}

    if customers.row_count is None:
        # of a table that may be of any size nothing is asked that reads it whole
        assert told["id"].approximate
        assert (customers.rows_read, len(bench.values(customers))) <= (2, 2)
        return
    assert sorted(v.value for v in bench.values(customers)) == ["Ada", "Béla"]
    assert (told["id"].least, told["id"].greatest) == ("1", "3")


def test_an_undeclared_key_is_found_by_its_name_and_its_values(bench: Bench) -> None:
    bare = replace(bench.schema, tables=tuple(replace(table, foreign_keys=()) for table in bench.schema.tables))
    bench.profile(bare)
    customers = next(table for table in bare.tables if table.name == "customers")
    key = ForeignKey(("customer_id",), customers.schema, "customers", ("id",))

    assert bench.kept.last is not None
    assert (
        InferredKey(customers.schema, "orders", key, "named as customers.id; 100% of its values found there")
        in bench.kept.last.inferred
    )


def test_tables_whose_rows_have_not_changed_are_kept(bench: Bench) -> None:
    before = bench.profile()["customers"]
    after = bench.profile()["customers"]

    assert after.version == before.version
    assert bench.values(before)


def test_tables_that_may_not_be_read_any_more_are_forgotten_with_their_values(bench: Bench) -> None:
    before = bench.profile()["customers"]
    others = replace(bench.schema, tables=tuple(t for t in bench.schema.tables if t.name == "orders"))
    after = bench.profile(others)

    assert set(after) == {"orders"}
    assert bench.values(before) == []
