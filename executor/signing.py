"""Signs what a worker is asked to run, so that writing to the broker does not run SQL.

HMAC-SHA256 (RFC 2104) over a canonical JSON text; the key is shared by the servers and workers of one configuration.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from executor.errors import ErrorCode, SettingsInvalid, StatementFailed

SIGNED_FOR_S = 86_400.0
"""How long an order may be run after it was signed, all attempts together.

The server's clock signs and the worker's checks: the broker, which tells all other times, is not trusted with this
one. Jobs are over after about an hour, so that clocks may be hours apart.
"""


class Signer:
    """Makes and checks signatures with one key of at least 32 bytes.

    Raises:
        SettingsInvalid: the key is shorter.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise SettingsInvalid(
                message="The signing key is too short: 32 bytes at least.", hint="Make one with: openssl rand -hex 32"
            )
        self._key = key

    def key_fingerprint(self) -> str:
        """Tells two keys apart without telling either."""
        return hashlib.blake2b(self._key, digest_size=6, person=b"awaitsql").hexdigest()

    def sign(self, payload: Mapping[str, Any]) -> tuple[str, str]:
        """The payload as text, and its signature (64 hex digits)."""
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
        return text, self._mac(text)

    def open(self, text: str, signature: str) -> dict[str, Any]:
        """The payload, if the signature is ours.

        Raises:
            StatementFailed: ``statement_failed`` for anything that was not signed with this key.
        """
        if not hmac.compare_digest(self._mac(text), signature):
            raise StatementFailed(
                ErrorCode.STATEMENT_FAILED,
                "The job's statement does not carry this configuration's signature; it was not run.",
                hint="Servers and workers must share one signing_key; submit the statement again.",
            )
        return json.loads(text)

    def mac(self, purpose: str, *parts: bytes) -> bytes:
        """32 bytes that only this key gives for `parts`, told apart by `purpose` and by where each part ends."""
        told = b"".join(len(part).to_bytes(8, "big") + part for part in (purpose.encode(), *parts))
        return hmac.new(self._key, told, hashlib.sha256).digest()

    @staticmethod
    def is_same(given: bytes, ours: bytes) -> bool:
        """Whether two MACs are equal, without telling by its time where they differ."""
        return hmac.compare_digest(given, ours)

    def _mac(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def machine_key(home: Path) -> bytes:
    """The key of a single machine, kept in `home`, made on first use; two processes at once get the same one."""
    path = home / "signing.key"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            draft = home / f".signing.{os.getpid()}.{secrets.token_hex(4)}"
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_hex(32), encoding="ascii")
            # link, not rename: whoever comes second keeps the first one's key
            with suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise SettingsInvalid(
            message=f"The signing key in {home} cannot be read or made ({type(error).__name__}).",
            hint="Make the folder writable, or set [executor] state_dir to one that is.",
        ) from error
