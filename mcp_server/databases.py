"""What ``--db`` was given, as sources: a file is known by its first bytes, a URL by its scheme. Opens no database.

Messages name files, and of a URL its scheme only: there may be a password in the rest.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import ValidationError

from executor import (
    AnySource,
    ClickHouseSource,
    DuckDBSource,
    MySQLSource,
    PostgresSource,
    SecretRef,
    SettingsInvalid,
    SQLiteSource,
)
from mcp_server.overrides import absolute

_TEXT_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
_DATA_SUFFIXES = (*_TEXT_SUFFIXES, ".parquet")
_KINDS = (
    "Give a SQLite or DuckDB file, CSV, TSV, JSON-lines (.jsonl, .ndjson) or Parquet files, a folder of those, "
    "postgresql://user@host/database, mysql://user@host/database (MariaDB too), clickhouse://user@host/database or a "
    "chDB folder."
)
_LONGEST_NAME = 63
_POSTGRES = ("postgres", "postgresql")
_MYSQL = ("mysql", "mariadb")
_SERVERS = (*_POSTGRES, *_MYSQL, "clickhouse")

Found = Literal["sqlite", "duckdb", "data"]


def sources_from(databases: Sequence[str], *, taken: Iterable[str] = ()) -> tuple[dict[str, AnySource], dict[str, str]]:
    """The sources that `databases` name, by name, and the passwords to export, by environment variable.

    Data files (CSV, TSV, JSON lines, Parquet) become one source, so that they can be joined: of the file's or the
    folder's name when it is one value, else ``files``.

    Args:
        databases: paths and URLs as they were typed.
        taken: names of sources that are there already.

    Raises:
        SettingsInvalid: a value that is no database, saying what it is instead.
    """
    names = _Names(taken)
    sources: dict[str, AnySource] = {}
    secrets: dict[str, str] = {}
    data_files: dict[Path, None] = {}
    data_names: list[str] = []
    for text in dict.fromkeys(databases):
        scheme = _scheme(text)
        if scheme in _SERVERS:
            wanted, source, password = _server(text, scheme)
            name = names.fresh(wanted)
            if password:
                variable = f"_DB_PASSWORD_{name.upper()}"
                secrets[variable] = password
                source = source.model_copy(update={"password": SecretRef(env=variable)})
            sources[name] = source
            continue
        path = _path(text, scheme)
        if path.is_dir() and (path / "metadata").is_dir() and (path / "store").is_dir():
            sources[names.fresh(path.stem)] = ClickHouseSource(path=path)
            continue
        if path.is_dir():
            data_files.update(dict.fromkeys(_folder_files(path)))
            data_names.append(path.name)
            continue
        found = _recognised(path)
        if scheme in ("sqlite", "duckdb") and found != scheme:
            raise SettingsInvalid(message=f"{path} is not a {_WORDS[scheme]} database file.", hint=_KINDS)
        if found == "data":
            data_files[path] = None
            data_names.append(path.stem)
        else:
            made = SQLiteSource(path=path) if found == "sqlite" else DuckDBSource(path=path)
            if made not in sources.values():  # the same file twice
                sources[names.fresh(path.stem)] = made
    if data_files:
        name = names.fresh(data_names[0] if len(data_names) == 1 else "files")
        sources[name] = DuckDBSource(files=tuple(data_files))
    return sources, secrets


_WORDS = {"sqlite": "SQLite", "duckdb": "DuckDB"}


class _Names:
    """Source names, each given out once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def fresh(self, wanted: str) -> str:
        """`wanted` as a source name may be written (see ``SOURCE_NAME``), with a number when it is taken."""
        plain = unicodedata.normalize("NFKD", wanted).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "db"
        if not name[0].isalpha():
            name = f"db_{name}"
        name = name[:_LONGEST_NAME].rstrip("_")
        number, free = 1, name
        while free in self._taken:
            number += 1
            ending = f"_{number}"
            free = name[: _LONGEST_NAME - len(ending)] + ending
        self._taken.add(free)
        return free


def _scheme(text: str) -> str:
    """The URL's scheme without a driver (``postgresql+psycopg``), lower-cased, or nothing for a path.

    Raises:
        SettingsInvalid: an address that is neither a path nor a URL of a kind we have.
    """
    if not text.strip():
        raise SettingsInvalid(message="--db was given an empty value.", hint=_KINDS)
    if re.search(r"(?:^|\s)(?:host|hostaddr|dbname|user|password|port|service)\s*=", text):
        raise SettingsInvalid(
            message="--db was given a connection string of words (host=… dbname=…).",
            hint="Write it as postgresql://user@host:5432/database or mysql://user@host:3306/database.",
        )
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if match is None:
        return ""
    scheme = match.group(1).lower().partition("+")[0]
    if scheme not in (*_SERVERS, "sqlite", "duckdb", "file"):
        raise SettingsInvalid(
            message=f"{scheme}:// is not a kind of database that can be read yet; there are PostgreSQL, MariaDB, "
            "MySQL, ClickHouse, SQLite, DuckDB, and CSV, TSV, JSON-lines and Parquet files.",
            hint=_KINDS,
        )
    return scheme


def _server(text: str, scheme: str) -> tuple[str, PostgresSource | MySQLSource | ClickHouseSource, str]:
    """The name wanted for it, the source without its password, and the password or nothing."""
    scheme = "postgresql" if scheme in _POSTGRES else scheme
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError as error:
        raise SettingsInvalid(message=f"A {scheme}:// URL given with --db cannot be read.", hint=_KINDS) from error
    login, at, address = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    # The other parameters stay as they are spelt: libpq does not read + as a space, as Python's own quoting writes it.
    query = [entry.partition("=") for entry in parts.query.split("&") if entry]
    password = unquote(password or next((value for key, _, value in query if key == "password"), ""))
    kept = "&".join("".join(entry) for entry in query if entry[0] != "password")
    url = urlunsplit((scheme, f"{user}{at}{address}", parts.path, kept, ""))
    try:
        if scheme == "clickhouse":
            source = ClickHouseSource(url=url)
        else:
            source = PostgresSource(url=url) if scheme == "postgresql" else MySQLSource(url=url)
    except ValidationError as error:
        if scheme != "postgresql" and not parts.path.strip("/"):
            raise SettingsInvalid(
                message=f"A {scheme}:// URL given with --db names no database.", hint=f"{scheme}://user@host/database"
            ) from error
        raise SettingsInvalid(
            message=f"A {scheme}:// URL given with --db holds an option that cannot be read, or a secret that cannot "
            "be taken out of it.",
            hint='Configure it in a file: password = {env = "NAME"} in [executor.sources.<name>].',
        ) from error
    return unquote(parts.path.strip("/")) or unquote(user) or host or scheme, source, password


def _path(text: str, scheme: str) -> Path:
    """The file or folder that is meant; it is there.

    Raises:
        SettingsInvalid: it is not there; names a file beside it that may have been meant.
    """
    here = Path.cwd()
    if scheme:
        rest = unquote(text.partition("://")[2].partition("?")[0])
        # Three slashes are a relative path to some and an absolute one to others: whichever is there.
        candidates = [absolute(rest.removeprefix("/"), here), absolute(rest, here)]
        path = next((c for c in candidates if rest.strip("/") and c.exists()), candidates[-1])
    else:
        path = absolute(text, here)
    try:
        if path.exists():
            return path
        beside = sorted(p.name for p in path.parent.iterdir() if not p.name.startswith("."))
    except OSError:
        beside = []
    like = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.6)
    raise SettingsInvalid(
        message=f"There is no file {path}.", hint=f"Did you mean {path.with_name(like[0])}?" if like else _KINDS
    )


def _folder_files(folder: Path) -> list[Path]:
    """The data files directly in `folder`, by name.

    Raises:
        SettingsInvalid: there are none.
    """
    try:
        inside = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise SettingsInvalid(message=f"{folder} cannot be read: {error.strerror}.", hint=_KINDS) from error
    found = [p for p in inside if p.suffix.lower() in _DATA_SUFFIXES and p.stat().st_size]
    if not found:
        other = f" It holds {', '.join(p.name for p in inside[:3])}{' …' if len(inside) > 3 else ''}." if inside else ""
        raise SettingsInvalid(
            message=f"The folder {folder} holds no CSV, TSV, JSON-lines or Parquet files.{other}",
            hint="Give the database file itself, or a folder with data files in it (folders below it are not read).",
        )
    return found


def _recognised(path: Path) -> Found:
    """What a file is.

    Raises:
        SettingsInvalid: nothing that can be read, in words.
    """
    if not path.is_file():
        raise SettingsInvalid(message=f"{path} is not a file.", hint=_KINDS)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise SettingsInvalid(message=f"{path} cannot be read: {error.strerror}.", hint=_KINDS) from error
    suffix = path.suffix.lower()
    if not head:
        raise SettingsInvalid(message=f"{path} is empty: there are 0 bytes in it.", hint=_KINDS)
    if head == b"SQLite format 3\0":
        return "sqlite"
    if head[8:12] == b"DUCK":
        return "duckdb"
    if suffix in _TEXT_SUFFIXES or (suffix == ".parquet" and head[:4] == b"PAR1"):
        return "data"
    if head[:4] == b"PAR1":
        raise SettingsInvalid(
            message=f"{path.name} is a Parquet file by another name.", hint=f"Name it {path.stem}.parquet."
        )
    why = (
        "it does not begin as a Parquet file does" if suffix == ".parquet" else "it begins as neither SQLite nor DuckDB"
    )
    raise SettingsInvalid(message=f"{path.name} is not a database: {why}.", hint=_KINDS)
