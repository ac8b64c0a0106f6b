"""The SQL that the documents give for a role that can only read, run as it stands there: it makes one."""

from __future__ import annotations

import re
import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
from databases import Database, at_database, mysql_connection, rows_of
from documents import document

from executor.adapters import make_adapter
from executor.sources import AnySource, MySQLSource, PostgresSource, SecretRef

PASSWORD = "choose-one"
WRITES = (
    "INSERT INTO {s}.customers VALUES (9, 'x')",
    "UPDATE {s}.customers SET name = 'x'",
    "DELETE FROM {s}.orders",
    "DROP TABLE {s}.orders",
    "CREATE TABLE {s}.made (a INTEGER)",
)


def statements(kind: str, **names: str) -> list[str]:
    """What the document tells the owner of a database of that kind to run, with other names in it."""
    [block] = [block for block in document("docs/sources.md").blocks("sql") if block.mark == kind]
    text = re.sub(r" --.*", "", block.text)
    for name, other in names.items():
        assert name in text
        text = text.replace(name, other)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def assert_reads_and_nothing_else(source: AnySource, schema: str) -> None:
    """Through the adapter: it finds its tables, reads them, and `doctor` has nothing to say against its role."""
    with closing(make_adapter("shop", source)) as adapter:
        assert {"customers", "orders", "spent"} <= {table.name for table in adapter.inspect().tables}
        assert len(rows_of(adapter, f"SELECT name FROM {schema}.customers")) == 3
        assert [(finding.level, finding.message) for finding in adapter.probe() if finding.level != "ok"] == []


@pytest.fixture
def password(tmp_path: Path) -> SecretRef:
    (tmp_path / "password").write_text(PASSWORD)
    return SecretRef(file=tmp_path / "password")


def test_the_role_for_postgresql_can_read_and_nothing_else(
    postgres_database: Database, postgres_url: str, password: SecretRef
) -> None:
    schema, role = postgres_database.schema, f"reader_{uuid.uuid4().hex[:8]}"
    base = urlsplit(postgres_url).path.strip("/")
    url = postgres_url.replace("postgres@", f"{role}@")
    postgres_database.as_owner(*statements("postgres", shop=base, public=schema, awaitsql_reader=role))
    try:
        assert_reads_and_nothing_else(PostgresSource(url=url, password=password, schemas=(schema,)), schema)
        for sql in WRITES:
            with psycopg.connect(url, password=PASSWORD, autocommit=True) as raw:
                raw.execute("SET default_transaction_read_only = off")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    raw.execute(sql.format(s=schema).encode())
        postgres_database.as_owner(f"CREATE TABLE {schema}.later (a int)")
        with psycopg.connect(url, password=PASSWORD) as raw:
            assert raw.execute(f"SELECT count(*) FROM {schema}.later".encode()).fetchone() == (0,)
    finally:
        postgres_database.as_owner(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_the_user_for_mariadb_can_read_and_nothing_else(
    mysql_database: Database, mysql_url: str, password: SecretRef
) -> None:
    schema, user = mysql_database.schema, f"reader_{uuid.uuid4().hex[:8]}"
    url = at_database(mysql_url.replace("root@", f"{user}@"), schema)
    mysql_database.as_owner(*statements("mysql", shop=schema, awaitsql_reader=user))
    try:
        assert_reads_and_nothing_else(MySQLSource(url=url, password=password), schema)
        with mysql_connection(url, password=PASSWORD) as raw, raw.cursor() as cursor:
            for sql in WRITES:
                with pytest.raises(pymysql.MySQLError, match="denied"):
                    cursor.execute(sql.format(s=schema))
    finally:
        mysql_database.as_owner(f"DROP USER '{user}'@'%'")


def test_what_doctor_prints_for_a_superuser_is_what_the_document_says(postgres_database: Database) -> None:
    with closing(postgres_database.adapter()) as adapter:
        (finding,) = adapter.probe()
    base = urlsplit(str(getattr(postgres_database.config, "url", ""))).path.strip("/")
    told = [line for line in finding.fix.splitlines() if not line.startswith("--")]
    printed = [line.replace('"', "").replace("'…'", f"'{PASSWORD}'").rstrip(";") for line in told]
    names = {"shop": base, "public": postgres_database.schema}
    assert printed == [" ".join(statement.split()) for statement in statements("postgres", **names)]
