"""Who asks. Knows no policy and no protocol: a principal is made at the edge and handed on as a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

AttributeValue = str | int | float | bool | tuple[str | int, ...]
"""One value, or several of which each counts."""


@dataclass(frozen=True, slots=True)
class Principal:
    """One caller: the client they use, who vouches for them, and their name there.

    Attributes:
        client: the program that asks (an OAuth client id), or ``local``.
        issuer: who says that `subject` is who they are, or ``local``.
        subject: the caller's stable name with that issuer.
        roles: what the policy may grant by.
        attributes: ``(name, value)`` pairs that policies and row filters may refer to; a value may be several.
    """

    client: str
    issuer: str
    subject: str
    roles: frozenset[str] = frozenset()
    attributes: tuple[tuple[str, AttributeValue], ...] = ()

    @property
    def owner(self) -> str:
        """The text a job is owned by: client, issuer and subject, each escaped so that no two principals share it."""
        return "/".join(quote(part, safe="") for part in (self.client, self.issuer, self.subject))

    def attribute(self, name: str) -> AttributeValue | None:
        """The value of an attribute, or None for one that the caller has not."""
        return next((value for known, value in self.attributes if known == name), None)


LOCAL = Principal(client="local", issuer="local", subject="local")
"""Whoever started the server on this machine: the one principal over stdio and over loopback HTTP. What roles and
attributes they have, the configuration says (`with_rights`); whose jobs are theirs does not depend on it."""


def with_rights(roles: Iterable[str], attributes: Mapping[str, AttributeValue]) -> Principal:
    """The local principal with roles and attributes."""
    return replace(LOCAL, roles=frozenset(roles), attributes=tuple(sorted(attributes.items())))
