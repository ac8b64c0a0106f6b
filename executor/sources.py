"""The nouns of a source: how it is configured. Opens nothing, reads no secret.

A source's configuration holds *references* to secrets; only an adapter, in a worker, resolves them.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from executor.sessions import check_session, variable

SOURCE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
MYSQL_OPTIONS = ("ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "unix-socket")
CLICKHOUSE_OPTIONS = ("secure", "ca-cert")
MYSQL_SSL_MODES = ("disabled", "preferred", "required", "verify-ca", "verify-identity")


class SecretRef(BaseModel):
    """Where a secret is kept: exactly one of an environment variable's name or a file's path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretRef:
        if (self.env is None) == (self.file is None):
            raise ValueError('give exactly one of env = "NAME" or file = "PATH"')
        return self


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    names_sessions: ClassVar[bool] = False
    """Whether a statement's session on the server bears the name of its job's attempt: known before it begins."""

    description: str = Field(default="", description="One line for the assistant: what this data is about.")
    max_running: int = Field(default=8, ge=1, le=1000, description="Statements running at once, over all workers.")

    def fingerprint(self) -> str:
        """A short hash of everything that decides what a statement on this source would read."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        # kept: each job asks for it several times
        told = self.model_dump(mode="json", exclude={"description", "max_running"})
        return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()


class DuckDBSource(_Source):
    """A DuckDB database file, opened read-only; or CSV, TSV, JSON-lines and Parquet files, one table each.

    Exactly one of `path` (a ``.duckdb`` file) and `files`: files, folders, and patterns (``sales/2024-*.parquet``),
    mixed as one likes. A table made of a file has the name of the file's stem,
    lower-cased, with every other character than letters, digits and ``_`` replaced by ``_``.
    """

    kind: Literal["duckdb"] = "duckdb"
    path: Path | None = None
    files: tuple[Path, ...] = ()
    memory_limit_mb: int = Field(default=1024, ge=64, description="DuckDB's memory_limit for this source, in MB.")
    threads: int = Field(default=2, ge=1, le=256)

    @model_validator(mode="after")
    def _exactly_one(self) -> DuckDBSource:
        if (self.path is None) == (not self.files):
            raise ValueError('give exactly one of path = "FILE.duckdb" or files = ["A.csv", "B.parquet"]')
        return self

    @property
    def dialect(self) -> str:
        """The grammar of this source's SQL."""
        return "duckdb"


class SQLiteSource(_Source):
    """A SQLite database file, opened read-only."""

    kind: Literal["sqlite"] = "sqlite"
    path: Path

    @property
    def dialect(self) -> str:
        """The grammar of this source's SQL."""
        return "sqlite"


class PostgresSource(_Source):
    """A PostgreSQL database, by URL without a password (``postgresql://user@host:5432/database?sslmode=require``)."""

    names_sessions: ClassVar[bool] = True

    kind: Literal["postgres"] = "postgres"
    url: str
    password: SecretRef | None = None
    schemas: tuple[str, ...] = Field(default=(), description="Schemas shown; empty: all but the system's.")
    session: dict[str, str] = Field(
        default_factory=dict, description="Settings of each session: a text, or the caller's :principal.ATTRIBUTE."
    )

    @field_validator("session")
    @classmethod
    def _well_formed(cls, value: dict[str, str]) -> dict[str, str]:
        check_session(value, takes_role=True)
        return value

    @model_validator(mode="after")
    def _no_password_in_url(self) -> PostgresSource:
        if re.match(r"[a-z0-9+]+://[^/@]*:[^/@]+@", self.url) or "password=" in self.url:
            raise ValueError('keep the password out of the url: password = {env = "NAME"} or {file = "PATH"}')
        return self

    @property
    def dialect(self) -> str:
        """The grammar of this source's SQL."""
        return "postgres"


class MySQLSource(_Source):
    """A MariaDB or MySQL database, by URL without a password (``mysql://user@host:3306/database``).

    ``mariadb://`` means the same. After a ``?`` may come ``ssl-mode`` (disabled, preferred, required, verify-ca,
    verify-identity), ``ssl-ca``, ``ssl-cert`` and ``ssl-key`` (paths of PEM files where the workers run), and
    ``unix-socket`` (a path, instead of host and port). TLS is used where the server offers it; naming an ``ssl-ca``
    means verify-identity, unless an ``ssl-mode`` says otherwise.
    """

    kind: Literal["mysql"] = "mysql"
    url: str
    password: SecretRef | None = None
    schemas: tuple[str, ...] = Field(default=(), description="Databases shown; empty: the one the url names.")
    session: dict[str, str] = Field(
        default_factory=dict, description="Settings of each session: a text, or the caller's :principal.ATTRIBUTE."
    )

    @field_validator("session")
    @classmethod
    def _well_formed(cls, value: dict[str, str]) -> dict[str, str]:
        check_session(value, takes_role=False)
        if len({variable(name) for name in value}) < len(value):
            raise ValueError("two of these names are one variable, as dots become _ there")
        return value

    @model_validator(mode="after")
    def _readable_url_without_password(self) -> MySQLSource:
        try:
            parts = urlsplit(self.url)
            port = parts.port
            asked = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise ValueError("write the url as mysql://user@host:3306/database") from None  # it may hold a secret
        if parts.password is not None or any("pass" in name for name, _ in asked):
            raise ValueError('keep the password out of the url: password = {env = "NAME"} or {file = "PATH"}')
        if parts.scheme not in ("mysql", "mariadb") or port == 0 or len(parts.path) < 2:
            raise ValueError("write the url as mysql://user@host:3306/database")
        unknown = [name for name, _ in asked if name not in MYSQL_OPTIONS]
        if unknown:
            raise ValueError(f"{unknown[0]} is not an option of the url; there are {', '.join(MYSQL_OPTIONS)}")
        modes = [value for name, value in asked if name == "ssl-mode" and value.lower() not in MYSQL_SSL_MODES]
        if modes:
            raise ValueError(f"ssl-mode is one of {', '.join(MYSQL_SSL_MODES)}")
        return self

    @property
    def dialect(self) -> str:
        """The grammar of this source's SQL."""
        return "mysql"


class ClickHouseSource(_Source):
    """A ClickHouse server, or a folder of chDB, which is ClickHouse within the worker.

    Exactly one of `url` without a password (``clickhouse://user@host:8123/database``; after a ``?`` may come
    ``secure=true`` for TLS and ``ca-cert``, the path of a PEM file where the workers run) and `path`.
    """

    kind: Literal["clickhouse"] = "clickhouse"
    url: str | None = None
    path: Path | None = None
    password: SecretRef | None = None
    schemas: tuple[str, ...] = Field(
        default=(), description="Databases shown; empty: the one the url names, of a folder all but the system's."
    )
    memory_limit_mb: int = Field(default=1024, ge=64, description="The most memory of one statement, in MB.")
    threads: int = Field(default=2, ge=1, le=256, description="The most threads of one statement.")

    @model_validator(mode="before")
    @classmethod
    def _without_session(cls, value: Any) -> Any:
        if isinstance(value, dict) and "session" in value:
            raise ValueError("ClickHouse sources take no session: use the policies' rows instead")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> ClickHouseSource:
        if (self.path is None) == (self.url is None):
            raise ValueError('give exactly one of url = "clickhouse://user@host:8123/database" or path = "FOLDER"')
        if self.path is not None and self.password is not None:
            raise ValueError("a folder has no password")
        if self.url is not None:
            check_clickhouse_url(self.url)
        return self

    @property
    def dialect(self) -> str:
        """The grammar of this source's SQL."""
        return "clickhouse"


def check_clickhouse_url(url: str) -> None:
    """Raises `ValueError`, in words without the url itself, if it is not one of a ClickHouse source."""
    form = "write the url as clickhouse://user@host:8123/database"
    try:
        parts = urlsplit(url)
        port = parts.port
        asked = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(form) from None  # it may hold a secret
    if parts.password is not None or any("pass" in name for name, _ in asked):
        raise ValueError('keep the password out of the url: password = {env = "NAME"} or {file = "PATH"}')
    if parts.scheme != "clickhouse" or port == 0 or len(parts.path) < 2:
        raise ValueError(form)
    unknown = [name for name, _ in asked if name not in CLICKHOUSE_OPTIONS]
    if unknown:
        raise ValueError(f"{unknown[0]} is not an option of the url; there are {', '.join(CLICKHOUSE_OPTIONS)}")
    if any(name == "secure" and value not in ("true", "false") for name, value in asked):
        raise ValueError("secure is true or false")


class GenericSource(_Source):
    """A database reached through SQLAlchemy, by SQLAlchemy's url without a password. One subclass a kind."""

    kind: str
    url: str
    password: SecretRef | None = None
    schemas: tuple[str, ...] = Field(default=(), description="Schemas shown; empty: the one the url names.")

    @model_validator(mode="after")
    def _url_without_password(self) -> GenericSource:
        try:
            parts = urlsplit(self.url)
            asked = parse_qsl(parts.query)
        except ValueError:
            raise ValueError("the url cannot be read") from None  # it may hold a secret
        if parts.password is not None or any(re.search("pass|token|secret|credential", name) for name, _ in asked):
            raise ValueError('keep the password out of the url: password = {env = "NAME"} or {file = "PATH"}')
        if parts.scheme.partition("+")[0] != self.kind:
            raise ValueError(f"write the url as {self.kind}://…")
        return self

    @property
    def dialect(self) -> str:
        """The grammar of this source's SQL."""
        return self.kind


class TrinoSource(GenericSource):
    """Trino: ``trino://user@host:8080/catalog/schema``."""

    kind: Literal["trino"] = "trino"  # pyright: ignore[reportIncompatibleVariableOverride] # frozen: nobody sets it


class SnowflakeSource(GenericSource):
    """Snowflake: ``snowflake://user@account/database/schema?warehouse=name``."""

    kind: Literal["snowflake"] = "snowflake"  # pyright: ignore[reportIncompatibleVariableOverride] # as above


class BigQuerySource(GenericSource):
    """BigQuery: ``bigquery://project/dataset``. Who we are there, Google's own client library finds out."""

    kind: Literal["bigquery"] = "bigquery"  # pyright: ignore[reportIncompatibleVariableOverride] # as above


class MSSQLSource(GenericSource):
    """Microsoft SQL Server: ``mssql://user@host:1433/database``."""

    kind: Literal["mssql"] = "mssql"  # pyright: ignore[reportIncompatibleVariableOverride] # as above

    @property
    def dialect(self) -> str:
        """The grammar of this source's SQL."""
        return "tsql"


AnySource = (
    DuckDBSource
    | SQLiteSource
    | PostgresSource
    | MySQLSource
    | ClickHouseSource
    | TrinoSource
    | SnowflakeSource
    | BigQuerySource
    | MSSQLSource
)

SourceConfig = Annotated[AnySource, Field(discriminator="kind")]
"""One model per kind, told apart by ``kind``."""


def session_of(source: AnySource) -> dict[str, str]:
    """The settings of a source's sessions by name; none for a kind that has no such settings."""
    return source.session if isinstance(source, PostgresSource | MySQLSource) else {}


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source as a caller may see it: no address, no secret."""

    name: str
    kind: str
    dialect: str
    description: str
