"""The signing keys of one configuration: which of them signs, which are still accepted, and the text they are kept as.

A value; reads no file and no clock. With one key the text is that key itself; after a rotation it is a JSON document of
several. A key goes through these states: *coming* (accepted, does not sign yet), *signing* (one at a time), *accepted*
(what it has signed is still good), *past* (good for records of the past alone), *removed* (refused; its id is left).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from executor.errors import SettingsInvalid

KeyState = Literal["coming", "signing", "accepted", "past", "removed"]

_LEAST_BYTES = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key. Times are Unix seconds.

    Attributes:
        id: tells keys apart and tells nothing of the secret.
        secret: empty once it was removed.
        signs_from: when it begins to sign.
        accepted_until: when what it signed stops being good; None: not yet known.
        removed_at: when it was removed; None: it was not.
    """

    id: str
    secret: str = field(repr=False)
    signs_from: float = 0.0
    accepted_until: float | None = None
    removed_at: float | None = None

    @classmethod
    def of(cls, secret: str, *, signs_from: float = 0.0) -> SigningKey:
        """The key with that secret.

        Raises:
            SettingsInvalid: it is shorter than 32 bytes.
        """
        raw = secret.encode()
        if len(raw) < _LEAST_BYTES:
            raise SettingsInvalid(
                message="The signing key is too short: 32 bytes at least.", hint="Make one with: openssl rand -hex 32"
            )
        return cls(hashlib.blake2b(raw, digest_size=6, person=b"awaitsql").hexdigest(), secret, signs_from)

    def is_accepted(self, now: float) -> bool:
        """Whether what it signs, or signed, is good at `now`."""
        return self.secret != "" and (self.accepted_until is None or now < self.accepted_until)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys of a configuration, the oldest first.

    Attributes:
        keys: at least one of them signs.
        masks: what hash masks are salted by. Other keys do not change it: masked values would change with them.
    """

    keys: tuple[SigningKey, ...]
    masks: str = field(repr=False)

    @classmethod
    def read(cls, text: str) -> KeyRing:
        """From the text they are kept as.

        Raises:
            SettingsInvalid: it is too short for a key, or no document of keys.
        """
        if not text.lstrip().startswith("{"):
            first = SigningKey.of(text)
            return cls((first,), hmac.digest(text.encode(), b"awaitsql mask salt", "sha256").hex()[:32])
        try:
            told: dict[str, Any] = json.loads(text)
            keys = tuple(SigningKey(**key) for key in told["keys"])
            ring = cls(keys, told["masks"])
            ring.signing(float("inf"))
        except (ValueError, TypeError, KeyError, StopIteration) as error:
            raise SettingsInvalid(
                message=f"The document of signing keys cannot be read ({type(error).__name__}).",
                hint="Put back the text that awaitsql keys rotate has written.",
            ) from error
        return ring

    def text(self) -> str:
        """The document they are kept as."""
        return json.dumps({"masks": self.masks, "keys": [asdict(key) for key in self.keys]}, indent=1) + "\n"

    def signing(self, now: float) -> SigningKey:
        """The one that signs at `now`."""
        begun = [key for key in self.keys if key.secret and key.signs_from <= now]
        return next(reversed(begun)) if begun else next(key for key in self.keys if key.secret)

    def accepted(self, now: float) -> Iterator[SigningKey]:
        """Those whose signatures are good at `now`, the one that signs first."""
        first = self.signing(now)
        yield first
        yield from (key for key in reversed(self.keys) if key is not first and key.is_accepted(now))

    def kept(self) -> Iterator[SigningKey]:
        """Those that records of the past may be signed by, the newest first."""
        return (key for key in reversed(self.keys) if key.secret)

    def find(self, key_id: str) -> SigningKey | None:
        """The key of that id, removed ones too."""
        return next((key for key in self.keys if key.id == key_id), None)

    def state_of(self, key: SigningKey, now: float) -> KeyState:
        """What `key` is good for at `now`."""
        if not key.secret:
            return "removed"
        if key is self.signing(now):
            return "signing"
        if not key.is_accepted(now):
            return "past"
        return "coming" if key.signs_from > now else "accepted"

    def rotated(self, *, now: float, after_s: float, accepted_s: float, kept_s: float) -> KeyRing:
        """With a new key that signs in `after_s` seconds; the others are accepted for `accepted_s` from then on.

        Those that stopped being accepted more than `kept_s` seconds ago are removed.
        """
        begins = now + after_s
        ends = begins + accepted_s
        older = tuple(
            replace(key, accepted_until=ends) if key.secret and key.accepted_until is None else key for key in self.keys
        )
        kept = tuple(
            _removed(key, now) if key.secret and key.accepted_until and key.accepted_until + kept_s < now else key
            for key in older
        )
        return replace(self, keys=(*kept, SigningKey.of(secrets.token_hex(32), signs_from=begins)))

    def without(self, key_id: str, *, now: float) -> KeyRing:
        """With that key removed.

        Raises:
            SettingsInvalid: there is none, or it is the one that signs.
        """
        found = self.find(key_id)
        if found is None or not found.secret:
            raise SettingsInvalid(message=f"There is no key {key_id[:40]}.", hint="awaitsql keys list shows them.")
        if found is self.signing(now):
            raise SettingsInvalid(
                message=f"Key {found.id} signs; it cannot be removed.", hint="First: awaitsql keys rotate"
            )
        kept = [_removed(key, now) if key is found else key for key in self.keys]
        newest = max(place for place, key in enumerate(kept) if key.secret)
        # where a coming key is gone, the one before it goes on signing: its time is not over
        kept[newest] = replace(kept[newest], accepted_until=None)
        return replace(self, keys=tuple(kept))


def _removed(key: SigningKey, now: float) -> SigningKey:
    return replace(key, secret="", removed_at=now)
