"""Puts an act on record at once, in the history itself: for commands, which run where no broker may be running.

Whoever does such an act does it after this: an act that cannot be recorded is not done.
"""

from __future__ import annotations

import time

from sqlalchemy.exc import SQLAlchemyError

from executor.acts import Act
from executor.errors import ErrorCode, ExecutorError
from executor.history.chain import Entry, append, begin, head_of
from executor.history.place import open_history
from executor.settings import ExecutorSettings
from executor.signing import Keys, Signer


def record_act(settings: ExecutorSettings, keys: Keys, act: Act) -> None:
    """Puts `act` on record, durably.

    Raises:
        ExecutorError: ``executor_unavailable`` when the history does not answer.
    """
    signer = Signer(keys)
    record, mac = act.record(signer)
    now = time.time()
    try:
        engine = open_history(settings)
        try:
            with engine.begin() as connection:
                head = head_of(connection, settings.namespace)
                if head is None:
                    begin(connection, signer, settings.namespace)
                    head = head_of(connection, settings.namespace)
                assert head is not None  # noqa: S101 - it was made just now
                entry = Entry("", "", now, {"what": act.what, "record": record, "mac": mac})
                append(connection, signer, head, [entry], now=now)
        finally:
            engine.dispose()
    except (SQLAlchemyError, OSError) as error:
        raise ExecutorError.of(
            ErrorCode.EXECUTOR_UNAVAILABLE,
            f"This cannot be put on record, so it was not done: the history does not answer ({type(error).__name__}).",
            hint="awaitsql doctor says where the history is.",
        ) from error
