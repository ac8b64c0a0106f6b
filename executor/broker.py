"""Which broker a process talks to, checked before it is trusted: the configured one, or the embedded one."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import quote, urlsplit, urlunsplit

import redis
from redis.exceptions import RedisError

from executor.embedded import EmbeddedBroker
from executor.errors import ErrorCode, ExecutorError, SettingsInvalid
from executor.secrets import resolve_secret
from executor.settings import ExecutorSettings


@contextmanager
def open_broker(settings: ExecutorSettings) -> Generator[str]:
    """The URL of a broker that answers and is fit for jobs, for as long as the context is open.

    Without a configured URL this starts, or joins, the embedded broker of this configuration.

    Raises:
        SettingsInvalid: the URL is wrong, or the broker evicts keys or is a cluster.
        ExecutorError: ``executor_unavailable`` when nothing answers there.
    """
    if settings.broker_url is None:
        with EmbeddedBroker(settings) as embedded:
            yield embedded.url
        return
    url = _with_password(settings)
    check_broker(url)
    yield url


def _with_password(settings: ExecutorSettings) -> str:
    url = settings.broker_url or ""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise SettingsInvalid(
            message=f"[executor] broker_url begins with {parts.scheme or 'nothing'}://, which is no Redis address.",
            hint="Write redis://host:6379/0, rediss://host:6380/0 or unix:///path/to.sock?db=0.",
        )
    if settings.broker_password is None:
        return url
    password = quote(resolve_secret("executor.broker_password", settings.broker_password), safe="")
    if parts.scheme == "unix":
        # by hand: urlunsplit drops the // of a scheme that it does not know
        return f"unix://{parts.path}?{f'{parts.query}&password={password}'.lstrip('&')}"
    user, _, address = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{password}@{address}"))


def check_broker(url: str) -> None:
    """Looks whether the broker answers, keeps what it is given, and is one server.

    Raises:
        SettingsInvalid: it evicts keys when full, or is a Redis Cluster.
        ExecutorError: ``executor_unavailable`` when it does not answer.
    """
    connection = redis.Redis.from_url(url, decode_responses=True, socket_timeout=3, socket_connect_timeout=3)
    try:
        info = connection.info()
    except RedisError as error:
        raise ExecutorError.of(
            ErrorCode.EXECUTOR_UNAVAILABLE,
            f"The broker at [executor] broker_url does not answer ({type(error).__name__}).",
            hint="Check the address, or leave broker_url out to use the embedded broker.",
        ) from error
    finally:
        connection.close()
    if info.get("redis_mode") == "cluster" or info.get("cluster_enabled"):
        raise SettingsInvalid(
            message="The broker is a Redis Cluster: a job's keys lie on several nodes, and moves are atomic on one.",
            hint="Use a single Redis or Valkey, with Sentinel if it must not go away.",
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and not str(policy).startswith("volatile-"):
        raise SettingsInvalid(
            message=f"The broker drops keys when it is full (maxmemory-policy {policy}): queued jobs would vanish.",
            hint="Set it with: redis-cli config set maxmemory-policy noeviction",
        )
