"""An authorization server for tests: Authlib's, over real HTTP in this process, with keys that can be changed."""

from __future__ import annotations

import json
import os
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import ResourceOwnerPasswordCredentialsGrant
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask, jsonify
from joserfc.jwk import KeySet, RSAKey
from joserfc.jwt import encode
from werkzeug.serving import make_server

USERS: dict[str, dict[str, Any]] = {
    "ada": {"roles": ["analyst"], "tenant_id": 1},
    "bob": {"roles": ["analyst"], "tenant_id": 2},
    "eve": {"roles": []},
}


class Program(ClientMixin):
    """The one client there is."""

    def get_client_id(self) -> str:
        return "assistant"

    def get_allowed_scope(self, scope: str) -> str:
        return scope

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "password"

    def check_client_secret(self, client_secret: str) -> bool:
        return False

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "none"


@dataclass
class User:
    name: str

    def get_user_id(self) -> str:
        return self.name


@dataclass
class Issuer:
    """A server that runs; tokens are asked for as a program does, or made to be wrong in one way."""

    url: str
    audience: str
    keys: list[RSAKey] = field(default_factory=list)
    asked_for_keys: int = 0

    def change_key(self) -> None:
        self.keys[:] = [new_key()]

    def token(self, user: str, scope: str = "awaitsql:read awaitsql:query awaitsql:export") -> str:
        form = {"grant_type": "password", "client_id": "assistant", "username": user, "password": "x", "scope": scope}
        data = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(f"{self.url}/token", data=data, timeout=10) as answer:
            return json.load(answer)["access_token"]

    def forged(self, claims: dict[str, Any], *, key: RSAKey | None = None, alg: str = "RS256") -> str:
        """A token with these claims, signed by this issuer unless another `key` is given."""
        signing = key or self.keys[0]
        return encode({"alg": alg, "kid": self.keys[0].kid}, claims, signing, algorithms=[alg])


def new_key() -> RSAKey:
    return RSAKey.generate_key(2048, auto_kid=True)


@contextmanager
def issuer_for(audience: str) -> Iterator[Issuer]:
    """An issuer whose tokens are made out to `audience`."""
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # its way to let loopback go without TLS
    app = Flask("issuer")
    http = make_server("127.0.0.1", 0, app, threaded=True)
    issuer = Issuer(f"http://127.0.0.1:{http.server_port}", audience, [new_key()])

    class Password(ResourceOwnerPasswordCredentialsGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

        def authenticate_user(self, username: str, password: str) -> User | None:
            return User(username) if username in USERS else None

    class Tokens(JWTBearerTokenGenerator):
        def get_jwks(self) -> KeySet:
            return KeySet(issuer.keys)

        def get_audiences(self, client: object, user: object, scope: str) -> str:
            return issuer.audience

        def get_extra_claims(self, client: object, grant_type: str, user: User, scope: str) -> dict[str, Any]:
            return USERS[user.name]

    server = AuthorizationServer(app, query_client=lambda _id: Program(), save_token=lambda _token, _request: None)
    server.register_grant(Password)
    server.register_token_generator("default", Tokens(issuer.url))

    @app.post("/token")
    def token() -> object:
        return server.create_token_response()

    @app.get("/.well-known/oauth-authorization-server")
    def metadata() -> object:
        return jsonify(issuer=issuer.url, token_endpoint=f"{issuer.url}/token", jwks_uri=f"{issuer.url}/keys")

    @app.get("/keys")
    def keys() -> object:
        issuer.asked_for_keys += 1
        return jsonify(KeySet(issuer.keys).as_dict(private=False))

    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield issuer
    finally:
        http.shutdown()
