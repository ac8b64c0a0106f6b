"""Which of several media types a client wants (RFC 9110, 12.5.1). Pure."""

from __future__ import annotations

from collections.abc import Sequence


def chosen(accept: str, offered: Sequence[str]) -> str | None:
    """The best of `offered` for an ``Accept`` header; the first where it is empty; None where it wants none of them.

    The more exact of two ranges counts for a type; of equally wanted types the one offered first.
    """
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    if not ranges:
        return offered[0]
    best, most = None, 0.0
    for kind in offered:
        weights = [(exactness, weight) for wanted, weight in ranges if (exactness := _exactness(wanted, kind))]
        weight = max(weights)[1] if weights else 0.0
        if weight > most:
            best, most = kind, weight
    return best


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return kind, min(max(float(value), 0.0), 1.0)
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def _exactness(wanted: str, kind: str) -> int:
    if wanted == kind:
        return 3
    if wanted == kind.partition("/")[0] + "/*":
        return 2
    return 1 if wanted == "*/*" else 0
