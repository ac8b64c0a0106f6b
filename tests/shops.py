"""Shops that tests share: to open one costs seconds where it is a server or a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from databases import (
    Database,
    clickhouse_http_shop,
    clickhouse_shop,
    duckdb_shop,
    files_shop,
    mysql_shop,
    postgres_shop,
    sqlite_shop,
)


def opened_shops(request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> Callable[[str], Database]:
    """A shop of each kind, opened when it is first asked for and closed with the fixture's node."""
    found: dict[str, Database] = {}

    def get(kind: str) -> Database:
        if kind not in found:
            opened = ExitStack()
            found[kind] = opened.enter_context(_shop(kind, folders.mktemp(kind.replace(" ", "_")), request))
            # after its server's, so that it is closed before that: finalizers run from the last to the first
            request.node.addfinalizer(opened.close)
        return found[kind]

    return get


@contextmanager
def _shop(name: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    kind, _, variable = name.partition(" at ")
    if kind == "duckdb":
        yield duckdb_shop(folder)
    elif kind == "duckdb over files":
        yield files_shop(folder)
    elif kind == "sqlite":
        yield sqlite_shop(folder)
    elif kind == "clickhouse":
        yield clickhouse_shop(folder)
    elif kind == "clickhouse over HTTP":
        with clickhouse_http_shop(folder) as shop:
            yield shop
    elif kind == "postgres":
        with postgres_shop(os.environ.get(variable) or request.getfixturevalue("postgres_url")) as shop:
            yield shop
    else:
        with mysql_shop(os.environ.get(variable) or request.getfixturevalue("private_mysql_url")) as shop:
            yield shop
