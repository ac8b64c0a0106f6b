"""A source's schema in the broker: written by a worker, read by servers, signed. Knows no schema from within.

The guard decides by it which tables there are and what a view reads: it must not be anybody's to write, and of a
source that was configured otherwise it says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from executor.errors import StatementFailed
from executor.signing import Signer


def schema_key(namespace: str, source: str, fingerprint: str) -> str:
    """Where a source's schema is in the broker: a hash. Configured otherwise it is another source."""
    return f"{namespace}:schema:{source}:{fingerprint}"


def signed_schema(text: str, signer: Signer, source: str, fingerprint: str) -> tuple[str, str]:
    """A schema (JSON) as that hash keeps it: ``payload`` and ``signature``."""
    return signer.sign({"source": source, "fingerprint": fingerprint, "schema": text})


def opened_schema(told: Mapping[str, str], signer: Signer, source: str, fingerprint: str) -> str | None:
    """The inverse of `signed_schema`; None where nothing is told, or it was written without the key."""
    try:
        payload = signer.open(told["payload"], told["signature"])
    except (StatementFailed, KeyError):
        return None
    return payload["schema"] if (payload["source"], payload["fingerprint"]) == (source, fingerprint) else None
