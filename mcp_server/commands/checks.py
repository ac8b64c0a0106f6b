"""One thing that ``doctor`` looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """Which thing, how it is, what was seen, and what to type to mend it."""

    about: str
    level: Literal["ok", "warning", "error"]
    message: str
    fix: str = ""
