"""Feeds the guard statements that nobody would write, for a time, and ends with 1 at the first that breaks a promise.

    python tests/fuzz/fuzz_guard.py --seconds 60 --inputs 4000 --seed 7

The promises are in `invariants`: no text makes the guard stumble, what it accepts is one statement that reads, and
what runs is the end of rewriting. The same seed gives the same statements, in the same order, for as long as it runs.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from invariants import Violation, hold, verdict
from mutated import DIALECTS, mutated, pieces, soup

from mcp_server.sql import StatementRefused


def tried(sql: str, dialect: str) -> str:
    """``accepted`` or the code it was refused with.

    Raises:
        Violation: a promise is broken.
    """
    verdict(sql, dialect, "tenant")
    said = verdict(sql, dialect)
    if isinstance(said, StatementRefused):
        return str(said.code)
    hold(said, dialect)
    return "accepted"


def smaller(sql: str, dialect: str) -> str:
    """The shortest text found that still breaks a promise, by leaving pieces out for up to ten seconds."""
    end = time.monotonic() + 10
    found = pieces(sql)
    width = len(found)
    while width >= 1:
        at = 0
        while at < len(found) and time.monotonic() < end:
            without = found[:at] + found[at + width :]
            try:
                tried("".join(without), dialect)
                at += width
            except Violation:
                found = without
        width //= 2
    return "".join(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long")
    parser.add_argument("--inputs", type=int, default=10**9, help="how many, at most")
    parser.add_argument("--seed", type=int, default=None, help="for the same statements again; without: others")
    told = parser.parse_args()
    seed = told.seed if told.seed is not None else random.SystemRandom().randrange(10**9)
    # sqlglot warns of what it does not understand, which here is nearly everything.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    end = time.monotonic() + told.seconds
    while time.monotonic() < end and sum(outcomes.values()) < told.inputs:
        dialect = chance.choice(DIALECTS)
        sql = soup(chance, dialect) if chance.random() < 0.2 else mutated(chance, dialect)
        began = time.process_time()
        try:
            outcomes[tried(sql, dialect)] += 1
        except Violation as violation:
            sys.stderr.write(f"seed {seed}, {dialect}: {violation}\n\n{sql!r}\n\nsmaller: {smaller(sql, dialect)!r}\n")
            return 1
        slowest = max(slowest, time.process_time() - began)
    refused = ", ".join(f"{code} {count:,}" for code, count in outcomes.most_common() if code != "accepted")
    sys.stdout.write(
        f"seed {seed}: {sum(outcomes.values()):,} inputs in {len(DIALECTS)} dialects, "
        f"{outcomes['accepted']:,} accepted, slowest {slowest * 1000:.0f} ms\nrefused: {refused}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
