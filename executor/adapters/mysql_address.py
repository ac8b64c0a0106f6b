"""A source's url -> what the driver is to be told: host or socket, user, password, TLS. Opens no connection."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from executor.errors import ErrorCode, SourceFailed
from executor.secrets import resolve_secret
from executor.sources import MySQLSource

_PORT = 3306


@dataclass(frozen=True, slots=True)
class MySQLAddress:
    """Where a server is and how we are let in. Never to be logged: it holds the password.

    Attributes:
        source: the source's name, for messages.
        host: a name or an address; of no meaning beside a socket.
        port: of TCP.
        unix_socket: the path of a socket, or None.
        user: whom we connect as.
        password: UTF-8.
        database: where unqualified names are looked up.
        tls: how to check the server, or None for a connection in the clear.
        needs_tls: whether a server without TLS is refused.
    """

    source: str
    host: str
    port: int
    unix_socket: str | None
    user: str
    password: bytes = field(repr=False)
    database: str
    tls: ssl.SSLContext | None
    needs_tls: bool


def address_of(source: str, config: MySQLSource) -> MySQLAddress:
    """The address in a source's configuration, its secret resolved and its certificates read.

    Raises:
        SourceFailed: ``source_auth_failed`` when the secret is not there; ``source_unavailable`` for certificates that
            cannot be read.
    """
    parts = urlsplit(config.url)
    asked = dict(parse_qsl(parts.query))
    # As the client programs do: a CA is there to be used, and without TLS's own check of the name it proves little.
    mode = asked.get("ssl-mode", "verify-identity" if "ssl-ca" in asked else "preferred").lower()
    unix_socket = asked.get("unix-socket")
    if unix_socket and "ssl-mode" not in asked:
        mode = "disabled"
    return MySQLAddress(
        source=source,
        host=unquote(parts.hostname or "localhost"),
        port=parts.port or _PORT,
        unix_socket=unix_socket,
        user=unquote(parts.username or "root"),
        password=b"" if config.password is None else resolve_secret(source, config.password).encode(),
        database=unquote(parts.path.removeprefix("/")),
        tls=None if mode == "disabled" else _tls(source, mode, asked),
        needs_tls=mode not in ("disabled", "preferred"),
    )


def _tls(source: str, mode: str, asked: dict[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Certificates that MySQL makes for itself lack what RFC 5280 asks for, which Python 3.13 checks.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = mode == "verify-identity"
    context.verify_mode = ssl.CERT_REQUIRED if mode in ("verify-ca", "verify-identity") else ssl.CERT_NONE
    try:
        if context.verify_mode is ssl.CERT_REQUIRED:
            if "ssl-ca" in asked:
                context.load_verify_locations(asked["ssl-ca"])
            else:
                context.load_default_certs()
        if "ssl-cert" in asked:
            context.load_cert_chain(asked["ssl-cert"], asked.get("ssl-key"))
    except OSError as error:  # ssl.SSLError is one
        raise SourceFailed(
            ErrorCode.SOURCE_UNAVAILABLE,
            f"The certificates of source {source} cannot be read.",
            hint="Check ssl-ca, ssl-cert and ssl-key in the source's url where the workers run.",
        ) from error
    return context
