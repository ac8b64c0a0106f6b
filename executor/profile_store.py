"""A source's profile in the broker: an entry a table, and a head. Written by workers as they read, read by servers.

All entries are signed: what servers show and search comes from holders of the key only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from executor.errors import StatementFailed
from executor.profiles import InferredKey, SourceProfile, TableProfile, inferred_key
from executor.signing import Signer

if TYPE_CHECKING:
    import redis

VERSION = "version"
"""The field that says whether anything else changed; not signed, since it decides no more than whether to look."""

_HEAD = "head"
_CHECKS = "checks"
_TABLE = "table:"


@dataclass(frozen=True, slots=True)
class ProfileHead:
    """What is said of a profile as a whole.

    Attributes:
        version: another one after each change.
        schema_hash: of the schema it was made of.
        asked: `tables_hash` of the tables that were to be read.
        complete: whether all of them were.
        made_at: Unix seconds, the broker's clock.
        inferred: keys that no schema declares.
    """

    version: str
    schema_hash: str
    asked: str
    complete: bool
    made_at: float
    inferred: tuple[InferredKey, ...] = ()


def profile_key(namespace: str, source: str, fingerprint: str) -> str:
    """Where a source's profile is in the broker: a hash. Configured otherwise it is another source."""
    return f"{namespace}:profile:{source}:{fingerprint}"


def tables_hash(tables: Collection[tuple[str, str]]) -> str:
    """Names a set of tables."""
    return hashlib.blake2b(json.dumps(sorted(tables)).encode(), digest_size=8).hexdigest()


class ProfileStore:
    """The worker's half, of one source."""

    def __init__(self, namespace: str, connection: redis.Redis, signer: Signer, source: str, fingerprint: str) -> None:
        self._key = profile_key(namespace, source, fingerprint)
        self._redis = connection
        self._signer = signer
        self._source = source

    def tables(self) -> dict[tuple[str, str], TableProfile]:
        """Every table's entry."""
        return _tables(cast("dict[str, str]", self._redis.hgetall(self._key)), self._signer, self._source)

    def head(self) -> ProfileHead | None:
        """The head, if there is one."""
        return _head_of(cast("str | None", self._redis.hget(self._key, _HEAD)), self._signer, self._source)

    def checks(self) -> dict[str, float]:
        """What was found by looking values up; see `save_checks`."""
        told = _opened(cast("str | None", self._redis.hget(self._key, _CHECKS)), self._signer, self._source)
        return {} if told is None else told["checks"]

    def save_table(self, table: TableProfile) -> None:
        """Keeps one table's entry, in place of an earlier one."""
        self._redis.hset(self._key, _field(table.schema, table.name), self._signed({"table": asdict(table)}))

    def save_head(self, head: ProfileHead) -> None:
        """Keeps the head."""
        self._redis.hset(self._key, mapping={_HEAD: self._signed({"head": asdict(head)}), VERSION: head.version})

    def save_checks(self, checks: Mapping[str, float]) -> None:
        """Keeps which share of a column's values was found in a key, by the names and versions of both."""
        self._redis.hset(self._key, _CHECKS, self._signed({"checks": dict(checks)}))

    def drop(self, tables: Iterable[tuple[str, str]]) -> None:
        """Forgets the entries of `tables`."""
        fields = [_field(*table) for table in tables]
        if fields:
            self._redis.hdel(self._key, *fields)

    def _signed(self, content: dict[str, Any]) -> str:
        return json.dumps(self._signer.sign({"source": self._source, **content}), separators=(",", ":"))


def _head_of(text: str | None, signer: Signer, source: str) -> ProfileHead | None:
    told = _opened(text, signer, source)
    if told is None or "head" not in told:
        return None
    raw: dict[str, Any] = told["head"]
    raw["inferred"] = tuple(inferred_key(one) for one in raw["inferred"])
    return ProfileHead(**raw)


def profile_of(rows: Mapping[str, str], signer: Signer, source: str) -> tuple[ProfileHead | None, SourceProfile]:
    """The head and the whole profile that the hash `rows` tells of."""
    head = _head_of(rows.get(_HEAD), signer, source)
    if head is None:
        return None, SourceProfile(source, "", complete=False)
    tables = tuple(table for _, table in sorted(_tables(rows, signer, source).items()))
    return head, SourceProfile(
        source, head.schema_hash, tables, head.inferred, complete=head.complete, version=head.version
    )


def _tables(rows: Mapping[str, str], signer: Signer, source: str) -> dict[tuple[str, str], TableProfile]:
    found: dict[tuple[str, str], TableProfile] = {}
    for field, text in rows.items():
        told = _opened(text, signer, source) if field.startswith(_TABLE) else None
        if told is not None and "table" in told:
            table = TableProfile.from_fields(told["table"])
            found[table.schema, table.name] = table
    return found


def _opened(text: str | None, signer: Signer, source: str) -> dict[str, Any] | None:
    try:
        told = None if text is None else signer.open(*json.loads(text))
    except (StatementFailed, ValueError, TypeError):
        return None
    return told if told is not None and told.get("source") == source else None


def _field(schema: str, table: str) -> str:
    return _TABLE + json.dumps([schema, table])
