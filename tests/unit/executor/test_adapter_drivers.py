from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from executor import ClickHouseSource, DuckDBSource, ErrorCode, ExecutorError, MySQLSource, PostgresSource
from executor.adapters import make_adapter

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf8"))["project"]


@pytest.mark.parametrize(
    ("config", "module", "driver"),
    [
        (DuckDBSource(path=Path("shop.duckdb")), "executor.adapters.duckdb", "duckdb"),
        (PostgresSource(url="postgresql://h/d"), "executor.adapters.postgres", "psycopg"),
        (MySQLSource(url="mysql://h/d"), "executor.adapters.mysql", "pymysql"),
        (ClickHouseSource(path=Path("shop.chdb")), "executor.adapters.clickhouse", "chdb"),
        (ClickHouseSource(url="clickhouse://h/d"), "executor.adapters.clickhouse", "clickhouse_connect"),
    ],
)
def test_a_missing_driver_is_told_with_the_extra_that_brings_it(monkeypatch, config, module, driver):
    for name in [n for n in sys.modules if n.startswith((module, "executor.adapters.chdb"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, driver, None)  # what Python itself does for a module that is not there

    with pytest.raises(ExecutorError) as caught:
        make_adapter("shop", config)

    assert caught.value.code is ErrorCode.SOURCE_UNAVAILABLE
    assert f"awaitsql[{config.kind}]" in caught.value.hint
    assert config.kind in PROJECT["optional-dependencies"]


@pytest.mark.parametrize("config", [PostgresSource(url="postgresql://h/d"), MySQLSource(url="mysql://h/d")])
def test_the_workers_own_trouble_is_told_from_a_value_that_cannot_be_read(config, caplog):
    adapter = make_adapter("shop", config)

    own = adapter.classify(RuntimeError("can't start new thread"))
    value = adapter.classify(ValueError("year 0 is out of range"))

    assert "unexpected way (RuntimeError)" in own.message
    assert "thread" not in own.message + own.hint
    assert [(r.getMessage(), str(r.exc_info[1])) for r in caplog.records] == [("job_crashed", "can't start new thread")]
    assert "could not be read (ValueError)" in value.message
