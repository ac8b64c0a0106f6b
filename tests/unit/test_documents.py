"""The documents are read by people and by models: what they say of the code is held against the code."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from cyclopts import App
from documents import ROOT, Block, Document, document, documents
from pydantic import BaseModel

from executor import ErrorCode
from executor.adapters import kinds
from executor.jobs import MOVES
from mcp_server.auth.scopes import SCOPES
from mcp_server.cli import app
from mcp_server.commands.clients import clients
from mcp_server.commands.exits import Exit
from mcp_server.commands.paste import paste_lines
from mcp_server.errors import CallCode
from mcp_server.http.problems import STATUS, HttpCode
from mcp_server.knowledge.glossary import read_glossary
from mcp_server.overrides import models
from mcp_server.policy_settings import MaskSettings, RuleSettings
from mcp_server.prompt_files import load_prompts, prompt_folder
from mcp_server.settings import McpServerSettings, Settings, load_settings
from mcp_server.sql import RefusalCode
from mcp_server.tasks import TASK_STATUS

README = document("README.md")
COMMANDS = document("docs/commands.md")
ALL = pytest.mark.parametrize("told", documents(), ids=lambda told: told.name)


def test_readme_takes_at_most_three_screens():
    lines = README.text.splitlines()

    assert len(lines) <= 150
    assert max(len(line) for line in lines if not line.startswith(("|", "python3"))) <= 120


@ALL
def test_every_link_leads_somewhere(told: Document):
    for link in told.links():
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = Document((told.path.parent / path).resolve()) if path else told
        assert target.path.exists(), link
        assert not anchor or anchor in target.anchors(), link


def test_every_document_can_be_reached_from_readme():
    reached = {(README.path.parent / link.partition("#")[0]).resolve() for link in README.links()}

    assert {told.path for told in documents()} - {README.path} <= reached


@ALL
def test_a_command_that_no_test_runs_says_why_and_one_that_is_run_elsewhere_is_there(told: Document):
    for block in [*told.blocks("sh"), *told.blocks("sql")]:
        if block.mark.startswith("run by "):
            elsewhere = (ROOT / block.mark.removeprefix("run by ")).read_text(encoding="utf8")
            assert block.mark.removeprefix("run by ").startswith((".ci/", "docs/"))
            for command in " && ".join(block.commands).split(" && "):
                assert command.replace(" install ", " install --quiet ") in elsewhere or command in elsewhere, command
        elif block.mark.startswith("not run"):
            reason = block.mark.removeprefix("not run").removeprefix(":").split()
            assert len(reason) >= 5, f"{told.name}:{block.line} does not say why"
    assert not {block.language for block in told.blocks()} & {"", "bash", "shell", "console", "zsh"}
    owners = {block.mark for block in told.blocks("sql") if not block.mark.startswith("not run")}
    assert owners <= {"postgres", "mysql"}


@ALL
def test_every_configuration_is_one(told: Document, tmp_path: Path):
    for block in told.blocks("toml"):
        assert loaded(block, tmp_path).executor.sources, f"{told.name}:{block.line}"


def loaded(block: Block, folder: Path) -> Settings:
    """The settings that a piece of configuration gives, with a source for each that it only names."""
    told = tomllib.loads(block.text)
    face = told.get("mcp_server", {})
    named = {*face.get("policies", {}), *face.get("glossary", {}), "elsewhere"}
    missing = named - set(told.get("executor", {}).get("sources", {}))
    more = [f'[executor.sources.{name}]\nkind = "sqlite"\npath = "{name}.sqlite"\n' for name in sorted(missing)]
    file = folder / "awaitsql.toml"
    file.write_text("\n".join([block.text, *more]))
    return load_settings(config=file, databases=(), environ={"AWAITSQL_EXECUTOR__STATE_DIR": str(folder)})


@ALL
def test_every_glossary_is_one(told: Document, tmp_path: Path):
    for block in told.blocks("yaml"):
        if block.mark == "glossary":
            file = tmp_path / "glossary.yaml"
            file.write_text(block.text)
            assert read_glossary(file)


def test_what_clients_are_told_by_hand_is_what_install_writes():
    blocks = document("docs/quick-start.md").blocks("json")
    known = clients(Path("/home/ada"), {})
    arguments = ["serve", "--transport", "stdio", "--db", "/path/to/shop.sqlite"]
    for block in blocks:
        client = known[block.mark]
        entry = client.entry("/path/to/.venv/bin/awaitsql", arguments)
        assert json.loads(block.text) == {client.table: {"awaitsql": entry}}

    shapes = {(client.table, client.says_type) for client in known.values()}
    assert {(known[block.mark].table, known[block.mark].says_type) for block in blocks} == shapes


def test_every_client_has_its_line():
    told = document("docs/quick-start.md").rows("2. Tell your assistant")

    assert {(row[0], row[1], row[2]) for row in told} == {
        (client.title, f"`awaitsql install {client.name} --db shop.sqlite`", client.after)
        for client in clients(Path("/home/ada"), {}).values()
    }


def test_the_lines_to_paste_are_those_that_the_demo_prints():
    printed = paste_lines(["/path/to/shop.sqlite"])
    command = re.search(r"mcp add awaitsql -- (\S+)", printed)
    assert command is not None
    shown = "".join(printed.replace(command[1], "/path/to/.venv/bin/awaitsql").split())
    told = document("docs/quick-start.md")

    pasted = [block for block in told.blocks("json") if block.mark != "claude-code"]
    for block in [*pasted, *(b for b in told.blocks("sh") if b.text.startswith("claude"))]:
        assert "".join(block.text.split()) in shown


@pytest.mark.parametrize(("where", "heading"), [("README.md", "Which databases"), ("docs/sources.md", "Kinds")])
def test_the_kinds_are_those_with_an_adapter_and_the_untested_are_marked(where: str, heading: str):
    rows = document(where).rows(heading)

    assert [row[0].strip("`") for row in rows] == list(kinds())
    assert {row[0].strip("`") for row in rows if row[-1].strip("*") == "untested"} == {
        "trino",
        "snowflake",
        "bigquery",
        "mssql",
    }


def test_every_error_code_is_explained_once_and_says_what_to_do():
    rows = document("docs/errors.md").rows("Codes")

    assert sorted(row[0].strip("`") for row in rows) == sorted(
        [*map(str, ErrorCode), *map(str, RefusalCode), *map(str, CallCode), *map(str, HttpCode)]
    )
    assert {row[0].strip("`"): int(row[1]) for row in rows} == {str(code): status for code, status in STATUS.items()}
    assert all(len(row) == 4 and row[2] and row[3] for row in rows)


def test_the_exit_codes_are_the_commands():
    assert [int(code) for code in COMMANDS.names("Exit codes")] == [int(code) for code in Exit]


def every_command(of: App, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], App]:
    """The commands below `of` by their names."""
    found: dict[tuple[str, ...], App] = {}
    for name in of:
        if name.startswith("-"):
            continue
        below = every_command(of[name], (*path, name))
        found |= below or {(*path, name): of[name]}
    return found


def command_of(typed: str) -> tuple[str, ...]:
    """The command that is typed, which has to have its options."""
    known = every_command(app)
    words = typed.split()[1:]
    path = next((path for path in known if tuple(words[: len(path)]) == path), None)
    assert path is not None, typed
    options = {name for argument in known[path].assemble_argument_collection() for name in argument.names}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", typed)) <= options, typed
    return path


def test_every_command_is_listed_with_options_that_it_has():
    listed = {command_of(row[0].strip("`")) for row in COMMANDS.rows("Every command")}

    assert listed == set(every_command(app))


@ALL
def test_a_command_within_a_sentence_is_one(told: Document):
    text = re.sub(r"^```.*?^```", "", told.text, flags=re.DOTALL | re.MULTILINE)
    groups = {name for name in app if not name.startswith("-")}
    for typed in re.findall(r"`(awaitsql [^`]+)`", text.replace("\n", " ")):
        if typed not in {*(f"awaitsql {group}" for group in groups), "awaitsql COMMAND --help"}:
            command_of(typed.replace("\\|", "|"))


def test_the_diagram_shows_the_moves_that_the_code_allows():
    [diagram] = document("docs/jobs.md").blocks("mermaid")
    drawn = {tuple(move) for move in re.findall(r"^    (\w+) --> (\w+)", diagram.text, re.MULTILINE)}

    assert drawn == {(str(a), str(b)) for a, moves in MOVES.items() for b in moves}


def test_the_status_of_a_task_by_its_jobs_state_is_the_codes():
    listed = list(document("docs/jobs.md").rows("Tasks and subscriptions"))

    assert [(row[0].strip("`"), row[1].split("`")[1]) for row in listed] == [
        (str(state), status) for state, status in TASK_STATUS.items()
    ]


def default_of(path: str) -> object:
    """The default of a setting by its keys with dots between them."""
    settings = load_settings(config=None, databases=(), environ={"AWAITSQL_EXECUTOR__STATE_DIR": "/nowhere"})
    value: object = settings
    for key in path.split("."):
        assert isinstance(value, BaseModel | Settings), path
        value = getattr(value, key)
    return value


def as_told(value: object) -> str:
    """A default as the tables write it."""
    if value is None:
        return "none"
    return f"{value:,g}" if isinstance(value, float) and value < 100_000 else f"{value:,}"


def test_the_limits_are_the_defaults():
    rows = document("docs/configuration.md").rows("Limits")

    assert len(rows) > 20
    for row in rows:
        assert row[1] == as_told(default_of(row[0].strip("`"))), row[0]
    assert "`max_running`: 8 statements" in document("docs/configuration.md").text
    assert "Rows are kept for 24 hours, records for 30 days." in README.text


def test_the_bounds_of_a_question_are_the_defaults():
    [ask] = models(McpServerSettings.model_fields["ask"].annotation)
    for row in document("docs/ask.md").rows("What it may cost"):
        assert row[1] == as_told(ask.model_fields[row[0].strip("`")].default), row[0]


def test_every_variable_is_the_key_that_it_stands_beside(tmp_path: Path):
    file = tmp_path / "awaitsql.toml"
    file.write_text('[executor.sources.shop]\nkind = "sqlite"\npath = "shop.sqlite"\n')
    known = {"BROKER_URL": "redis://b/0", "MAX_ROWS": "7", "PATH": "/other", "PORT": "7", "MODEL": "ollama:x"}
    for variable, key in document("docs/configuration.md").rows("Environment variables"):
        table, _, name = key.strip("`").partition("] ")
        path = [*table.strip("[").split("."), name]
        assert variable.strip("`") == "AWAITSQL_" + "__".join(path).upper()
        value = known[path[-1].upper()]
        environ = {"AWAITSQL_EXECUTOR__STATE_DIR": "/nowhere", variable.strip("`"): value}
        found: object = load_settings(config=file, databases=(), environ=environ)
        for step in path:
            found = found[step] if isinstance(found, dict) else getattr(found, step)
        assert str(found) == value


def test_what_a_rule_can_say_is_what_its_model_knows():
    cells = [row[0] for row in document("docs/policies.md").rows("What a rule can say")]
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    masks = " ".join(document("docs/policies.md").names("What protects"))

    assert sorted(named) == sorted(RuleSettings.model_fields)
    for kind in ("null", "constant", "hash", "partial", "date"):
        assert f'"{kind}"' in masks
        assert kind in str(MaskSettings.model_fields["kind"].annotation)


def test_the_prompts_are_those_of_the_folder():
    assert sorted(document("docs/tools.md").names("Prompts")) == sorted(
        prompt.name for prompt in load_prompts(prompt_folder())
    )


def test_the_scopes_are_those_of_tokens():
    assert document("docs/tools.md").names("Scopes") == list(SCOPES)


@cache
def functions_of(file: Path) -> set[str]:
    """The names of the functions of a file."""
    tree = ast.parse(file.read_text(encoding="utf8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


NAMED_TEST = r"\[([\w ]+)\]\(\.\./(tests/[\w/]+\.py)\)"
"""A test's name in words, and its file."""


@ALL
def test_every_test_that_a_document_names_is_there(told: Document):
    for words, path in re.findall(NAMED_TEST, told.text):
        assert f"test_{words.replace(' ', '_')}" in functions_of(ROOT / path), f"{path}: {words}"


def test_every_threat_has_a_defence_and_a_test():
    security = document("docs/security.md")
    for threat in (
        "The model",
        "The caller",
        "What stands in the rows",
        "A stolen server",
        "A stolen broker",
        "A malicious worker",
        "A reader of the logs",
    ):
        rows = security.rows(threat)
        assert len(rows) >= 3
        assert all(re.fullmatch(NAMED_TEST, row[2]) for row in rows)
        assert "The limit: " in security.section(threat)


def test_the_lock_pins_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[\[<>=;~! ]", line, maxsplit=1)[0].lower() for line in wanted}
    lock = (ROOT / "requirements.lock").read_text(encoding="utf8")
    pinned = {line.partition("==")[0].split("[")[0] for line in lock.splitlines() if "==" in line}

    assert names <= pinned
