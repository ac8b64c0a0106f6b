"""Which statements may have each other's rows: those of one key. Runs nothing; looks at files, and not into them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from executor.jobs import JobKind, Statement
from executor.sources import AnySource, DuckDBSource, SQLiteSource


def share_key(
    statement: Statement, source: AnySource, *, owner: str, policy_version: str, confirmed: float | None, asks: bool
) -> str:
    """What all statements have in common that give the same rows now; empty for one that is not shared.

    In it is everything that decides what is read: the text with its filters' values, limits, the source's
    configuration, the session's settings, policies and grant, and, where the data are files here, their state. So is
    the owner, unless the policy shares between equal grants; a statement that may need a yes is never shared with
    another's.
    """
    if statement.shared_with == "nobody" or statement.kind is not JobKind.QUERY:
        return ""
    may_ask = statement.cost is not None and statement.cost.confirm is not None
    told = [
        statement.source,
        source.fingerprint(),
        statement.sql,
        statement.session,
        statement.policy_hash,
        policy_version,
        asdict(statement.limits),
        None if statement.cost is None else asdict(statement.cost),
        confirmed,
        asks and may_ask,
        [asdict(touch) for touch in statement.proof],
        "" if statement.shared_with == "equal_grant" and not may_ask else owner,
        data_version(source),
    ]
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()


def data_version(source: AnySource) -> list[Any]:
    """Changes with the source's files, their write-ahead logs among them; empty where data are not in files here."""
    if isinstance(source, SQLiteSource):
        files = [source.path, Path(f"{source.path}-wal")]
    elif isinstance(source, DuckDBSource):
        named = _named(source.files) if source.path is None else [source.path]
        files = [Path(f"{file}{end}") for file in named for end in ("", ".wal")]
    else:
        return []
    return [[str(file), _state(file)] for file in files]


def _named(entries: tuple[Path, ...]) -> list[Path]:
    """Files as they are named, and what lies in folders and fits patterns now."""
    found: list[Path] = []
    for entry in entries:
        if entry.is_dir():
            found += sorted(entry.iterdir())
        elif entry.exists():
            found.append(entry)
        else:
            found += sorted(Path(entry.anchor).glob(str(entry.relative_to(entry.anchor))))
    return found


def _state(file: Path) -> list[int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size, found.st_ino]
