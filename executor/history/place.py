"""Where the history is kept: opens the database that the settings name, with its tables made. Writes nothing itself."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

from executor.history.schema import migrate
from executor.secrets import resolve_secret
from executor.settings import ExecutorSettings

_WAIT_S = 5
"""How long a connection or a lock is waited for."""


def open_history(settings: ExecutorSettings) -> Engine:
    """An engine whose transactions see, and make, a whole state; tables are there and of our version.

    Raises:
        SettingsInvalid: the tables are of a newer program.
        SourceFailed: the password cannot be read.
        SQLAlchemyError: the database does not answer.
    """
    engine = _engine(settings)
    try:
        migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def open_records(settings: ExecutorSettings, file: str) -> Engine:
    """An engine for records beside the history: in the same database, or without its url in `file` of the state folder.

    That folder is every configuration's: records stay where a source is added. Makes no tables.

    Raises:
        SourceFailed: the password cannot be read.
    """
    return _engine(settings) if settings.history.url else _sqlite(settings.state_dir / file)


def _engine(settings: ExecutorSettings) -> Engine:
    if settings.history.url:
        url = make_url(settings.history.url)
        if url.get_backend_name() == "postgresql":
            return _postgres(settings, url)
        path = Path(url.database or "").expanduser()
    else:
        path = settings.home / "history.sqlite"
    return _sqlite(path)


def _postgres(settings: ExecutorSettings, url: URL) -> Engine:
    url = url.set(drivername="postgresql+psycopg")
    if settings.history.password is not None:
        url = url.set(password=resolve_secret("executor.history", settings.history.password))
    told: dict[str, Any] = {
        "connect_timeout": _WAIT_S,
        "application_name": "awaitsql history",
        "options": f"-c lock_timeout={_WAIT_S * 1000} -c statement_timeout=60000",
    }
    return create_engine(url, pool_size=2, max_overflow=2, pool_pre_ping=True, connect_args=told)


def _sqlite(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        _make_sqlite(path)
    engine = create_engine(URL.create("sqlite", database=str(path)), connect_args={"timeout": _WAIT_S})

    @event.listens_for(engine, "connect")
    def on_connect(connection: DBAPIConnection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - what this engine makes
        # transactions are begun below, in the way that lets two writers wait for each other
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL").close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        reads = connection.get_execution_options().get("reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _make_sqlite(path: Path) -> None:
    """An empty file in WAL mode. Two processes that change one file's mode at once do not wait: one of them fails."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.touch(mode=0o600)
    with closing(sqlite3.connect(draft)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    # link, not rename: whoever comes second has the first one's
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
