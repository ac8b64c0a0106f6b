"""Whether the secrets that a configuration refers to are ones in earnest, for ``doctor``. No value is ever told."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from executor import SecretRef, weaknesses
from mcp_server.commands.checks import Check
from mcp_server.settings import Settings


def secret_checks(settings: Settings, config: Path | None) -> list[Check]:
    """One check for each weak secret, or one for all that are fine.

    Args:
        settings: the configuration.
        config: its file.
    """
    found: list[Check] = []
    refs = [*_refs("executor", settings.executor), *_refs("mcp_server", settings.mcp_server)]
    for path, ref in refs:
        about = f"secret {path}"
        found += [Check(about, "warning", weak.message, weak.fix) for weak in weaknesses(ref)]
    key = settings.executor.home / "signing.key"
    for path in [key, *([config] if config is not None else [])]:
        if path.exists() and path.stat().st_mode & (stat.S_IWOTH | stat.S_IWGRP):
            told = f"others than its owner may change {path}"
            found.append(Check("secret", "error", told, f"chmod go-w {path}"))
    if key.exists() and key.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        told = f"others than its owner may read {key}: whoever has it can sign statements"
        fix = f"chmod 600 {key} && awaitsql keys rotate; then awaitsql keys remove the one before, which awaitsql keys "
        found.append(Check("secret", "error", told, f"{fix}list shows: what it has signed is refused from then on"))
    return found or [Check("secrets", "ok", f"{len(refs)} secrets: none is weak, none is open to other users")]


def _refs(path: str, told: object) -> Iterator[tuple[str, SecretRef]]:
    if isinstance(told, SecretRef):
        yield path, told
    elif isinstance(told, BaseModel):
        for name in type(told).model_fields:
            yield from _refs(f"{path}.{name}", getattr(told, name))
    elif isinstance(told, dict):
        for name, value in told.items():  # pyright: ignore[reportUnknownVariableType] - whatever a model holds
            yield from _refs(f"{path}.{name}", value)
