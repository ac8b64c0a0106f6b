"""Loads the prompts: words that live in files, one a prompt, under ``prompts/``. Holds no words itself.

A file begins with its front matter, TOML between two lines of ``+++``: ``name``, ``description`` and a table
``[arguments.<name>]`` with ``description`` and ``required`` an argument. Where the text below says ``{{name}}`` the
argument is put in.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument

_FENCE = "+++"


@dataclass(frozen=True, slots=True)
class PromptText:
    """One prompt as its file says it: its name, what it is for, its arguments in order, and its text."""

    name: str
    description: str
    arguments: tuple[PromptArgument, ...]
    text: str

    def filled(self, values: dict[str, str]) -> str:
        """The text with `values` put in; an argument that was left out is empty."""
        text = self.text
        for argument in self.arguments:
            text = text.replace("{{" + argument.name + "}}", values.get(argument.name, ""))
        return text


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
        PromptArgument(name=name, description=told.get("description"), required=bool(told.get("required")))
        for name, told in front.get("arguments", {}).items()
    )
    return PromptText(front["name"], front["description"], arguments, rest[1].strip() + "\n")


def add_prompts(server: MCPServer[Any]) -> None:
    """Register every prompt on `server`."""
    for prompt in load_prompts(prompt_folder()):
        server.add_prompt(_registered(prompt))


def _registered(prompt: PromptText) -> Prompt:
    def render(**values: str) -> str:
        return prompt.filled(values)

    return Prompt(
        name=prompt.name,
        title=None,
        description=prompt.description,
        arguments=list(prompt.arguments),
        fn=render,
        context_kwarg=None,
    )
