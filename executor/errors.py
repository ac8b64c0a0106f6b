"""Every way a job can fail, once, with a code that is never renamed.

    ExecutorError
    ├── StatementFailed       the statement itself: its text, its time, its size
    │     statement_failed, statement_timeout, statement_expired, result_too_large,
    │     too_expensive, needs_confirmation, policy_changed, attribute_missing
    ├── SourceFailed          the database behind the source
    │     source_unavailable, source_removed, source_busy, source_auth_failed, source_not_ready
    ├── JobLost               nobody is left to finish it
    │     worker_lost, job_lost, no_workers
    ├── SubmitRefused         the executor would not take the job
    │     queue_full, rate_limited, idempotency_conflict, executor_unavailable
    ├── QuestionFailed        a question, before there were rows to answer it
    │     cannot_answer, no_working_sql, budget_exhausted, model_unavailable
    ├── InputFailed           a job's question, or what was said to it
    │     input_timeout, invalid_answer, human_required, not_waiting
    ├── JobNotFound           unknown, purged, or somebody else's: job_not_found
    ├── ResultFailed          the rows
    │     invalid_cursor, result_expired, result_restarted, store_full,
    │     store_unavailable
    └── SettingsInvalid       the configuration: invalid_settings

An error is a value as much as an exception: ``as_dict`` and ``from_dict`` carry it through the job's row. Messages
hold no parameter values, no connection strings and no names of anything the caller may not see.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self


class ErrorCode(StrEnum):
    """The stable names of failures. Stored with the job, listed in docs/errors.md, never renamed."""

    STATEMENT_FAILED = "statement_failed"
    STATEMENT_TIMEOUT = "statement_timeout"
    STATEMENT_EXPIRED = "statement_expired"
    RESULT_TOO_LARGE = "result_too_large"
    TOO_EXPENSIVE = "too_expensive"
    NEEDS_CONFIRMATION = "needs_confirmation"
    POLICY_CHANGED = "policy_changed"
    ATTRIBUTE_MISSING = "attribute_missing"
    SOURCE_UNAVAILABLE = "source_unavailable"
    SOURCE_REMOVED = "source_removed"
    SOURCE_BUSY = "source_busy"
    SOURCE_AUTH_FAILED = "source_auth_failed"
    SOURCE_NOT_READY = "source_not_ready"
    WORKER_LOST = "worker_lost"
    JOB_LOST = "job_lost"
    NO_WORKERS = "no_workers"
    QUEUE_FULL = "queue_full"
    RATE_LIMITED = "rate_limited"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    EXECUTOR_UNAVAILABLE = "executor_unavailable"
    CANNOT_ANSWER = "cannot_answer"
    NO_WORKING_SQL = "no_working_sql"
    BUDGET_EXHAUSTED = "budget_exhausted"
    MODEL_UNAVAILABLE = "model_unavailable"
    INPUT_TIMEOUT = "input_timeout"
    INVALID_ANSWER = "invalid_answer"
    HUMAN_REQUIRED = "human_required"
    NOT_WAITING = "not_waiting"
    JOB_NOT_FOUND = "job_not_found"
    INVALID_HANDLE = "invalid_handle"
    INVALID_CURSOR = "invalid_cursor"
    RESULT_EXPIRED = "result_expired"
    RESULT_RESTARTED = "result_restarted"
    STORE_FULL = "store_full"
    STORE_UNAVAILABLE = "store_unavailable"
    INVALID_SETTINGS = "invalid_settings"


class ExecutorError(Exception):
    """The root. ``code`` says what failed, ``hint`` what to do next, ``position`` (1-based character) where in the SQL.

    Attributes:
        code: one of `ErrorCode`.
        message: one sentence for a person or a model.
        hint: what to do next, or an empty string.
        position: 1-based character offset into the SQL as it ran, or None.
    """

    def __init__(self, code: ErrorCode, message: str, *, hint: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.position = position

    def as_dict(self) -> dict[str, Any]:
        """The error as it is stored on the job: code, message, hint, position."""
        return {"code": str(self.code), "message": self.message, "hint": self.hint, "position": self.position}

    @classmethod
    def of(cls, code: ErrorCode, message: str, *, hint: str = "", position: int | None = None) -> ExecutorError:
        """The error of the class that owns `code`."""
        return _CLASS_OF.get(code, ExecutorError)(code, message, hint=hint, position=position)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> ExecutorError:
        """The inverse of `as_dict`."""
        return cls.of(
            ErrorCode(stored["code"]), stored["message"], hint=stored.get("hint", ""), position=stored.get("position")
        )

    def with_hint(self, hint: str) -> Self:
        """The same error with another hint."""
        self.hint = hint
        return self


class StatementFailed(ExecutorError):
    """The statement could not be carried through: its text, its time or its size."""


class SourceFailed(ExecutorError):
    """The database behind the source is away, busy, or refuses us."""


class JobLost(ExecutorError):
    """Nobody is left who could finish the job."""


class SubmitRefused(ExecutorError):
    """The executor did not take the job; nothing was stored."""


class QuestionFailed(ExecutorError):
    """There is no SQL that answers the question: the data, the model or its budget are not there."""


class InputFailed(ExecutorError):
    """Nobody answered the job's question, or not in a way that counts."""


class JobNotFound(ExecutorError):
    """Unknown, purged, or somebody else's: all read the same."""


class ResultFailed(ExecutorError):
    """The rows cannot be read from here."""


class SettingsInvalid(ExecutorError):
    """The configuration is wrong; the message names the key or the variable."""

    def __init__(
        self,
        code: ErrorCode = ErrorCode.INVALID_SETTINGS,
        message: str = "",
        *,
        hint: str = "",
        position: int | None = None,
    ) -> None:
        super().__init__(code, message, hint=hint, position=position)


_CLASS_OF: dict[ErrorCode, type[ExecutorError]] = {
    ErrorCode.STATEMENT_FAILED: StatementFailed,
    ErrorCode.STATEMENT_TIMEOUT: StatementFailed,
    ErrorCode.STATEMENT_EXPIRED: StatementFailed,
    ErrorCode.RESULT_TOO_LARGE: StatementFailed,
    ErrorCode.TOO_EXPENSIVE: StatementFailed,
    ErrorCode.NEEDS_CONFIRMATION: StatementFailed,
    ErrorCode.POLICY_CHANGED: StatementFailed,
    ErrorCode.ATTRIBUTE_MISSING: StatementFailed,
    ErrorCode.SOURCE_UNAVAILABLE: SourceFailed,
    ErrorCode.SOURCE_REMOVED: SourceFailed,
    ErrorCode.SOURCE_BUSY: SourceFailed,
    ErrorCode.SOURCE_AUTH_FAILED: SourceFailed,
    ErrorCode.SOURCE_NOT_READY: SourceFailed,
    ErrorCode.WORKER_LOST: JobLost,
    ErrorCode.JOB_LOST: JobLost,
    ErrorCode.NO_WORKERS: JobLost,
    ErrorCode.QUEUE_FULL: SubmitRefused,
    ErrorCode.RATE_LIMITED: SubmitRefused,
    ErrorCode.IDEMPOTENCY_CONFLICT: SubmitRefused,
    ErrorCode.EXECUTOR_UNAVAILABLE: SubmitRefused,
    ErrorCode.CANNOT_ANSWER: QuestionFailed,
    ErrorCode.NO_WORKING_SQL: QuestionFailed,
    ErrorCode.BUDGET_EXHAUSTED: QuestionFailed,
    ErrorCode.MODEL_UNAVAILABLE: QuestionFailed,
    ErrorCode.INPUT_TIMEOUT: InputFailed,
    ErrorCode.INVALID_ANSWER: InputFailed,
    ErrorCode.HUMAN_REQUIRED: InputFailed,
    ErrorCode.NOT_WAITING: InputFailed,
    ErrorCode.JOB_NOT_FOUND: JobNotFound,
    ErrorCode.INVALID_HANDLE: JobNotFound,
    ErrorCode.INVALID_CURSOR: ResultFailed,
    ErrorCode.RESULT_EXPIRED: ResultFailed,
    ErrorCode.RESULT_RESTARTED: ResultFailed,
    ErrorCode.STORE_FULL: ResultFailed,
    ErrorCode.STORE_UNAVAILABLE: ResultFailed,
    ErrorCode.INVALID_SETTINGS: SettingsInvalid,
}
