"""The cost gate: what an estimate means for a statement, and the token with which somebody says yes to it.

A confirmation is an HMAC over the statement's fingerprint, its cost, its owner and a time ten minutes ahead. It is not
kept anywhere: whoever holds the key can tell a good one. Knows no adapter, no store and no policy.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import Any

from executor.answers import Answers, InputRequest
from executor.errors import ErrorCode, StatementFailed
from executor.jobs import CostGate
from executor.signing import Signer

CONFIRMED_FOR_S = 600.0
"""How long a confirmation is good."""

_TOLERANCE = 2.0
"""A plan that is up to this many times dearer than the one that was confirmed still counts as confirmed."""

_BANDS = ((1e3, "fewer than 1 thousand"), (1e6, "1 thousand to 1 million"), (1e9, "1 million to 1 billion"))
_HEAD = struct.Struct(">dd")
_MAC_BYTES = 16
_PURPOSE = "confirmation"
_CONFIRM = "confirm_cost"


def in_words(rows: float, *, is_filtered: bool) -> str:
    """A number of rows in words: rounded, or only a band where exact numbers would tell of hidden rows."""
    if is_filtered:
        return next((words for most, words in _BANDS if rows < most), "more than 1 billion")
    return f"about {rows:,.0f}" if rows < 1e15 else f"about {rows:.0e}"


def confirmation(signer: Signer, *, owner: str, fingerprint: str, cost: float, now: float) -> str:
    """The token that says yes to running the statement `fingerprint` at `cost`, for `owner`, until ten minutes on."""
    head = _HEAD.pack(now + CONFIRMED_FOR_S, cost)
    mac = signer.mac(_PURPOSE, owner.encode(), fingerprint.encode(), head)[:_MAC_BYTES]
    return base64.urlsafe_b64encode(head + mac).decode().rstrip("=")


def confirmed_cost(signer: Signer, token: str, *, owner: str, fingerprint: str, now: float) -> float:
    """The cost that `token` says yes to.

    Raises:
        StatementFailed: ``needs_confirmation`` for a token of another statement or caller, a late or a broken one.
    """
    try:
        raw = base64.urlsafe_b64decode(token.strip() + "=" * (-len(token.strip()) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    head, mac = raw[: _HEAD.size], raw[_HEAD.size :]
    about = (owner.encode(), fingerprint.encode(), head)
    if len(raw) != _HEAD.size + _MAC_BYTES or not signer.is_mac(mac, _PURPOSE, *about):
        raise _invalid("This confirmation was not given for this statement.")
    until, cost = _HEAD.unpack(head)
    if until < now:
        raise _invalid("This confirmation is too old: it is good for ten minutes.")
    return cost


def confirmable(cost: float, *, is_filtered: bool) -> float:
    """`cost` as a confirmation may hold it, which its reader can take apart: under a row filter the end of its band."""
    if not is_filtered:
        return cost
    return next((most for most, _ in _BANDS if cost < most), 1000.0 ** math.ceil(math.log(cost, 1000)))


def cost_request(why: str, gate: CostGate, cost: float) -> InputRequest:
    """The question whether a statement may run, put to whoever the gate wants a yes from.

    Args:
        why: what is expected of it, as `hold` said.
        gate: the statement's.
        cost: as `confirmable` gave it.
    """
    schema = {
        "type": "object",
        "properties": {"confirm": {"type": "boolean", "title": "Run it all the same", "default": False}},
        "required": ["confirm"],
    }
    message = f"{why.removesuffix(' It was not run.')} Run it all the same?"
    return InputRequest(_CONFIRM, _CONFIRM, message, schema, by=gate.confirm_by, about={"cost": cost})


def answered_cost(gate: CostGate, answers: Answers) -> float | None:
    """The cost that was said yes to when the job asked; None where it was not asked.

    Raises:
        StatementFailed: ``needs_confirmation`` where the answer was no.
    """
    if _CONFIRM not in answers:
        return None
    request, answer = answers[_CONFIRM]
    if answer.action == "accept" and answer.content.get("confirm") is True and gate.confirm_by in {"client", answer.by}:
        return float(request.about["cost"])
    raise StatementFailed(
        ErrorCode.NEEDS_CONFIRMATION,
        "Somebody was asked whether so dear a statement may run, and did not say yes. It was not run.",
        hint="Make it cheaper (dry_run=true shows the plan), or leave it.",
    )


def hold(gate: CostGate, cost: float, *, confirmed: float | None, is_filtered: bool) -> str:
    """What to warn of when the statement may run at `cost`, or an empty string.

    Raises:
        StatementFailed: ``too_expensive`` or ``needs_confirmation``.
    """
    expects = f"The database expects to touch {in_words(cost, is_filtered=is_filtered)} rows for this statement"
    if gate.refuse is not None and cost > gate.refuse:
        raise StatementFailed(
            ErrorCode.TOO_EXPENSIVE,
            f"{expects}; {gate.refuse:,.0f} are the most it may. It was not run.",
            hint="Filter on an indexed column, join on keys, or aggregate less. dry_run=true shows the plan.",
        )
    if gate.confirm is not None and cost > gate.confirm and (confirmed is None or cost > confirmed * _TOLERANCE):
        raise StatementFailed(
            ErrorCode.NEEDS_CONFIRMATION,
            f"{expects}; above {gate.confirm:,.0f} somebody has to say yes. It was not run.",
            hint="Make it cheaper (dry_run=true shows the plan), or have it confirmed.",
        )
    return f"{expects}." if gate.warn is not None and cost > gate.warn else ""


def gate_of(raw: dict[str, Any] | None) -> CostGate | None:
    """A gate as it stands in a signed payload."""
    return None if raw is None else CostGate(**raw)


def _invalid(message: str) -> StatementFailed:
    return StatementFailed(
        ErrorCode.NEEDS_CONFIRMATION, message, hint="Send the statement again without it to be given a new one."
    )
