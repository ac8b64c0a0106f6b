"""The description of ``/v1`` is held against a real server: what it promises is answered, what it forbids refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    with sqlite3.connect(home / "shop.sqlite") as made:
        made.execute("create table orders (id integer primary key, total real)")
    made.close()
    yield "x"
