"""What is wrong with a configuration, one readable sentence per problem, with the place it stands at. Repairs nothing.

Values are quoted only where they cannot be a secret: numbers, and words where a fixed set of words is expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from mcp_server.overrides import KeyPath, closest, inside, models, variable

_HEADER = re.compile(r"\s*\[(\[?)([^\[\]]+)\]")
_PART = re.compile(r"""\s*(?:"[^"]*"|'[^']*'|[^."']+)\s*""")
_ENTRY = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*=")


class Places:
    """Where the settings of one configuration were written: a file's text, and the paths that variables gave."""

    def __init__(self, name: str = "", text: str = "", overridden: Iterable[KeyPath] = ()) -> None:
        self._name = name
        self._text = text
        self._overridden = frozenset(overridden)
        self._lines: dict[KeyPath, int] = {}
        table: KeyPath = ()
        counts: dict[KeyPath, int] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _HEADER.match(line):
                table = _keys(header.group(2))
                if header.group(1):
                    counts[table] = counts.get(table, -1) + 1
                table = _counted(table, counts)
                self._lines.setdefault(table, number)
            elif entry := _ENTRY.match(line):
                self._lines.setdefault((*table, *_keys(entry.group(1))), number)

    def told(self) -> dict[str, Any]:
        """What another process makes the same from: name, text and overridden paths, JSON-ready."""
        return {"file": self._name, "text": self._text, "overridden": [list(path) for path in self._overridden]}

    def of(self, path: KeyPath) -> str:
        """``awaitsql.toml:12: [executor] lease_s`` or the variable's name; the nearest line that can be told."""
        if path in self._overridden:
            return f"Environment variable {variable(path)}"
        # the position in an array of tables is told by the line
        named = [key for key in path if not key.isdigit()]
        table, key = ".".join(named[:-1]), named[-1]
        shown = f"[{table}] {key}" if table else f"[{key}]"
        if not self._name:
            return shown
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return f"{self._name}:{self._lines[path[:length]]}: {shown}"
        return f"{self._name}: {shown}"


def _keys(dotted: str) -> KeyPath:
    return tuple(part.strip().strip("\"'") for part in _PART.findall(dotted))


def _counted(table: KeyPath, counts: Mapping[KeyPath, int]) -> KeyPath:
    """`table` with the position of the entry it stands in, where it, or what it is below, is an array of tables."""
    for length in range(len(table), 0, -1):
        if table[:length] in counts:
            return (*table[:length], str(counts[table[:length]]), *table[length:])
    return table


def sentences(error: ValidationError, root: Any, data: Mapping[str, Any], places: Places) -> list[str]:
    """A sentence for each problem of `error`, which came from validating `data` as the model `root`."""
    told: list[str] = []
    for problem in error.errors(include_url=False):
        path, annotation = _walk(problem["loc"], root, data)
        siblings = _siblings(path, root, data)
        told.append(_sentence(dict(problem), places, path=path, annotation=annotation, siblings=siblings))
    return list(dict.fromkeys(told))


def _walk(loc: tuple[int | str, ...], root: Any, data: Any) -> tuple[KeyPath, Any]:
    """The keys of `loc` without list positions and without the tag that pydantic adds for a source's kind."""
    path: list[str] = []
    annotation: Any = root
    for step in loc:
        if isinstance(step, int):
            path.append(str(step))
            annotation = inside(annotation, str(step)) if annotation is not None else None
            data = data[step] if isinstance(data, list) and step < len(data) else None
            continue
        if isinstance(data, dict) and step == data.get("kind") and step not in data:
            continue
        path.append(step)
        annotation = inside(annotation, step) if annotation is not None else None
        data = data.get(step) if isinstance(data, dict) else None
    return tuple(path), annotation


def _sentence(
    problem: dict[str, Any], places: Places, *, path: KeyPath, annotation: Any, siblings: Sequence[str]
) -> str:
    place = places.of(path)
    context: dict[str, Any] = problem.get("ctx", {})
    given: Any = problem.get("input")
    match problem["type"]:
        case "missing":
            return f"{place} is missing."
        case "extra_forbidden":
            return f"{place} is not a setting.{closest(path[-1], siblings)}"
        case "union_tag_not_found":
            return f"{places.of((*path, 'kind'))} is missing: write kind = {_kinds(annotation)}."
        case "union_tag_invalid":
            kind = str(context.get("tag", ""))
            return f"{places.of((*path, 'kind'))} = {kind!r} is no kind of source: write {_kinds(annotation)}."
        case "literal_error":
            return f"{place} must be {context['expected']}, not {given!r}."
        case "value_error":
            return f"{place}: {str(context['error']).rstrip('.')}."
        case "model_type" | "model_attributes_type" | "dict_type":
            if any("env" in model.model_fields for model in models(annotation)):
                return f'{place} must say where the secret is kept: {{env = "NAME"}} or {{file = "PATH"}}.'
            return f"{place} must be a table."
        case _:
            said = str(problem["msg"]).split(", unable to")[0].replace("Input should be", "must be")
            shown = f", not {given}" if isinstance(given, int | float) and not isinstance(given, bool) else ""
            return f"{place} {said}{shown}."


def _siblings(path: KeyPath, root: Any, data: Any) -> list[str]:
    annotation: Any = root
    for key in path[:-1]:
        annotation = inside(annotation, key) if annotation is not None else None
        data = data.get(key) if isinstance(data, dict) else None
    kind = data.get("kind") if isinstance(data, dict) else None
    found = models(annotation)
    of_kind = [m for m in found if "kind" in m.model_fields and m.model_fields["kind"].default == kind]
    return [key for model in (of_kind or found) for key in model.model_fields]


def _kinds(annotation: Any) -> str:
    names = [f'"{model.model_fields["kind"].default}"' for model in models(annotation) if "kind" in model.model_fields]
    return ", ".join(names[:-1]) + f" or {names[-1]}" if len(names) > 1 else "".join(names)
