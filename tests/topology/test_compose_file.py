"""docker-compose.yml and what belongs to it, read: it needs no engine to see that they are whole, pinned and closed."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_file import FILE, PROGRAMS, ROOT, Service, document, services
from compose_spec import PyCompose

from mcp_server.settings import load_settings

COMPOSE = ROOT / "examples/compose"
DOCKERFILE = COMPOSE / "Dockerfile"
ONCE = "bucket"
"""The one service that ends by itself."""
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY")


def _installed(command: str) -> Path:
    """As `pytest` itself is called by README: out of an environment that nobody has activated."""
    return Path(sys.executable).with_name(command)


def parsed(told: dict[str, Any]) -> PyCompose:
    read = PyCompose.from_json(json.dumps(told))
    read.validate()
    return read


def seconds(told: str) -> int:
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", told)
    assert found is not None, told
    return int(found[1] or 0) * 60 + int(found[2] or 0)


def megabytes(told: str) -> int:
    return int(told[:-1]) * {"m": 1, "g": 1024}[told[-1]]


@pytest.fixture(params=services().values(), ids=lambda service: service.name)
def service(request: pytest.FixtureRequest) -> Service:
    return request.param


def test_the_file_is_one_of_the_compose_specification() -> None:
    assert set(parsed(document()).service_names()) == set(services())


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("healthcheck:", "healthchek:"),
        ("condition: service_healthy", "condition: service_healty"),
        ("[inside, databases]", "[inside, nowhere]"),
        ("model_key]", "no_such_key]"),
    ],
)
def test_a_slip_in_the_file_would_be_seen(right: str, wrong: str) -> None:
    told = FILE.read_text()
    assert right in told
    with pytest.raises(ValueError, match=wrong.rsplit(maxsplit=1)[-1].strip(":]")):
        parsed(yaml.safe_load(told.replace(right, wrong)))


def test_each_image_is_of_one_version(service: Service) -> None:
    _, _, version = service.told["image"].rpartition(":")
    assert re.match(r"v?\d+\.\d+", version), service.told["image"]


def test_each_service_is_closed_bounded_and_looked_after(service: Service) -> None:
    told = service.told
    assert "no-new-privileges:true" in told["security_opt"]
    assert set(told["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert set(told["logging"]["options"]) == {"max-size", "max-file"}
    assert told["restart"] == ("on-failure" if service.name == ONCE else "unless-stopped")
    assert service.health != () or service.name == ONCE
    assert not told.get("privileged")
    if not told["image"].startswith("chrislusf/"):  # its image begins as root, to give its volume away
        assert told["read_only"] is True
        assert told["cap_drop"] == ["ALL"]
    for port in told.get("ports", ()):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", PROGRAMS)
def test_our_programs_are_given_longer_to_go_than_they_take(name: str) -> None:
    settings = load_settings(config=COMPOSE / "awaitsql.toml", databases=(), environ={})
    drains = max(settings.executor.drain_timeout_s, settings.mcp_server.drain_timeout_s + settings.mcp_server.unready_s)
    assert seconds(services()[name].told["stop_grace_period"]) >= drains + 10


def test_what_is_mounted_is_there(service: Service) -> None:
    for source in service.files.values():
        assert (ROOT / source).exists(), source


def test_secrets_come_in_files_only(service: Service) -> None:
    for name in service.environment:
        assert not SECRET.search(name) or name.endswith("FILE"), name


def test_a_process_has_the_secrets_that_its_work_needs_and_no_other() -> None:
    text = (COMPOSE / "awaitsql.toml").read_text()
    told = set(re.findall(r"/run/secrets/(\w+)", text))
    sources = tomllib.loads(text)["executor"]["sources"].values()
    of_sources = {Path(source["password"]["file"]).name for source in sources}
    given = {name: set(services()[name].secrets) for name in PROGRAMS}
    assert given["worker"] == told
    assert given["server-1"] == given["server-2"] == told - of_sources
    assert given["generate"] == told - of_sources | {"model_key"}


def test_the_broker_keeps_its_jobs_and_has_room_to_write_its_log_anew() -> None:
    valkey = services()["valkey"]
    options = dict(zip(valkey.command[1::2], valkey.command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--maxmemory-policy"] == "noeviction"
    limit = valkey.told["deploy"]["resources"]["limits"]["memory"]
    assert megabytes(limit) >= 2 * megabytes(options["--maxmemory"].removesuffix("b"))


def test_the_database_has_connections_for_all_workers_and_a_fifth_more() -> None:
    settings = load_settings(config=COMPOSE / "awaitsql.toml", databases=(), environ={}).executor
    [limit] = re.findall(r"CREATE ROLE reader .* CONNECTION LIMIT (\d+)", (COMPOSE / "postgres/10-shop.sh").read_text())
    workers = services()["worker"].told["deploy"]["replicas"]
    assert workers * settings.concurrency * 1.2 <= int(limit)


def test_secrets_are_made_once_closed_to_others_and_all_that_the_file_names(tmp_path: Path) -> None:
    def make() -> dict[str, str]:
        subprocess.run(["sh", COMPOSE / "secrets.sh", tmp_path / "made"], check=True)
        return {file.name: file.read_text() for file in (tmp_path / "made").iterdir()}

    first = make()
    assert set(first) == set(document()["secrets"])
    assert {Path(told["file"]) for told in document()["secrets"].values()} == {
        Path("examples/compose/secrets") / name for name in first
    }
    assert make() == first
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
    made = [text for name, text in first.items() if name.endswith(("_password", "_key")) and text]
    assert len(set(made)) == len(made)
    assert all(len(text) == 64 for text in made)
    assert first["valkey_password"] not in first["valkey_users"]


def test_the_dockerfile_is_clean_runs_as_nobody_and_installs_what_is_locked() -> None:
    subprocess.run([_installed("hadolint"), DOCKERFILE], check=True)
    *_, last = re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.MULTILINE)
    [user] = re.findall(r"^USER (\d+):\d+$", last, flags=re.MULTILINE)
    assert int(user) >= 1000
    assert "pip uninstall --yes pip" in last
    assert not re.search(r"apt-get|pip install|gcc|build-essential", last)
    assert "-c requirements.lock" in DOCKERFILE.read_text()
    [base] = re.findall(r"^ARG PYTHON=(\S+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    assert re.match(r"3\.\d+\.\d+-slim-\w+$", base)


def test_the_dockerfile_copies_what_is_there_and_nothing_else_is_sent_to_the_engine() -> None:
    copies = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    copied = {word for line in copies for word in line.split()[:-1]}
    let_in = set(re.findall(r"^!(\S+)$", (COMPOSE / "Dockerfile.dockerignore").read_text(), flags=re.MULTILINE))
    assert copied == let_in
    assert [name for name in copied if not (ROOT / name).exists()] == []
    # what the build of the package itself reads
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = built["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *wheel["packages"],
        *wheel["force-include"],
        built["project"]["readme"],
        *built["project"]["license-files"],
    }
    assert needed <= copied
    [extras] = re.findall(r"^ARG EXTRAS=(\S+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    assert set(extras.split(",")) <= set(built["project"]["optional-dependencies"])


def test_the_proxy_reads_its_file_as_it_is_written() -> None:
    file = COMPOSE / "Caddyfile"
    environ, caddy = {**os.environ, "HOME": "/tmp"}, _installed("caddy")
    subprocess.run([caddy, "fmt", "--diff", file], check=True, capture_output=True, env=environ)
    command = [caddy, "adapt", "--validate", "--config", file, "--adapter", "caddyfile"]
    read = subprocess.run(command, check=True, capture_output=True, env=environ)
    told = json.dumps(json.loads(read.stdout))
    assert '"flush_interval": -1' in told
    assert "read_timeout" not in told
    assert "response_header_timeout" not in told
