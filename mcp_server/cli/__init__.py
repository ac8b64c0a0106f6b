"""The command line: its root, exit codes, and the commands of this package, which name what they take.

Every command is a few lines; the work is in ``commands/``, loaded when it is asked for.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from rich.console import Console

from executor import ExecutorError
from mcp_server.cli.asking import ask, check, query
from mcp_server.cli.serving import reload, serve, worker, workers
from mcp_server.cli.setting_up import demo, doctor, install, profile
from mcp_server.commands.exits import Exit, exit_of, say_error

app = App(
    name="awaitsql",
    help="Lets an AI assistant ask a database, safely, when the answer may take a while.",
    version=lambda: f"awaitsql {importlib.metadata.version('awaitsql')}",
    help_format="plaintext",
)
# by their paths: a group is loaded when one of its commands is asked for
app.command(
    "mcp_server.cli.jobs:jobs_app", name="jobs", help="Jobs of this configuration: list, show, rows, answer, cancel."
)
app.command(
    "mcp_server.cli.audit:audit_app",
    name="audit",
    help="Who did what, and whether that record is as it was written: verify, export.",
)
app.command(
    "mcp_server.cli.keys:keys_app",
    name="keys",
    help="The keys that servers and workers sign with: list, rotate, remove.",
)
app.command(
    "mcp_server.cli.tokens:token_app",
    name="token",
    help="Tokens by which callers over HTTP sign in: create, list, rotate, revoke.",
)
app.command(
    "mcp_server.cli.verified:verified_app",
    name="verified",
    help="Questions whose SQL a person has confirmed: add, list, review, remove.",
)
app.command("mcp_server.cli.glossary:glossary_app", name="glossary", help="What the words of a source mean: draft.")
app.command(
    "mcp_server.cli.evaluation:eval_app",
    name="eval",
    help="Measure on files of questions how good the answers are: linking, sql.",
)
for command in (demo, serve, worker, query, ask, check, profile, doctor, workers, reload, install):
    app.command(command)


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; its exit code. Failures are told in words, or as JSON where ``--json`` was asked for."""
    console = Console(stderr=True)
    try:
        result = app(arguments, exit_on_error=False, print_error=True, error_console=console)
    except CycloptsError:
        return Exit.USAGE
    except ExecutorError as error:
        say_error(console, error, as_json="--json" in arguments)
        return exit_of(error)
    return result if isinstance(result, int) else Exit.DONE
