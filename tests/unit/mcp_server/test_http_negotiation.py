"""Which media type a client gets."""

from __future__ import annotations

import pytest

from mcp_server.http.negotiation import chosen

OFFERED = ("application/json", "text/csv", "application/vnd.apache.arrow.stream")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; charset=utf-8", "text/csv"),
        ("text/*", "text/csv"),
        ("application/json;q=0.5, text/csv", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
        ("*/*;q=0.1, application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"),
        ("image/png, */*;q=0.1", "application/json"),
        ("image/png", None),
        ("application/json;q=0", None),
        ("application/json;q=x", None),
    ],
)
def test_the_type_wanted_most_is_chosen(accept: str, kind: str | None) -> None:
    assert chosen(accept, OFFERED) == kind
