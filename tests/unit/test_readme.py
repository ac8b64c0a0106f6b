"""README's tables are read by people and by models: each is held against the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from executor import ErrorCode, ExecutorSettings
from executor.adapters import kinds
from executor.jobs import MOVES
from mcp_server.cli import app
from mcp_server.commands.exits import Exit
from mcp_server.commands.paste import paste_lines
from mcp_server.errors import CallCode
from mcp_server.sql import RefusalCode
from mcp_server.tasks import TASK_STATUS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf8")


def first_column(readme: str, heading: str) -> list[str]:
    """The first cells of the last table under a heading, without back-quotes."""
    section = readme.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [row.split("|")[1].strip().strip("`") for row in rows if not row.startswith("| ---")]


def test_every_error_code_is_explained_once(readme):
    listed = first_column(readme, "Error codes")[1:]

    assert sorted(listed) == sorted([*map(str, ErrorCode), *map(str, RefusalCode), *map(str, CallCode)])


def test_the_exit_codes_are_the_commands(readme):
    cells = first_column(readme, "The command line")

    assert [int(c) for c in cells[cells.index("exit code") + 1 :]] == [int(e) for e in Exit]


def test_every_command_is_listed(readme):
    cells = first_column(readme, "The command line")
    listed = {cell.split()[1] for cell in cells[1 : cells.index("exit code")]}

    assert listed == {name for name in app if not name.startswith("-")}


def test_the_diagram_shows_the_moves_that_the_code_allows(readme):
    drawn = {tuple(m) for m in re.findall(r"^    (\w+) --> (\w+)", readme, re.MULTILINE)}

    assert drawn == {(str(a), str(b)) for a, moves in MOVES.items() for b in moves}


def test_the_status_of_a_task_by_its_jobs_state_is_the_codes(readme):
    section = readme.partition("## Tasks and subscriptions\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| `(\w+)`", section, re.MULTILINE)

    assert listed == [(str(state), status) for state, status in TASK_STATUS.items()]


def test_the_kinds_are_those_with_an_adapter(readme):
    assert first_column(readme, "Which databases")[1:] == list(kinds())


def test_the_bounds_are_the_defaults(readme):
    settings = ExecutorSettings(state_dir=Path("/nowhere"))
    bounds = readme.partition("## Bounds\n")[2].partition("\n## ")[0]

    assert f"| {settings.limits.statement_timeout_s:g} s, then" in bounds
    assert f"| {settings.limits.job_timeout_s:,.0f} s |" in bounds
    assert f"| {settings.limits.queue_timeout_s:g} s |" in bounds
    assert f"| {settings.limits.max_rows:,} rows, {settings.limits.max_bytes / 1e9:g} GB;" in bounds
    assert f"| {settings.result_ttl_s / 3600:g} hours |" in bounds
    assert f"| {settings.cache_ttl_s:g} s |" in bounds.partition("equal statements ")[2]
    assert f"| records are kept | {settings.history.keep_days:g} days |" in bounds
    assert f"| {settings.results_min_free_bytes / 1e9:g} GB; where there is less" in bounds
    assert f"| {settings.principal_max_running} jobs a caller, 8 a source, {settings.concurrency} a worker" in bounds
    assert f"| {settings.queue_depth:,} jobs |" in bounds


def test_the_lines_to_paste_are_those_that_the_demo_prints(readme):
    printed = paste_lines(["/path/to/data.sqlite"])
    command = re.search(r"mcp add awaitsql -- (\S+)", printed)
    assert command is not None
    shown = printed.replace(command[1], "/path/to/.venv/bin/awaitsql")

    for block in re.findall(r"```json\n(.*?)```", readme, re.DOTALL):
        assert "".join(block.split()) in "".join(shown.split())
    assert "claude mcp add awaitsql -- /path/to/.venv/bin/awaitsql serve --transport stdio --db /path" in shown


def test_ci_calls_readmes_two_commands(readme):
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf8")
    commands = [block.strip() for block in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)[:2]]

    assert commands[0].split(" && ")[1].replace(" install ", " install --quiet ") in ci
    assert commands[1].replace(" install ", " install --quiet ") in ci


def test_the_lock_pins_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[\[<>=;~! ]", line, maxsplit=1)[0].lower() for line in wanted}
    lock = (ROOT / "requirements.lock").read_text(encoding="utf8")
    pinned = {line.partition("==")[0].split("[")[0] for line in lock.splitlines() if "==" in line}

    assert names <= pinned
