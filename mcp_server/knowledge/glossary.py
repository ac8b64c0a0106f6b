"""The glossary of a source: what its owner says words, figures, tables and columns mean. A YAML file, read strictly.

Pure but for `read_glossary`. Whether an entry fits the source's tables, and who may read it, is `meanings`' business.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from executor import SettingsInvalid

MOST_BYTES = 1_000_000
"""Of a glossary's file."""

_HINT = "awaitsql glossary draft SOURCE writes one to begin with."

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000)]
Sql = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4_000)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Term(_Entry):
    """A word of the business. `tables` names what it is about; who may not see all of them is not told the term."""

    name: Name
    means: Text
    synonyms: tuple[Name, ...] = ()
    tables: tuple[Name, ...] = ()


class Metric(_Entry):
    """A figure: the expression `sql` over what `from` names, a table or a FROM clause with its joins."""

    name: Name
    sql: Sql
    source: Sql = Field(alias="from")
    means: Text = ""
    synonyms: tuple[Name, ...] = ()

    @property
    def statement(self) -> str:
        """The figure over all rows."""
        return f"SELECT {self.sql} FROM {self.source}"  # noqa: S608 - goes past the guard, and is run by nobody


class Filter(_Entry):
    """A condition that has a name, on the rows of one table."""

    name: Name
    table: Name
    sql: Sql
    means: Text = ""
    synonyms: tuple[Name, ...] = ()

    @property
    def statement(self) -> str:
        """The rows that the condition lets pass."""
        return f"SELECT 1 FROM {self.table} WHERE {self.sql}"  # noqa: S608 - as above


class ColumnNote(_Entry):
    """What a column means; in the file a text alone is its note."""

    note: Text = ""
    synonyms: tuple[Name, ...] = ()


def _noted(value: Any) -> Any:
    return {"note": value} if isinstance(value, str) else {} if value is None else value


class TableNote(_Entry):
    """What a table means, and its columns; in the file a text alone is its note."""

    note: Text = ""
    synonyms: tuple[Name, ...] = ()
    columns: dict[Name, Annotated[ColumnNote, BeforeValidator(_noted)]] = Field(default_factory=dict)


class Glossary(_Entry):
    """All that one file says."""

    version: Literal[1] = 1
    terms: tuple[Term, ...] = ()
    metrics: tuple[Metric, ...] = ()
    filters: tuple[Filter, ...] = ()
    tables: dict[Name, Annotated[TableNote, BeforeValidator(_noted)]] = Field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """Plain values only, and no key twice: the second would silently take the first one's place."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key, _ in node.value:
        name = getattr(key, "value", None)
        if isinstance(name, str) and name in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{name} stands here twice", key.start_mark)
        seen.add(name if isinstance(name, str) else None)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_glossary(path: Path) -> Glossary:
    """The glossary in the file.

    Raises:
        SettingsInvalid: it cannot be read, or holds something else; with the line or the entry.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SettingsInvalid(message=f"{path} is larger than {MOST_BYTES:,} bytes.", hint="Split the source.")
        told = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506 - derived from the safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}" if mark is not None else ""
        raise SettingsInvalid(message=f"{path}{place}: {error.problem}.", hint=_HINT) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise SettingsInvalid(message=f"The glossary {path} cannot be read: {error}", hint=_HINT) from error
    try:
        return Glossary.model_validate({} if told is None else told)
    except ValidationError as error:
        lines = [f"{path}: {_place(wrong['loc'])}{wrong['msg']}" for wrong in error.errors(include_url=False)]
        raise SettingsInvalid(message="\n".join(lines), hint=_HINT) from error


def _place(loc: tuple[int | str, ...]) -> str:
    """``metrics, entry 2, sql: ``; positions count from 1, as people do."""
    parts = [f"entry {part + 1}" if isinstance(part, int) else str(part) for part in loc]
    return f"{', '.join(parts)}: " if parts else ""
