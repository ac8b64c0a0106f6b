"""Callers that give up, over each transport and in each era: what becomes of the statement in a real PostgreSQL."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from databases import postgres_shop
from raw_wire import STATELESS, HttpWire, StdioWire, Wire, call
from served import HttpServer, until

ERAS = ["2025-06-18", "2025-11-25", STATELESS]
SAID = "notifications/cancelled"
CLOSED = "the connection closed"
STOPS = [
    *(("http", era, SAID) for era in ERAS if era < STATELESS),
    ("http", STATELESS, CLOSED),
    *(("stdio", era, SAID) for era in ERAS),
    *(("stdio", era, CLOSED) for era in ERAS),
]
"""Every way in which a server can see that a caller gave up; those that end a server come last."""

LONGER_THAN_THE_GRACE_S = 4


@dataclass(frozen=True)
class Shop:
    """A PostgreSQL with a server over HTTP. Servers over stdio are started beside it: they share its jobs."""

    url: str
    query: str
    http: HttpServer
    stdio: dict[str, StdioWire] = field(default_factory=dict)
    """The servers over stdio that run, one of an era: for all tests, until one of them closes its connection."""

    @contextmanager
    def wire(self, transport: str, era: str) -> Iterator[Wire]:
        if transport == "http":
            with HttpWire(self.http.url, era) as wire:
                yield wire
            return
        if era not in self.stdio:
            self.stdio[era] = StdioWire(self.http.home, self.http.arguments, era)
        yield self.stdio[era]
        if self.stdio[era].is_closed:
            del self.stdio[era]

    def endless(self) -> tuple[str, str]:
        """A statement that never ends, and the mark in it by which it is known in the database."""
        mark = f"m{uuid.uuid4().hex[:12]}"
        return f"SELECT q.*, '{mark}' AS mark FROM ({self.query}) q", mark

    def runs(self, mark: str) -> int:
        """How many sessions of the database run the statement now."""
        told = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s AND pid <> %s"
        with psycopg.connect(self.url) as connection:
            row = connection.execute(told, (f"%{mark}%", connection.info.backend_pid)).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture(scope="module")
def shop(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    home = tmp_path_factory.mktemp("home")
    with postgres_shop(postgres_url) as made, HttpServer(home, ["--db", postgres_url]) as server:
        assert made.silent is not None
        shop = Shop(postgres_url, made.silent, server)
        yield shop
        for wire in shop.stdio.values():
            wire.close()


def job_of(wire: Wire, mark: str) -> dict[str, Any]:
    """The newest job with the mark."""
    return next(job for job in call(wire, "list_jobs")["jobs"] if mark in job["sql"])


def end_of(wire: Wire, job_id: str) -> dict[str, Any]:
    return call(wire, "get_job", job_id=job_id, wait_seconds=30)


def begun(shop: Shop, wire: Wire, **more: Any) -> tuple[int, str, str]:
    """A ``query`` that waits for its rows while the database runs it: the call's number, its SQL, the mark."""
    sql, mark = shop.endless()
    number = wire.send("query", sql=sql, wait_seconds=40, **more)
    until(lambda: shop.runs(mark) == 1, within_s=30)
    return number, sql, mark


@pytest.mark.parametrize("era", ERAS[:2])
def test_a_dropped_socket_of_the_handshake_era_leaves_a_job_that_list_jobs_finds(shop: Shop, era: str) -> None:
    with shop.wire("http", era) as wire:
        number, _, mark = begun(shop, wire)
        wire.hang_up(number)

        job_id = job_of(wire, mark)["job_id"]
        view = call(wire, "get_job", job_id=job_id, wait_seconds=LONGER_THAN_THE_GRACE_S)
        assert (view["state"], shop.runs(mark)) == ("running", 1)
        call(wire, "cancel_job", job_id=job_id)
        assert end_of(wire, job_id)["state"] == "cancelled"


@pytest.mark.parametrize(
    ("transport", "era", "how", "key"), [(*STOPS[0], None), (*STOPS[2], "the same"), (*STOPS[-4], "the same")]
)
def test_the_database_goes_on_for_a_caller_that_joined_and_stops_when_that_one_gives_up_too(
    shop: Shop, transport: str, era: str, how: str, key: str | None
) -> None:
    keyed = {} if key is None else {"idempotency_key": f"{key} {uuid.uuid4()}"}
    with shop.wire(transport, era) as wire:
        leave = wire.give_up if how == SAID else wire.hang_up
        number, sql, mark = begun(shop, wire, **keyed)
        first = job_of(wire, mark)["job_id"]
        joined = wire.send("query", sql=sql, wait_seconds=40, **keyed)
        if key is None:
            until(lambda: job_of(wire, mark)["job_id"] != first, within_s=20)
        leave(number)

        if key is None:
            assert end_of(wire, first)["state"] == "cancelled"
        job_id = job_of(wire, mark)["job_id"]
        view = call(wire, "get_job", job_id=job_id, wait_seconds=LONGER_THAN_THE_GRACE_S)
        assert (view["state"], shop.runs(mark)) == ("running", 1)
        leave(joined)
        until(lambda: shop.runs(mark) == 0, within_s=20)
        assert end_of(wire, job_id)["state"] == "cancelled"


def test_whoever_comes_back_with_the_key_within_the_grace_finds_the_run_going_on_even_on_another_server(
    shop: Shop,
) -> None:
    with shop.wire("http", STATELESS) as here, shop.wire("stdio", STATELESS) as there:
        key = f"comes back {uuid.uuid4()}"
        number, sql, mark = begun(shop, here, idempotency_key=key)
        here.hang_up(number)
        again = call(there, "query", sql=sql, wait_seconds=LONGER_THAN_THE_GRACE_S, idempotency_key=key)
        assert (again["state"], shop.runs(mark)) == ("running", 1)
        call(there, "cancel_job", job_id=again["job_id"])
        assert end_of(there, again["job_id"])["state"] == "cancelled"


@pytest.mark.parametrize(("transport", "era", "how"), STOPS)
def test_giving_up_on_a_query_stops_the_database_within_the_grace(
    shop: Shop, transport: str, era: str, how: str
) -> None:
    with shop.wire(transport, era) as wire:
        number, _, mark = begun(shop, wire)
        (wire.give_up if how == SAID else wire.hang_up)(number)
        until(lambda: shop.runs(mark) == 0, within_s=10)

    with shop.wire("http", STATELESS) as other:
        ended = end_of(other, job_of(other, mark)["job_id"])
    assert ended["state"] == "cancelled"
    assert re.fullmatch(r"the database stopped \d+ ms after it was asked to", ended["stage"])


@pytest.mark.parametrize(
    ("transport", "era", "how"),
    # every way of leaving on every transport, with the newest era that knows it
    [*{(transport, how): (transport, era, how) for transport, era, how in STOPS}.values(), ("http", ERAS[0], CLOSED)],
)
def test_giving_up_on_get_job_stops_nothing(shop: Shop, transport: str, era: str, how: str) -> None:
    with shop.wire("http", STATELESS) as other:
        sql, mark = shop.endless()
        job_id = call(other, "query", sql=sql, wait_seconds=0)["job_id"]
        until(lambda: shop.runs(mark) == 1, within_s=30)
        with shop.wire(transport, era) as wire:
            number = wire.send("get_job", job_id=job_id, wait_seconds=40)
            (wire.give_up if how == SAID else wire.hang_up)(number)

        view = call(other, "get_job", job_id=job_id, wait_seconds=LONGER_THAN_THE_GRACE_S)
        # where the worker of the server that has gone ran it, it is in line for another one
        assert view["state"] in ("running", "queued")
        until(lambda: shop.runs(mark) == 1, within_s=30)
        call(other, "cancel_job", job_id=job_id)
        assert end_of(other, job_id)["state"] == "cancelled"
