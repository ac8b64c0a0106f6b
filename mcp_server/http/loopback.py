"""Where the server may be reached: this machine, unless callers sign in. Loads no web framework."""

from __future__ import annotations

import ipaddress
import logging
import socket

from executor import SettingsInvalid

log = logging.getLogger(__name__)

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""How a client on this machine names it."""


def refuse_open_host(host: str, *, signs_in: bool) -> None:
    """Let loopback addresses pass, and all of them where callers sign in.

    Raises:
        SettingsInvalid: anything else: anybody on the network could ask.
    """
    if signs_in or host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsInvalid(
            message=(
                f"mcp_server.host = {host!r}: only loopback (127.0.0.1, ::1, localhost) can be served while callers "
                "do not sign in."
            ),
            hint="Add [mcp_server.auth] (config.example.toml), or use 127.0.0.1 and a tunnel, or --transport stdio.",
        )


def listening_socket(host: str, port: int, *, signs_in: bool = False) -> socket.socket:
    """A socket that listens on `host` and `port` (0: any free one) and says so in the log.

    Raises:
        SettingsInvalid: not loopback though nobody signs in, or taken by another process.
    """
    refuse_open_host(host, signs_in=signs_in)
    plain = host.strip("[]")
    try:
        listening = socket.create_server((plain, port), family=socket.AF_INET6 if ":" in plain else socket.AF_INET)
    except OSError as error:
        raise SettingsInvalid(
            message=f"mcp_server: {plain} port {port} cannot be listened on: {error.strerror}.",
            hint="Another server may hold it; --port 0 takes any free one.",
        ) from error
    # accepted connections inherit it; asyncio sets it only on sockets it made itself, and without it every answer
    # in two pieces waits 40 ms for the client's delayed acknowledgement
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    shown = f"[{plain}]" if ":" in plain else plain
    log.info("listening", extra={"url": f"http://{shown}:{listening.getsockname()[1]}/mcp"})
    return listening
