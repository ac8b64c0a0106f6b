"""Where the server may be reached: this machine, until callers can sign in."""

from __future__ import annotations

import socket

import pytest

from executor import SettingsInvalid
from mcp_server.http.loopback import listening_socket, refuse_open_host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"])
def test_loopback_is_served(host: str) -> None:
    refuse_open_host(host, signs_in=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "localhost.evil.example"])
def test_anything_else_is_refused(host: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        refuse_open_host(host, signs_in=False)
    refuse_open_host(host, signs_in=True)
    assert refused.value.code == "invalid_settings"


def test_an_address_that_is_taken_is_refused_in_words_for_the_configuration() -> None:
    with listening_socket("127.0.0.1", 0) as taken, pytest.raises(SettingsInvalid) as refused:
        listening_socket("127.0.0.1", taken.getsockname()[1])
    assert refused.value.code == "invalid_settings"


def test_connections_do_not_wait_for_delayed_acknowledgements() -> None:
    with listening_socket("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
