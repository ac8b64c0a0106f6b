"""What callers ask and how it ends, counted, whichever face they use. Knows names and codes, never what was asked.

Its instruments stand on a registry that it is given; there is no global one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Histogram

from executor import ExecutorError
from mcp_server.errors import CallRefused
from mcp_server.sql import RefusalCode, StatementRefused

Face = Literal["mcp", "http"]


class Outcome(StrEnum):
    """How a call ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """By the guard, or because it could not be understood: asking otherwise may help."""
    FAILED = "failed"
    """By the executor's error; that of a job which failed is an answer."""
    LEFT = "left"
    """The caller went before the answer came."""
    CRASHED = "crashed"
    """A bug: the log has it."""


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 45)
"""The longest wait inside a call is 45 s."""


class Calls:
    """The instruments of one server process. Thread-safe."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "awaitsql_calls",
            "Calls of tools, resources and /v1, by how they ended.",
            ["face", "call", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "awaitsql_call_seconds",
            "From call to answer, with the wait for rows that the caller asked for.",
            ["face", "call"],
            registry=registry,
            buckets=_SECONDS,
        )
        self._refusals = Counter(
            "awaitsql_refusals",
            "Calls refused, and requests turned away before any call, by code.",
            ["code"],
            registry=registry,
        )
        self._errors = Counter("awaitsql_call_errors", "Calls that failed, by code.", ["code"], registry=registry)
        for code in RefusalCode:
            self._refusals.labels(code)

    def turned_away(self, code: str) -> None:
        """Counts a request that came to no call: nobody signed in, not with that scope, or too often."""
        self._refusals.labels(code).inc()

    @contextmanager
    def counted(
        self, face: Face, call: str, *, refused: type[Exception] = CallRefused, left: type[Exception] | None = None
    ) -> Generator[None]:
        """Counts and times what is done inside; every exception goes on.

        Args:
            face: which way the call came.
            call: a name of ours: a tool's, a resource's, an operation's.
            refused: what else refuses a call here; its ``code`` is one of ours.
            left: what says that the caller is gone.
        """
        began = time.perf_counter()
        outcome = Outcome.CRASHED
        try:
            yield
            outcome = Outcome.ANSWERED
        except (StatementRefused, CallRefused, refused) as error:
            outcome = Outcome.REFUSED
            self._refusals.labels(getattr(error, "code")).inc()  # noqa: B009 - classes of two layers, both with a code
            raise
        except ExecutorError as error:
            outcome = Outcome.FAILED
            self._errors.labels(error.code).inc()
            raise
        except asyncio.CancelledError:
            outcome = Outcome.LEFT
            raise
        except Exception as error:
            if left is not None and isinstance(error, left):
                outcome = Outcome.LEFT
            raise
        finally:
            self._calls.labels(face, call, outcome).inc()
            self._seconds.labels(face, call).observe(time.perf_counter() - began)
