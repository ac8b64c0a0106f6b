"""The queue that sizes machines is held against what is known of queues."""

from __future__ import annotations

import random
import statistics

import pytest
import simpy
from simulate_queue import Load, Machines, Queue, erlang_wait_s, general_wait_s, simulated


def exponential(mean_s: float) -> list[float]:
    chance = random.Random(7)
    return [chance.expovariate(1 / mean_s) for _ in range(50_000)]


def test_one_slot_has_the_wait_that_every_textbook_gives() -> None:
    # load / (1 - load) x the mean of a statement
    assert erlang_wait_s(Load(0.5, [1.0]), 1) == pytest.approx(1.0)
    assert general_wait_s(Load(0.5, [1.0]), 1) == pytest.approx(0.5)
    assert erlang_wait_s(Load(1.0, [1.0]), 1) == float("inf")


@pytest.mark.parametrize(("slots", "load"), [(1, 0.5), (4, 0.8)])
def test_the_simulated_wait_is_erlangs_and_littles_law_holds(slots: int, load: float) -> None:
    asked = Load(load * slots, exponential(1.0))
    seen = simulated(asked, Machines(slots), jobs=60_000)
    assert statistics.fmean(seen.waits) == pytest.approx(erlang_wait_s(asked, slots), rel=0.1)
    assert seen.mean_jobs == pytest.approx(asked.per_s * statistics.fmean(seen.stays), rel=0.03)


def test_a_sources_cap_is_all_that_counts_where_there_are_more_slots() -> None:
    load = Load(3.0, exponential(1.0))
    capped = simulated(load, Machines(32, per_source=4), jobs=2_000)
    assert capped.waits == simulated(load, Machines(4), jobs=2_000).waits


def test_a_caller_with_one_job_does_not_wait_for_all_of_anothers() -> None:
    clock = simpy.Environment()
    queue = Queue(clock, Machines(2, per_caller=1))
    for _ in range(10):
        queue.submit(caller=1, takes_s=1.0)
    queue.submit(caller=2, takes_s=1.0)
    clock.run()
    # the one of caller 2 begins beside the first of caller 1, whose others come one after the other
    assert sorted(queue.seen.waits) == [0.0, 0.0, *(float(n) for n in range(1, 10))]
