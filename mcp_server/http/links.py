"""Addresses that carry their own permission: which export, whose, until when, signed. Knows no files and no web."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from mcp_server.exports import ExportFormat

LINK_S = 900.0
"""How long a link holds, seconds."""

_FORMATS = get_args(ExportFormat)


@dataclass(frozen=True, slots=True)
class Link:
    """What a link stands for: an export of a job of `owner`, until `expires_at` (Unix seconds)."""

    job_id: str
    owner: str
    format: ExportFormat
    expires_at: int


class LinkInvalid(Exception):
    """It was not made here."""


class LinkExpired(Exception):
    """Its time is over, or the policies have changed since."""


class Links:
    """Signs and opens links.

    Args:
        key: a secret, the same for all servers of one configuration.
        policies: the version of the policies now; a link made under another one is as good as expired.
    """

    def __init__(self, key: bytes, *, policies: Callable[[], str] = str) -> None:
        self._key = key
        self._policies = policies

    def token(self, link: Link) -> str:
        """The text that stands for `link` in an address."""
        told = [link.job_id, link.owner, link.format, link.expires_at, self._policies()]
        payload = json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
        return f"{_text(payload)}.{_text(self._mac(payload))}"

    def opened(self, token: str, *, now: float) -> Link:
        """What `token` stands for.

        Raises:
            LinkInvalid: it was not signed with this key.
            LinkExpired: it no longer holds.
        """
        first, _, second = token.partition(".")
        try:
            payload, mac = _bytes(first), _bytes(second)
        except (ValueError, binascii.Error) as error:
            raise LinkInvalid from error
        if not hmac.compare_digest(self._mac(payload), mac):
            raise LinkInvalid
        job_id, owner, format_, expires_at, policies = json.loads(payload)
        if format_ not in _FORMATS:
            raise LinkInvalid
        if now >= expires_at or policies != self._policies():
            raise LinkExpired
        return Link(job_id, owner, format_, expires_at)

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._key, b"awaitsql export link\0" + payload, hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(raw) != text:  # one link, one spelling
        raise ValueError
    return raw
