"""Databases for every test that wants one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databases import (
    KINDS,
    SERVER_URLS,
    Database,
    clickhouse_shop,
    duckdb_shop,
    embedded_postgres,
    has_mysql_server,
    mysql_shop,
    postgres_shop,
    private_mysql,
    sqlite_shop,
)
from object_stores import s3_server
from shops import opened_shops


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="aq") as folder, embedded_postgres(Path(folder)) as url:
        yield url


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def private_mysql_url() -> Iterator[str]:
    if not has_mysql_server():
        pytest.skip("neither mariadbd nor mysqld is installed")
    with tempfile.TemporaryDirectory(prefix="aq") as folder, private_mysql(Path(folder)) as url:
        yield url


@pytest.fixture(scope="session")
def mysql_url(request: pytest.FixtureRequest) -> str:
    """A server of our own, else the one that is named."""
    url = os.environ.get(SERVER_URLS["mysql"])
    if url is not None and not has_mysql_server():
        return url
    return request.getfixturevalue("private_mysql_url")


@pytest.fixture(scope="session")
def shops(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Database]:
    """The shops that tests share: who changes one changes it back."""
    return opened_shops(request, tmp_path_factory)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, shops: Callable[[str], Database]) -> Database:
    """The shop of each kind in turn; who changes it changes it back."""
    return shops(str(request.param))


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


@pytest.fixture
def mysql_database(mysql_url: str) -> Iterator[Database]:
    with mysql_shop(mysql_url) as shop:
        yield shop


@pytest.fixture
def clickhouse_database(tmp_path: Path) -> Database:
    return clickhouse_shop(tmp_path)
