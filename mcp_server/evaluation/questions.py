"""A file of questions with right answers, and the databases they are about: read and checked, nothing run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from executor import SettingsInvalid, SQLiteSource

ModelT = TypeVar("ModelT", bound=BaseModel)

DIALECT = "sqlite"
"""What the databases of an evaluation speak; questions in another dialect are left out."""


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Question(BaseModel):
    """A line of the file: a question over one database, and SQL of which any brings the right rows."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[str, BeforeValidator(str)]
    set: str = ""
    db: str
    dialect: str = DIALECT
    question: str
    evidence: str | None = None
    gold_sql: Annotated[list[str], BeforeValidator(_several), Field(min_length=1)]
    gold_empty: bool = Field(default=False, description="Its right answer has no rows, which proves nothing.")


class Prediction(BaseModel):
    """SQL that a model once wrote for a question; `exact` is the verdict recorded with it, where there is one."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[str, BeforeValidator(str)]
    model: str = "recorded"
    sql: str
    exact: bool | None = None


def read_rows(path: Path, model: type[ModelT]) -> list[ModelT]:
    """The objects of a file of JSON lines, or of one JSON array.

    Raises:
        SettingsInvalid: a file that cannot be read, with the line.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(message=f"{path} cannot be read: {error}", hint="Give a file of JSON lines.") from error
    if text.lstrip().startswith("["):
        try:
            return TypeAdapter[list[ModelT]](list[model]).validate_json(text)  # pyright: ignore[reportInvalidTypeForm]
        except ValidationError as error:
            raise SettingsInvalid(message=f"{path}: {_first(error)}", hint="See --help.") from error
    return list(_lines(text, path, model))


def _lines(text: str, path: Path, model: type[ModelT]) -> Iterator[ModelT]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield model.model_validate_json(line)
            except ValidationError as error:
                raise SettingsInvalid(message=f"{path}, line {number}: {_first(error)}", hint="See --help.") from error


def _first(error: ValidationError) -> str:
    wrong = error.errors()[0]
    return f"{'.'.join(str(part) for part in wrong['loc'])} {wrong['msg']}".strip()


def asked_of(questions: Sequence[Question], sets: Sequence[str]) -> list[Question]:
    """Those of the named sets (of all, if none is named) that can be scored here.

    Raises:
        SettingsInvalid: there is no such set, nothing is left, or two have one id.
    """
    known = sorted({question.set for question in questions})
    unknown = [name for name in sets if name not in known]
    if unknown:
        raise SettingsInvalid(message=f"There is no set {unknown[0]}.", hint=f"Sets: {', '.join(known)}.")
    asked = [
        question
        for question in questions
        if (not sets or question.set in sets) and not question.gold_empty and question.dialect == DIALECT
    ]
    if not asked:
        raise SettingsInvalid(
            message="No question is left to ask.", hint=f"Questions need dialect {DIALECT} and a gold that has rows."
        )
    ids = [question.id for question in asked]
    twice = next((id_ for id_ in ids if ids.count(id_) > 1), None)
    if twice is not None:
        raise SettingsInvalid(message=f"Two questions have the id {twice}.", hint="An id names one question.")
    return asked


def sources_of(questions: Sequence[Question], root: Path) -> dict[str, SQLiteSource]:
    """A read-only source for each database that is asked about, by `source_name`.

    Raises:
        SettingsInvalid: a database has no file, or two have one name.
    """
    sources: dict[str, SQLiteSource] = {}
    for db in dict.fromkeys(question.db for question in questions):
        path = root / db / f"{db}.sqlite"
        if not path.is_file():
            raise SettingsInvalid(
                message=f"There is no database {path}.", hint="--db-root holds DB/DB.sqlite for each db of the file."
            )
        name = source_name(db)
        if name in sources:
            raise SettingsInvalid(message=f"Two databases would be the source {name}.", hint="Rename one.")
        sources[name] = SQLiteSource(path=path.absolute())
    return sources


def source_name(db: str) -> str:
    """What a database is called as a source: lower case, with ``_`` for what a source's name cannot hold."""
    plain = re.sub(r"[^a-z0-9_]", "_", db.lower())[:60]
    return plain if plain[:1].isalpha() else f"db_{plain}"
