"""What is deleted of results, when, and what is not."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
import pytest_asyncio
from machines import COUNT_FOR_EVER, OWNER, make_shop, running, settings_for

from executor import ErrorCode, ExecutorError, ExecutorSettings, JobState, Limits
from executor.adapters.duckdb_spill import SpillFolder, remove_orphans
from executor.connections import connect_sync
from executor.results.opening import open_results
from executor.sweeper import Sweeper
from executor.upkeep_store import UpkeepStore

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("machine")
    async with running(settings_for(folder, make_shop(folder), principal_max_running=1)) as running_machine:
        yield running_machine


def sweep(machine, **changes: object) -> int:
    settings: ExecutorSettings = machine.settings.model_copy(update=changes)
    with connect_sync(machine.broker_url) as connection:
        return Sweeper(settings, UpkeepStore(settings, connection), open_results(settings)).sweep(late_word_s=0)


def write(machine, job_id: str, attempt: int) -> None:
    with open_results(machine.settings).writer(job_id, attempt, limits=Limits()) as writer:
        writer.write(pa.record_batch({"id": [1]}))
        writer.finish()


def kept(machine) -> set[tuple[str, int]]:
    return {(found.job_id, found.attempt) for found in open_results(machine.settings).inventory()}


async def read_code(machine, job) -> str | None:
    try:
        await machine.executor.page(job.id, owner=OWNER)
    except ExecutorError as error:
        return error.code
    return None


async def test_lost_attempts_and_rows_of_cancelled_jobs_go_and_the_rest_stays(machine):
    done = await machine.run("SELECT 1")
    write(machine, done.id, 7)
    running_job = await machine.submit(COUNT_FOR_EVER)
    cancelled = await machine.submit("SELECT 2")
    # as an earlier attempt would have left it; no worker sees the end of this job
    write(machine, cancelled.id, 1)
    assert (await machine.executor.cancel(cancelled.id, owner=OWNER)).state is JobState.CANCELLED
    await machine.executor.cancel(running_job.id, owner=OWNER)
    forgotten = "00000-00000-00000-00000-0"
    write(machine, forgotten, 1)

    assert sweep(machine) == 2
    assert {(done.id, 1), (forgotten, 1)} <= kept(machine)
    assert not {(done.id, 7), (cancelled.id, 1)} & kept(machine)
    assert await read_code(machine, done) is None

    assert sweep(machine, result_ttl_s=0) == 1
    assert (forgotten, 1) not in kept(machine)
    assert (done.id, 1) in kept(machine)


async def test_the_oldest_results_make_room_and_read_as_expired_and_live_jobs_keep_theirs(machine):
    old = await machine.run("SELECT id FROM orders ORDER BY id")
    live = await machine.submit(COUNT_FOR_EVER, owner="test/owner/b")
    await machine.until(live, JobState.RUNNING)
    write(machine, live.id, 5)  # not the running attempt's, whose worker clears its own folder when it begins
    new = await machine.run("SELECT id + 1 FROM orders ORDER BY id")
    sizes = {found.job_id: found.bytes for found in open_results(machine.settings).inventory()}

    sweep(machine, results_max_bytes=sizes[live.id] + sizes[new.id])
    assert (await read_code(machine, old), await read_code(machine, new)) == (ErrorCode.RESULT_EXPIRED, None)
    assert (await machine.executor.get(old.id, owner=OWNER)).preview == []

    sweep(machine, results_min_free_bytes=10**18)
    assert await read_code(machine, new) == ErrorCode.RESULT_EXPIRED
    assert kept(machine) == {(live.id, 5)}
    await machine.executor.cancel(live.id, owner=live.owner)
    await machine.until(live, JobState.CANCELLED)


async def test_spill_folders_go_with_their_process_and_not_before():
    script = "from executor.adapters.duckdb_spill import SpillFolder as S; s = S(); print(s.path, flush=True); input()"
    mine = SpillFolder()
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        remove_orphans(young_s=0)
        assert theirs.is_dir()
        other.kill()
        other.wait()
        assert theirs.parent == Path(tempfile.gettempdir())
        assert remove_orphans(young_s=0) >= 1
    assert not theirs.exists()
    assert mine.path.is_dir()
    mine.remove()
