"""A job's question at the terminal, and what whoever sits there types."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from executor import SettingsInvalid

_YES = ("y", "yes")


def somebody_sits_here() -> bool:
    """Whether there is a terminal to ask at."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def typed_answer(message: str, schema: Mapping[str, Any], console: Console) -> dict[str, Any]:
    """The answer by `schema`, a line each; empty where the first line is. Yes or no is a y or anything else.

    Raises:
        SettingsInvalid: nobody sits there.
    """
    if not somebody_sits_here():
        raise SettingsInvalid(
            message="Nobody sits at this terminal to be asked.",
            hint="Give the answer as an argument: yes, no or a text.",
        )
    console.print(message, markup=False)
    told: dict[str, Any] = {}
    for name, asked in schema.get("properties", {}).items():
        console.print(_prompt(name, asked), end="", markup=False)
        line = sys.stdin.readline().strip()
        if not line and not told:
            return {}
        if line:
            told[name] = _read(line, asked.get("type", "string"))
    return told


def _prompt(name: str, asked: Mapping[str, Any]) -> str:
    title = asked.get("title", name)
    if asked.get("type") == "boolean":
        return f"{title}? [y/N] "
    choices = ", ".join(map(str, asked.get("enum", ())))
    return f"{title} ({choices}): " if choices else f"{title}: "


def _read(line: str, kind: str) -> Any:
    if kind == "boolean":
        return line.lower() in _YES
    if kind in {"integer", "number"}:
        try:
            return int(line) if kind == "integer" else float(line)
        except ValueError:
            return line  # refused where it is held to the schema
    return line
