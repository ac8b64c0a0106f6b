"""Tokens of our own: what is kept of them, and whom they let in."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mcp_server.auth.signed_in import SignInRefused
from mcp_server.auth.tokens import TokenFile


def test_a_token_lets_its_principal_in_with_roles_attributes_and_scopes(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    attributes = (("tenant", 7), ("regions", ("eu", "us")))
    told, text = tokens.create("ada", roles=("analyst",), attributes=attributes, scopes=("awaitsql:read",), now=0)

    caller = TokenFile(tmp_path).sign_in(text, now=1)

    assert (caller.principal.issuer, caller.principal.subject) == ("awaitsql", "ada")
    assert caller.principal.roles == {"analyst"}
    assert caller.principal.attribute("tenant") == 7
    assert caller.principal.attribute("regions") == ("eu", "us")
    assert caller.scopes == {"awaitsql:read"}
    assert told.hash not in text


def test_the_file_holds_no_text_of_a_token_and_is_for_its_owner(tmp_path: Path) -> None:
    _, text = TokenFile(tmp_path).create("ada", now=0)
    file = tmp_path / "tokens.json"

    assert text.split("_", 2)[2] not in file.read_text()  # a secret may have a "_" of its own
    assert file.stat().st_mode & 0o077 == 0


def test_a_revoked_token_lets_nobody_in_from_the_next_request_on(tmp_path: Path) -> None:
    server, command = TokenFile(tmp_path), TokenFile(tmp_path)
    told, text = command.create("ada", now=0)
    server.sign_in(text, now=1)
    command.revoke(told.id, now=2)

    with pytest.raises(SignInRefused):
        server.sign_in(text, now=2)
    assert command.revoke("nosuch", now=3) is None


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: t + "x", lambda t: t.replace("_", "-"), lambda _: ""])
def test_a_token_that_is_not_whole_lets_nobody_in(tmp_path: Path, change) -> None:
    tokens = TokenFile(tmp_path)
    _, text = tokens.create("ada", now=0)

    with pytest.raises(SignInRefused):
        tokens.sign_in(change(text), now=1)


def test_a_token_ends_when_its_time_is_over(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    _, text = tokens.create("ada", now=0, expires_at=10)
    tokens.sign_in(text, now=9.9)

    with pytest.raises(SignInRefused, match="expired"):
        tokens.sign_in(text, now=10)


def test_tokens_made_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: TokenFile(tmp_path).create(f"n{n}", now=0)[0].id, range(40)))

    assert sorted(token.id for token in TokenFile(tmp_path).tokens()) == sorted(made)
