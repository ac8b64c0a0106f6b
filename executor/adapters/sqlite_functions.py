"""What SQLite is given beside its own functions: a digest, which every other kind of database has. Pure."""

from __future__ import annotations

import hashlib
import sqlite3

ADDED = frozenset({"sha256"})
"""The names of the functions that are added."""


def add_functions(connection: sqlite3.Connection) -> None:
    """Makes ``sha256(x)`` known on `connection`: the digest of a text or blob in 64 hex digits, NULL of NULL."""
    connection.create_function("sha256", 1, _sha256, deterministic=True)


def _sha256(value: object) -> str | None:
    if value is None:
        return None
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).hexdigest()
