"""What a model may answer: SQL, a question back, or that the question cannot be answered. Its types are its schema."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Line = Annotated[str, Field(max_length=500)]


class _Draft(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class SqlDraft(_Draft):
    """The SQL that answers the question."""

    kind: Literal["sql"] = "sql"
    sql: str = Field(min_length=1, max_length=20_000, description="One SELECT.")
    assumptions: list[_Line] = Field(default_factory=list[_Line], max_length=10, description="That decided a number.")
    ambiguity: _Line = Field(default="", description="Another reading of the question, if there is one.")


class Clarification(_Draft):
    """A question back, before any SQL is worth writing."""

    kind: Literal["clarification"] = "clarification"
    question: str = Field(min_length=1, max_length=500)
    choices: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(min_length=2, max_length=5)


class NoAnswer(_Draft):
    """The question cannot be answered from this source."""

    kind: Literal["no_answer"] = "no_answer"
    why: str = Field(min_length=1, max_length=1_000, description="What is missing, for the one who asked.")


Draft = Annotated[SqlDraft | Clarification | NoAnswer, Field(discriminator="kind")]
"""One answer of a model's."""
