"""Whatever is done to the audit's table is found; what it tells of jobs and acts can be checked from a file alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from fixed_keys import FixedKeys, signer_of
from sqlalchemy import Connection, Engine, delete, func, insert, select, text, update

from executor import ExecutorSettings
from executor.acts import Act
from executor.history.chain import Entry, append, head_of, row_hash
from executor.history.lines import Wanted, exported, verify_lines
from executor.history.place import open_history
from executor.history.recording import record_act
from executor.history.records import Event
from executor.history.stream import Batch
from executor.history.tables import audit, chains
from executor.history.verifying import ChainReport, verify, verify_in
from executor.history.witness import Head, opened_head, signed_head
from executor.history.writing import HistoryWriter, Place
from executor.keys import KeyRing
from executor.signing import Signer

SIGNER = signer_of("k")
CHAIN, OTHER = "awaitsql:one", "awaitsql:two"
ADA, BEN = "web/https%3A%2F%2Fidp/ada", "web/https%3A%2F%2Fidp/ben"


def settings_with(tmp_path: Path, url: str = "") -> ExecutorSettings:
    return ExecutorSettings.model_validate({"state_dir": tmp_path, "history": {"url": url}})


def events_of(chain: str, *, jobs: int = 4, at: float = 1_000.0) -> list[Event]:
    """Some jobs of two owners, each submitted and ended, and an act."""
    told: list[Event] = []
    for number in range(jobs):
        job_id, owner = f"{chain}-{number}", (ADA, BEN)[number % 2]
        record = {"job_id": job_id, "owner": owner, "source": "shop", "kind": "query", "policy_version": "p1"}
        record |= {"sql": "SELECT 1", "asked": "select 1", "ran": "SELECT 1", "question": "how many?", "limits": {}}
        signed, mac = SIGNER.sign(record)
        moment = at + number
        told += [
            Event(f"{number}-0", job_id, "", "queued", "submitted", moment, record=signed, mac=mac),
            Event(f"{number}-1", job_id, "queued", "running", "claimed", moment + 0.1),
            Event(f"{number}-2", job_id, "running", "succeeded", "done", moment + 0.2, rows=7, bytes=70),
        ]
    signed, mac = Act("refused", ADA, {"asked": "DROP TABLE t", "code": "not_read_only"}).record(SIGNER)
    return [*told, Event("9-0", "", "", "act", "refused", at + jobs, record=signed, mac=mac)]


def write(engine: Engine, chain: str, events: list[Event], *, epoch: str = "e", signer: Signer = SIGNER) -> None:
    writer = HistoryWriter(engine, signer, chain)
    batch = Batch(epoch, len(events), len(events), events[-1].id, tuple(events))
    writer.write(Place(epoch), batch, now=events[-1].at)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Two chains of real rows; three of the first chain have expired. Tests put back what they change."""
    folder = tmp_path_factory.mktemp("audit")
    name = f"audit_{uuid.uuid4().hex[:12]}"
    url = f"sqlite:///{folder / 'history.sqlite'}"
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_url")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        url = urlsplit(server)._replace(path=f"/{name}").geturl()
    engine = open_history(settings_with(folder, url))
    for chain in (CHAIN, OTHER):
        write(engine, chain, events_of(chain))
    HistoryWriter(engine, SIGNER, CHAIN).expire(1_001.0, now=1_010.0)
    yield engine
    engine.dispose()
    if request.param == "postgres":
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


Tamper = Callable[[Connection], object]
MINE = audit.c.chain == CHAIN


def set_row(at_seq: int, **values: object) -> Tamper:
    return lambda connection: connection.execute(update(audit).where(MINE, audit.c.seq == at_seq).values(values))


def set_head(**values: object) -> Tamper:
    return lambda connection: connection.execute(update(chains).where(chains.c.chain == CHAIN).values(values))


def rows(connection: Connection, chain: str = CHAIN) -> list[dict[str, Any]]:
    found = connection.execute(select(audit).where(audit.c.chain == chain).order_by(audit.c.seq))
    return [dict(row) for row in found.mappings()]


def put(connection: Connection, told: list[dict[str, Any]]) -> None:
    connection.execute(delete(audit).where(MINE))
    connection.execute(insert(audit), told)


def inserted(connection: Connection) -> None:
    told = rows(connection)
    later = [{**row, "seq": row["seq"] + 1} for row in told[5:]]
    put(connection, [*told[:5], {**told[4], "seq": told[5]["seq"], "event": "made-up"}, *later])


def reordered(connection: Connection) -> None:
    told = rows(connection)
    told[4], told[5] = {**told[5], "seq": told[4]["seq"]}, {**told[4], "seq": told[5]["seq"]}
    put(connection, told)


def duplicated_in_place(connection: Connection) -> None:
    told = rows(connection)
    put(connection, [*told[:5], {**told[4], "seq": told[5]["seq"], "event": told[5]["event"]}, *told[6:]])


def duplicated_at_the_end(connection: Connection) -> None:
    told = rows(connection)
    put(connection, [*told, {**told[4], "seq": told[-1]["seq"] + 1, "event": "again"}])


def forged(told: list[dict[str, Any]], before: str) -> list[dict[str, Any]]:
    """The rows with hashes that fit, as anybody can make them."""
    made: list[dict[str, Any]] = []
    for row in told:
        names = ("chain", "seq", "event", "job_id", "at", "content")
        before = row_hash(before, *(row[name] for name in names))
        made.append({**row, "hash": before})
    return made


def recomputed(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Tamper:
    """The whole chain made anew without the key, its head too."""

    def tamper(connection: Connection) -> None:
        head = connection.execute(select(chains).where(chains.c.chain == CHAIN)).one()
        made = forged(change(rows(connection)), head.anchor_hash)
        put(connection, made)
        set_head(seq=made[-1]["seq"], hash=made[-1]["hash"])(connection)

    return tamper


def someone_else_s(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "content": row["content"].replace("ada", "eve")} for row in told]


def turned_back(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "at": row["at"] - 86_400} for row in told]


def moved_in(connection: Connection) -> None:
    told = rows(connection)
    strange = rows(connection, OTHER)[4]
    put(connection, [*told[:5], {**strange, "chain": CHAIN, "seq": told[5]["seq"], "event": "moved"}, *told[6:]])


def swapped_with_the_other_chain(connection: Connection) -> None:
    connection.execute(delete(audit).where(MINE, audit.c.seq == 8))
    connection.execute(update(audit).where(audit.c.chain == OTHER, audit.c.seq == 8).values(chain=CHAIN))


def cut_off(connection: Connection) -> None:
    connection.execute(delete(audit).where(MINE, audit.c.seq > last_of(connection) - 2))


def last_of(connection: Connection) -> int:
    return connection.execute(select(func.max(audit.c.seq)).where(MINE)).scalar_one()


def cut_off_with_the_head(connection: Connection) -> None:
    cut_off(connection)
    end = rows(connection)[-1]
    set_head(seq=end["seq"], hash=end["hash"])(connection)


def anchor_forged(connection: Connection) -> None:
    told = rows(connection)
    set_head(anchor_seq=told[2]["seq"], anchor_hash=told[2]["hash"])(connection)
    connection.execute(delete(audit).where(MINE, audit.c.seq <= told[2]["seq"]))


def head_of_the_other_chain(connection: Connection) -> None:
    other = connection.execute(select(chains).where(chains.c.chain == OTHER)).mappings().one()
    set_head(**{name: other[name] for name in ("seq", "hash", "anchor_seq", "anchor_hash", "at", "seal")})(connection)
    connection.execute(delete(audit).where(MINE))
    connection.execute(insert(audit), [{**row, "chain": CHAIN} for row in rows(connection, OTHER)])


def sealed_by_another(connection: Connection) -> None:
    recomputed(someone_else_s)(connection)
    head = head_of(connection, CHAIN)
    assert head is not None
    append(connection, signer_of("f"), head, [Entry("", "", 1_020.0, {"what": "expired"})], now=1_020.0)


TAMPERINGS: dict[str, Tamper] = {
    "a row's event": set_row(8, event="other"),
    "a row's job": set_row(8, job_id="other"),
    "a row's time": set_row(8, at=999.0),
    "a row's content": set_row(8, content='{"what":"submitted"}'),
    "a row's hash": set_row(8, hash="0" * 64),
    "a row's place": set_row(8, seq=900),
    "a row's chain": set_row(8, chain="elsewhere"),
    "a row deleted": lambda connection: connection.execute(delete(audit).where(MINE, audit.c.seq == 8)),
    "a row inserted": inserted,
    "two rows reordered": reordered,
    "a row duplicated over the next": duplicated_in_place,
    "a row duplicated at the end": duplicated_at_the_end,
    "the tail cut off": cut_off,
    "the tail cut off, and the head put back by hand": cut_off_with_the_head,
    "rows after the anchor deleted": lambda c: c.execute(delete(audit).where(MINE, audit.c.seq <= 5)),
    "all rows deleted": lambda c: c.execute(delete(audit).where(MINE)),
    "the head's end": set_head(seq=5),
    "the head's hash": set_head(hash="0" * 64),
    "the head's time": set_head(at=1.0),
    "the head's seal": set_head(seal="0" * 64),
    "the head's seal, no number": set_head(seal="x"),
    "the head deleted": lambda c: c.execute(delete(chains).where(chains.c.chain == CHAIN)),
    "the anchor's place": set_head(anchor_seq=4),
    "the anchor's hash": set_head(anchor_hash="0" * 64),
    "the anchor forged": anchor_forged,
    "the chain recomputed without the key": recomputed(someone_else_s),
    "the chain recomputed shorter": recomputed(lambda told: told[:-2]),
    "time turned back, hashes recomputed": recomputed(turned_back),
    "the chain recomputed and sealed with another key": sealed_by_another,
    "a row of another chain copied in": moved_in,
    "a row of another chain moved in": swapped_with_the_other_chain,
    "another chain put in its place": head_of_the_other_chain,
}


def looked_at(history: Engine, tamper: Tamper, witness: Head | None = None) -> ChainReport:
    """What verify says of the table after `tamper`, which is undone."""
    with history.connect() as connection:
        tamper(connection)
        report = verify_in(connection, SIGNER, CHAIN, witness)
        connection.rollback()
    return report


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found(history: Engine, name: str):
    before = verify(history, SIGNER, CHAIN)
    report = looked_at(history, TAMPERINGS[name])

    assert before.holds
    assert before.rows == 11
    assert not report.holds
    assert report.broken_at is not None


def test_a_chain_put_back_to_an_older_state_of_itself_is_found_by_its_witness(history: Engine):
    with history.connect() as connection:
        old = connection.execute(select(chains).where(chains.c.chain == OTHER)).mappings().one()
        end = rows(connection, OTHER)[-1]
    writer = HistoryWriter(history, SIGNER, OTHER)
    writer.hold_to(Head(OTHER, end["seq"], end["hash"]), now=1_010.0)
    writer.write(Place("f"), Batch("f", 1, 1, "1-0", (replace(events_of(OTHER)[-1], id="1-0"),)), now=1_010.0)
    witness = writer.head()

    def put_back(connection: Connection) -> None:
        connection.execute(delete(audit).where(audit.c.chain == OTHER, audit.c.seq > old["seq"]))
        connection.execute(update(chains).where(chains.c.chain == OTHER).values(dict(old)))

    with history.connect() as connection:
        untouched = verify_in(connection, SIGNER, OTHER, witness)
        put_back(connection)
        alone, with_witness = (verify_in(connection, SIGNER, OTHER, w) for w in (None, witness))
        connection.execute(delete(audit).where(audit.c.chain == OTHER))
        connection.execute(delete(chains).where(chains.c.chain == OTHER))
        emptied = verify_in(connection, SIGNER, OTHER, witness)
        connection.rollback()
    assert (untouched.holds, alone.holds, with_witness.holds, emptied.holds) == (True, True, False, False)

    with history.begin() as connection:
        put_back(connection)
    is_held = HistoryWriter(history, SIGNER, OTHER).hold_to(witness, now=1_011.0)
    report = verify(history, SIGNER, OTHER)
    assert (is_held, report.holds) == (False, False)
    assert "older state" in report.message


def test_a_writer_s_clock_that_went_back_is_on_record(tmp_path: Path):
    engine = open_history(settings_with(tmp_path))
    write(engine, CHAIN, events_of(CHAIN, at=10_000.0))
    write(engine, CHAIN, events_of(CHAIN, at=5_000.0), epoch="f")
    report = verify(engine, SIGNER, CHAIN)
    engine.dispose()

    assert report.holds
    assert any("clock" in remark for remark in report.remarks)


def test_a_witness_outlasts_the_key_that_signed_it():
    keys = FixedKeys(KeyRing.read("k" * 32))
    signer, head = Signer(keys), Head(CHAIN, 3, "0" * 64)
    kept = signed_head(signer, head)
    keys.now = keys.now.rotated(now=1.0, after_s=0, accepted_s=1, kept_s=1e12)  # long ago

    assert opened_head(signer, *kept) == head
    assert opened_head(signer_of("j"), *kept) is None


def test_a_rotated_key_seals_on_and_a_removed_one_leaves_the_chain_whole(tmp_path: Path):
    keys = FixedKeys(KeyRing.read("k" * 32))
    signer = Signer(keys)
    engine = open_history(settings_with(tmp_path))
    write(engine, CHAIN, events_of(CHAIN), signer=signer)
    keys.now = keys.now.rotated(now=1.0, after_s=0, accepted_s=1, kept_s=1e12)
    sealed_by_a_past_key = verify(engine, signer, CHAIN)
    HistoryWriter(engine, signer, CHAIN).settle({}, now=1_010.0)
    write(engine, CHAIN, events_of(CHAIN), epoch="f", signer=signer)
    keys.now = keys.now.without(keys.now.keys[0].id, now=2.0)
    report = verify(engine, signer, CHAIN)
    engine.dispose()

    assert (sealed_by_a_past_key.holds, report.holds) == (True, True)


# -- files -------------------------------------------------------------------------------------------------------------


def test_an_export_tells_who_and_what_and_is_verified_from_the_file_alone(history: Engine):
    lines = list(exported(history, SIGNER, CHAIN, Wanted()))
    told = [json.loads(line) for line in lines]
    submit, end = told[0], told[2]

    assert submit["who"] == {"client": "web", "issuer": "https://idp", "subject": "ben"}
    assert [submit["told"][name] for name in ("question", "asked", "ran", "policy_version")] == [
        *("how many?", "select 1", "SELECT 1", "p1")
    ]
    assert [end["content"][name] for name in ("owner", "rows", "bytes", "what", "policy_version")] == [
        *(BEN, 7, 70, "succeeded", "p1")
    ]
    assert told[9]["who"]["subject"] == "ada"
    assert (told[9]["what"], told[9]["told"]["code"]) == ("refused", "not_read_only")
    assert all(told[n]["prev"] == told[n - 1]["hash"] for n in range(1, len(told) - 1))
    assert verify_lines(lines, SIGNER).holds
    assert verify_lines(lines, None).holds
    other = verify_lines(lines, signer_of("f"))
    assert (other.holds, "forgery" in other.message) == (False, True)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Wanted(owner=ADA), 4),
        (Wanted(owner=BEN, what=("succeeded",)), 2),
        (Wanted(what=("refused", "expired")), 2),
        (Wanted(since=1_002.0, until=1_003.0), 3),
        (Wanted(job_id=f"{CHAIN}-3"), 3),
        (Wanted(owner="nobody"), 0),
    ],
)
def test_an_export_has_what_was_wanted_and_no_more(history: Engine, wanted: Wanted, count: int):
    lines = list(exported(history, SIGNER, CHAIN, wanted))
    report = verify_lines(lines, SIGNER)

    assert (report.holds, report.lines, len(lines)) == (True, count, count + 1)


def edited(number: int, **values: object) -> Callable[[list[str]], list[str]]:
    def edit(lines: list[str]) -> list[str]:
        return [*lines[:number], json.dumps({**json.loads(lines[number]), **values}), *lines[number + 1 :]]

    return edit


def resealed(lines: list[str]) -> list[str]:
    """A line left out, and a new seal without the key."""
    footer = json.loads(lines[-1])
    return [*lines[:3], *lines[4:-1], json.dumps({**footer, "export": {**footer["export"], "lines": len(lines) - 2}})]


@pytest.mark.parametrize(
    "edit",
    [
        edited(4, at=1.0),
        edited(2, who=None),
        edited(4, time="2026-01-01T00:00:00+00:00"),
        edited(4, what="failed"),
        edited(4, content={"what": "submitted"}),
        edited(4, prev="0" * 64),
        edited(4, hash="0" * 64),
        edited(4, job_id="x"),
        edited(4, extra=1),
        edited(-1, seal="0" * 64),
        edited(-1, seal=None),
        edited(-1, export={}),
        edited(-1, export=["lines"]),
        edited(4, content="submitted"),
        edited(4, at=1e300),
        lambda lines: ['"seal"', *lines],
        lambda lines: ["[]", *lines],
        lambda lines: lines[:-1],
        lambda lines: [*lines[:4], *lines[5:]],
        lambda lines: [*lines[:4], lines[3], *lines[4:]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines[1:-1], lines[-1]],
        lambda lines: [*lines, lines[0]],
        lambda lines: ["no JSON", *lines],
        resealed,
    ],
)
def test_a_file_that_was_changed_does_not_hold(history: Engine, edit: Callable[[list[str]], list[str]]):
    lines = list(exported(history, SIGNER, CHAIN, Wanted()))

    assert not verify_lines(edit(lines), SIGNER).holds


# -- acts --------------------------------------------------------------------------------------------------------------


def test_an_act_at_a_terminal_is_on_record_beside_a_writer_that_goes_on(tmp_path: Path):
    settings = settings_with(tmp_path)
    keys = FixedKeys(KeyRing.read("k" * 32))
    engine = open_history(settings)
    writer = HistoryWriter(engine, Signer(keys), settings.namespace)
    record_act(settings, keys, Act("token_created", ADA, {"token": {"id": "t1"}}))
    events = [replace(event, at=event.at + 2e9) for event in events_of(CHAIN)]
    writer.write(Place("e"), Batch("e", len(events), len(events), "9-0", tuple(events)), now=2e9)
    report = verify(engine, Signer(keys), settings.namespace)
    told = json.loads(next(exported(engine, Signer(keys), settings.namespace, Wanted(what=("token_created",)))))
    engine.dispose()

    assert report.holds
    assert (told["who"]["subject"], told["told"]["token"]) == ("ada", {"id": "t1"})


REFUSAL = events_of(CHAIN)[-1]
SUBMIT = events_of(CHAIN)[0]


@pytest.mark.parametrize(
    "event",
    [
        replace(REFUSAL, record=REFUSAL.record.replace("DROP", "SELECT")),
        replace(REFUSAL, mac=""),
        replace(REFUSAL, record="", mac=""),
        replace(REFUSAL, record="[1]", mac=""),
        replace(REFUSAL, record="{", mac="", at=1e300),
        replace(REFUSAL, reason="key_rotated"),
        replace(SUBMIT, mac=""),
        replace(SUBMIT, job_id="another"),
    ],
    ids=["changed", "unsigned", "empty", "no object", "no JSON", "another act", "unsigned job", "another job"],
)
def test_an_event_that_was_forged_in_the_broker_is_recorded_as_forged(tmp_path: Path, event: Event):
    engine = open_history(settings_with(tmp_path))
    write(engine, CHAIN, [event])
    lines = list(exported(engine, SIGNER, CHAIN, Wanted()))
    engine.dispose()

    assert json.loads(lines[0])["content"]["forged"]
    assert verify_lines(lines, SIGNER).holds


def test_what_was_signed_is_not_taken_for_forged(tmp_path: Path):
    engine = open_history(settings_with(tmp_path))
    counted = replace(REFUSAL, id="9-1", reason="refused_more", record='{"owner": "a/b/c", "refused": 3}', mac="")
    write(engine, CHAIN, [*events_of(CHAIN), counted])
    lines = list(exported(engine, SIGNER, CHAIN, Wanted()))[:-1]
    engine.dispose()

    assert not any("forged" in json.loads(line)["content"] for line in lines)


KILLED = """
import os, signal, sys
from executor import ExecutorSettings, signing_keys
from executor.acts import Act
from executor.history import recording

settings = ExecutorSettings.model_validate_json(sys.argv[1])
point = sys.argv[2]
append = recording.append

def killed(*args, **more):
    if point == "after the rows":
        append(*args, **more)
    os.kill(os.getpid(), signal.SIGKILL)

if point != "after the commit":
    recording.append = killed
recording.record_act(settings, signing_keys(settings), Act("token_created", "cli/here/me"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("point", "recorded"), [("before", 0), ("after the rows", 0), ("after the commit", 1)])
def test_a_command_killed_while_it_records_leaves_the_act_once_or_not_at_all(tmp_path: Path, point: str, recorded: int):
    settings = settings_with(tmp_path)
    open_history(settings).dispose()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, settings.model_dump_json(), point]
    killed = subprocess.run(command, env=environment, timeout=60, check=False)
    engine = open_history(settings)
    with engine.connect() as connection:
        count = connection.execute(text("SELECT count(*) FROM awaitsql_audit")).scalar_one()
    engine.dispose()

    assert (killed.returncode, count) == (-signal.SIGKILL, recorded)
