"""How the guard says no: a code that is never renamed, one sentence, a hint and a place. Knows no dialect."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class RefusalCode(StrEnum):
    """Why SQL was not let through."""

    UNPARSEABLE = "unparseable"
    MANY_STATEMENTS = "many_statements"
    NOT_READ_ONLY = "not_read_only"
    FUNCTION_NOT_ALLOWED = "function_not_allowed"
    CONSTRUCT_NOT_ALLOWED = "construct_not_allowed"
    UNKNOWN_TABLE = "unknown_table"
    UNKNOWN_COLUMN = "unknown_column"
    TOO_COMPLEX = "too_complex"


class StatementRefused(Exception):
    """The guard said no. Nothing ran.

    Attributes:
        code: one of `RefusalCode`.
        message: one sentence for a model.
        hint: what to do next, or an empty string.
        position: 1-based character offset into the caller's own SQL, or None.
        line: the line of `position`, from 1, once `locate` was called.
        column: the character in that line, from 1.
    """

    def __init__(self, code: RefusalCode, message: str, *, hint: str = "", position: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.position = position
        self.line: int | None = None
        self.column: int | None = None

    def locate(self, sql: str) -> None:
        """Say line and column of the position in `sql`, the caller's own."""
        if self.position is not None:
            before = sql[: self.position - 1]
            self.line = before.count("\n") + 1
            self.column = len(before) - (before.rfind("\n") + 1) + 1

    def as_dict(self) -> dict[str, Any]:
        """The refusal as an answer holds it: code, message, hint, position, line, column."""
        return {
            "code": str(self.code),
            "message": self.message,
            "hint": self.hint,
            "position": self.position,
            "line": self.line,
            "column": self.column,
        }
