"""docker-compose.yml as its services, each with what it is started with. Knows no processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
PROGRAMS = ("server-1", "server-2", "worker", "generate")
"""The services that run what is in this repository."""


@dataclass(frozen=True)
class Service:
    """One service of the file.

    Attributes:
        environment: None as a value: the variable of whoever starts it, if there is one.
        files: what of the repository is where in it.
        volumes: the names of volumes, and where they are in it.
        secrets: names; each is a file in ``/run/secrets``.
        health: the words of its health check, as a command.
        told: all of it, as it stands in the file.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str | None]
    files: dict[str, str]
    volumes: dict[str, str]
    secrets: tuple[str, ...]
    health: tuple[str, ...]
    told: dict[str, Any] = field(repr=False)


def services() -> dict[str, Service]:
    """All of them, by name."""
    return {name: _service(name, told) for name, told in document()["services"].items()}


def document() -> dict[str, Any]:
    """The file, its anchors resolved."""
    return yaml.safe_load(FILE.read_text())


def _service(name: str, told: dict[str, Any]) -> Service:
    mounts = [str(mount).split(":")[:2] for mount in told.get("volumes", [])]
    return Service(
        name=name,
        command=tuple(told.get("command", ())),
        environment=_environment(told.get("environment", {})),
        files={target: source for source, target in mounts if source.startswith(".")},
        volumes={target: source for source, target in mounts if not source.startswith(".")},
        secrets=tuple(told.get("secrets", ())),
        health=_health(told.get("healthcheck", {}).get("test", ())),
        told=told,
    )


def _environment(told: dict[str, Any] | list[str]) -> dict[str, str | None]:
    if isinstance(told, dict):
        return {name: str(value) for name, value in told.items()}
    return {name: value if equals else None for name, equals, value in (line.partition("=") for line in told)}


def _health(test: list[str]) -> tuple[str, ...]:
    if not test:
        return ()
    how, *words = test
    return tuple(words) if how == "CMD" else ("sh", "-c", *words)
