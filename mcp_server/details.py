"""What a job of a question carries for the worker that works on it: who asks, and how. Signed with the job."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mcp_server.principal import AttributeValue, Principal


@dataclass(frozen=True, slots=True)
class Details:
    """Beside the question itself.

    Attributes:
        principal: who asks: what the model writes is checked and run as theirs.
        conversation: the handle of the conversation that the question belongs to.
        max_rows: rows to keep of the result; None for as many as the server keeps.
    """

    principal: Principal
    conversation: str
    max_rows: int | None = None

    def to_json(self) -> str:
        """As text; equal details are equal texts."""
        asker = self.principal
        told: dict[str, Any] = {
            "client": asker.client,
            "issuer": asker.issuer,
            "subject": asker.subject,
            "roles": sorted(asker.roles),
            "attributes": list(asker.attributes),
            "conversation": self.conversation,
            "max_rows": self.max_rows,
        }
        return json.dumps(told, separators=(",", ":"))

    @classmethod
    def of(cls, text: str) -> Details:
        """The inverse of `to_json`."""
        told: dict[str, Any] = json.loads(text)
        attributes = tuple((name, _value(value)) for name, value in told["attributes"])
        asker = Principal(told["client"], told["issuer"], told["subject"], frozenset(told["roles"]), attributes)
        return cls(asker, told["conversation"], told["max_rows"])


def _value(value: Any) -> AttributeValue:
    return tuple(value) if isinstance(value, list) else value
