"""What the models say about a setting's path, and the environment variables that name one. Reads no environment itself.

A path is the keys that lead to a setting: ``("executor", "sources", "shop", "path")``; its variable is
``AWAITSQL_EXECUTOR__SOURCES__SHOP__PATH``. Knows no file and no setting's meaning.
"""

from __future__ import annotations

import difflib
import json
import os.path
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

PREFIX = "AWAITSQL_"

Annotation = Any
"""A type as it is written at a field: a class, a union, ``tuple[Path, ...]``."""

KeyPath = tuple[str, ...]


def members(annotation: Annotation) -> list[Annotation]:
    """The alternatives of `annotation` without None, and without what ``Annotated`` adds."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin is Union or origin is UnionType:
        return [m for part in get_args(annotation) if part is not type(None) for m in members(part)]
    return [annotation]


def models(annotation: Annotation) -> list[type[BaseModel]]:
    """The models among the alternatives of `annotation`."""
    return [m for m in members(annotation) if isinstance(m, type) and issubclass(m, BaseModel)]


def inside(annotation: Annotation, key: str) -> Annotation | None:
    """The type of the entry `key`, or None where there is no such entry."""
    for member in members(annotation):
        if get_origin(member) is dict:
            return get_args(member)[1]
        if get_origin(member) is tuple and key.isdigit():
            return get_args(member)[0]
    found = [m.model_fields[key].annotation for m in models(annotation) if key in m.model_fields]
    # The kinds of a source name the same setting alike; where one has a path and another has paths, both are meant.
    return Union[tuple(found)] if found else None  # noqa: UP007 - the alternatives are known only here


def is_table(annotation: Annotation) -> bool:
    """Whether what stands there is a table of further settings."""
    return bool(models(annotation)) or any(get_origin(m) is dict for m in members(annotation))


def closest(word: str, known: Iterable[str]) -> str:
    """`` Did you mean X?`` with the one of `known` that is most like `word`, or nothing."""
    like = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {like[0]}?" if like else ""


def rebased(value: Any, annotation: Annotation, folder: Path) -> Any:
    """`value` with every path in it made absolute: ``~`` is the home folder, a relative one begins at `folder`."""
    if annotation is None:
        return value
    if isinstance(value, dict):
        return {key: rebased(entry, inside(annotation, key), folder) for key, entry in value.items()}
    for member in members(annotation):
        if isinstance(value, list) and get_origin(member) is tuple:
            return [rebased(entry, get_args(member)[0], folder) for entry in value]
        if isinstance(value, str) and value and member is Path:
            return str(absolute(value, folder))
    return value


def absolute(text: str, folder: Path) -> Path:
    """The path that `text` means, seen from `folder`. Symbolic links stay: what they point to may change."""
    path = Path(text)
    if text.startswith("~"):
        try:
            path = path.expanduser()
        except RuntimeError:  # no such user: the name is a file's, then
            path = Path(text)
    return Path(os.path.normpath(folder.absolute() / path))


def variable(path: KeyPath) -> str:
    """The environment variable that names the setting at `path`."""
    return PREFIX + "__".join(path).upper()


def read_overrides(
    environ: Mapping[str, str], root: Annotation, sources: Iterable[str]
) -> tuple[dict[KeyPath, Any], list[str]]:
    """The settings that `environ` gives, by path, and a sentence for each variable that names none.

    An empty variable counts as not given. Lists are JSON, or words between commas.

    Args:
        environ: the whole environment.
        root: the model of all tables.
        sources: names of the sources configured elsewhere, for suggestions.
    """
    given: dict[KeyPath, Any] = {}
    problems: list[str] = []
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX):
            continue
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        annotation: Annotation | None = root
        for key in path:
            annotation = inside(annotation, key) if annotation is not None else None
        if annotation is None:
            meant = closest(name, _variables(root, sources))
            problems.append(f"Environment variable {name} names no setting.{meant}")
        elif any(key.isdigit() for key in path):
            problems.append(f"Environment variable {name} is of a list of tables, which only the file can hold.")
        elif is_table(annotation):
            such = next(_variables(annotation, sources, path), "")
            such = f" Name a setting in it, such as {such}." if such else ""
            problems.append(f"Environment variable {name} names a table.{such}")
        elif text:
            given[path] = _value(text, annotation)
    return given, problems


def _value(text: str, annotation: Annotation) -> Any:
    if not all(get_origin(member) is tuple for member in members(annotation)):
        return text
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text  # the model says what it should have been
    return [word.strip() for word in text.split(",")]


def _variables(annotation: Annotation, sources: Iterable[str], path: KeyPath = ()) -> Iterator[str]:
    if not is_table(annotation):
        yield variable(path)
        return
    named: dict[str, None] = {}
    for member in members(annotation):
        named.update(dict.fromkeys(sources if get_origin(member) is dict else ()))
    for model in models(annotation):
        named.update(dict.fromkeys(model.model_fields))
    for key in named:
        yield from _variables(inside(annotation, key), sources, (*path, key))
