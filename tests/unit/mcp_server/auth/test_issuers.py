"""Tokens of a real authorization server, and ones that are wrong in one way each."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from issuer import Issuer as Server
from issuer import issuer_for, new_key

from mcp_server.auth.issuers import Issuer
from mcp_server.auth.signed_in import IssuerAway, SignInRefused
from mcp_server.auth.verifier import Verifier
from mcp_server.auth_settings import AuthSettings, IssuerSettings

RESOURCE = "https://sql.example.org/mcp"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with issuer_for(RESOURCE) as running:
        yield running


def settings_of(server: Server, **more: Any) -> IssuerSettings:
    return IssuerSettings.model_validate({"issuer": server.url, "attributes": {"tenant": "tenant_id"}, **more})


async def test_a_token_from_the_token_endpoint_is_a_principal_with_its_claims(server: Server) -> None:
    caller = await Issuer(settings_of(server), RESOURCE).sign_in(server.token("ada", "awaitsql:read other"))

    principal = caller.principal
    assert (principal.client, principal.issuer, principal.subject) == ("assistant", server.url, "ada")
    assert principal.roles == {"analyst"}
    assert principal.attribute("tenant") == 1
    assert caller.scopes == {"awaitsql:read", "other"}
    assert caller.expires_at is not None
    assert caller.expires_at > time.time()


def claims_of(server: Server) -> dict[str, Any]:
    return {"iss": server.url, "aud": RESOURCE, "sub": "ada", "exp": int(time.time()) + 60}


Wrong = Callable[[Server], str]


def with_claims(**changed: Any) -> Wrong:
    def forge(server: Server) -> str:
        claims = {name: value for name, value in {**claims_of(server), **changed}.items() if value is not None}
        return server.forged(claims)

    return forge


def unsigned(server: Server) -> str:
    return jwt.encode(claims_of(server), key=None, algorithm="none", headers={"kid": server.keys[0].kid})


def by_public_key_as_a_secret(server: Server) -> str:
    # libraries refuse to make such a token; an attacker has no such library
    parts = [{"alg": "HS256", "kid": server.keys[0].kid}, claims_of(server)]
    told = b".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    mac = hmac.digest(server.keys[0].as_pem(private=False), told, "sha256")
    return (told + b"." + urlsafe_b64encode(mac).rstrip(b"=")).decode()


def with_a_changed_signature(server: Server) -> str:
    head, body, signature = server.token("ada").split(".")
    return f"{head}.{body}.{'A' * len(signature)}"


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        pytest.param(with_claims(exp=int(time.time()) - 31), "expired", id="expired"),
        pytest.param(with_claims(nbf=int(time.time()) + 3_600), "not valid yet", id="not valid yet"),
        pytest.param(with_claims(aud="https://other.example.org/mcp"), "another server", id="other audience"),
        pytest.param(with_claims(aud=None), "aud", id="no audience"),
        pytest.param(with_claims(exp=None), "exp", id="no end"),
        pytest.param(with_claims(sub=None), "sub", id="no subject"),
        pytest.param(with_claims(iss="https://evil.example.org"), "Nobody that this server trusts", id="other issuer"),
        pytest.param(with_claims(iss=None), "Nobody that this server trusts", id="no issuer"),
        pytest.param(unsigned, "algorithm", id="alg none"),
        pytest.param(by_public_key_as_a_secret, "algorithm", id="public key as a secret"),
        pytest.param(lambda s: s.forged(claims_of(s), alg="RS512"), "algorithm", id="algorithm not allowed"),
        pytest.param(lambda s: s.forged(claims_of(s), key=new_key()), "not valid", id="another key"),
        pytest.param(with_a_changed_signature, "not valid", id="signature changed"),
        pytest.param(lambda _: "abc", "cannot be read", id="no token"),
        pytest.param(lambda _: "", "cannot be read", id="empty"),
        pytest.param(lambda _: "x" * 20_000, "too long", id="too long"),
    ],
)
async def test_a_token_that_is_wrong_in_one_way_lets_nobody_in(
    server: Server, forge: Wrong, why: str, tmp_path: Any
) -> None:
    verifier = Verifier(AuthSettings(resource=RESOURCE, issuers=(settings_of(server),)), tmp_path)

    with pytest.raises(SignInRefused, match=why):
        await verifier.sign_in(forge(server))


async def test_clocks_may_differ_by_the_leeway(server: Server) -> None:
    late = server.forged({**claims_of(server), "exp": int(time.time()) - 20})

    assert (await Issuer(settings_of(server), RESOURCE).sign_in(late)).principal.subject == "ada"
    with pytest.raises(SignInRefused):
        await Issuer(settings_of(server, leeway_s=0), RESOURCE).sign_in(late)


async def test_a_new_key_of_the_issuer_is_found_and_the_old_one_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server.auth.issuers._NEW_KEYS_S", 0.0)
    with issuer_for(RESOURCE) as server:
        issuer = Issuer(settings_of(server), RESOURCE)
        old = server.token("ada")
        await issuer.sign_in(old)
        server.change_key()

        assert (await issuer.sign_in(server.token("bob"))).principal.subject == "bob"
        with pytest.raises(SignInRefused):
            await issuer.sign_in(old)


async def test_unknown_keys_do_not_make_us_ask_the_issuer_each_time(server: Server) -> None:
    issuer = Issuer(settings_of(server), RESOURCE)
    await issuer.sign_in(server.token("ada"))
    before = server.asked_for_keys
    other = new_key()
    for _ in range(20):
        forged = jwt.encode(claims_of(server), other.as_pem(private=True), "RS256", headers={"kid": "unknown"})
        with pytest.raises(SignInRefused):
            await issuer.sign_in(forged)

    assert server.asked_for_keys <= before + 1


async def test_an_issuer_that_is_away_is_not_a_wrong_token() -> None:
    with issuer_for(RESOURCE) as server:
        token = server.token("ada")
        settings = settings_of(server)
    with pytest.raises(IssuerAway):
        await Issuer(settings, RESOURCE).sign_in(token)
    with pytest.raises(IssuerAway):
        await Issuer(settings.model_copy(update={"jwks_url": f"{settings.issuer}/keys"}), RESOURCE).sign_in(token)


async def test_claims_that_are_no_attributes_grant_nothing(server: Server) -> None:
    claims = {**claims_of(server), "tenant_id": {"id": 1}, "realm": {"roles": ["analyst", "admin"]}}
    settings = settings_of(server, roles_claim="realm.roles", scopes=False)

    caller = await Issuer(settings, RESOURCE).sign_in(server.forged(claims))

    assert caller.principal.roles == {"analyst", "admin"}
    assert caller.principal.attribute("tenant") is None
    assert caller.scopes == {"awaitsql:read", "awaitsql:query", "awaitsql:export"}
