"""A statement that the database expects to be dear: it runs, is warned of, waits for a yes, or is not run."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import pytest_asyncio
from machines import OWNER, Machine, broker_of, make_shop, running, settings_for

from executor import CostGate, ErrorCode, Job, JobKind, JobState, StatementFailed, Touch

pytestmark = pytest.mark.asyncio(loop_scope="module")

CROSS = "SELECT count(*) AS n FROM orders a, orders b"  # 5,000 × 5,000
CHEAP = "SELECT id FROM orders WHERE id = 7"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["embedded", "configured"])
async def machine(request, tmp_path_factory):
    with broker_of(request.param) as url:
        folder = tmp_path_factory.mktemp("machine")
        async with running(settings_for(folder, make_shop(folder), broker_url=url)) as made:
            yield made


async def run(machine: Machine, sql: str, gate: CostGate | None, *, owner: str = OWNER, confirm: str | None = None,
              kind: JobKind = JobKind.QUERY, filtered: bool = False) -> Job:  # fmt: skip
    statement = replace(
        machine.statement(sql), cost=gate, kind=kind, proof=(Touch("main.orders", "a rule", filtered=filtered),)
    )
    job = await machine.executor.submit(statement, owner=owner, confirm=confirm)
    return await machine.executor.wait(job.id, owner=owner, timeout_s=40)


def code_of(job: Job) -> str:
    return str(job.error.code) if job.error is not None else str(job.state)


async def test_what_is_cheap_runs_without_a_word(machine):
    job = await run(machine, CHEAP, CostGate(warn=1e4, confirm=1e5, refuse=1e6))
    assert job.preview == [[7]]
    assert "expensive" not in job.notes
    assert job.notes["estimate"]["cost"] == "about 1"


async def test_above_the_first_threshold_it_runs_and_says_so(machine):
    job = await run(machine, CROSS, CostGate(warn=1e6))
    assert job.preview == [[25_000_000]]
    assert job.notes["expensive"] == "The database expects to touch about 25,005,000 rows for this statement."


async def test_above_the_last_threshold_it_is_not_run(machine):
    job = await run(machine, CROSS, CostGate(refuse=1e6))
    assert code_of(job) == ErrorCode.TOO_EXPENSIVE
    assert job.started_at is not None
    assert "confirmation" not in job.notes


async def test_it_waits_for_a_yes_which_is_good_for_that_statement_and_that_caller(machine):
    gate = CostGate(confirm=1e6)
    asked = await run(machine, CROSS, gate)
    assert code_of(asked) == ErrorCode.NEEDS_CONFIRMATION
    token = asked.notes["confirmation"]
    assert (await run(machine, CROSS, gate, confirm=token)).preview == [[25_000_000]]
    with pytest.raises(StatementFailed) as other:
        await run(machine, CROSS + ", orders c", gate, confirm=token)
    assert other.value.code is ErrorCode.NEEDS_CONFIRMATION
    with pytest.raises(StatementFailed):
        await run(machine, CROSS, gate, owner="test/owner/b", confirm=token)
    for broken in (token[:-2], "x" + token[1:], "", "not a token"):
        with pytest.raises(StatementFailed):
            await run(machine, CROSS, gate, confirm=broken)


async def test_a_yes_to_a_statement_does_not_open_the_last_threshold(machine):
    token = (await run(machine, CROSS, CostGate(confirm=1e6))).notes["confirmation"]
    job = await run(machine, CROSS, CostGate(confirm=1e6, refuse=2e6), confirm=token)
    assert code_of(job) == ErrorCode.TOO_EXPENSIVE


async def test_under_a_row_filter_only_bands_are_told(machine):
    job = await run(machine, CROSS, CostGate(refuse=1e6), filtered=True)
    assert job.error is not None
    assert "1 million to 1 billion rows" in job.error.message
    assert not re.search(r"25.?0", f"{job.error.message} {job.notes}")
    dry = await run(machine, CROSS, CostGate(refuse=1e6), kind=JobKind.DRY_RUN, filtered=True)
    assert dry.notes["estimate"]["cost"] == "1 million to 1 billion"
    assert dry.notes["plan"] == []


async def test_a_dry_run_shows_the_plan_and_runs_nothing(machine):
    job = await run(machine, CROSS + ", orders c, orders d", CostGate(refuse=10), kind=JobKind.DRY_RUN)
    assert job.state is JobState.SUCCEEDED
    assert len([line for line in job.notes["plan"] if line.startswith("SCAN")]) == 4
    assert job.notes["expensive"].endswith("10 are the most it may.")
    assert (job.rows, job.summary, job.preview) == (0, None, [])


async def test_without_thresholds_nothing_is_explained(machine):
    job = await run(machine, CHEAP, None)
    assert job.preview == [[7]]
    assert "estimate" not in job.notes
