"""Where the server may be reached: this machine, until callers can sign in. Loads no web framework."""

from __future__ import annotations

import ipaddress

from executor import SettingsInvalid

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""How a client on this machine names it."""


def refuse_open_host(host: str) -> None:
    """Let loopback addresses pass.

    Raises:
        SettingsInvalid: anything else: there is no way to sign in yet, so anybody on the network could ask.
    """
    if host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsInvalid(
            message=(
                f"mcp_server.host = {host!r}: only loopback (127.0.0.1, ::1, localhost) can be served, "
                "because callers cannot sign in yet; authentication is still to come."
            ),
            hint="Use 127.0.0.1 and a tunnel, or --transport stdio.",
        )
