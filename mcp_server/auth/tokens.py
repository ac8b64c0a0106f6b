"""Tokens of our own, for teams without an authorization server: made, listed and revoked on the command line.

Kept as hashes in one file of the state folder, which every server of the same folder reads again when it has changed:
a token that was revoked lets nobody in from the next request on. The secret is 256 random bits, so that a plain
SHA-256 of it is as hard to turn back as a slow hash of a password.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from mcp_server.auth.scopes import SCOPES
from mcp_server.auth.signed_in import SignedIn, SignInRefused
from mcp_server.principal import AttributeValue, Principal

PREFIX = "awaitsql_"
_FILE = "tokens.json"
_NO_SUCH = "There is no such token, or it was revoked."


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of one token.

    Attributes:
        id: names it, in lists and for `TokenFile.revoke`; the first part of the token itself.
        name: whose it is: the principal's subject.
        hash: SHA-256 of the secret, hex.
        roles: what policies grant by.
        attributes: ``(name, value)`` pairs for row filters and session settings.
        scopes: what it may be used for.
        created_at: Unix seconds.
        expires_at: likewise; None: never.
        revoked_at: likewise; None: in force.
    """

    id: str
    name: str
    hash: str
    roles: tuple[str, ...]
    attributes: tuple[tuple[str, AttributeValue], ...]
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None

    def is_in_force(self, now: float) -> bool:
        """Whether it lets anybody in at `now` (Unix seconds)."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


_TOKENS = TypeAdapter(list[Token])


class TokenFile:
    """The tokens of one state folder. May be shared by threads; other processes may write at any time.

    Args:
        home: the folder.
        on_change: told of each change before it holds: what, and which token; what it raises undoes the change.
    """

    def __init__(self, home: Path, *, on_change: Callable[[str, Token], None] | None = None) -> None:
        self._path = home / _FILE
        self._on_change = on_change
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._known: dict[str, Token] = {}

    def tokens(self) -> list[Token]:
        """All of them, in the order they were made, revoked ones too."""
        with self._lock:
            self._refresh()
            return list(self._known.values())

    def create(
        self,
        name: str,
        *,
        roles: tuple[str, ...] = (),
        attributes: tuple[tuple[str, AttributeValue], ...] = (),
        scopes: tuple[str, ...] = SCOPES,
        now: float,
        expires_at: float | None = None,
    ) -> tuple[Token, str]:
        """A new token, and its text, which is kept nowhere.

        Args:
            name: whose it is. Several tokens of one name are the same principal: each sees the others' jobs.
            roles: see `Token`.
            attributes: see `Token`.
            scopes: see `Token`.
            now: Unix seconds.
            expires_at: see `Token`.

        Raises:
            OSError: the file cannot be written.
        """
        token_id, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
        told = Token(token_id, name, _hash(secret), roles, attributes, scopes, now, expires_at)
        with self._changing() as tokens:
            tokens[token_id] = told
            self._told("token_created", told)
        return told, f"{PREFIX}{token_id}_{secret}"

    def rotate(self, name: str, *, now: float, overlap_s: float) -> tuple[Token, str] | None:
        """A new token as the newest one of `name` that is in force, and its text; None where there is none.

        All of that name that are in force end in `overlap_s` seconds, if not earlier. The new one lasts as long as that
        newest one was made for. Raises as `create`.
        """
        token_id, secret = secrets.token_hex(5), secrets.token_urlsafe(32)
        with self._changing() as tokens:
            old = [token for token in tokens.values() if token.name == name and token.is_in_force(now)]
            if not old:
                return None
            newest = old[-1]
            expires_at = None if newest.expires_at is None else now + newest.expires_at - newest.created_at
            told = replace(newest, id=token_id, hash=_hash(secret), created_at=now, expires_at=expires_at)
            for token in old:
                ends_at = min(now + overlap_s, token.expires_at or float("inf"))
                tokens[token.id] = replace(token, expires_at=ends_at)
            tokens[token_id] = told
            self._told("token_rotated", told)
        return told, f"{PREFIX}{token_id}_{secret}"

    def revoke(self, token_id: str, *, now: float) -> Token | None:
        """Ends a token, now; None where there is none of that id. Raises as `create`."""
        with self._changing() as tokens:
            found = tokens.get(token_id)
            if found is None:
                return None
            if found.revoked_at is None:
                tokens[token_id] = found = replace(found, revoked_at=now)
                self._told("token_revoked", found)
            return found

    def sign_in(self, text: str, *, now: float) -> SignedIn:
        """The caller that a token stands for.

        Raises:
            SignInRefused: there is no such token, or it is revoked or expired.
        """
        token_id, _, secret = text.removeprefix(PREFIX).partition("_")
        with self._lock:
            self._refresh()
            found = self._known.get(token_id)
        # compared also where there is none: the time tells nothing
        is_same = hmac.compare_digest(_hash(secret), found.hash if found else _hash(""))
        if found is None or not is_same or found.revoked_at is not None:
            raise SignInRefused(_NO_SUCH)
        if not found.is_in_force(now):
            raise SignInRefused("The token has expired.")
        principal = Principal(
            client="token",
            issuer="awaitsql",
            subject=found.name,
            roles=frozenset(found.roles),
            attributes=tuple(sorted(found.attributes)),
        )
        return SignedIn(principal, frozenset(found.scopes), found.expires_at)

    def _told(self, what: str, token: Token) -> None:
        if self._on_change is not None:
            self._on_change(what, token)

    def _refresh(self) -> None:
        try:
            told = self._path.stat()
        except FileNotFoundError:
            self._seen, self._known = None, {}
            return
        seen = (told.st_ino, told.st_mtime_ns)
        if seen != self._seen:
            self._seen, self._known = seen, _read(self._path)

    @contextmanager
    def _changing(self) -> Generator[dict[str, Token]]:
        """The tokens as they are, written back when the block is left in peace; one process at a time."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        gate = self._path.with_name(f".{_FILE}.lock")
        with gate.open("w") as held, self._lock:
            fcntl.flock(held, fcntl.LOCK_EX)
            tokens = _read(self._path) if self._path.exists() else {}
            yield tokens
            draft = self._path.with_name(f".{_FILE}.{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_bytes(_TOKENS.dump_json(list(tokens.values()), indent=1))
            draft.replace(self._path)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(path: Path) -> dict[str, Token]:
    return {token.id: token for token in _TOKENS.validate_json(path.read_bytes())}
