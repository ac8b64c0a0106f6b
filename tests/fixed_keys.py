"""Signers whose one key is what a test says it is."""

from __future__ import annotations

from dataclasses import dataclass

from executor.keys import KeyRing
from executor.signing import Signer


@dataclass
class FixedKeys:
    """Keys that are in no file; a test may put others in their place."""

    now: KeyRing

    def ring(self) -> KeyRing:
        return self.now

    def look(self) -> None:
        """There is nothing to be seen."""


def signer_of(letter: str) -> Signer:
    """A signer with a key of that letter, 32 times."""
    return Signer(FixedKeys(KeyRing.read(letter * 32)))
