"""Where the SQL of an evaluation comes from: the one shape that every writer has, and the writer that replays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mcp_server.evaluation.questions import Prediction


@dataclass(frozen=True, slots=True)
class Asked:
    """What a writer is given: a question in plain words, what is known about it, and the source it is about."""

    id: str
    source: str
    question: str
    evidence: str = ""

    @property
    def text(self) -> str:
        """The question with what is known about it, as one text."""
        return f"{self.question}\n\nWhat is known: {self.evidence}" if self.evidence else self.question


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer made of a question.

    Attributes:
        sql: the statement; None where there is none.
        calls: to a model.
        input_tokens: of all calls; None where they were not told.
        output_tokens: likewise.
        error: why there is no SQL: a stable code and a few words.
    """

    sql: str | None
    calls: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    error: str = ""


class Writer(Protocol):
    """Writes SQL for questions."""

    @property
    def name(self) -> str:
        """What it is called in tables and files."""
        ...

    async def write(self, asked: Asked) -> Written:
        """The SQL for one question. A question it has no answer to is told in `Written.error`."""
        ...


class Replay:
    """Gives the SQL that a model once wrote, and calls no model."""

    def __init__(self, name: str, written: dict[str, str]) -> None:
        self._name = name
        self._written = written

    @property
    def name(self) -> str:
        """The model's."""
        return self._name

    async def write(self, asked: Asked) -> Written:
        """What was recorded for the question's id."""
        sql = self._written.get(asked.id)
        return Written(sql, error="" if sql is not None else "no_prediction: nothing is recorded for this id")


def replays(predictions: Sequence[Prediction], models: Sequence[str]) -> list[Replay]:
    """A writer for each model of a file, or for those named."""
    named = dict.fromkeys(prediction.model for prediction in predictions)
    return [
        Replay(model, {p.id: p.sql for p in predictions if p.model == model})
        for model in named
        if not models or model in models
    ]
