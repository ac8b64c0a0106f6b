"""What the record tells of SQL: the text before and after the check, with its literals or without, and keyed hashes.

The hash is an HMAC: whoever has a key can tell whether a text is the one that ran, and nobody can find literals by
trying. What takes literals out is handed in, since the executor knows no grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from executor.jobs import RESULTS, Statement
from executor.settings import ExecutorSettings
from executor.signing import Signer

Redact = Callable[[str, str, bool], str]
"""SQL, its dialect and whether it was checked -> it without literals; an empty text where it cannot be read."""

_REFUSED_CHARS = 2_000
"""Of a refused text so much is kept: who is refused has not been let through by anything yet."""


def hash_of(signer: Signer, sql: str) -> str:
    """What the record says instead of, or beside, a text: 64 hex digits that only a holder of the key can make."""
    return signer.mac("recorded sql", sql.encode("utf-8", "surrogatepass")).hex()


@dataclass(frozen=True, slots=True)
class Told:
    """How SQL is told. `redact` None: with its literals."""

    redact: Redact | None
    dialects: dict[str, str]

    def statement(self, signer: Signer, statement: Statement, question: str | None) -> dict[str, Any]:
        """Of a statement that will run: what was asked, what runs, what its caller may read; two hashes."""
        dialect = self.dialects.get(statement.source, "")
        return {
            "asked": self._text(statement.asked, statement.asked_in or dialect),
            "asked_hash": hash_of(signer, statement.asked) if statement.asked else "",
            "ran": self._text(statement.recorded, dialect),
            "ran_hash": hash_of(signer, statement.sql) if statement.sql else "",
            "sql": self._text(statement.shown_sql, dialect),
            "question": question,
        }

    def refusal(self, signer: Signer, sql: str, dialect: str, message: str) -> dict[str, Any]:
        """Of a text that was refused: its beginning, how long it is, its hash, and why."""
        text = sql.encode("utf-8", "replace").decode()
        return {
            "asked": self._text(text[:_REFUSED_CHARS], dialect, is_checked=False),
            "asked_chars": len(sql),
            "asked_hash": hash_of(signer, sql),
            "message": message if self.redact is None else "",
        }

    def _text(self, sql: str, dialect: str, *, is_checked: bool = True) -> str:
        return sql if self.redact is None or not sql else self.redact(sql, dialect, is_checked)


def told_as(settings: ExecutorSettings, redact: Redact | None) -> Told:
    """As the settings want it; without `redact` no text is told where literals are not to be."""
    dialects = {name: source.dialect for name, source in settings.sources.items()} | {RESULTS: "duckdb"}
    if settings.history.literals == "keep":
        return Told(None, dialects)
    return Told(redact or (lambda _sql, _dialect, _is_checked: ""), dialects)
