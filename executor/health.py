"""How the things that jobs stand on are: the broker, and the place of results. Looks and measures; judges nothing."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import RedisError

from executor.errors import ErrorCode, ExecutorError
from executor.handles import new_job_id
from executor.results.opening import open_results
from executor.settings import ExecutorSettings

_PINGS = 5
_TRIAL_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class BrokerSeen:
    """What a broker tells of itself.

    Attributes:
        version: the server's name and version.
        used_bytes: memory it uses.
        most_bytes: memory it may use; 0 where nothing bounds it.
        policy: what it does when that is full.
        keeps_log: whether it writes every change to a log (AOF).
        keeps_snapshots: whether it writes snapshots now and then.
        trouble: what went wrong with either the last time, or an empty text.
        clock_behind_s: how far its clock is behind this process's; below zero where it is ahead.
        answer_ms: the shortest of a few round trips.
    """

    version: str
    used_bytes: int
    most_bytes: int
    policy: str
    keeps_log: bool
    keeps_snapshots: bool
    trouble: str
    clock_behind_s: float
    answer_ms: float


def look_at_broker(broker_url: str) -> BrokerSeen:
    """Asks the broker.

    Raises:
        ExecutorError: ``executor_unavailable``.
    """
    connection = redis.Redis.from_url(broker_url, decode_responses=True, socket_timeout=3, socket_connect_timeout=3)
    try:
        info: dict[str, Any] = connection.info()
        trips: list[tuple[float, float]] = []
        for _ in range(_PINGS):
            asked = time.time()
            seconds, micros = connection.time()
            answered = time.time()
            trips.append((answered - asked, (asked + answered) / 2 - (seconds + micros / 1e6)))
        snapshots = _configured(connection, "save")
    except RedisError as error:
        raise ExecutorError.of(
            ErrorCode.EXECUTOR_UNAVAILABLE,
            f"The broker does not answer ({type(error).__name__}).",
            hint="Check [executor] broker_url, or leave it out to use the embedded broker.",
        ) from error
    finally:
        connection.close()
    took_s, behind_s = min(trips)
    wrong = [
        words
        for field, words in (
            ("aof_last_write_status", "its log could not be written"),
            ("aof_last_bgrewrite_status", "its log could not be made shorter"),
            ("rdb_last_bgsave_status", "its last snapshot could not be written"),
        )
        if info.get(field, "ok") != "ok"
    ]
    return BrokerSeen(
        version=f"{info.get('server_name', 'redis')} {info.get('valkey_version', info.get('redis_version', '?'))}",
        used_bytes=int(info.get("used_memory", 0)),
        most_bytes=int(info.get("maxmemory", 0)),
        policy=str(info.get("maxmemory_policy", "unknown")),
        keeps_log=bool(info.get("aof_enabled")),
        keeps_snapshots=bool(snapshots),
        trouble=", ".join(wrong),
        clock_behind_s=behind_s,
        answer_ms=took_s * 1000,
    )


def _configured(connection: redis.Redis, name: str) -> str:
    """A setting of the broker; empty where it may not be asked, as with managed ones."""
    try:
        return str(connection.config_get(name).get(name, ""))
    except RedisError:
        return ""


@dataclass(frozen=True, slots=True)
class ResultsSeen:
    """How the place of results was found to be: MB a second each way, and the room left where that can be told."""

    written_mb_s: float
    read_mb_s: float
    free_bytes: int | None


def try_results(settings: ExecutorSettings) -> ResultsSeen:
    """Writes a few MB where results are kept, reads them back and removes them.

    Raises:
        ResultFailed: ``store_unavailable``, ``store_full``.
        SettingsInvalid: the object store cannot be used with these settings.
    """
    results = open_results(settings)
    written_s, read_s = results.trial(new_job_id(), os.urandom(_TRIAL_BYTES))
    mb = _TRIAL_BYTES / 1e6
    return ResultsSeen(mb / max(written_s, 1e-6), mb / max(read_s, 1e-6), results.free_bytes())
