"""How long jobs wait, simulated, and what queueing theory says of the same: who is to add slots reads it here.

    python benchmarks/simulate_queue.py [--times benchmarks/statement_times.json] [--live]

Jobs come at random (Poisson), from callers of whom few ask much (Zipf). A job runs when a slot is free and its caller
and its source are under their caps; the others wait, and callers take turns: the rules of the executor, without its
code. Statements take what `statement_times.json` holds, measured by `topology.py`. First the model is held against what
is known exactly (Erlang's C, Little's law) and nearly (Allen and Cunneen for any distribution), then it sizes machines.
With `--live` the same load, made of pg_sleep, runs on the real executor over the PostgreSQL at TEST_POSTGRES_URL.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import simpy

from executor import Executor, ExecutorSettings, Statement, WorkerFleet, open_broker, signing_keys

NO_CAP = 10**9


@dataclass(frozen=True)
class Load:
    """What comes: jobs a second, from how many callers; a job takes one of `times` seconds, and `overhead_s`."""

    per_s: float
    times: Sequence[float]
    callers: int = 1
    overhead_s: float = 0.0

    @property
    def mean_s(self) -> float:
        """Of a job."""
        return statistics.fmean(self.times) + self.overhead_s

    @property
    def spread(self) -> float:
        """The squared coefficient of variation of the times: 0 where all take the same, 1 for an exponential."""
        return statistics.pvariance(self.times) / self.mean_s**2


@dataclass(frozen=True)
class Machines:
    """What there is: slots over all workers, and the caps of the executor's settings."""

    slots: int
    per_source: int = NO_CAP
    per_caller: int = NO_CAP


@dataclass
class Seen:
    """What became of the jobs: seconds waited, seconds in all, and the mean number in the system."""

    waits: list[float] = field(default_factory=list)
    stays: list[float] = field(default_factory=list)
    mean_jobs: float = 0.0

    def quantile(self, share: float) -> float:
        """So large a share of the jobs waited at most so many seconds."""
        ordered = sorted(self.waits)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Queue:
    """One source's jobs on `machines`, as the executor hands them out."""

    def __init__(self, clock: simpy.Environment, machines: Machines) -> None:
        self._clock = clock
        self._machines = machines
        self._parked: dict[int, deque[tuple[float, float]]] = {}
        self._turns: deque[int] = deque()
        self._of_caller: dict[int, int] = {}
        self._running = 0
        self._jobs = 0
        self._area, self._since = 0.0, 0.0
        self.seen = Seen()

    def submit(self, caller: int, takes_s: float) -> None:
        """A job comes."""
        self._count(+1)
        if not self._parked.get(caller):
            self._parked[caller] = deque()
            self._turns.append(caller)
        self._parked[caller].append((self._clock.now, takes_s))
        self._dispatch()

    def mean_jobs(self) -> float:
        """Over all the time until now."""
        self._count(0)
        return self._area / self._clock.now

    def _dispatch(self) -> None:
        for _ in range(len(self._turns)):
            if self._running >= min(self._machines.slots, self._machines.per_source):
                return
            caller = self._turns.popleft()
            if self._of_caller.get(caller, 0) >= self._machines.per_caller:
                self._turns.append(caller)
                continue
            came, takes_s = self._parked[caller].popleft()
            if self._parked[caller]:
                self._turns.append(caller)
            self._running += 1
            self._of_caller[caller] = self._of_caller.get(caller, 0) + 1
            self._clock.process(self._run(caller, came, takes_s))

    def _run(self, caller: int, came: float, takes_s: float) -> Generator[simpy.Event, None, None]:
        self.seen.waits.append(self._clock.now - came)
        yield self._clock.timeout(takes_s)
        self.seen.stays.append(self._clock.now - came)
        self._running -= 1
        self._of_caller[caller] -= 1
        self._count(-1)
        # as many as may begin now: one slot is free, but it was perhaps a cap that others waited for
        self._dispatch()

    def _count(self, change: int) -> None:
        self._area += self._jobs * (self._clock.now - self._since)
        self._since = self._clock.now
        self._jobs += change


def arrivals(load: Load, jobs: int, seed: int) -> list[tuple[float, int, float]]:
    """When, whose and how long: the same ones for the same seed. The first caller asks most, the next half as much."""
    chance = random.Random(seed)
    shares = [1 / rank for rank in range(1, load.callers + 1)]
    at, made = 0.0, []
    for caller in chance.choices(range(load.callers), shares, k=jobs):
        at += chance.expovariate(load.per_s)
        made.append((at, caller, chance.choice(load.times) + load.overhead_s))
    return made


def simulated(load: Load, machines: Machines, *, jobs: int = 40_000, seed: int = 1) -> Seen:
    """What becomes of the jobs of `load` on `machines`."""
    clock = simpy.Environment()
    queue = Queue(clock, machines)

    def come() -> Generator[simpy.Event, None, None]:
        for at, caller, takes_s in arrivals(load, jobs, seed):
            yield clock.timeout(at - clock.now)
            queue.submit(caller, takes_s)

    clock.process(come())
    clock.run()
    queue.seen.mean_jobs = queue.mean_jobs()
    return queue.seen


def erlang_wait_s(load: Load, slots: int) -> float:
    """The mean wait of exponential statements at `slots` slots (Erlang's C), in seconds; infinite where it grows."""
    offered = load.per_s * load.mean_s
    if offered >= slots:
        return math.inf
    blocked = 1.0
    for n in range(1, slots + 1):
        blocked = offered * blocked / (n + offered * blocked)
    waits = blocked / (1 - offered / slots * (1 - blocked))
    return waits * load.mean_s / (slots - offered)


def general_wait_s(load: Load, slots: int) -> float:
    """The same for statements of any distribution (Allen and Cunneen): near, not exact."""
    return erlang_wait_s(load, slots) * (1 + load.spread) / 2


def slots_for(load: Load, *, wait_s: float, share: float = 0.95) -> int:
    """The fewest slots with which so many of the jobs wait at most `wait_s`, by simulation."""
    slots = max(1, math.ceil(load.per_s * load.mean_s * 1.02))
    step = max(1, slots // 40)
    while simulated(load, Machines(slots)).quantile(share) > wait_s:
        slots += step
    return slots


def check() -> None:
    """The model beside what is known."""
    chance = random.Random(7)
    exponential = [chance.expovariate(1.0) for _ in range(200_000)]
    print("statements               slots   rho   wait s: simulated   theory   jobs: seen   rate x stay (Little)")
    for name, times in (("exponential", exponential), ("all alike", [1.0]), ("1 in 10 takes 10 x", [10.0, *[1.0] * 9])):
        for slots, rho in ((1, 0.7), (8, 0.7), (8, 0.9), (64, 0.9)):
            load = Load(rho * slots / statistics.fmean(times), times)
            seen = simulated(load, Machines(slots), jobs=200_000)
            stay, theory = statistics.fmean(seen.stays), general_wait_s(load, slots)
            print(
                f"{name:22}{slots:8}{rho:6.1f}{statistics.fmean(seen.waits):21.3f}{theory:9.3f}"
                f"{seen.mean_jobs:13.2f}{load.per_s * stay:12.2f}"
            )


def sizes(times: Sequence[float]) -> None:
    """Slots and processes by jobs a minute, for the measured times stretched to some means."""
    print("\njobs/min   mean statement s   slots busy (Little)   slots, 95 % begin within 1 s   workers of 8")
    measured = statistics.fmean(times)
    for per_minute in (100, 1_000, 10_000):
        for mean_s in (0.05, 1.0, 5.0):
            load = Load(per_minute / 60, [each * mean_s / measured for each in times])
            slots = slots_for(load, wait_s=1.0)
            print(f"{per_minute:8}{mean_s:19.2f}{load.per_s * mean_s:22.1f}{slots:31}{math.ceil(slots / 8):15}")


def caps(times: Sequence[float]) -> None:
    """What the caps do that no slot can undo."""
    print("\n32 slots, 300 jobs/min, mean statement 2 s            mean wait s   p95 wait s")
    load = Load(5.0, [each * 2.0 / statistics.fmean(times) for each in times], callers=20)
    for name, machines in (
        ("no caps", Machines(32)),
        ("a source's max_running at its default of 8", Machines(32, per_source=8)),
        ("a source's max_running of 32", Machines(32, per_source=32)),
        ("and a caller's cap of 3, 20 callers", Machines(32, per_source=32, per_caller=3)),
        ("the same, all of one caller: it grows", Machines(32, per_source=32, per_caller=3)),
    ):
        one = replace(load, callers=1) if "one caller" in name else load
        seen = simulated(one, machines, jobs=5_000)
        print(f"{name:52}{statistics.fmean(seen.waits):13.2f}{seen.quantile(0.95):13.2f}")


async def live(times: Sequence[float], *, jobs: int = 300) -> None:
    """The same arrivals on the model and on the executor: 8 slots, seven tenths of them busy, a cap of 3 a caller."""
    stretched = [min(each * 0.5 / statistics.fmean(times), 5.0) for each in times]
    load = Load(0.7 * 8 / statistics.fmean(stretched), stretched, callers=5)
    machines = Machines(8, per_source=8, per_caller=3)
    told = {
        "state_dir": Path(tempfile.mkdtemp(prefix="awaitsql-bench-")),
        "sources": {"pg": {"kind": "postgres", "url": os.environ["TEST_POSTGRES_URL"]}},
        "principal_max_running": machines.per_caller,
        "cache_ttl_s": 0,
    }
    settings = ExecutorSettings.model_validate(told)
    keys = signing_keys(settings)
    with open_broker(settings) as url, WorkerFleet(settings, url, 1):
        async with Executor(settings, url, keys) as executor:
            await executor.source_schema("pg", wait_s=60)
            waits: list[float] = []
            overheads: list[float] = []

            async def one(number: int, caller: int, takes_s: float) -> None:
                sql = f"select {number}, pg_sleep({takes_s:.4f})"
                job = await executor.submit(Statement("pg", sql, sql, settings.limits.limits()), owner=f"live/{caller}")
                job = await executor.wait(job.id, owner=job.owner, timeout_s=600)
                assert job.started_at is not None, job
                assert job.finished_at is not None, job
                waits.append(job.started_at - job.submitted_at)
                overheads.append(job.finished_at - job.started_at - takes_s)

            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for number, (at, caller, takes_s) in enumerate(arrivals(load, jobs, seed=3)):
                    await asyncio.sleep(max(0.0, at - (time.monotonic() - began)))
                    group.create_task(one(number, caller, takes_s))
    overhead_s = statistics.fmean(overheads)
    print(f"\n{jobs} jobs, {load.per_s:.1f} a second, 8 slots      mean wait s   p95 wait s")
    for name, seen in (
        ("on the executor", Seen(waits)),
        (f"simulated, with its {overhead_s * 1000:.0f} ms a job", replace(load, overhead_s=overhead_s)),
        ("simulated, statements alone", load),
    ):
        told = simulated(seen, machines, jobs=jobs, seed=3) if isinstance(seen, Load) else seen
        print(f"{name:38}{statistics.fmean(told.waits):13.3f}{told.quantile(0.95):13.3f}")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--times", type=Path, default=Path(__file__).with_name("statement_times.json"))
    asked.add_argument("--live", action="store_true")
    given = asked.parse_args()
    times = json.loads(given.times.read_text())["seconds"]
    check()
    sizes(times)
    caps(times)
    if given.live:
        asyncio.run(live(times))


if __name__ == "__main__":
    main()
