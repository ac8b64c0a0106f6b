"""A link holds for what it was made for, until its time is over, under the policies it was made under."""

from __future__ import annotations

import pytest

from mcp_server.http.links import Link, LinkExpired, LinkInvalid, Links

LINK = Link("AAAAA-AAAAA-AAAAA-AAAAA-A", "local/local/ädä", "csv", 1_000)
LINKS = Links(b"k" * 32, policies=lambda: "1")


def test_a_link_comes_back_as_it_was_made() -> None:
    assert LINKS.opened(LINKS.token(LINK), now=999) == LINK


def test_a_link_ends_with_its_time_and_with_its_policies() -> None:
    token = LINKS.token(LINK)
    with pytest.raises(LinkExpired):
        LINKS.opened(token, now=1_000)
    with pytest.raises(LinkExpired):
        Links(b"k" * 32, policies=lambda: "2").opened(token, now=1)


def test_no_letter_of_a_link_can_be_another() -> None:
    token = LINKS.token(LINK)
    for place, letter in enumerate(token):
        for other in {"A", "B", "-", ".", "é", "="} - {letter}:
            with pytest.raises(LinkInvalid):
                LINKS.opened(token[:place] + other + token[place + 1 :], now=1)


@pytest.mark.parametrize("wrong", ["", ".", "x", "a.b", "é.ü", "A" * 10_000])
def test_what_was_not_made_here_is_no_link(wrong: str) -> None:
    with pytest.raises(LinkInvalid):
        LINKS.opened(wrong, now=1)


def test_another_key_makes_other_links() -> None:
    with pytest.raises(LinkInvalid):
        Links(b"x" * 32, policies=lambda: "1").opened(LINKS.token(LINK), now=1)
