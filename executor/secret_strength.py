"""Whether a secret that a configuration refers to is one in earnest, and for whose eyes. Tells nothing of its value."""

from __future__ import annotations

import math
import os
import stat
from collections import Counter
from dataclasses import dataclass

from executor.errors import SourceFailed
from executor.secrets import resolve_secret
from executor.sources import SecretRef

_KNOWN = frozenset(
    {
        *("admin", "administrator", "awaitsql", "changeit", "changeme", "default", "demo", "dev", "development"),
        *("example", "guest", "letmein", "master", "mysql", "none", "nopassword", "pass", "passw0rd", "password"),
        *("password1", "postgres", "postgresql", "qwerty", "redis", "replaceme", "root", "secret", "test", "testing"),
        *("todo", "user", "valkey", "welcome", "yourpassword", "1234", "123456", "12345678", "123456789"),
    }
)
"""What is tried first by whoever guesses; without signs between letters, in small letters."""

_BITS = 40.0
"""Below it a secret is guessed in days by one machine that tries a million a second."""


@dataclass(frozen=True, slots=True)
class Weakness:
    """What is wrong with a secret, and what to do."""

    message: str
    fix: str


def weaknesses(ref: SecretRef) -> list[Weakness]:
    """What can be said against the secret as it is on this machine; nothing where it is not here."""
    try:
        value = resolve_secret("", ref)
    except SourceFailed:
        return []
    found: list[Weakness] = []
    if not value:
        found.append(Weakness("it is empty", _anew(ref)))
    elif value.lower().translate(str.maketrans("", "", "-_ .!")) in _KNOWN:
        found.append(Weakness("it is one of those that are tried first", _anew(ref)))
    elif (bits := _bits(value)) < _BITS:
        found.append(Weakness(f"it is short or repeats itself: about {bits:.0f} bits", _anew(ref)))
    if ref.file is not None:
        mode = ref.file.stat().st_mode
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            found.append(
                Weakness(f"every user of this machine may read or change {ref.file}", f"chmod o-rwx {ref.file}")
            )
        if mode & stat.S_IWGRP:
            found.append(Weakness(f"others of its group may change {ref.file}", f"chmod g-w {ref.file}"))
        if ref.file.stat().st_uid not in (os.getuid(), 0):
            found.append(Weakness(f"{ref.file} belongs to another user", f"chown {os.getuid()} {ref.file}"))
    return found


def _bits(value: str) -> float:
    """What the letters of `value` tell, taken by themselves; more than there is in words of a language."""
    counts = Counter(value)
    return -sum(count * math.log2(count / len(value)) for count in counts.values())


def _anew(ref: SecretRef) -> str:
    where = f"the variable {ref.env}" if ref.env is not None else str(ref.file)
    return f"openssl rand -hex 24, and put that into {where} and where it is asked for."
