"""The ways to the broker, how long each waits for it, and the words for one that is away or full. Knows no job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import redis
import redis.asyncio
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from executor.errors import ErrorCode, ExecutorError, SubmitRefused

_CONNECTIONS = 32
_TURN_S = 20.0
"""How long a call waits for its turn on a connection."""

BROKER_S = 8.0
"""How long a call waits for a broker that is away, or frozen: restarts take less, and clients wait for an answer."""

BROKER_ERRORS = (RedisConnectionError, RedisTimeoutError, OSError)


def broker_away(error: BaseException) -> ExecutorError:
    """The one error for a broker that does not answer."""
    return SubmitRefused(
        ErrorCode.EXECUTOR_UNAVAILABLE,
        f"The job broker does not answer ({type(error).__name__}).",
        hint="Nothing is lost: jobs already submitted go on when it is back. Call again in a few seconds.",
    )


def broker_full() -> ExecutorError:
    """The one error for a broker whose memory is full."""
    return SubmitRefused(
        ErrorCode.STORE_FULL,
        "The job broker's memory is full; the job was not taken.",
        hint="Jobs it holds go on. Raise [executor] embedded_memory_mb or the broker's maxmemory, or lower "
        "result_ttl_s.",
    )


@asynccontextmanager
async def asking_broker(*, within_s: float | None = BROKER_S) -> AsyncGenerator[None]:
    """While inside, the broker is asked: for so many seconds in all, or without a bound.

    Raises:
        ExecutorError: ``executor_unavailable`` where it has not answered by then, or is away.
    """
    try:
        async with asyncio.timeout(within_s):
            yield
    except BROKER_ERRORS as error:
        raise broker_away(error) from error


def connect_async(broker_url: str) -> redis.asyncio.Redis:
    """An asynchronous connection pool, strings decoded. A thousand callers at once take turns on its connections."""
    from redis.asyncio.retry import Retry as AsyncRetry  # noqa: PLC0415 - only servers need it

    pool = redis.asyncio.BlockingConnectionPool.from_url(
        broker_url,
        max_connections=_CONNECTIONS,
        timeout=_TURN_S,
        decode_responses=True,
        socket_timeout=5,
        socket_connect_timeout=2,
        retry=AsyncRetry(ExponentialBackoff(cap=0.5, base=0.02), retries=9),
    )
    return redis.asyncio.Redis.from_pool(pool)


def connect_sync(broker_url: str) -> redis.Redis:
    """A connection pool for threads, strings decoded."""
    return redis.Redis.from_url(
        broker_url,
        decode_responses=True,
        socket_timeout=5,
        socket_connect_timeout=2,
        retry=_retry(),
    )


def reads_anything(connection: redis.Redis) -> redis.Redis:
    """The same broker for whoever reads what strangers may have written: bytes that are no text come as U+FFFD."""
    pool = connection.connection_pool
    told: dict[str, Any] = {**pool.connection_kwargs, "encoding_errors": "replace"}
    return redis.Redis.from_pool(redis.ConnectionPool(connection_class=pool.connection_class, **told))


def _retry() -> Retry:
    """About three seconds in all: an embedded broker is back in a fraction of one."""
    return Retry(ExponentialBackoff(cap=0.5, base=0.02), retries=9)
