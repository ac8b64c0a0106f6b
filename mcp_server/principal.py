"""Who asks. Knows no policy and no protocol: a principal is made at the edge and handed on as a value."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Principal:
    """One caller: the client they use, who vouches for them, and their name there.

    Attributes:
        client: the program that asks (an OAuth client id), or ``local``.
        issuer: who says that `subject` is who they are, or ``local``.
        subject: the caller's stable name with that issuer.
        roles: what the policy may grant by.
        attributes: ``(name, value)`` pairs that row filters may refer to.
    """

    client: str
    issuer: str
    subject: str
    roles: frozenset[str] = frozenset()
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def owner(self) -> str:
        """The text a job is owned by: client, issuer and subject, each escaped so that no two principals share it."""
        return "/".join(quote(part, safe="") for part in (self.client, self.issuer, self.subject))


LOCAL = Principal(client="local", issuer="local", subject="local")
"""Whoever started the server on this machine: the one principal over stdio and over loopback HTTP."""
