"""Words that live in files, one a prompt, under ``prompts/``. Holds no words itself, and knows no protocol.

A file begins with its front matter, TOML between two lines of ``+++``: ``name``, ``description``, for those of the
product's own model a ``version``, and a table ``[arguments.<name>]`` with ``description`` and ``required`` an argument.
Where the text below says ``{{name}}`` the argument is put in.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

_FENCE = "+++"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a prompt."""

    name: str
    description: str | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class PromptText:
    """One prompt as its file says it: its name, what it is for, its arguments in order, its text and its version."""

    name: str
    description: str
    arguments: tuple[Argument, ...]
    text: str
    version: str = ""

    def filled(self, values: dict[str, str]) -> str:
        """The text with `values` put in; an argument that was left out is empty."""
        parts = [self.text]
        for argument in self.arguments:
            mark, value = "{{" + argument.name + "}}", values.get(argument.name, "")
            # only in what the file says, never in what was put in before
            parts = [
                piece
                for place, part in enumerate(parts)
                for piece in ([part] if place % 2 else _put(part.split(mark), value))
            ]
        return "".join(parts)


def _put(pieces: list[str], value: str) -> list[str]:
    """`pieces` with `value` between each two, so that every second one is a value."""
    return [one for piece in pieces for one in (piece, value)][:-1]


def prompt_folder() -> Traversable:
    """Where the files are: inside the installed package, or beside it in a checkout."""
    packed = files("mcp_server") / "prompts_text"
    return packed if packed.is_dir() else Path(__file__).parent.parent / "prompts"


def load_prompts(folder: Traversable) -> Iterator[PromptText]:
    """Every prompt in `folder`, by file name.

    Raises:
        ValueError: a file without front matter, or with one that does not name what it must.
    """
    for file in sorted(folder.iterdir(), key=lambda found: found.name):
        if file.name.endswith(".md") and file.name != "README.md":
            yield parse_prompt(file.read_text(encoding="utf-8"), origin=file.name)


def parse_prompt(text: str, *, origin: str) -> PromptText:
    """The prompt that a file's `text` holds; `origin` names the file in errors.

    Raises:
        ValueError: see `load_prompts`.
    """
    opening, *rest = text.split(f"{_FENCE}\n", 2)
    if opening.strip() or len(rest) != 2:
        raise ValueError(f"{origin}: a prompt begins with its front matter between two lines of {_FENCE}")
    front: dict[str, Any] = tomllib.loads(rest[0])
    missing = [key for key in ("name", "description") if not front.get(key)]
    if missing:
        raise ValueError(f"{origin}: the front matter does not say {' or '.join(missing)}")
    arguments = tuple(
        Argument(name, told.get("description"), bool(told.get("required")))
        for name, told in front.get("arguments", {}).items()
    )
    text = rest[1].strip() + "\n"
    return PromptText(front["name"], front["description"], arguments, text, str(front.get("version", "")))
