"""What of a configuration may change while a process runs, and how a changed file becomes the one that holds.

A file that is read again is looked at as a whole before anything of it counts; one that is wrong changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from pydantic import BaseModel

from executor import SettingsInvalid
from mcp_server.knowledge.meanings import Glossaries
from mcp_server.machine import policies_of
from mcp_server.settings import Settings

_SOURCES_AND_LIMITS = ("sources", "limits")
_RULES = ("policies", "cost", "glossary")


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """A configuration that may take the place of the one before.

    Attributes:
        settings: to go on under: the new one, but what cannot change in a running process is as it was.
        at_restart: the settings that differ and will count at the next start, such as ``[mcp_server] port``.
    """

    settings: Settings
    at_restart: tuple[str, ...]


def read_again(now: Settings, load: Callable[[], Settings], key: bytes) -> ReadAgain:
    """What `load` finds, to go on under.

    Args:
        now: the settings that hold.
        load: reads the configuration.
        key: the signing key of this process.

    Raises:
        SettingsInvalid: the file is wrong, or its sources name another queue than this process serves.
    """
    new = load()
    executor = now.executor.model_copy(update={name: getattr(new.executor, name) for name in _SOURCES_AND_LIMITS})
    face = now.mcp_server.model_copy(update={name: getattr(new.mcp_server, name) for name in _RULES})
    if executor.namespace != now.executor.namespace or new.executor.namespace != now.executor.namespace:
        raise SettingsInvalid(
            message="What names the queue has changed (the sources, where there is no deployment; realm; results_dir): "
            "jobs that wait would be left behind.",
            hint='Start servers and workers again. With [executor] deployment = "NAME" sources may change without.',
        )
    policies_of(new, key)
    Glossaries.read(face.glossary)
    at_restart = (
        *_changed("executor", now.executor, new.executor, but=_SOURCES_AND_LIMITS),
        *_changed("mcp_server", now.mcp_server, new.mcp_server, but=_RULES),
    )
    return ReadAgain(replace(new, executor=executor, mcp_server=face), at_restart)


def digest(settings: Settings) -> str:
    """Names what of `settings` may change while a process runs: two processes with one digest agree."""
    told = [
        settings.executor.model_dump(mode="json", include=set(_SOURCES_AND_LIMITS)),
        settings.mcp_server.model_dump(mode="json", include=set(_RULES)),
    ]
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()


def _changed(table: str, before: BaseModel, now: BaseModel, *, but: tuple[str, ...]) -> list[str]:
    names = [name for name in type(before).model_fields if name not in but]
    return [f"[{table}] {name}" for name in names if getattr(before, name) != getattr(now, name)]
