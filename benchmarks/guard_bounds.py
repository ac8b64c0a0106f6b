"""The most processor time and memory that any extreme text takes the guard, by family and dialect.

    python benchmarks/guard_bounds.py [--share 0.1] [--seed 7] [--dialect duckdb] [--family type] [--jobs 2] [--show 20]

The texts are those of tests/fuzz/extremes.py, as long as the guard takes them. Each is checked in a process that ends
when a text takes `KILL_S` of processor time or `KILL_BYTES` of memory; the next text gets a new one. Ends with 1 if
one takes more than `MOST_S` or `MOST_BYTES`.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import resource
import signal
import struct
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit" / "mcp_server" / "sql"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "fuzz"))
from extremes import Extreme, extremes
from mutated import DIALECTS
from shop import LIMITS, grants, shop

from mcp_server.sql import StatementRefused, check

MOST_S = 2.0
MOST_BYTES = 200_000_000
KILL_S = 6.0
KILL_BYTES = 1_000_000_000
_TOLD = struct.Struct("<dqB")
_VERDICTS = ("accepted", "refused")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one text took in one dialect."""

    extreme: Extreme
    dialect: str
    seconds: float
    bytes: int
    verdict: str

    def line(self) -> str:
        """It as a line of the table."""
        return (
            f"{self.seconds * 1000:8.0f} ms {self.bytes / 1e6:7.1f} MB  {self.verdict:9}{self.dialect:11}"
            f"{len(self.extreme.sql):6} chars, {self.extreme.family[:80]!r} × {self.extreme.size}"
        )


def _ended(status: int) -> str:
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "ended"


def _peak() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _check_all(texts: list[Extreme], dialect: str, pipe: int) -> None:
    """Write to `pipe` what each text takes. The kernel ends the process where one takes too much."""
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    schema, given = shop(dialect), grants(dialect)["open"]
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + KILL_BYTES, used + KILL_BYTES))
    for text in texts:
        # 5 sets the peak back to what is used now.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _peak()
        signal.setitimer(signal.ITIMER_PROF, KILL_S)
        began = time.process_time()
        verdict = 0
        try:
            check(text.sql, source_schema=schema, grant=given, limits=LIMITS)
        except StatementRefused:
            verdict = 1
        took = time.process_time() - began
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(pipe, _TOLD.pack(took, max(0, _peak() - before), verdict))


def costs(texts: list[Extreme], dialect: str) -> list[Cost]:
    """What each of `texts` takes; a text that had to be stopped counts with the bounds it was stopped at."""
    found: list[Cost] = []
    while len(found) < len(texts):
        rest = texts[len(found) :]
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(out)
                _check_all(rest, dialect, into)
            finally:
                os._exit(0)
        os.close(into)
        done = 0
        with os.fdopen(out, "rb") as told:
            while len(row := told.read(_TOLD.size)) == _TOLD.size:
                seconds, used, verdict = _TOLD.unpack(row)
                found.append(Cost(rest[done], dialect, seconds, used, _VERDICTS[verdict]))
                done += 1
        _, status = os.waitpid(child, 0)
        if done < len(rest):
            found.append(Cost(rest[done], dialect, KILL_S, KILL_BYTES, _ended(status)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="which part of the texts, by chance")
    parser.add_argument("--seed", type=int, default=0, help="of the chance, and of the mixed texts")
    parser.add_argument("--dialect", action="append", choices=DIALECTS, help="only this one")
    parser.add_argument("--family", default="", help="only families that begin so")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many processes at once")
    parser.add_argument("--show", type=int, default=15, help="how many of the worst")
    told = parser.parse_args()
    chance = random.Random(told.seed)
    texts = [text for text in extremes(told.seed) if text.family.startswith(told.family)]
    work: list[tuple[list[Extreme], str]] = []
    for dialect in told.dialect or DIALECTS:
        some = [text for text in texts if chance.random() < told.share]
        work += [(some[at : at + 400], dialect) for at in range(0, len(some), 400)]
    with ThreadPoolExecutor(told.jobs) as pool:
        found = [cost for part in pool.map(lambda job: costs(*job), work) for cost in part]
    print(f"{len(found):,} texts: {dict(Counter(cost.verdict for cost in found))}")
    for title, key in (("time", lambda c: c.seconds), ("memory", lambda c: c.bytes)):
        print(f"\nmost {title}")
        for cost in sorted(found, key=key, reverse=True)[: told.show]:
            print(cost.line())
    print("\nworst by family:      ms      MB")
    for kind in sorted({cost.extreme.family.partition(":")[0] for cost in found}):
        of = [cost for cost in found if cost.extreme.family.partition(":")[0] == kind]
        print(f"{kind:18}{max(c.seconds for c in of) * 1000:8.0f}{max(c.bytes for c in of) / 1e6:8.1f}")
    over = [cost for cost in found if cost.seconds > MOST_S or cost.bytes > MOST_BYTES]
    print(f"\n{len(over)} of {len(found):,} take more than {MOST_S} s or {MOST_BYTES / 1e6:.0f} MB")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
