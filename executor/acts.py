"""What people and processes do that is no job, and is on record all the same: a noun, and its signed text.

Tokens, keys, what is published, what was refused. Knows no broker and no database.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from executor.signing import Signer

SYSTEM = "awaitsql/awaitsql/system"
"""Who does what no person does."""


@dataclass(frozen=True, slots=True)
class Act:
    """One act.

    Attributes:
        what: in one word: ``token_created``, ``refused`` …
        owner: who does it: client, issuer and subject, as jobs are owned.
        told: what is to be known of it; JSON-ready, and no secrets.
    """

    what: str
    owner: str
    told: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def record(self, signer: Signer) -> tuple[str, str]:
        """Its text, which no other act has, and the signature."""
        return signer.sign({"act": self.what, "owner": self.owner, "id": secrets.token_hex(8), **self.told})
