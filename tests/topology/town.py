"""The services of docker-compose.yml as processes, each on a host of its own, started by the file's own commands.

Paths, names and secrets are the file's; `Hosts` says where they are on this machine. `stores` starts what keeps things.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis
from compose_file import ROOT, Service, services
from hosts import Hosts

DOOR = "http://localhost:8080"
"""By which name callers know the proxy."""

QUICK = {
    f"AWAITSQL_EXECUTOR__{name}": value
    for name, value in {"LEASE_S": "2", "BEAT_S": "0.5", "CLAIM_TIMEOUT_S": "2", "PRINCIPAL_MAX_RUNNING": "8"}.items()
}
"""Settings under which what is lost is found out within a test's patience."""


def until(condition: Callable[[], Any], *, within_s: float, what: str, log: Path | None = None) -> Any:
    """What `condition` gives, once that is true. The end of `log` says why it did not come to be."""
    end = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end, f"in {within_s} s not: {what}\n{log.read_text()[-3000:] if log else ''}"
        time.sleep(0.05)
    return found


@dataclass
class Town:
    """The hosts and what runs on them. Names are those of services, workers are ``worker-1``, ``worker-2`` …"""

    hosts: Hosts
    asking: dict[str, str]
    """Variables of whoever starts it, which the file hands on to some."""
    settings: dict[str, str]
    """Variables of all of them, beside the file's."""
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _services: dict[str, Service] = field(default_factory=services)

    def service(self, name: str) -> Service:
        """The service that runs on the host `name`."""
        return self._services.get(name) or self._services[name.rpartition("-")[0]]

    # -- files -----------------------------------------------------------------------------------------------------

    def furnish(self, name: str, secrets: Path) -> None:
        """Lays out the files of the host as the file says: what is mounted, its volumes, and its secrets alone."""
        service, root = self.service(name), self.hosts.root(name)
        for target, source in service.files.items():
            copied = root / target.lstrip("/")
            copied.parent.mkdir(parents=True, exist_ok=True)
            if Path(ROOT, source).is_dir():
                shutil.copytree(ROOT / source, copied, dirs_exist_ok=True)
            else:
                copied.write_text((ROOT / source).read_text())
            for file in [copied] if copied.is_file() else [f for f in copied.rglob("*") if f.is_file()]:
                file.write_text(self.mapped(name, file.read_text()))
        for folder in (*service.volumes, "/tmp", "/run/secrets", "/var/lib/awaitsql"):
            (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for folder, volume in service.volumes.items():
            shared = root.parent / f"volume-{volume}"
            shared.mkdir(exist_ok=True)
            self.hosts.share(name, folder, shared)
        for secret in service.secrets:
            kept = root / "run/secrets" / secret
            kept.unlink(missing_ok=True)
            shutil.copy(secrets / secret, kept)

    def mapped(self, name: str, text: str) -> str:
        """`text` with the paths and the names of hosts as they are on this machine."""
        service = self.service(name)
        places = {*service.files, *service.volumes, "/run/secrets", "/var/lib/awaitsql"}
        text = re.sub("|".join(map(re.escape, sorted(places))), lambda found: self.hosts.path(found[0]), text)
        for host, address in self.hosts.addresses.items():
            text = re.sub(rf"(?<![\w.-]){host}(?=:\d)", address, text)
        return text

    def _words(self, name: str, command: Sequence[str]) -> list[str]:
        return [self.hosts.listening(name, self.mapped(name, word)) for word in command]

    # -- processes -------------------------------------------------------------------------------------------------

    def start(self, name: str, command: Sequence[str] = (), *, user: str = "") -> None:
        """Starts the host's service by the file's command, or by what stands for it."""
        words = [*_as(user), *self._words(name, command or self.service(name).command)]
        with self.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self.hosts.command(name, words, confined=not user),
                cwd="/",
                env=self.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, name: str, command: Sequence[str], *, user: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a command on the host to its end, as ``docker compose exec`` does."""
        words = [*_as(user), *self._words(name, command)]
        return subprocess.run(
            self.hosts.command(name, words, confined=not user),
            cwd="/",
            env=self.environment(name),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def is_well(self, name: str) -> bool:
        """Whether the service's own health check says so."""
        return self.run(name, self.service(name).health).returncode == 0

    def until_well(self, *names: str, within_s: float = 40) -> None:
        """Waits until the services' own health checks say so."""
        for name in names:
            until(lambda name=name: self.is_well(name), within_s=within_s, what=f"{name} is well", log=self.log(name))

    def pid(self, name: str) -> int:
        """Of the host's service."""
        return self._processes[name].pid

    def running(self) -> list[str]:
        """The hosts whose service has not ended."""
        return [name for name, process in self._processes.items() if process.poll() is None]

    def kill(self, name: str) -> None:
        """SIGKILL, to the process and what it started."""
        os.killpg(self.pid(name), signal.SIGKILL)
        self._processes[name].wait(10)

    def stop(self, name: str, *, within_s: float) -> None:
        """As ``docker compose stop``: SIGTERM, and it has so long to go by itself."""
        self._processes[name].terminate()
        self._processes[name].wait(within_s)

    def cut(self, name: str) -> None:
        """Pulls the host's cable."""
        self.hosts.cut(name, [self.pid(name)])

    def mend(self, name: str) -> None:
        """Puts it in again."""
        self.hosts.mend(name, [self.pid(name)])

    def log(self, name: str) -> Path:
        """What the host's service has written."""
        return self.hosts.root(name) / f"{name}.log"

    def environment(self, name: str) -> dict[str, str]:
        """As the image's and the file's, and what makes the lease short."""
        place = self.hosts.path("")
        made = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": f"{place}/tmp",
            "TMPDIR": f"{place}/tmp",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            "AWAITSQL_MCP_SERVER__HOST": self.hosts.listening(name, "0.0.0.0"),
            "AWAITSQL_EXECUTOR__METRICS_HOST": self.hosts.listening(name, "0.0.0.0"),
            **self.settings,
        }
        for key, value in self.service(name).environment.items():
            if value is not None:
                made[key] = self.mapped(name, value)
            elif key in self.asking:
                made[key] = self.asking[key]
        return made

    def until_valkey(self) -> None:
        """Waits until Valkey answers its health check: there is no ``valkey-cli`` among the tests' packages."""

        def pongs() -> bool:
            try:
                return bool(redis.Redis(host=self.hosts.addresses["valkey"], socket_timeout=2).ping())
            except redis.RedisError:
                return False

        until(pongs, within_s=20, what="Valkey answers", log=self.log("valkey"))

    # -- what the database sees ------------------------------------------------------------------------------------

    def database(self, name: str = "shop") -> psycopg.Connection[Any]:
        """PostgreSQL as its owner sees it."""
        address = self.hosts.addresses["postgres"]
        return psycopg.connect(host=address, dbname=name, user="postgres", autocommit=True, connect_timeout=5)

    def statements(self, mark: str) -> list[tuple[str, int]]:
        """Address and port of the connections whose running statement holds `mark`."""
        with self.database() as connection:
            found = connection.execute(
                "SELECT host(client_addr), client_port FROM pg_stat_activity"
                " WHERE state = 'active' AND usename = 'reader' AND query LIKE %s",
                (f"%{mark}%",),
            )
            return [(str(address), int(port)) for address, port in found]

    def worker_of(self, mark: str, *, within_s: float = 15) -> str:
        """The worker that has the one running statement that holds `mark`, once there is one."""

        def holder() -> str:
            ends = self.statements(mark)
            workers = [name for name in self.running() if name.startswith("worker-")]
            found = [name for name in workers if any(self.hosts.has(name, [self.pid(name)], *end) for end in ends)]
            return found[0] if found else ""

        return until(holder, within_s=within_s, what=f"a worker runs {mark}")

    def close(self) -> None:
        """Ends everything that runs; the databases last, so that nobody waits for them."""
        last = ("postgres", "valkey", "s3")
        for name in sorted(self.running(), key=lambda name: name in last):
            os.killpg(self.pid(name), signal.SIGKILL)
        for process in self._processes.values():
            process.wait(10)


def _as(user: str) -> list[str]:
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
