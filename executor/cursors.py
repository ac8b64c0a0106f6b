"""A cursor: the place in a result where the next page begins. Names its job and the attempt that wrote the rows."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from executor.errors import ErrorCode, ResultFailed


@dataclass(frozen=True, slots=True)
class Cursor:
    """Row `offset` (0-based) of `job_id`'s result as `attempt` wrote it."""

    job_id: str
    attempt: int
    offset: int

    def encode(self) -> str:
        """The cursor as opaque text."""
        return base64.urlsafe_b64encode(f"{self.job_id}.{self.attempt}.{self.offset}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, job_id: str) -> Cursor:
        """The inverse, for this job.

        Raises:
            ResultFailed: ``invalid_cursor`` for anything that is not a cursor of `job_id`.
        """
        try:
            told = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").split(".")
            cursor = cls(told[0], int(told[1]), int(told[2]))
        except (ValueError, IndexError, binascii.Error):
            cursor = None
        if cursor is None or cursor.offset < 0:
            raise ResultFailed(
                ErrorCode.INVALID_CURSOR,
                "This is not a cursor.",
                hint="Pass next_cursor of the previous page unchanged; leave cursor out for the first page.",
            )
        if cursor.job_id != job_id:
            raise ResultFailed(
                ErrorCode.INVALID_CURSOR,
                "This cursor belongs to another job.",
                hint="Use the cursor with the job_id it came from; leave cursor out for this job's first page.",
            )
        return cursor
