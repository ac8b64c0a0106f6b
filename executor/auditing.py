"""The audit for commands: exported, checked in a file, and given an act. Needs the history, no broker.

Loads the database library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy.exc import SQLAlchemyError

from executor.errors import ErrorCode, ExecutorError
from executor.history.lines import FileReport, Wanted, exported, verify_lines
from executor.history.place import open_history
from executor.history.recording import record_act
from executor.settings import ExecutorSettings
from executor.signing import Keys, Signer

__all__ = ["FileReport", "Wanted", "export_audit", "record_act", "verify_audit_file"]


def export_audit(settings: ExecutorSettings, keys: Keys, wanted: Wanted) -> Iterator[str]:
    """The rows that are wanted, as lines of JSON, and one that seals them; without their line ends.

    Raises:
        ExecutorError: ``executor_unavailable`` when the history does not answer.
    """
    try:
        engine = open_history(settings)
        try:
            yield from exported(engine, Signer(keys), settings.namespace, wanted)
        finally:
            engine.dispose()
    except SQLAlchemyError as error:
        raise ExecutorError.of(
            ErrorCode.EXECUTOR_UNAVAILABLE,
            f"The history does not answer ({type(error).__name__}).",
            hint="awaitsql doctor says where it is.",
        ) from error


def verify_audit_file(lines: Iterable[str], keys: Keys | None) -> FileReport:
    """Checks what `export_audit` gave; without keys its hashes alone."""
    return verify_lines(lines, None if keys is None else Signer(keys))
