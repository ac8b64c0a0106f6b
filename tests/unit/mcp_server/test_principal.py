"""Who asks, and what their jobs are owned by."""

from __future__ import annotations

from mcp_server.principal import LOCAL, Principal


def test_no_two_principals_share_an_owner() -> None:
    owners = {
        Principal("a/b", "c", "d").owner,
        Principal("a", "b/c", "d").owner,
        Principal("a", "b", "c/d").owner,
        Principal("a%2Fb", "c", "d").owner,
        LOCAL.owner,
    }
    assert len(owners) == 5
