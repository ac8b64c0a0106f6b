"""The configuration: file, environment and ``--db``, and what is said of each mistake."""

from __future__ import annotations

import re
import sqlite3
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
from pydantic import BaseModel

from executor import (
    DuckDBSource,
    ErrorCode,
    ExecutorSettings,
    HistorySettings,
    LimitSettings,
    MySQLSource,
    PostgresSource,
    ProfileSettings,
    SecretRef,
    SettingsInvalid,
    SQLiteSource,
    TracingSettings,
)
from mcp_server.ask_settings import AskSettings
from mcp_server.policy_settings import CostSettings, LocalPrincipalSettings, ProtectSettings, RuleSettings
from mcp_server.settings import McpServerSettings, Settings, load_settings

EXAMPLE = Path(__file__).parents[3] / "config.example.toml"


def load(
    config: Path | None = None, databases: Sequence[str | Path] = (), environ: Mapping[str, str] | None = None
) -> Settings:
    return load_settings(config=config, databases=[str(d) for d in databases], environ=environ or {})


def refusal(
    config: Path | None = None, databases: Sequence[str | Path] = (), environ: Mapping[str, str] | None = None
) -> SettingsInvalid:
    with pytest.raises(SettingsInvalid) as caught:
        load(config, databases, environ)
    assert caught.value.code is ErrorCode.INVALID_SETTINGS
    assert "pydantic" not in caught.value.message
    return caught.value


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "awaitsql.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
    connection.close()
    return path


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    path = tmp_path / "lake.bin"
    duckdb.connect(str(path)).execute("CREATE TABLE t (x INT)").close()
    return path


# The file


def test_nothing_given_is_all_defaults_and_no_source() -> None:
    settings = load()
    assert settings.executor.sources == {}
    assert settings.mcp_server == McpServerSettings()
    assert settings.executor.state_dir.is_absolute()
    assert settings.secrets == {}


def test_a_file_gives_tables_and_sources(written: Any) -> None:
    config = written("""
[executor]
lease_s = 5
[executor.limits]
max_rows = 10
[executor.sources.shop]
kind = "sqlite"
path = "data/shop.db"
[mcp_server]
port = 9000
""")
    settings = load(config)
    assert settings.executor.lease_s == 5
    assert settings.executor.limits.max_rows == 10
    assert settings.executor.sources == {"shop": SQLiteSource(path=config.parent / "data/shop.db")}
    assert settings.mcp_server.port == 9000


def test_every_path_in_a_file_begins_at_its_folder_or_at_home(written: Any) -> None:
    config = written("""
[executor]
state_dir = "../state"
results_dir = "~/results"
signing_key = { file = "key" }
[executor.sources.a]
kind = "duckdb"
files = ["x.csv", "/abs/y.parquet", "./z/../w.tsv"]
[executor.sources.b]
kind = "postgres"
url = "postgresql://u@h/b"
password = { file = "pw" }
""")
    executor = load(config).executor
    folder = config.parent
    assert executor.state_dir == folder.parent / "state"
    assert executor.results_dir == Path.home() / "results"
    assert executor.signing_key == SecretRef(file=folder / "key")
    a, b = executor.sources["a"], executor.sources["b"]
    assert isinstance(a, DuckDBSource)
    assert isinstance(b, PostgresSource)
    assert a.files == (folder / "x.csv", Path("/abs/y.parquet"), folder / "w.tsv")
    assert b.password == SecretRef(file=folder / "pw")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[executor]\n\nleese_s = 3", "awaitsql.toml:3: [executor] leese_s is not a setting. Did you mean lease_s?"),
        ("[exeuctor]\nlease_s = 3", "awaitsql.toml:1: [exeuctor] is not a table of this file. Did you mean executor?"),
        (
            "[mcp_server]\nport = 99999",
            "awaitsql.toml:2: [mcp_server] port must be less than or equal to 65535, not 99999.",
        ),
        (
            "[executor]\nfsync = 'never'",
            "awaitsql.toml:2: [executor] fsync must be 'everysec' or 'always', not 'never'.",
        ),
        (
            "[executor.limits]\nmax_rows = 'many'",
            "awaitsql.toml:2: [executor.limits] max_rows must be a valid integer.",
        ),
        (
            "[executor.sources.shop]\nkind = 'oracle'\nurl = 'x'",
            "awaitsql.toml:2: [executor.sources.shop] kind = 'oracle' is no kind of source: "
            'write "duckdb", "sqlite", "postgres", "mysql", "clickhouse", "trino", "snowflake", "bigquery" or "mssql".',
        ),
        ("[executor.sources.shop]\npath = 'x'", "awaitsql.toml:1: [executor.sources.shop] kind is missing"),
        ("[executor.sources.shop]\nkind = 'sqlite'", "awaitsql.toml:1: [executor.sources.shop] path is missing."),
        (
            "[executor.sources.shop]\nkind = 'sqlite'\npaht = 'x'\npath = 'y'",
            "awaitsql.toml:3: [executor.sources.shop] paht is not a setting. Did you mean path?",
        ),
        (
            "[executor.sources.x]\nkind = 'duckdb'",
            'awaitsql.toml:1: [executor.sources] x: give exactly one of path = "FILE.duckdb" or files',
        ),
        ("[executor.sources.Shop]\nkind = 'sqlite'\npath = 'x'", "source name 'Shop': use lower-case letters"),
        ("executor = 5", "awaitsql.toml:1: [executor] must be a table."),
        ("[executor]\nlease_s = \n", "awaitsql.toml is not TOML: Invalid value (at line 2"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_place(written: Any, text: str, told: str) -> None:
    assert told in refusal(written(text)).message


def test_every_problem_has_a_line_of_its_own(written: Any) -> None:
    config = written("[executor]\nleese_s = 3\nattempts = 0\n[mcp_server]\nprot = 1\n")
    assert len(refusal(config, environ={"AWAITSQL_MCP_SERVER__PROT": "1"}).message.splitlines()) == 4


def test_a_secret_written_into_the_file_is_refused_and_not_repeated(written: Any) -> None:
    config = written(
        "[executor]\nsigning_key = 'hunter2'\n[executor.sources.p]\nkind = 'postgres'\n"
        "url = 'postgresql://u:hunter2@h/d'\n[executor.sources.q]\nkind = 'postgres'\n"
        "url = 'postgresql://u@h/d'\npassword = 'hunter2'\n"
    )
    error = refusal(config)
    assert len(error.message.splitlines()) == 3
    assert "hunter2" not in error.message + error.hint


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert str(tmp_path / "none.toml") in refusal(tmp_path / "none.toml").message


# The environment


def test_a_variable_comes_before_the_file(written: Any) -> None:
    config = written("[executor]\nlease_s = 5\n[executor.sources.shop]\nkind = 'sqlite'\npath = 'x'\n")
    settings = load(
        config,
        environ={
            "AWAITSQL_EXECUTOR__LEASE_S": "7.5",
            "AWAITSQL_EXECUTOR__LIMITS__MAX_ROWS": "10",
            "AWAITSQL_EXECUTOR__SOURCES__SHOP__DESCRIPTION": "all orders",
            "AWAITSQL_EXECUTOR__BROKER_PASSWORD__ENV": "SECRET",
            "AWAITSQL_EXECUTOR__RESULTS_DIR": "results",
            "AWAITSQL_MCP_SERVER__ALLOWED_HOSTS": "a.example, b.example",
            "AWAITSQL_MCP_SERVER__ALLOWED_ORIGINS": '["https://a.example"]',
            "AWAITSQL_EXECUTOR__BROKER_URL": "",
            "HOME": "/nowhere",
        },
    )
    assert settings.executor.lease_s == 7.5
    assert settings.executor.limits.max_rows == 10
    assert settings.executor.sources["shop"].description == "all orders"
    assert settings.executor.broker_password == SecretRef(env="SECRET")
    assert settings.executor.results_dir == Path.cwd() / "results"
    assert settings.executor.broker_url is None
    assert settings.mcp_server.allowed_hosts == ("a.example", "b.example")
    assert settings.mcp_server.allowed_origins == ("https://a.example",)


def test_opentelemetrys_own_variable_counts_where_no_setting_says_where_spans_go(written: Any) -> None:
    theirs = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://theirs:4318"}
    ours = {"AWAITSQL_EXECUTOR__TRACING__OTLP_ENDPOINT": "http://ours:4318"}
    config = written("[executor.tracing]\notlp_endpoint = 'https://file.example/otlp'\n")
    assert load(environ=theirs).executor.tracing.otlp_endpoint == "http://theirs:4318"
    assert load(environ=theirs | ours).executor.tracing.otlp_endpoint == "http://ours:4318"
    assert load(config, environ=theirs).executor.tracing.otlp_endpoint == "https://file.example/otlp"
    assert load(environ={"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}).executor.tracing.otlp_endpoint == ""
    assert load().executor.tracing.otlp_endpoint == ""


def test_an_endpoint_with_a_password_in_it_is_refused(written: Any) -> None:
    refused = refusal(written("[executor.tracing]\notlp_endpoint = 'http://user:secret@host:4318'\n"))
    assert "OTEL_EXPORTER_OTLP_HEADERS" in refused.message
    assert "secret" not in refused.message


@pytest.mark.parametrize(
    "origin", ["*", "null", "app.example", "https://app.example/", "https://app.example/mcp", "https://*.example", ""]
)
def test_what_no_browser_sends_is_no_origin(written: Any, origin: str) -> None:
    error = refusal(written(f"[mcp_server]\nallowed_origins = [{origin!r}]\n"))
    assert "allowed_origins" in error.message
    assert "scheme://host" in error.message


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AWAITSQL_EXECUTOR__LEESE_S", "AWAITSQL_EXECUTOR__LEASE_S"),
        ("AWAITSQL_EXECUTOR_LEASE_S", "AWAITSQL_EXECUTOR__LEASE_S"),
        ("AWAITSQL_MCPSERVER__PORT", "AWAITSQL_MCP_SERVER__PORT"),
        ("AWAITSQL_EXECUTOR__SOURCES__SHOP__PAHT", "AWAITSQL_EXECUTOR__SOURCES__SHOP__PATH"),
    ],
)
def test_a_variable_that_names_no_setting_is_refused(written: Any, name: str, meant: str) -> None:
    config = written("[executor.sources.shop]\nkind = 'sqlite'\npath = 'x'\n")
    message = refusal(config, environ={name: "1"}).message
    assert name in message
    assert f"Did you mean {meant}" in message


def test_a_variable_that_names_a_table_is_refused_with_an_example() -> None:
    message = refusal(environ={"AWAITSQL_EXECUTOR__LIMITS": "5"}).message
    assert "such as AWAITSQL_EXECUTOR__LIMITS__MAX_ROWS" in message


def test_a_wrong_value_names_the_variable() -> None:
    message = refusal(environ={"AWAITSQL_EXECUTOR__LEASE_S": "0"}).message
    assert message.startswith("Environment variable AWAITSQL_EXECUTOR__LEASE_S must be greater than or equal to 1")


# --db


def test_a_sqlite_or_duckdb_file_is_known_by_its_bytes_whatever_its_suffix(shop: Path, lake: Path) -> None:
    odd = shop.rename(shop.with_name("Shop 2024.data"))
    assert load(databases=[odd, lake]).executor.sources == {
        "shop_2024": SQLiteSource(path=odd),
        "lake": DuckDBSource(path=lake),
    }


def test_a_path_is_made_absolute(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.parent)
    for text in ("shop.db", "./shop.db", "sqlite:///shop.db", f"sqlite:///{shop}", f"sqlite://{shop}"):
        assert load(databases=[text]).executor.sources == {"shop": SQLiteSource(path=shop)}


def test_one_data_file_is_a_source_of_its_name_and_several_are_one_source(tmp_path: Path) -> None:
    orders, people = tmp_path / "Orders.csv", tmp_path / "people.parquet"
    orders.write_text("id\n1\n")
    pa.parquet.write_table(pa.table({"id": [1]}), people)
    assert load(databases=[orders]).executor.sources == {"orders": DuckDBSource(files=(orders,))}
    assert load(databases=[orders, people]).executor.sources == {"files": DuckDBSource(files=(orders, people))}


def test_a_folder_is_one_source_of_its_data_files(tmp_path: Path) -> None:
    folder = tmp_path / "2024-export"
    folder.mkdir()
    for name in ("b.jsonl", "a.tsv", "notes.txt", ".hidden.csv", "c.ndjson"):
        (folder / name).write_text("{}\n")
    (folder / "empty.csv").touch()
    assert load(databases=[folder]).executor.sources == {
        "db_2024_export": DuckDBSource(files=(folder / "a.tsv", folder / "b.jsonl", folder / "c.ndjson"))
    }


def test_names_are_made_unique_and_join_those_of_the_file(shop: Path, written: Any, tmp_path: Path) -> None:
    config = written("[executor.sources.shop]\nkind = 'sqlite'\npath = 'other.db'\n")
    other = tmp_path / "more"
    other.mkdir()
    copy = other / "SHOP.db"
    copy.write_bytes(shop.read_bytes())
    sources = load(config, [shop, copy, shop]).executor.sources
    assert list(sources) == ["shop", "shop_2", "shop_3"]
    assert sources["shop_2"] == SQLiteSource(path=shop)


@pytest.mark.parametrize(
    ("url", "name", "kept", "password"),
    [
        (
            "postgresql://ann:p%40ss@h:5432/Sales-2?sslmode=require",
            "sales_2",
            "postgresql://ann@h:5432/Sales-2?sslmode=require",
            "p@ss",
        ),
        ("postgres://ann@h/sales", "sales", "postgresql://ann@h/sales", ""),
        (
            "postgresql+psycopg://h/sales?password=p%26q+&options=-c%20a%3Db",
            "sales",
            "postgresql://h/sales?options=-c%20a%3Db",
            "p&q+",
        ),
        ("postgresql://ann:pw@h", "ann", "postgresql://ann@h", "pw"),
        ("postgresql://ann:a:b@[::1]:5432/d", "d", "postgresql://ann@[::1]:5432/d", "a:b"),
    ],
)
def test_a_postgres_url_gives_up_its_password(url: str, name: str, kept: str, password: str) -> None:
    settings = load(databases=[url])
    variable = f"_DB_PASSWORD_{name.upper()}"
    reference = SecretRef(env=variable) if password else None
    assert settings.executor.sources == {name: PostgresSource(url=kept, password=reference)}
    assert settings.secrets == ({variable: password} if password else {})
    assert not password or password not in repr(settings)


@pytest.mark.parametrize(
    ("url", "name", "kept", "password"),
    [
        ("mysql://ann:p%40ss@h/sales", "sales", "mysql://ann@h/sales", "p@ss"),
        ("mariadb://ann@h:3307/Sales", "sales", "mariadb://ann@h:3307/Sales", ""),
        ("mysql+pymysql://ann:a:b@[::1]/d?ssl-mode=required", "d", "mysql://ann@[::1]/d?ssl-mode=required", "a:b"),
        ("mysql://ann@h/d?password=x%26y&ssl-ca=/a%20b", "d", "mysql://ann@h/d?ssl-ca=/a%20b", "x&y"),
    ],
)
def test_a_mysql_url_gives_up_its_password(url: str, name: str, kept: str, password: str) -> None:
    settings = load(databases=[url])
    variable = f"_DB_PASSWORD_{name.upper()}"
    reference = SecretRef(env=variable) if password else None
    assert settings.executor.sources == {name: MySQLSource(url=kept, password=reference)}
    assert settings.secrets == ({variable: password} if password else {})
    assert not password or password not in repr(settings)


def test_a_value_that_is_no_database_is_told(tmp_path: Path, shop: Path) -> None:
    (tmp_path / "notes.txt").write_text("remember the milk")
    (tmp_path / "fake.parquet").write_text("remember the milk")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "bare").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "shop.db").write_bytes(shop.read_bytes())
    for value, told in [
        ("notes.txt", "notes.txt is not a database"),
        ("fake.parquet", "does not begin as a Parquet file"),
        ("empty.csv", "is empty"),
        ("bare", "holds no CSV, TSV, JSON-lines or Parquet files"),
        ("full", "It holds shop.db."),
        ("none.db", "There is no file"),
    ]:
        assert told in refusal(databases=[tmp_path / value]).message
    assert refusal(databases=[tmp_path / "shopp.db"]).hint == f"Did you mean {shop}?"


@pytest.mark.parametrize(
    "value",
    [
        "oracle://u:hunter2@h/d",
        "mysql://u:hunter2@h",
        "mysql://u:hunter2@h/d?local-infile=1",
        "mariadb://u:hunter2@[h/d",
        "host=h dbname=d password=hunter2",
        "postgresql://u:hunter2@[h/d",
        "",
        "sqlite:///no.db",
        "s3://b/x",
    ],
)
def test_an_address_that_cannot_be_used_is_told_without_its_password(value: str) -> None:
    error = refusal(databases=[value])
    assert "hunter2" not in error.message + error.hint
    assert error.hint


def test_a_url_of_one_kind_is_not_taken_for_another(shop: Path) -> None:
    assert "not a DuckDB database" in refusal(databases=[f"duckdb:///{shop}"]).message


# The example


def documented() -> dict[str, Any]:
    """The example with every setting switched on."""
    return tomllib.loads(re.sub(r"^#(?=\S)", "", EXAMPLE.read_text(), flags=re.MULTILINE))


def test_the_example_loads() -> None:
    sources = load(EXAMPLE).executor.sources
    assert {source.kind for source in sources.values()} == {"sqlite", "duckdb", "postgres", "mysql", "clickhouse"}


def test_the_example_loads_with_every_setting_switched_on(tmp_path: Path) -> None:
    config = tmp_path / "awaitsql.toml"
    config.write_text(re.sub(r"^#(?=\S)", "", EXAMPLE.read_text(), flags=re.MULTILINE))
    load(config)


_EXAMPLES: dict[type[BaseModel], tuple[str, ...]] = {
    ExecutorSettings: ("limits", "history", "profile", "tracing", "sources", "realm", "deployment"),
    HistorySettings: ("url",),
    TracingSettings: ("otlp_endpoint",),
    DuckDBSource: ("files",),
    McpServerSettings: ("ask", "cost", "local_principal"),
    AskSettings: ("input_price", "output_price"),
    LocalPrincipalSettings: ("roles",),
    RuleSettings: ("name", "roles", "views"),
    ProtectSettings: ("deny",),
}
"""Settings that the example shows with a value of its own."""


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (ExecutorSettings, ("executor",)),
        (LimitSettings, ("executor", "limits")),
        (HistorySettings, ("executor", "history")),
        (ProfileSettings, ("executor", "profile")),
        (TracingSettings, ("executor", "tracing")),
        (SQLiteSource, ("executor", "sources", "shop")),
        (DuckDBSource, ("executor", "sources", "exports")),
        (PostgresSource, ("executor", "sources", "warehouse")),
        (MySQLSource, ("executor", "sources", "orders")),
        (McpServerSettings, ("mcp_server",)),
        (AskSettings, ("mcp_server", "ask")),
        (CostSettings, ("mcp_server", "cost")),
        (LocalPrincipalSettings, ("mcp_server", "local_principal")),
        (RuleSettings, ("mcp_server", "policies", "warehouse", "0")),
        (ProtectSettings, ("mcp_server", "policies", "warehouse", "0", "protect", "customers")),
    ],
)
def test_the_example_documents_every_setting_with_its_default(model: type[BaseModel], path: tuple[str, ...]) -> None:
    table: Any = documented()
    for key in path:
        table = table[int(key)] if key.isdigit() else table[key]
    one_of = {DuckDBSource: "path", ProtectSettings: "columns"}  # of two settings, the other one is shown
    assert set(table) == set(model.model_fields) - {one_of.get(model, "")}
    for key, field in model.model_fields.items():
        is_plain = not field.is_required() and field.default is not None and field.default_factory is None
        if is_plain and key in table and key not in _EXAMPLES.get(model, ()):
            value = tuple(table[key]) if isinstance(table[key], list) else table[key]
            assert value == field.default, key
