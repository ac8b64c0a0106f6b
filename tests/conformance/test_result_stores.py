"""What every result store does, one body for all of them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from object_stores import bucket
from pydantic import ValidationError

from executor.errors import ErrorCode, ResultFailed, SettingsInvalid
from executor.jobs import Limits, ResultColumn, ResultSummary, Truncated
from executor.results import ResultStore, ResultWriter, StoredPage
from executor.results.objects import ObjectPlace
from executor.results.opening import open_results
from executor.settings import ExecutorSettings, ObjectStoreSettings

JOB = "7KQ4M-XX2PD-9ZTRW-C83HN-V"
WITHIN_S = 20


def in_a_folder(folder: Path) -> ExecutorSettings:
    return ExecutorSettings(state_dir=folder, results_dir=folder / "results")


@pytest.fixture(params=["local", "S3 over HTTP"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> ExecutorSettings:
    if request.param == "local":
        return in_a_folder(tmp_path)
    endpoint = request.getfixturevalue("s3_endpoint")
    return ExecutorSettings(state_dir=tmp_path, object_store=bucket(endpoint, tmp_path))


@pytest.fixture
def store(settings: ExecutorSettings) -> ResultStore:
    return open_results(settings)


def batch(**columns: object) -> pa.RecordBatch:
    return pa.record_batch({name: pa.array(values) for name, values in columns.items()})


def stored(
    store: ResultStore, *batches: pa.RecordBatch, limits: Limits | None = None, attempt: int = 1
) -> ResultSummary:
    with store.writer(JOB, attempt, limits=limits or Limits()) as writer:
        for some in batches:
            if not writer.write(some):
                break
        return writer.finish()


def all_rows(store: ResultStore, *, limit: int = 10_000, attempt: int = 1) -> list[list[object]]:
    rows: list[list[object]] = []
    offset: int | None = 0
    while offset is not None:
        page = store.page(JOB, attempt, offset=offset, limit=limit, complete=True)
        assert page.offset == offset
        rows += page.rows
        offset = page.next_offset
    return rows


def until(found: Callable[[], StoredPage]) -> StoredPage:
    deadline = time.monotonic() + WITHIN_S
    while not (page := found()).rows:
        assert time.monotonic() < deadline
        time.sleep(0.01)  # between two looks, not instead of one
    return page


def numbers(count: int, size: int = 8_192) -> Iterator[pa.RecordBatch]:
    for start in range(0, count, size):
        ids = range(start, min(start + size, count))
        yield batch(id=ids, text=[f"row {i}" for i in ids])


def test_pages_give_every_row_once_and_in_order(store):
    summary = stored(store, *numbers(150_000))
    assert summary.row_count == 150_000
    rows = all_rows(store)
    assert [row[0] for row in rows] == list(range(150_000))
    assert rows[-1] == [149_999, "row 149999"]


def test_a_page_begins_anywhere_and_ends_where_the_result_does(store):
    stored(store, *numbers(70_000, size=5_000))
    for offset in (0, 999, 1_000, 8_191, 8_192, 66_535, 66_536, 69_999):
        page = store.page(JOB, 1, offset=offset, limit=1, complete=True)
        assert page.rows == [[offset, f"row {offset}"]]
        assert page.next_offset == (offset + 1 if offset < 69_999 else None)
    beyond = store.page(JOB, 1, offset=80_000, limit=5, complete=True)
    assert (beyond.rows, beyond.next_offset) == ([], None)


def test_a_page_stays_within_its_bytes_and_the_next_one_goes_on(store):
    stored(store, batch(id=range(100), text=["ż" * 50] * 100))
    page = store.page(JOB, 1, offset=0, limit=100, max_bytes=2_000, complete=True)
    assert 0 < len(page.rows) < 100
    assert len(json.dumps(page.rows, ensure_ascii=False, separators=(",", ":")).encode()) <= 2_000
    assert page.next_offset == len(page.rows)
    assert page.cut_cells == 0


def test_a_row_larger_than_a_page_is_shown_cut_and_exported_whole(store):
    stored(store, batch(id=[1, 2], text=["x" * 100_000_000, "small"]), batch(id=[3], text=["y"]))
    page = store.page(JOB, 1, offset=0, limit=10, complete=True)
    assert (len(page.rows), page.cut_cells, page.next_offset) == (1, 1, 1)
    assert page.rows[0][0] == 1
    assert len(json.dumps(page.rows)) <= 32_000
    assert store.page(JOB, 1, offset=1, limit=10, complete=True).rows == [[2, "small"], [3, "y"]]
    out = io.BytesIO()
    store.export(JOB, 1, "arrow", out)
    assert len(pa.ipc.open_file(out.getvalue()).read_all().column("text")[0].as_py()) == 100_000_000


def test_columns_are_chosen_by_name_in_the_order_asked_for(store):
    names = ["a", "b", "a"]
    stored(store, pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=names))
    page = store.page(JOB, 1, offset=0, limit=1, columns=["b", "a"], complete=True)
    assert [c.name for c in page.columns] == ["b", "a", "a"]
    assert page.rows == [[2, 1, 3]]
    with pytest.raises(ResultFailed) as refused:
        store.page(JOB, 1, offset=0, limit=1, columns=["c"], complete=True)
    assert refused.value.code == ErrorCode.INVALID_CURSOR


def test_blocks_give_every_row_once_with_its_type_and_stay_within_their_bytes(store):
    stored(store, *(batch(n=range(k * 10_000, (k + 1) * 10_000), price=[Decimal("1.50")] * 10_000) for k in range(20)))
    arrow: list[pa.Table] = []
    lines: list[str] = []
    offset: int | None = 0
    while offset is not None:
        block = store.block(JOB, 1, "arrow_stream", offset=offset, limit=150_000, max_bytes=500_000, complete=True)
        arrow.append(pa.ipc.open_stream(block.data).read_all())
        assert arrow[-1].num_rows == block.rows
        assert arrow[-1].nbytes <= 500_000
        text = store.block(JOB, 1, "csv", offset=offset, limit=150_000, max_bytes=500_000, complete=True)
        assert (text.rows, text.next_offset) == (block.rows, block.next_offset)
        lines += text.data.decode().splitlines()[1:]
        offset = block.next_offset
    whole = pa.concat_tables(arrow)

    assert whole.column("n").to_pylist() == list(range(200_000))
    assert pa.types.is_decimal(whole.schema.field("price").type)
    assert [line.split(",")[0] for line in lines] == [str(n) for n in range(200_000)]


def test_a_block_holds_at_least_one_row_and_its_cells_whole(store):
    stored(store, batch(text=["x" * 1_000_000, "y"]))
    block = store.block(JOB, 1, "arrow_stream", offset=0, limit=10, max_bytes=1_000, complete=True)

    assert pa.ipc.open_stream(block.data).read_all().to_pylist() == [{"text": "x" * 1_000_000}]
    assert block.next_offset == 1
    assert store.block(JOB, 1, "csv", offset=2, limit=10, complete=True).next_offset is None


def test_a_block_has_the_columns_that_were_asked_for(store):
    stored(store, batch(a=[1], b=["x"], c=[True]))
    block = store.block(JOB, 1, "csv", offset=0, limit=10, columns=["c", "a"], complete=True)

    assert block.data.decode() == '"c","a"\ntrue,1\n'
    with pytest.raises(ResultFailed) as unknown:
        store.block(JOB, 1, "csv", offset=0, limit=10, columns=["d"], complete=True)
    assert unknown.value.code is ErrorCode.INVALID_CURSOR


def test_a_block_of_a_result_that_is_being_written_has_what_is_there(store):
    with store.writer(JOB, 1, limits=Limits()) as writer:
        before = store.block(JOB, 1, "csv", offset=0, limit=10, complete=False)
        writer.write(batch(n=range(1_000)))
        writer.write(batch(n=range(1_000, 70_000)))
        end = time.monotonic() + WITHIN_S
        while not (block := store.block(JOB, 1, "arrow_stream", offset=0, limit=10, complete=False)).rows:
            assert time.monotonic() < end
        writer.finish()

    assert (before.rows, before.next_offset, before.complete) == (0, 0, False)
    assert pa.ipc.open_stream(block.data).read_all().column("n").to_pylist() == list(range(10))
    assert (block.next_offset, block.complete) == (10, False)


@pytest.mark.parametrize(("offset", "limit"), [(-1, 10), (0, 0)])
def test_a_place_outside_every_result_is_refused(store, offset, limit):
    stored(store, batch(id=[1]))
    with pytest.raises(ResultFailed) as refused:
        store.page(JOB, 1, offset=offset, limit=limit, complete=True)
    assert refused.value.code == ErrorCode.INVALID_CURSOR


def test_the_row_after_the_last_allowed_one_tells_of_truncation(store):
    whole = stored(store, batch(id=range(10)), limits=Limits(max_rows=10))
    assert (whole.row_count, whole.truncated) == (10, None)
    cut = stored(store, batch(id=range(8)), batch(id=range(3)), limits=Limits(max_rows=10), attempt=2)
    assert (cut.row_count, cut.truncated) == (10, Truncated("max_rows", 10))


def test_rows_are_not_capped_where_the_caller_says_so(store):
    with store.writer(JOB, 1, limits=Limits(max_rows=1), cap_rows=False) as writer:
        assert writer.write(batch(id=range(5)))
        assert (writer.finish().row_count, writer.rows) == (5, 5)


def test_the_byte_limit_keeps_what_fits(store):
    with store.writer(JOB, 1, limits=Limits(max_bytes=5_000)) as writer:
        assert writer.write(batch(id=range(500)))
        assert not writer.write(batch(id=range(500)))
        assert not writer.write(batch(id=range(500)))
        assert writer.bytes <= 5_000
        summary = writer.finish()
    assert (summary.row_count, summary.bytes, summary.truncated) == (625, 5_000, Truncated("max_bytes", 5_000))


def test_a_result_without_rows_has_its_columns(store):
    schema = pa.schema([pa.field("id", pa.int64(), metadata={b"type": b"int8"}), pa.field("id", pa.string())])
    with store.writer(JOB, 1, limits=Limits()) as writer:
        writer.start(schema)
        summary = writer.finish()
    assert summary.columns == (ResultColumn("id", "int8"), ResultColumn("id", "text"))
    page = store.page(JOB, 1, offset=0, limit=10, complete=True)
    assert (page.columns, page.rows, page.next_offset) == (summary.columns, [], None)


def test_a_result_without_columns_has_its_rows(store):
    summary = stored(store, pa.record_batch([pa.nulls(1_500)], names=["_"]).select([]))
    assert (summary.columns, summary.row_count) == ((), 1_500)
    assert all_rows(store) == [[]] * 1_500


def test_the_databases_own_type_names_are_kept(store):
    declared = pa.schema([pa.field("id", pa.int64(), metadata={b"type": b"bigserial"}), pa.field("t", pa.string())])
    with store.writer(JOB, 1, limits=Limits()) as writer:
        writer.start(declared)
        writer.write(batch(id=[1], t=["x"]))
        summary = writer.finish()
    assert [c.type for c in summary.columns] == ["bigserial", "text"]
    assert [c.type for c in store.page(JOB, 1, offset=0, limit=1, complete=True).columns] == ["bigserial", "text"]


@pytest.mark.parametrize(
    ("parts", "kind", "cells"),
    [
        ([[None], [1], [2.5]], "float", [None, 1.0, 2.5]),
        ([[1], [2.5], [2**53 + 1]], "text", ["1", "2.5", "9007199254740993"]),
        ([[1], ["x"], [b"\x01"], [None]], "text", ["1", "x", "\\x01", None]),
        ([[Decimal("1.5")], [Decimal("10.25")]], "decimal(4,2)", ["1.50", "10.25"]),
    ],
)
def test_a_column_whose_type_changes_on_the_way_keeps_every_value(store, parts, kind, cells):
    summary = stored(store, *(batch(v=values) for values in parts))
    assert [c.type for c in summary.columns] == [kind]
    assert all_rows(store) == [[cell] for cell in cells]
    out = io.BytesIO()
    store.export(JOB, 1, "arrow", out)
    assert pa.ipc.open_file(out.getvalue()).read_all().num_rows == len(cells)


def test_the_summary_counts_exactly_while_values_are_few(store):
    count = 40_000
    summary = stored(
        store,
        batch(id=range(count), city=[None if i % 10 == 0 else f"city {i % 7}" for i in range(count)]),
        batch(id=[-5], city=["city 1"]),
    )
    ids, cities = summary.stats
    assert ids.pop("approximate").startswith("from a sample of")
    assert ids == {"nulls": 0, "min": -5, "max": count - 1, "distinct": count + 1, "top": []}
    assert (cities["nulls"], cities["min"], cities["max"], cities["distinct"]) == (4_000, "city 0", "city 6", 7)
    assert len(cities["top"]) == 5
    assert sum(n for _, n in cities["top"]) < 36_001


def test_a_summary_stays_small_whatever_the_cells_hold(store):
    summary = stored(store, batch(text=[f"{'x' * 10_000}{i % 20}" for i in range(100)], items=[["a" * 500]] * 100))
    assert len(json.dumps(summary.stats)) < 1_500


def test_a_summary_of_very_many_columns_stays_small_and_tells_most_of_the_first(store):
    names = [f"a column with quite a long name {n}" for n in range(800)]
    rows = pa.array([f"some text {i % 40} " + "x" * 40 for i in range(200)])
    summary = stored(store, pa.RecordBatch.from_arrays([rows] * 800, names=names))
    assert len(json.dumps(summary.stats, separators=(",", ":"), ensure_ascii=False).encode()) <= 20_002
    assert len(summary.stats) == 800
    assert summary.stats[0]["nulls"] == 0
    assert summary.stats[0]["distinct"] == 40
    assert summary.stats[0]["min"].startswith("some text 0")


def test_the_first_page_is_ready_when_the_result_is(store):
    with store.writer(JOB, 1, limits=Limits()) as writer:
        for some in numbers(5_000, size=300):
            writer.write(some)
        writer.finish()
        preview = writer.first_page
    assert preview == store.page(JOB, 1, offset=0, limit=1_000, complete=True).rows
    assert 0 < len(preview) <= 1_000


def test_rows_are_readable_while_the_database_is_still_sending(store):
    with store.writer(JOB, 1, limits=Limits()) as writer:
        assert store.page(JOB, 1, offset=0, limit=10, complete=False) == StoredPage((), [], 0, 0, complete=False)
        writer.write(batch(id=range(1_200)))
        first = store.page(JOB, 1, offset=995, limit=10, complete=False)
        assert [row[0] for row in first.rows] == list(range(995, 1_000))
        assert (first.next_offset, first.complete) == (1_000, False)
        late = until(lambda: store.page(JOB, 1, offset=1_000, limit=500, complete=False))
        assert (len(late.rows), late.next_offset, late.complete) == (200, 1_200, False)
        writer.finish()
    assert store.page(JOB, 1, offset=0, limit=10, complete=False).complete


def test_a_writer_left_by_an_exception_never_completes(store):
    with pytest.raises(LookupError), store.writer(JOB, 1, limits=Limits()) as writer:
        writer.write(batch(id=range(2_000)))
        raise LookupError
    assert store.current(JOB) is None
    assert len(store.page(JOB, 1, offset=0, limit=10, complete=False).rows) == 10
    with pytest.raises(ResultFailed) as gone:
        store.page(JOB, 1, offset=0, limit=10, complete=True)
    assert gone.value.code == ErrorCode.RESULT_EXPIRED


def test_a_worker_killed_while_writing_leaves_whole_parts_and_no_result(store, settings):
    script = """
        import sys, pyarrow as pa
        from executor.jobs import Limits
        from executor.results.opening import open_results
        from executor.settings import ExecutorSettings
        settings = ExecutorSettings.model_validate_json(sys.argv[1])
        with open_results(settings).writer(sys.argv[2], 1, limits=Limits()) as writer:
            while True:
                start = writer.rows
                writer.write(pa.record_batch({"id": pa.array(range(start, start + 8_192))}))
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), settings.model_dump_json(), JOB]) as worker:
        try:
            until(lambda: store.page(JOB, 1, offset=100_000, limit=1, complete=False))
        finally:
            worker.kill()
    page = store.page(JOB, 1, offset=66_000, limit=2_000, complete=False)
    assert [row[0] for row in page.rows] == list(range(66_000, 66_000 + len(page.rows)))
    assert store.current(JOB) is None
    assert stored(store, batch(id=[1]), attempt=2).row_count == 1
    assert all_rows(store, attempt=2) == [[1]]


def stored_in(folder: Path, rows: int) -> tuple[ResultStore, Path]:
    """A store that holds a result of so many rows, and where its manifest is."""
    store = open_results(in_a_folder(folder))
    stored(store, *numbers(rows))
    return store, folder / "results" / JOB / "1.arrow"


@pytest.mark.parametrize("rows", [3, 70_000])
def test_a_result_is_none_without_its_manifests_end(tmp_path, rows):
    """In a folder; an object appears whole or not at all."""
    store, manifest = stored_in(tmp_path, rows)
    whole = manifest.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        manifest.write_bytes(whole[:length])
        assert store.current(JOB) is None
        with pytest.raises(ResultFailed) as failed:
            store.page(JOB, 1, offset=0, limit=10, complete=True)
        assert failed.value.code is ErrorCode.RESULT_EXPIRED
        # what is in parts can be read on, as while they were written
        readable = store.page(JOB, 1, offset=0, limit=10, complete=False).rows
        assert [row[0] for row in readable] == ([] if rows == 3 else list(range(10)))
    manifest.write_bytes(whole)
    assert [row[0] for row in all_rows(store)] == list(range(rows))


def test_a_small_result_is_one_file(tmp_path):
    stored(open_results(in_a_folder(tmp_path)), *numbers(3))
    files = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert [str(file.relative_to(tmp_path / "results")) for file in files] == [f"{JOB}/1.arrow"]


@pytest.mark.parametrize("rows", [3, 70_000])
def test_a_result_whose_manifest_ends_in_zeros_is_gone(tmp_path, rows):
    """What a machine that lost its power may leave of a file."""
    store, manifest = stored_in(tmp_path, rows)
    whole = manifest.read_bytes()
    for zeros in range(1, len(whole) + 1):
        manifest.write_bytes(whole[:-zeros] + bytes(zeros))
        with pytest.raises(ResultFailed) as failed:
            store.page(JOB, 1, offset=0, limit=10, complete=True)
        assert failed.value.code is ErrorCode.RESULT_EXPIRED


@pytest.mark.parametrize("sizes", [(3, 70_000), (70_000, 3), (3, 3), (70_000, 70_000)])
def test_an_attempt_that_is_written_again_has_the_later_rows(store, sizes):
    for size in sizes:
        stored(store, *numbers(size))
        assert [row[0] for row in all_rows(store)] == list(range(size))
        assert store.current(JOB)[1].row_count == size
    store.delete(JOB, 1)
    assert store.inventory() == []


def test_attempts_never_mix_and_the_newest_published_one_is_current(store):
    stored(store, batch(id=[2]), attempt=2)
    stored(store, batch(id=[1]), attempt=1)
    attempt, summary = store.current(JOB) or (0, None)
    assert attempt == 2
    assert summary == stored(store, batch(id=[2]), attempt=3)
    assert all_rows(store, attempt=1) == [[1]]


def test_a_deleted_result_is_expired_and_deleting_again_is_nothing(store):
    stored(store, batch(id=[1]))
    store.delete(JOB)
    store.delete(JOB)
    for read in (
        lambda: store.page(JOB, 1, offset=0, limit=1, complete=True),
        lambda: store.export(JOB, 1, "csv", io.BytesIO()),
    ):
        with pytest.raises(ResultFailed) as gone:
            read()
        assert gone.value.code == ErrorCode.RESULT_EXPIRED


def test_the_inventory_tells_of_every_attempt_and_an_attempt_is_deleted_alone(store):
    assert store.inventory() == []
    before = store.now()
    stored(store, batch(id=[1]), attempt=2)
    with store.writer(JOB, 1, limits=Limits()) as writer:
        writer.write(batch(id=range(2_000)))
    lost, whole = sorted(store.inventory(), key=lambda kept: kept.attempt)
    assert [(kept.job_id, kept.attempt) for kept in (lost, whole)] == [(JOB, 1), (JOB, 2)]
    assert lost.bytes > 100
    assert before <= whole.written_at <= lost.written_at <= store.now()
    assert len(store.inventory()) == 2
    store.delete(JOB, 1)
    assert [kept.attempt for kept in store.inventory()] == [2]
    assert all_rows(store, attempt=2) == [[1]]


def test_a_job_id_never_leads_outside_the_store(store):
    for job_id in ("../x", "a/b", "", "."):
        with pytest.raises(ValueError, match="job id"):
            store.delete(job_id)


EXPORTED = pa.record_batch(
    [
        pa.array([1, None, 2**60]),
        pa.array(['say "hi"\n', "", None]),
        pa.array([Decimal("1.50"), None, Decimal("-0.01")]),
        pa.array([[1, 2], None, []], pa.list_(pa.int8())),
        pa.array([1.5, float("nan"), None]),
    ],
    names=["id", "text", "price", "items", "id"],
)
RECORDS = [
    {"id": 1, "text": 'say "hi"\n', "price": "1.50", "items": [1, 2], "id_2": 1.5},
    {"id": None, "text": "", "price": None, "items": None, "id_2": "NaN"},
    {"id": str(2**60), "text": None, "price": "-0.01", "items": [], "id_2": None},
]


def exported(store: ResultStore, format: str) -> bytes:  # noqa: A002 - the word users type
    out = io.BytesIO()
    store.export(JOB, 1, format, out)
    return out.getvalue()


def test_json_lines_hold_each_row_as_an_object(store):
    stored(store, EXPORTED)
    assert [json.loads(line) for line in exported(store, "json").splitlines()] == RECORDS


def test_csv_holds_what_cells_show_and_tells_null_from_empty_text(store):
    stored(store, EXPORTED)
    text = exported(store, "csv").decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["id", "text", "price", "items", "id_2"]
    assert rows[1] == ["1", 'say "hi"\n', "1.50", "[1,2]", "1.5"]
    assert rows[3] == [str(2**60), "", "-0.01", "[]", ""]
    assert '\n,"",,,"NaN"\n' in text


def test_parquet_and_arrow_keep_types_and_values(store):
    stored(store, EXPORTED)
    for table in (
        pq.read_table(io.BytesIO(exported(store, "parquet"))),
        pa.ipc.open_file(exported(store, "arrow")).read_all(),
    ):
        assert table.column_names == ["id", "text", "price", "items", "id_2"]
        assert table.column("price").to_pylist() == EXPORTED.column(2).to_pylist()
        assert table.column("items").to_pylist() == [[1, 2], None, []]


EXACT = pa.record_batch(
    [
        pa.array([2**53, 2**53 + 1, -(2**63)]),
        pa.array([Decimal("12345678901234567890123456789.01"), Decimal("0.10"), None], pa.decimal128(38, 2)),
        pa.array([b"\x00\xff", b"", None]),
        pa.array([float("nan"), float("inf"), float("-inf")]),
        pa.array([0, 1_700_000_000_123_456, None], pa.timestamp("us", "Europe/Berlin")),
        pa.array([0.1, 1e300, -0.0]),
    ],
    names=["big", "exact", "raw", "x", "at", "x"],
)


def test_text_exports_lose_no_digit_and_hold_what_json_has_no_number_for_as_text(store):
    stored(store, EXACT)
    records = [json.loads(line) for line in exported(store, "json").splitlines()]
    assert [list(r) for r in records] == [["big", "exact", "raw", "x", "at", "x_2"]] * 3
    assert [str(r["big"]) for r in records] == [str(2**53), str(2**53 + 1), str(-(2**63))]
    assert isinstance(records[1]["big"], str)
    assert [r["exact"] for r in records] == ["12345678901234567890123456789.01", "0.10", None]
    assert [r["raw"] for r in records] == ["\\x00ff", "\\x", None]
    assert [r["x"] for r in records] == ["NaN", "Infinity", "-Infinity"]
    assert [datetime.fromisoformat(r["at"]) for r in records[:2]] == EXACT.column(4).to_pylist()[:2]
    assert [r["x_2"] for r in records] == [0.1, 1e300, -0.0]
    rows = list(csv.DictReader(io.StringIO(exported(store, "csv").decode())))
    assert [r["big"] for r in rows] == [str(v) for v in EXACT.column(0).to_pylist()]
    for name in ("exact", "raw", "x", "at"):
        assert [r[name] or None for r in rows] == [r[name] for r in records]


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_binary_exports_keep_every_type(store, format):  # noqa: A002 - the word users type
    stored(store, EXACT)
    data = exported(store, format)
    table = pq.read_table(io.BytesIO(data)) if format == "parquet" else pa.ipc.open_file(data).read_all()
    assert table.schema.types == EXACT.schema.types
    assert table.column_names[-1] == "x_2"
    for column, kept in zip(EXACT.columns, table.columns, strict=True):
        assert [repr(v) for v in kept.to_pylist()] == [repr(v) for v in column.to_pylist()]


@pytest.mark.parametrize("format", ["csv", "json", "parquet", "arrow"])
def test_results_without_rows_or_columns_are_exported_too(store, format):  # noqa: A002 - the word users type
    stored(store)
    exported(store, format)
    stored(store, pa.record_batch([pa.nulls(3)], names=["_"]).select([]))
    exported(store, format)
    stored(
        store, pa.record_batch([pa.array([None, None]), pa.array([pa.MonthDayNano([1, 2, 3])] * 2)], names=["n", "i"])
    )
    assert b"P1M2DT0.000000003S" in exported(store, format) or format in {"parquet", "arrow"}


@pytest.mark.skipif(os.name == "nt", reason="a limit on file sizes is a POSIX thing")
def test_a_full_store_is_told_by_its_code(tmp_path):
    script = """
        import resource, sys, pyarrow as pa
        from pathlib import Path
        from executor.errors import ResultFailed
        from executor.jobs import Limits
        from executor.results.local import LocalPlace
        from executor.results.stored import StoredResults
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            with StoredResults(LocalPlace(Path(sys.argv[1]))).writer("J", 1, limits=Limits()) as writer:
                while writer.rows < 10_000_000:
                    start = writer.rows
                    writer.write(pa.record_batch({"id": pa.array(range(start, start + 8_192))}))
        except ResultFailed as failed:
            print(failed.code)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), tmp_path],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert run.stdout.strip() == ErrorCode.STORE_FULL
    assert not list(tmp_path.rglob("*.tmp"))


def test_counters_can_be_read_while_writing(store):
    with store.writer(JOB, 1, limits=Limits()) as writer:
        live: ResultWriter = writer
        live.write(batch(id=range(100)))
        assert (live.rows, live.bytes) == (100, 800)


def test_a_store_that_cannot_be_reached_is_told_by_its_code_and_without_its_address(tmp_path, s3_endpoint):
    objects = bucket(s3_endpoint, tmp_path)
    nowhere = objects.model_copy(update={"url": "s3://no-such-bucket/results"})
    (tmp_path / "file").write_text("not a folder")
    for settings in (
        ExecutorSettings(state_dir=tmp_path, object_store=nowhere),
        ExecutorSettings(state_dir=tmp_path, results_dir=tmp_path / "file" / "results"),
    ):
        with pytest.raises(ResultFailed) as failed:
            stored(open_results(settings), batch(id=[1]))
        assert failed.value.code == ErrorCode.STORE_UNAVAILABLE
        assert "no-such-bucket" not in failed.value.message
        assert str(tmp_path) not in failed.value.message


def test_a_secret_option_is_never_in_the_configuration():
    for name in ("secret_access_key", "aws_session_token", "account_key", "google_service_account_key", "sas_token"):
        with pytest.raises(ValidationError, match=name):
            ObjectStoreSettings.model_validate({"url": "s3://bucket", "options": {name: "x"}})
    with pytest.raises(ValidationError, match="url"):
        ObjectStoreSettings(url="s3://key:secret@bucket/prefix")
    with pytest.raises(SettingsInvalid, match="object_store"):
        ObjectPlace.open(ObjectStoreSettings(url="s3://bucket", options={"no_such_option": "x"}))
    with pytest.raises(SettingsInvalid, match="object_store"):
        ObjectPlace.open(ObjectStoreSettings(url="s3://bucket", options={"allow_http": "true"}))
