"""A storm: jobs of several principals on several databases while workers, a server, the broker and a database die.

    PYTHONPATH=.:tests:tests/integration python tests/chaos/storm.py --jobs 600 --seeds 1-5

Everything is real: the broker with its log, worker processes, a server process beside this one, the databases. What
dies and when follows from the seed, as far as processes can follow one. Every other process has a clock that is
minutes ahead, with an even seed behind. At the end the books are made up: each job ended exactly once, its times in
order, the rows of each that succeeded are right and whole, and nothing is left behind anywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from clocks import wrong_clocks
from databases import (
    Database,
    duckdb_shop,
    embedded_postgres,
    has_mysql_server,
    mysql_connection,
    mysql_shop,
    postgres_shop,
    private_mysql,
    sqlite_shop,
)
from machines import Machine, running

from executor import (
    Executor,
    ExecutorError,
    ExecutorSettings,
    Job,
    JobState,
    Statement,
    WorkerFleet,
    open_broker,
    signing_keys,
)
from executor.connections import connect_sync
from executor.results.opening import open_results
from executor.sweeper import Sweeper
from executor.upkeep_store import UpkeepStore

ROWS = 3_000
WRONG_BY_S = 420.0
LASTS_S = 300.0
"""Longer than any job of a storm takes, shorter than its clocks are wrong."""
_OWNERS = 5
ENDS = ("succeeded", "failed", "cancelled")
_ARE_KILLED = {"postgres", "mysql"}
_MAY_FAIL = {"source_unavailable", "source_busy"}
"""What a job on a database that was killed may end with."""

_COUNTS = {"duckdb": 9_000_000, "mysql": 3_000_000}
"""How many rows a job counts that gives one; 150,000 on the other kinds."""


@dataclass
class Book:
    """What was done to the machine and how the jobs ended."""

    done: Counter[str] = field(default_factory=Counter)
    jobs: dict[int, str] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)


def text_of(i: int, kinds: Sequence[str]) -> int:
    """The job whose text job `i` has: its own, or, for every tenth, an earlier one's of the same owner and database."""
    round_of = _OWNERS * len(kinds)
    return i - round_of if i % 10 == 7 and i >= round_of else i


def sql_of(i: int, kind: str) -> str:
    """Text `i`: every third gives `ROWS` rows, the others one; each carries its number."""
    most = ROWS if i % 3 == 0 else _COUNTS.get(kind, 150_000)
    count = f"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < {most})"
    if kind == "duckdb":  # its recursion is slow
        count = f"WITH r AS (SELECT range AS n FROM range(1, {most + 1}))"
    elif kind == "mysql":  # its recursion ends after a thousand
        count = (
            "WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i < 999),"
            " r AS (SELECT a.i * 1000000 + b.i * 1000 + c.i + 1 AS n FROM k a, k b, k c"
            f" WHERE a.i <= {(most - 1) // 1_000_000} AND b.i <= {(most - 1) // 1_000 % 1_000})"
        )
    return f"{count} SELECT {i} AS job, n FROM r" if i % 3 == 0 else f"{count} SELECT {i} AS job, count(*) AS n FROM r"


def expected(i: int, kind: str) -> tuple[int, int]:
    """How many rows text `i` gives, and the sum of its second column."""
    if i % 3 == 0:
        return ROWS, ROWS * (ROWS + 1) // 2
    return 1, _COUNTS.get(kind, 150_000)


def kinds_of(settings: ExecutorSettings) -> list[str]:
    """Sources are named by their kind here."""
    return list(settings.sources)


def kind_of(i: int, kinds: Sequence[str]) -> str:
    return kinds[i % len(kinds)]


def say(line: str) -> None:
    """A line on standard output, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def owner_of(i: int) -> str:
    return f"principal {i % _OWNERS}"


async def submit_all(
    executor: Executor, settings: ExecutorSettings, numbers: range, told: dict[int, str], *, says: bool = False
) -> None:
    """Submits each job under its number as idempotency key, again and again until the broker has said yes."""
    kinds = kinds_of(settings)
    for i in numbers:
        kind = kind_of(i, kinds)
        sql = sql_of(text_of(i, kinds), kind)
        limits = replace(settings.limits.limits(), timeout_s=60.0)
        statement = Statement(kind, sql, sql, limits, shared_with="principal")
        while i not in told:
            try:
                job = await executor.submit(statement, owner=owner_of(i), idempotency_key=f"job {i}")
                told[i] = job.id
            except ExecutorError:
                await asyncio.sleep(0.2)
        if says:
            say(f"{i} {told[i]}")


class OtherServer:
    """A server process that submits some of the jobs, is killed, and submits them all again under the same keys."""

    def __init__(self, folder: Path, settings: ExecutorSettings, numbers: range) -> None:
        self._numbers = numbers
        self._told = folder / "settings.json"
        self._told.write_text(json.dumps(settings.model_dump(mode="json")))
        self._log = (folder / "server.log").open("ab")
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, __file__, "--as-server", str(self._told), f"{self._numbers.start}-{self._numbers.stop}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], *sys.path])},
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.process = self._start()

    def wait(self) -> dict[int, str]:
        """The handles, once all are submitted; ends the process in order."""
        assert self.process.stdout is not None
        told: dict[int, str] = {}
        while len(told) < len(self._numbers):
            line = self.process.stdout.readline()
            assert line, "the other server ended; see server.log"
            number, job_id = line.split()
            told[int(number)] = job_id.decode()
        self.process.communicate()
        self._log.close()
        return told


async def serve(settings_file: Path, numbers: range) -> None:
    """The other server's program: broker joined, a worker of its own, jobs submitted; until standard input ends."""
    settings = ExecutorSettings.model_validate(json.loads(settings_file.read_text()))
    keys = signing_keys(settings)
    with open_broker(settings) as url, WorkerFleet(settings, url, 1):
        async with Executor(settings, url, keys) as executor:
            await submit_all(executor, settings, numbers, {}, says=True)
            await asyncio.to_thread(sys.stdin.read)


def broker_of(machine: Machine) -> psutil.Process | None:
    path = machine.broker_url.removeprefix("unix://").partition("?")[0]
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any("-server" in word for word in process.cmdline()[:1]) and any(path in w for w in process.cmdline()):
                return process
    return None


@dataclass
class Sky:
    """Databases, and the machine over them."""

    machine: Machine
    shops: dict[str, Database]
    postgres: str


class Weather:
    """What happens to the machine, one blow at a time."""

    def __init__(self, place: Sky, other: OtherServer, chance: random.Random, book: Book) -> None:
        self._machine = place.machine
        self._other = other
        self._postgres = place.postgres
        self._mysql = place.shops.get("mysql")
        self._chance = chance
        self._book = book
        blows = [self._worker, self._worker, self._freeze, self._broker, self._server, self._database, self._fill]
        if self._mysql is not None:
            blows.append(self._other_database)
        self._blows = blows

    async def rage(self, until: asyncio.Event) -> None:
        """Each blow once, in the seed's order, then on until the jobs are over."""
        while not until.is_set():
            for blow in self._chance.sample(self._blows, len(self._blows)):
                if until.is_set() and len(self._book.done) == len(set(self._blows)):
                    return
                await asyncio.sleep(self._chance.uniform(0.8, 2.0))
                await blow()
                self._book.done[blow.__name__.strip("_")] += 1

    async def _worker(self) -> None:
        pids = self._machine.fleet.pids()
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._chance.choice(pids), signal.SIGKILL)

    async def _freeze(self) -> None:
        pids = self._machine.fleet.pids()
        if not pids:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            frozen = psutil.Process(self._chance.choice(pids))
            frozen.suspend()
            await asyncio.sleep(self._machine.settings.lease_s + 1)
            frozen.resume()

    async def _broker(self) -> None:
        process = broker_of(self._machine)
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    async def _server(self) -> None:
        await asyncio.to_thread(self._other.kill)

    async def _database(self) -> None:
        """One backend killed: the server throws all others out, too, and recovers as from a crash."""
        lost = contextlib.suppress(psycopg.Error, ProcessLookupError)
        with lost, psycopg.connect(self._postgres, autocommit=True) as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)

    async def _other_database(self) -> None:
        """The whole server killed, and started again."""
        assert self._mysql is not None and self._mysql.restart is not None
        with mysql_connection(self._mysql.config.url) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@pid_file")
            pid = int(Path(cursor.fetchone()[0]).read_text())
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self._mysql.restart)

    async def _fill(self) -> None:
        """The broker's memory filled for a moment."""
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self._machine.broker_url) as connection:
            with contextlib.suppress(redis.exceptions.OutOfMemoryError):
                for n in range(400):
                    connection.set(f"junk:{n}", b"x" * 500_000, ex=2)
            await asyncio.sleep(0.3)
            for n in range(400):
                connection.delete(f"junk:{n}")


@contextlib.asynccontextmanager
async def sky(folder: Path, postgres: str, mysql: str | None, *, wrong_by_s: float) -> AsyncIterator[Sky]:
    """A machine with short leases over a database of each kind; every other process of it has a wrong clock."""
    with contextlib.ExitStack() as opened:
        shops = {"sqlite": sqlite_shop(folder), "duckdb": duckdb_shop(folder)}
        shops["postgres"] = opened.enter_context(postgres_shop(postgres))
        if mysql is not None:
            shops["mysql"] = opened.enter_context(mysql_shop(mysql))
        opened.enter_context(wrong_clocks(folder, wrong_by_s, 0.0))
        settings = ExecutorSettings.model_validate(
            {
                "state_dir": folder / "state",
                "sources": {name: shop.config.model_dump() for name, shop in shops.items()},
                "fsync": "always",
                "embedded_memory_mb": 64,
                "lease_s": 2,
                "beat_s": 0.5,
                "claim_timeout_s": 2,
                "attempts": 20,
                "concurrency": 4,
            }
        )
        async with running(settings, workers=2) as machine:
            yield Sky(machine, shops, postgres)


async def ended(machine: Machine, book: Book, i: int) -> Job:
    """The job at its end, however often the broker is away meanwhile."""
    async with asyncio.timeout(240):
        while True:
            with contextlib.suppress(ExecutorError):
                job = await machine.executor.wait(book.jobs[i], owner=owner_of(i), timeout_s=60)
                if job.is_finished:
                    return job
            await asyncio.sleep(0.1)


async def wild_cancels(machine: Machine, book: Book, chance: random.Random, count: int) -> None:
    """Cancels some of the jobs, whatever they are doing."""
    while len(book.cancelled) < count:
        await asyncio.sleep(chance.uniform(0.05, 0.4))
        if book.jobs:
            i = chance.choice(sorted(book.jobs))
            with contextlib.suppress(ExecutorError):
                await machine.executor.cancel(book.jobs[i], owner=owner_of(i))
                book.cancelled.add(i)


def _is_of_ours(process: psutil.Process) -> bool:
    """Whether it still runs a program of ours; one that has ended, unheeded, does not."""
    try:
        command = process.cmdline()
    except psutil.NoSuchProcess:
        return False
    return "awaitsql" in " ".join(command) or "executor.worker" in command


async def storm(folder: Path, postgres: str, mysql: str | None, *, jobs: int, seed: int) -> dict[str, Any]:
    """One storm; what was seen. Without `mysql`, a server that may be killed, there is none of that kind.

    Raises:
        AssertionError: the books do not balance.
    """
    chance = random.Random(seed)
    book = Book()
    began = time.monotonic()
    wrong_by_s = WRONG_BY_S if seed % 2 else -WRONG_BY_S
    async with sky(folder, postgres, mysql, wrong_by_s=wrong_by_s) as place:
        machine = place.machine
        ours = range(jobs // 2)
        other = OtherServer(folder, machine.settings, range(jobs // 2, jobs))
        over = asyncio.Event()
        weather = Weather(place, other, chance, book)
        raging = asyncio.create_task(weather.rage(over))
        cancelling = asyncio.create_task(wild_cancels(machine, book, random.Random(seed + 1), jobs // 20))
        await submit_all(machine.executor, machine.settings, ours, book.jobs)
        ends = dict(zip(ours, await asyncio.gather(*(ended(machine, book, i) for i in ours)), strict=True))
        over.set()
        await raging
        cancelling.cancel()
        book.jobs |= await asyncio.to_thread(other.wait)
        for i in range(jobs // 2, jobs):
            ends[i] = await ended(machine, book, i)
        await check_rows(machine, book, ends)
        check_times(machine, ends)
        await check_books(place, book, ends)
        processes = psutil.Process().children(recursive=True)
    _, left = psutil.wait_procs(processes, timeout=10)
    assert not [process for process in left if _is_of_ours(process)], left
    states = Counter(str(job.error.code) if job.error else str(job.state) for job in ends.values())
    took = round(time.monotonic() - began, 1)
    return {"seed": seed, "jobs": jobs, "seconds": took, "blows": dict(book.done), "ends": dict(states)}


async def flush(folder: Path, postgres: str) -> Job:
    """The broker forgets everything under queued and running jobs; a job that was submitted afterwards, at its end.

    Raises:
        AssertionError: a statement ran on, or something is left over.
    """
    async with sky(folder, postgres, None, wrong_by_s=WRONG_BY_S) as place:
        machine = place.machine
        book = Book()
        await submit_all(machine.executor, machine.settings, range(30), book.jobs)
        endless = Statement("postgres", place.shops["postgres"].silent, "", machine.settings.limits.limits())
        running_now = await machine.executor.submit(endless, owner="principal endless")
        await machine.until(running_now, JobState.RUNNING)
        await heard(machine)
        with redis.Redis.from_url(machine.broker_url) as connection:
            connection.flushall()
        owners = {job_id: owner_of(i) for i, job_id in book.jobs.items()} | {running_now.id: running_now.owner}
        told = {job_id: await told_of(machine, job_id, owner) for job_id, owner in owners.items()}
        assert told[running_now.id] == "job_lost"
        assert set(told.values()) <= {"succeeded", "result_expired", "job_lost"}, told
        after = Book(jobs={})
        await submit_all(machine.executor, machine.settings, range(6), after.jobs)
        ends = {i: await ended(machine, after, i) for i in after.jobs}
        await check_rows(machine, after, ends)
        await check_books(place, after, ends, forgotten=set(book.jobs.values()) | {running_now.id})
        return ends[0]


async def told_of(machine: Machine, job_id: str, owner: str) -> str:
    """What the owner of a job is told of it: its state, or the code of an error."""
    try:
        return str((await machine.executor.get(job_id, owner=owner)).state)
    except ExecutorError as error:
        return str(error.code)


async def heard(machine: Machine) -> None:
    """Waits until the history has everything that was told until now."""
    async with asyncio.timeout(30):
        while (await machine.executor.history_state())[1]:
            await asyncio.sleep(0.05)


def whats(machine: Machine) -> dict[str, Counter[str]]:
    """From the history: by job, how often it became what."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    with contextlib.closing(sqlite3.connect(machine.settings.home / "history.sqlite")) as history:
        for job_id, content in history.execute("SELECT job_id, content FROM awaitsql_audit ORDER BY seq"):
            found[job_id][json.loads(content)["what"]] += 1
    return found


async def check_rows(machine: Machine, book: Book, ends: dict[int, Job]) -> None:
    """Right and whole, or a failure that a dead database explains."""
    kinds = kinds_of(machine.settings)
    for i, job in ends.items():
        kind = kind_of(i, kinds)
        if job.state is JobState.CANCELLED:
            assert i in book.cancelled, f"job {i} was cancelled by nobody"
        elif job.state is JobState.FAILED:
            assert job.error is not None
            assert kind in _ARE_KILLED, f"job {i}: {job.error.code} {job.error.message}"
            assert str(job.error.code) in _MAY_FAIL, f"job {i}: {job.error.code} {job.error.message}"
        else:
            rows: list[list[Any]] = []
            cursor = None
            while True:
                page = await machine.executor.page(job.id, owner=job.owner, cursor=cursor, limit=ROWS)
                rows += page.rows
                cursor = page.next_cursor
                if cursor is None:
                    break
            assert (len(rows), sum(int(n) for _, n in rows)) == expected(text_of(i, kinds), kind), f"job {i}"
            assert {number for number, _ in rows} == {text_of(i, kinds)}


def check_times(machine: Machine, ends: dict[int, Job]) -> None:
    """In order, and none of them by a clock that is wrong."""
    for i, job in ends.items():
        assert job.finished_at is not None
        times = [job.submitted_at, job.started_at or job.submitted_at, job.finished_at]
        assert times == sorted(times), f"job {i}: {times}"
        assert job.finished_at - job.submitted_at < LASTS_S, f"job {i}: {times}"
        assert job.expires_at is not None
        assert abs(job.expires_at - job.finished_at - machine.settings.result_ttl_s) < 1, f"job {i}"
        assert 0 <= job.notes.get("stopped_after_ms", 0) < LASTS_S * 1000, f"job {i}: {job.notes}"
        if job.notes.get("shared") == "stored":
            assert job.rows_at is not None
            assert 0 <= job.submitted_at - job.rows_at < LASTS_S, f"job {i}"


async def check_books(
    place: Sky, book: Book, ends: dict[int, Job], *, forgotten: frozenset[str] | set[str] = frozenset()
) -> None:
    """Each job ended once; nothing is counted, queued, running in a database or kept on the disk any more."""
    machine = place.machine
    namespace = machine.settings.namespace
    names = ("running", "dispatched", "queued", "impatient", "turns", "ring:*", "parked:*", "busy:*", "stops")
    names += ("joined:*", "unseen:*", "readers")
    async with asyncio.timeout(30):
        while True:  # internal jobs (schemas) end, and orphans are stopped, a moment later
            with redis.Redis.from_url(machine.broker_url, decode_responses=True) as connection:
                left = [key for name in names for key in connection.scan_iter(f"{namespace}:{name}", count=10_000)]
            if not left:
                break
            await asyncio.sleep(0.2)
    assert len(set(book.jobs.values())) == len(ends), "two jobs share a handle"
    await heard(machine)
    told = whats(machine)
    once = dict.fromkeys(book.jobs.values(), 1)
    assert {job_id: sum(told[job_id][end] for end in ENDS) for job_id in once} == once
    assert {job_id: told[job_id]["submitted"] for job_id in once} == once
    async with asyncio.timeout(20):
        while statements_of_ours(place.postgres) or statements_in(place.shops.get("mysql")):
            await asyncio.sleep(0.1)
    sweep(machine.settings, machine.broker_url)
    root = machine.settings.results_root
    kept = {p.name for p in root.iterdir()} if root.is_dir() else set()
    assert kept - forgotten <= {job.id for job in ends.values() if job.state is JobState.SUCCEEDED}, (
        "a result nobody can ask for"
    )


def statements_of_ours(postgres: str) -> int:
    """How many statements of workers run on the server now."""
    with psycopg.connect(postgres) as connection:
        told = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'awaitsql%' AND state = 'active'"
        row = connection.execute(told).fetchone()
    return int(row[0]) if row else 0


def statements_in(shop: Database | None) -> int:
    """How many statements run in the shop's database now, where there is that shop."""
    if shop is None:
        return 0
    with mysql_connection(shop.config.url, database=None) as connection, connection.cursor() as cursor:
        told = "SELECT count(*) FROM information_schema.processlist WHERE db = %s AND command = 'Query'"
        cursor.execute(told, (shop.schema,))
        return int(cursor.fetchone()[0])


def sweep(settings: ExecutorSettings, broker_url: str) -> None:
    """What a worker does every few minutes, done now."""
    with connect_sync(broker_url) as connection:
        Sweeper(settings, UpkeepStore(settings, connection), open_results(settings)).sweep(late_word_s=0.0)


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="aq")


@contextlib.contextmanager
def mysql_where_it_can_run() -> Iterator[str | None]:
    """The url of a server of the storm's own, as it is killed; None where there is none to start."""
    if not has_mysql_server():
        yield None
        return
    with _folder() as folder, private_mysql(Path(folder)) as url:
        yield url


def main() -> None:
    """The long form: one line a seed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--seeds", default="1-5")
    parser.add_argument("--as-server", nargs=2, metavar=("SETTINGS", "NUMBERS"), help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.as_server:
        first, last = told.as_server[1].split("-")
        asyncio.run(serve(Path(told.as_server[0]), range(int(first), int(last))))
        return
    first, _, last = told.seeds.partition("-")
    with _folder() as base, embedded_postgres(Path(base)) as postgres, mysql_where_it_can_run() as mysql:
        for seed in range(int(first), int(last or first) + 1):
            with _folder() as folder:
                say(json.dumps(asyncio.run(storm(Path(folder), postgres, mysql, jobs=told.jobs, seed=seed))))


if __name__ == "__main__":
    main()
