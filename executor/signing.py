"""Signs what a worker is asked to run, so that writing to the broker does not run SQL.

HMAC-SHA256 (RFC 2104) over a canonical JSON text; the keys are shared by the servers and workers of one configuration.
A signature names its key. Knows no file: `executor.key_place` says where keys are.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

from executor.errors import ErrorCode, StatementFailed
from executor.keys import KeyRing, SigningKey

SIGNED_FOR_S = 86_400.0
"""How long an order may be run after it was signed, all attempts together.

The server's clock signs and the worker's checks: the broker, which tells all other times, is not trusted with this
one. Jobs are over after about an hour, so that clocks may be hours apart.
"""


class Keys(Protocol):
    """Where a signer's keys come from, which may be others tomorrow."""

    def ring(self) -> KeyRing:
        """The keys as they are now."""
        ...

    def look(self) -> None:
        """Sees at once whether they have changed."""
        ...


class Signer:
    """Makes signatures with the key that signs, and checks those of all that are accepted. Threads may share it."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def ring(self) -> KeyRing:
        """The keys as they are now."""
        return self._keys.ring()

    def look(self) -> None:
        """Sees at once whether the keys have changed."""
        self._keys.look()

    def key_id(self) -> str:
        """Names the key that signs, without telling it."""
        return self._keys.ring().signing(time.time()).id

    def sign(self, payload: Mapping[str, Any]) -> tuple[str, str]:
        """The payload as text, and its signature: the key's id, a point and 64 hex digits."""
        text = canonical(payload)
        return text, _signature(self._keys.ring().signing(time.time()), text)

    def open(self, text: str, signature: str) -> dict[str, Any]:
        """The payload, if the signature is ours and its key still accepted.

        Raises:
            StatementFailed: ``statement_failed`` for anything that was not signed so.
        """
        key = self._find(signature)
        if key is None or not key.is_accepted(time.time()) or not _is_same(_signature(key, text), signature):
            raise StatementFailed(
                ErrorCode.STATEMENT_FAILED,
                "The job's statement does not carry this configuration's signature; it was not run.",
                hint="Servers and workers must share one signing_key; submit the statement again.",
            )
        return json.loads(text)

    def opened_record(self, text: str, signature: str) -> dict[str, Any] | None:
        """A payload of the past, whose key may not be accepted any more; None where no key that is kept signed it."""
        key = self._find(signature)
        if key is None or not key.secret or not _is_same(_signature(key, text), signature):
            return None
        return json.loads(text)

    def mac(self, purpose: str, *parts: bytes) -> bytes:
        """32 bytes that only the key that signs gives for `parts`, told apart by `purpose` and where each part ends."""
        return _mac(self._keys.ring().signing(time.time()), purpose, parts)

    def is_mac(self, given: bytes, purpose: str, *parts: bytes, of_the_past: bool = False) -> bool:
        """Whether `given` are the first bytes of what `mac` gives, or gave with a key that is still accepted.

        Args:
            given: at least 16 bytes.
            purpose: as in `mac`.
            parts: as in `mac`.
            of_the_past: whether a key that is only kept for records counts, too.
        """
        if len(given) < 16:
            return False
        ring = self._keys.ring()
        keys = ring.kept() if of_the_past else ring.accepted(time.time())
        if any(hmac.compare_digest(_mac(key, purpose, parts)[: len(given)], given) for key in keys):
            return True
        self._keys.look()  # another process may have rotated them a moment ago
        if self._keys.ring() is ring:
            return False
        return self.is_mac(given, purpose, *parts, of_the_past=of_the_past)

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """A secret of 32 bytes for `purpose` from each accepted key, that of the one that signs first."""
        return tuple(_mac(key, purpose, ()) for key in self._keys.ring().accepted(time.time()))

    def _find(self, signature: str) -> SigningKey | None:
        key_id = signature.partition(".")[0]
        found = self._keys.ring().find(key_id)
        if found is None:
            self._keys.look()  # as above
            found = self._keys.ring().find(key_id)
        return found if found is not None and found.secret else None


def canonical(payload: Mapping[str, Any]) -> str:
    """The one text of a payload that is signed."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"))


def _is_same(ours: str, given: str) -> bool:
    return hmac.compare_digest(ours.encode(), given.encode())


def _signature(key: SigningKey, text: str) -> str:
    # the digest by its name: given as a function it is looked up anew each time, which takes longer than the hash
    digest = hmac.digest(key.secret.encode(), text.encode(), "sha256")
    return f"{key.id}.{digest.hex()}"


def _mac(key: SigningKey, purpose: str, parts: tuple[bytes, ...]) -> bytes:
    told = b"".join(len(part).to_bytes(8, "big") + part for part in (purpose.encode(), *parts))
    return hmac.digest(key.secret.encode(), told, "sha256")
