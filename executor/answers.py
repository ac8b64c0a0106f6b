"""What a job may have to be told before it can go on, and what it is told. Knows no broker and no signature.

A body asks by raising `InputNeeded`: its attempt ends there, the job waits without lease or slot, and the next attempt
begins anew with the answer among `Answers`. A body that needs two answers asks twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from executor.errors import ErrorCode, InputFailed

Voice = Literal["client", "human"]
"""Who answers: a program (a model among them), or a person whom their client has asked."""

ANSWER_CHARS = 4_000
"""The longest text in an answer."""


@dataclass(frozen=True, slots=True)
class InputRequest:
    """A question of a job's, for a person or for the client.

    Attributes:
        name: tells the questions of one job apart; its answer is found by it.
        purpose: what the answer is for, in a word: ``confirm_cost``, ``clarify``.
        message: the question itself, for a person.
        schema: JSON schema of the answer: an object whose properties are texts, numbers, yes or no, or choices, the
            few that the protocol's forms know.
        by: who may say yes to it.
        about: what the body wants to read again with the answer; JSON-ready, shown to nobody.
    """

    name: str
    purpose: str
    message: str
    schema: Mapping[str, Any]
    by: Voice = "client"
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said: `action` ``accept`` with a `content` that fits the request's schema, or ``decline`` with none."""

    action: Literal["accept", "decline"]
    content: Mapping[str, Any] = field(default_factory=dict[str, Any])
    by: Voice = "client"


Answers = Mapping[str, tuple[InputRequest, Answer]]
"""What a job was told so far, with what it was told it for, by the request's name; the newest of a name."""


class InputNeeded(Exception):
    """Raised by the body of a job that cannot go on without an answer."""

    def __init__(self, request: InputRequest) -> None:
        super().__init__(request.name)
        self.request = request


def check_answer(request: InputRequest, answer: Answer) -> None:
    """Holds `answer` to what was asked.

    Raises:
        InputFailed: ``invalid_answer`` where it does not fit the schema or is too long, ``human_required`` where a
            program says yes to what a person must.
    """
    if answer.action != "accept":
        return
    if request.by == "human" and answer.by != "human":
        raise InputFailed(
            ErrorCode.HUMAN_REQUIRED,
            "Only a person may say yes to this, and a tool call may come from a program.",
            hint="Ask the user to answer in a terminal: awaitsql jobs answer HANDLE. Anybody may decline.",
        )
    # a hundredth of a second to load, which only answers are worth
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    # a closed object: what was not asked for would be kept and signed, too
    schema = {"additionalProperties": False, **request.schema}
    problem = next(iter(Draft202012Validator(schema).iter_errors(dict(answer.content))), None)
    if problem is not None:
        where = ".".join(str(step) for step in problem.absolute_path)
        fields = ", ".join(request.schema.get("properties", {}))
        raise InputFailed(
            ErrorCode.INVALID_ANSWER,
            f"The answer does not fit the question ({where or 'the whole'}: {problem.validator}).",
            hint=f"Answer with an object of: {fields}.",
        )
    if any(isinstance(value, str) and len(value) > ANSWER_CHARS for value in answer.content.values()):
        raise InputFailed(
            ErrorCode.INVALID_ANSWER,
            f"The answer is too long: a text may have {ANSWER_CHARS:,} characters.",
            hint="Say it in fewer words.",
        )
