"""Puts the broker's Lua scripts together, and runs them for threads.

Each is the constants, what it uses of the shared files, and the script itself.

A script's top level runs anew at each call, so that every function that stands there and is not used costs time on
every move: a script is given the ones it names, and those that they name.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from executor.jobs import MOVES, QUEUES
from executor.settings import RECORD_VERSION, ExecutorSettings
from executor.signing import SIGNED_FOR_S
from executor.tickets import queue_name, ticket_template

if TYPE_CHECKING:
    import redis

_EVENTS_KEPT = 100_000
_EVENT_BYTES_A_MB = 125_000
"""Events wait for the history in at most 100,000 entries, and their records in an eighth of the broker's memory."""

_LINE_SCAN = 50
"""How far into an owner's line a free source is looked for."""

_SHARED = ("prelude", "line", "shared", "ends", "outlook")
"""Files of definitions, in the order in which one builds on the other."""

_DEFINITION = re.compile(r"^local (?:function )?(\w+)", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z_]\w*")
_COMMENT = re.compile(r"--( [^\n]*)?$", re.MULTILINE)  # an option in a message is none


@cache
def _lua(name: str) -> str:
    """A file's code without its comments."""
    return _COMMENT.sub("", (files("executor") / "lua" / f"{name}.lua").read_text(encoding="utf8"))


@cache
def _definitions() -> tuple[tuple[str, str], ...]:
    """Name and text of all that stands at the top level of the shared files, in order."""
    text = "\n".join(map(_lua, _SHARED))
    found = list(_DEFINITION.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return tuple((match[1], text[match.start() : end].rstrip()) for match, end in zip(found, ends, strict=True))


def _with_what_it_names(head: list[tuple[str, str]], body: str) -> str:
    """`body` after those of `head` and of the shared definitions that it needs."""
    needed, taken = set(_WORD.findall(body)), [body]
    for name, text in reversed([*head, *_definitions()]):
        if name in needed:
            needed.update(_WORD.findall(text))
            taken.append(text)
    return "\n".join(reversed(taken))


def script(settings: ExecutorSettings, name: str) -> str:
    """The whole text of the script of that name."""
    moves = ", ".join(
        f"{state} = {{ {', '.join(f'{to} = true' for to in sorted(tos))} }}" for state, tos in MOVES.items()
    )
    queues = ", ".join(
        f"[{json.dumps(queue)}] = {{ key = {json.dumps(queue_name(settings.namespace, queue))}, "
        f"ticket = [==[{ticket_template(settings.namespace, queue)}]==] }}"
        for queue in QUEUES
    )
    # a full broker takes no new job; it must still hear how the ones it has go on (Redis 7 script flags)
    flags = "#!lua" if name == "submit" else "#!lua flags=allow-oom"
    conf = {
        "depth": settings.queue_depth,
        "ttl": settings.result_ttl_s,
        "cache": settings.cache_ttl_s,
        "events": _EVENTS_KEPT,
        "event_bytes": settings.embedded_memory_mb * _EVENT_BYTES_A_MB,
        "record": RECORD_VERSION,
        "scan": _LINE_SCAN,
        "longest": max(settings.limits.job_timeout_s + settings.limits.queue_timeout_s, SIGNED_FOR_S),
    }
    head = {
        "NS": json.dumps(settings.namespace),
        "MOVES": f"{{ {moves} }}",
        "QUEUES": f"{{ {queues} }}",
        "CONF": f"{{ {', '.join(f'{field} = {value}' for field, value in conf.items())} }}",
    }
    constants = [(constant, f"local {constant} = {value}") for constant, value in head.items()]
    return "\n".join([flags, _with_what_it_names(constants, _lua(name))])


class Scripts:
    """Scripts that one connection pool runs for threads, by name."""

    def __init__(self, settings: ExecutorSettings, connection: redis.Redis, *names: str) -> None:
        self._known = {name: connection.register_script(script(settings, name)) for name in names}

    def __call__(self, name: str, *args: object) -> Any:
        """Runs one of them; what it answers."""
        return self._known[name](args=[str(a) for a in args])
