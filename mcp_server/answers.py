"""What a program says to a job's question, as its answer. Whether it fits, the executor says. Knows no protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from executor import Answer, InputRequest

_YES, _NO = frozenset({"yes", "y", "true", "ok"}), frozenset({"no", "n", "false"})


def answer_in_words(request: InputRequest, told: Mapping[str, Any] | str | None) -> Answer:
    """What a program says to `request`: an object, the same as JSON text, or the one thing that is asked as plain text.

    None declines. Whether it fits, the executor says.
    """
    if told is None:
        return Answer("decline")
    if isinstance(told, Mapping):
        return Answer("accept", dict(told))
    try:
        read = json.loads(told)
    except (ValueError, RecursionError):
        read = told
    if read is None:
        return Answer("decline")
    if isinstance(read, dict):
        return Answer("accept", read)
    properties: Mapping[str, Mapping[str, Any]] = request.schema.get("properties", {})
    if len(properties) != 1:
        return Answer("accept", {"answer": told})
    [(name, asked)] = properties.items()
    value: Any = told if asked.get("type") == "string" else read
    if asked.get("type") == "boolean" and isinstance(read, str) and read.strip().lower() in _YES | _NO:
        value = read.strip().lower() in _YES
    return Answer("accept", {name: value})
