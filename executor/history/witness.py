"""The chain's end as the broker last heard of it: who can write to the database alone cannot turn the chain back.

An older end carries the seal that it once had; only something beside the database can tell that it is old. So can an
exported file.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from executor.signing import Signer


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of a chain: its place and its hash."""

    chain: str
    seq: int
    hash: str


def signed_head(signer: Signer, head: Head) -> tuple[str, str]:
    """What the broker keeps of it: a text and its signature."""
    return signer.sign({"what": "head", **asdict(head)})


def opened_head(signer: Signer, text: str, signature: str) -> Head | None:
    """What was kept, however long ago; None where it is not ours."""
    told = signer.opened_record(text, signature)
    if told is None or told.get("what") != "head":
        return None
    return Head(told["chain"], told["seq"], told["hash"])
