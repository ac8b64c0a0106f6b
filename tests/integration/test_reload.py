"""A changed configuration under servers and workers that run, as processes: what counts, and what is not lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from machines import make_shop, running, settings_for
from served import ROOT, HttpServer, make_orders, until
from worker_processes import WorkerProcess

from executor import ErrorCode, ExecutorError, Limits
from mcp_server.grants import Policies
from mcp_server.principal import Principal
from mcp_server.problems import Places
from mcp_server.settings import McpServerSettings
from mcp_server.submission import checked_statement

ADA = Principal(client="web", issuer="here", subject="ada")
SLOW = "with recursive r(n) as (select 1 union all select n + 1 from r where n < 400000000) select count(*) as n from r"


class Site:
    """A server without workers of its own, and a worker beside it, over one file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "awaitsql.toml"
        for name in ("orders", "more", "other"):
            make_orders(folder / f"{name}.sqlite")
        self.write(orders="orders")
        self.server = HttpServer(folder, ["--config", str(self.config), "--workers", "0"])

    def write(self, *, rest: str = "", **sources: str) -> None:
        lines = [f'[executor]\nstate_dir = "{self.folder / "state"}"\ndeployment = "site"\nlease_s = 60']
        for name, file in sources.items():
            path = self.folder / f"{file}.sqlite"
            lines.append(f'[executor.sources.{name}]\nkind = "sqlite"\npath = "{path}"\nmax_running = 1')
        self.config.write_text("\n".join([*lines, rest]) + "\n")

    def reload(self) -> tuple[int, list[dict[str, Any]]]:
        command = [sys.executable, "-m", "mcp_server", "reload", "--config", str(self.config), "--json"]
        ran = subprocess.run(
            command, cwd=ROOT, env=self.server.environment(), capture_output=True, text=True, timeout=60, check=False
        )
        told = json.loads(ran.stdout) if ran.stdout.strip() else {}
        return ran.returncode, told.get("processes", [])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, httpx2.Client, WorkerProcess]]:
    site = Site(tmp_path_factory.mktemp("site"))
    worker: list[WorkerProcess] = []

    def start_worker() -> None:
        log = site.folder / "worker.log"
        worker.append(WorkerProcess(site.config, log, environment={"HOME": str(site.folder)}))

    # the server is ready when a worker is there, and the embedded broker is the server's
    starting = threading.Timer(2.0, start_worker)
    starting.start()
    with site.server, httpx2.Client(base_url=site.server.origin, timeout=60) as http:
        starting.join()
        yield site, http, worker[0]
        worker[0].process.kill()
        worker[0].process.wait(10)


def submit(http: httpx2.Client, sql: str, source: str = "orders", wait_s: float = 0) -> dict[str, Any]:
    answer = http.post("/v1/jobs", json={"sql": sql, "source": source, "wait_seconds": wait_s})
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


def look(http: httpx2.Client, job: dict[str, Any], wait_s: float = 0) -> dict[str, Any]:
    return http.get(f"/v1/jobs/{job['job_id']}", params={"wait_seconds": wait_s}).json()


def test_sources_come_and_go_while_jobs_run(site) -> None:
    site, http, worker = site
    done = submit(http, "select 7 as n", wait_s=20)
    assert done["rows"] == [[7]]
    link = http.post(f"/v1/jobs/{done['job_id']}/export").json()["url"]
    assert http.get(link).status_code == 200
    running = submit(http, SLOW)
    until(lambda: look(http, running)["state"] == "running", within_s=20)
    # behind it, because the source takes one at a time
    waiting = submit(http, "select 1 as n")

    site.write(more="more")
    code, processes = site.reload()
    assert (code, {each["what"] for each in processes}) == (0, {"server", "worker"}), processes

    assert [source["name"] for source in http.get("/v1/sources").json()["sources"]] == ["more"]
    assert submit(http, "select count(*) as n from orders", "more", wait_s=20)["rows"] == [[120]]
    assert look(http, running)["state"] == "running", "it goes on under what it was signed with"
    http.delete(f"/v1/jobs/{running['job_id']}")
    ended = look(http, running, wait_s=20)
    assert ended["state"] == "cancelled"
    removed = look(http, waiting, wait_s=20)
    assert (removed["state"], removed["error"]["code"]) == ("failed", "source_removed")
    for path in ("", "/rows"):
        gone = http.get(f"/v1/jobs/{done['job_id']}{path}")
        assert (gone.status_code, gone.json()["code"]) == (410, "source_removed")
    assert http.get(link).json()["code"] == "link_expired"
    assert worker.process.poll() is None


def test_a_wrong_file_changes_nothing_and_is_told(site) -> None:
    site, http, worker = site
    site.write(more="more")
    assert site.reload()[0] == 0
    before = site.config.read_text()
    site.config.write_text(before.replace("max_running = 1", "max_runing = 1"))
    code, _ = site.reload()
    assert code == 2
    # told by a signal, without having been looked at before
    worker.process.send_signal(1)
    site.server.signal(1)
    until(lambda: bool(worker.said("configuration_not_reloaded")), within_s=10)
    assert "max_runing" in worker.said("configuration_not_reloaded")[-1]["error"]
    assert submit(http, "select count(*) as n from orders", "more", wait_s=20)["rows"] == [[120]]
    until(lambda: "configuration_not_reloaded" in (site.folder / "log").read_text(), within_s=10)


def test_policies_of_a_changed_file_hold_for_what_is_asked_and_what_waits(site) -> None:
    site, http, _ = site
    site.write(more="more")
    assert site.reload()[0] == 0
    running = submit(http, SLOW, "more")
    until(lambda: look(http, running)["state"] == "running", within_s=20)
    waiting = submit(http, "select max(total) as t from orders", "more")

    rule = '[[mcp_server.policies.more]]\nroles = []\n[mcp_server.policies.more.protect.orders]\ndeny = ["total"]\n'
    site.write(more="more", rest=rule)
    code, processes = site.reload()
    assert code == 0, processes
    refused = http.post("/v1/jobs", json={"sql": "select total from orders", "source": "more"})
    assert refused.json()["code"] == "unknown_column"
    http.delete(f"/v1/jobs/{running['job_id']}")
    late = look(http, waiting, wait_s=20)
    assert late.get("code", late.get("error", {}).get("code")) == "policy_changed"


def test_what_cannot_change_in_a_running_process_is_told(site) -> None:
    site, _, _ = site
    site.write(more="more", rest="[mcp_server]\nport = 9999\n")
    code, processes = site.reload()
    assert code == 0
    assert all("[mcp_server] port" in each["at_restart"] for each in processes)


def test_the_workers_of_all_machines_are_listed(site) -> None:
    site, _, worker = site
    command = [sys.executable, "-m", "mcp_server", "workers", "--config", str(site.config), "--json"]
    ran = subprocess.run(
        command, cwd=ROOT, env=site.server.environment(), capture_output=True, text=True, timeout=60, check=True
    )
    [seen] = json.loads(ran.stdout)["workers"]
    assert (seen["pid"], seen["leaves"], list(seen["sources"])) == (worker.process.pid, False, ["more"])


def test_a_worker_that_was_not_told_leaves_the_jobs_of_a_changed_source_to_another(site) -> None:
    site, http, worker = site
    site.write(more="other")
    left = len(worker.said("job_left_for_another"))
    site.server.signal(1)
    # the server's own first: what tables there are
    until(lambda: len(worker.said("job_left_for_another")) > left, within_s=20)
    assert worker.said("job_left_for_another")[-1]["why"] == "source"
    assert site.reload()[0] == 0
    assert submit(http, "select 7 as n", "more", wait_s=20)["rows"] == [[7]]


async def test_a_statement_that_was_checked_against_another_database_is_not_signed(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("first", "second")]
    for path in paths:
        path.mkdir()
    first, second = (settings_for(tmp_path, make_shop(path), deployment="site") for path in paths)
    none = first.model_copy(update={"sources": {}})
    codes: list[ErrorCode] = []
    async with running(first) as machine:
        policies = Policies(McpServerSettings(), Places())
        statement = await checked_statement(
            machine.executor, policies, ADA, "SELECT count(*) AS n FROM orders", source="shop", limits=Limits()
        )
        for settings in (second, none):
            await machine.executor.reload(settings, policy_version="", published={})
            with pytest.raises(ExecutorError) as refused:
                await machine.executor.submit(statement, owner=ADA.owner)
            codes.append(refused.value.code)

    assert codes == [ErrorCode.STATEMENT_EXPIRED, ErrorCode.SOURCE_REMOVED]
