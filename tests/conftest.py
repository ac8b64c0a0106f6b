"""Databases for every test that wants one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import Database, duckdb_shop, embedded_postgres, postgres_shop, sqlite_shop

POSTGRES_URL = "TEST_POSTGRES_URL"
KINDS = ("duckdb", "sqlite", "postgres", "postgres at TEST_POSTGRES_URL")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="aq") as folder, embedded_postgres(Path(folder)) as url:
        yield url


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A shop of each kind in turn."""
    kind: str = request.param
    if kind == "duckdb":
        yield duckdb_shop(tmp_path)
    elif kind == "sqlite":
        yield sqlite_shop(tmp_path)
    else:
        url = request.getfixturevalue("postgres_url") if kind == "postgres" else os.environ.get(POSTGRES_URL)
        if url is None:
            pytest.skip(f"{POSTGRES_URL} is not set")
        with postgres_shop(url) as shop:
            yield shop


@pytest.fixture
def duckdb_database(tmp_path: Path) -> Database:
    return duckdb_shop(tmp_path)


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Database:
    return sqlite_shop(tmp_path)


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    with postgres_shop(postgres_url) as shop:
        yield shop
