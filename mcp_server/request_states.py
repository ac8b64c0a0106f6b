"""Seals what a client keeps for us between two rounds of a call, under keys that may be others tomorrow."""

from __future__ import annotations

from mcp.server.request_state import AESGCMRequestStateCodec, InvalidRequestState

from executor import Signer

_PURPOSE = "request state"


class RequestStates:
    """The SDK's codec over the configuration's keys as they are now: one seals, all accepted ones open."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._keys: tuple[bytes, ...] = ()
        self._codec: AESGCMRequestStateCodec | None = None

    def seal(self, payload: bytes) -> str:
        """As `RequestStateCodec.seal`."""
        return self._now().seal(payload)

    def unseal(self, token: str) -> bytes:
        """As `RequestStateCodec.unseal`.

        Raises:
            InvalidRequestState: it was not sealed here, or with a key that is not accepted any more.
        """
        try:
            return self._now().unseal(token)
        except InvalidRequestState:
            self._signer.look()  # another server may have rotated the keys a moment ago
            return self._now().unseal(token)

    def _now(self) -> AESGCMRequestStateCodec:
        keys = self._signer.derived(_PURPOSE)
        codec = self._codec
        if codec is None or keys != self._keys:
            self._keys, self._codec = keys, (codec := AESGCMRequestStateCodec(keys))
        return codec
