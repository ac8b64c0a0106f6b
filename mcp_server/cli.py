"""The command line: names, arguments, exit codes. Every command is a few lines; the work is in ``commands/``."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from executor import ExecutorError, SettingsInvalid
from mcp_server.commands.exits import Exit, exit_of, say_error
from mcp_server.commands.options import There, Where

HERE = Where()
NOWHERE = There()

app = App(
    name="awaitsql",
    help="Lets an AI assistant ask a database, safely, when the answer may take a while.",
    version=lambda: f"awaitsql {importlib.metadata.version('awaitsql')}",
    help_format="plaintext",
)
jobs_app = App(name="jobs", help="Jobs of this configuration: list, show, rows, answer, cancel, verify.")
app.command(jobs_app)
token_app = App(name="token", help="Tokens by which callers over HTTP sign in: create, list, revoke.")
app.command(token_app)
verified_app = App(name="verified", help="Questions whose SQL a person has confirmed: add, list, review, remove.")
app.command(verified_app)
glossary_app = App(name="glossary", help="What the words of a source mean: draft.")
app.command(glossary_app)
eval_app = App(name="eval", help="Measure on files of questions how good the answers are: linking, sql.")
app.command(eval_app)

Json = Annotated[bool, Parameter(name="--json", negative="")]
Sql = Annotated[str, Parameter(allow_leading_hyphen=True)]  # - means standard input, and SQL may begin with a comment
Format = Literal["table", "csv", "json", "parquet", "arrow"]


@app.command
def demo(*, db: Annotated[tuple[str, ...], Parameter(negative="")] = ()) -> int:
    """Show the whole path on the demo shop, or on your own file: a real client, a quick, a slow and a refused query.

    Parameters:
        db: your own database instead of the demo shop.
    """
    from mcp_server.commands.demo import run_demo  # noqa: PLC0415 - a command loads what it needs

    return run_demo(db)


@app.command
def serve(
    *,
    where: Where = HERE,
    transport: Literal["stdio", "http"] = "stdio",
    host: str | None = None,
    port: int | None = None,
    workers: int = 1,
    log_level: str = "INFO",
) -> int:
    """Serve MCP over stdio or HTTP, with the broker and the workers it needs, as one process tree.

    Parameters:
        transport: stdio for a client that starts the server itself; http for clients that connect.
        host: the address to listen on (http); beyond loopback only with [mcp_server.auth].
        port: the port to listen on (http).
        workers: worker processes; 0 leaves the work to `awaitsql worker` elsewhere.
        log_level: DEBUG, INFO, WARNING or ERROR; the log goes to standard error.
    """
    from mcp_server.commands.serve import run_serve  # noqa: PLC0415 - a command loads what it needs

    return run_serve(where, transport=transport, host=host, port=port, workers=workers, log_level=log_level)


@app.command
def worker(
    *,
    where: Where = HERE,
    queue: Literal["statements", "generate"] = "statements",
    concurrency: int | None = None,
    log_level: str = "INFO",
) -> int:
    """Run jobs for the servers of the same configuration, until Ctrl-C.

    Parameters:
        queue: statements (needs the sources' passwords), or generate: questions (needs the model's key).
        concurrency: jobs at once.
        log_level: DEBUG, INFO, WARNING or ERROR; the log goes to standard error.
    """
    from mcp_server.commands.worker import run_worker_command  # noqa: PLC0415 - a command loads what it needs

    return run_worker_command(where, queue=queue, concurrency=concurrency, log_level=log_level)


@app.command
def query(
    sql: Sql,
    *,
    where: Where = HERE,
    there: There = NOWHERE,
    source: str | None = None,
    format: Format = "table",  # noqa: A002 - the word users know
    output: Path | None = None,
    wait: float | None = None,
    max_rows: int | None = None,
    dialect: str | None = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    fresh: Annotated[bool, Parameter(negative="")] = False,
    over: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    json: Json = False,
) -> int:
    """Run one read-only statement and print its rows. Ctrl-C cancels it down to the database.

    Parameters:
        sql: one read-only statement; - reads it from standard input.
        source: which source, where there are several.
        format: how the rows are written; parquet and arrow need --output.
        output: a file for the rows instead of standard output.
        wait: seconds to wait before leaving with the job's handle (exit code 5); without it, until the end.
        max_rows: the most rows to keep.
        dialect: what the SQL is written in, if not the source's own dialect; it is translated.
        dry_run: show the plan and what it would cost, and run nothing.
        fresh: run it, though an equal statement has just brought its rows.
        over: a job whose result is read instead of a source; r1 is the first, r2 the next. DuckDB's dialect.
        json: print the job as the MCP tools show it, with the first rows.
    """
    text = sys.stdin.read() if sql == "-" else sql
    asked: dict[str, Any] = {
        "source": source,
        "format": format,
        "output": output,
        "wait_s": wait,
        "max_rows": max_rows,
        "dialect": dialect,
        "is_dry": dry_run,
        "is_fresh": fresh,
        "over": over,
        "as_json": json,
    }
    if there.is_meant(where):
        from mcp_server.commands.query_there import run_query_there  # noqa: PLC0415 - a command loads what it needs

        return run_query_there(text, there, **asked)
    from mcp_server.commands.query import run_query  # noqa: PLC0415 - as above

    return run_query(text, where, **asked)


@app.command
def ask(
    question: str,
    *,
    where: Where = HERE,
    there: There = NOWHERE,
    source: str | None = None,
    format: Format = "table",  # noqa: A002 - the word users know
    output: Path | None = None,
    wait: float | None = None,
    max_rows: int | None = None,
    conversation: str | None = None,
    json: Json = False,
) -> int:
    """Answer a question in plain words: the configured model writes the SQL, and its rows are printed.

    Parameters:
        question: in plain words.
        source: which source, where there are several.
        format: how the rows are written; parquet and arrow need --output.
        output: a file for the rows instead of standard output.
        wait: seconds to wait before leaving with the job's handle (exit code 5); without it, until the end.
        max_rows: the most rows to keep.
        conversation: the handle of an earlier answer, for a question that follows it.
        json: print the job as the MCP tools show it, with the first rows.
    """
    asked: dict[str, Any] = {
        "source": source,
        "format": format,
        "output": output,
        "wait_s": wait,
        "max_rows": max_rows,
        "conversation": conversation,
        "as_json": json,
    }
    if there.is_meant(where):
        from mcp_server.commands.ask_there import run_ask_there  # noqa: PLC0415 - a command loads what it needs

        return run_ask_there(question, there, **asked)
    from mcp_server.commands.ask import run_ask  # noqa: PLC0415 - as above

    return run_ask(question, where, **asked)


@app.command
def check(
    sql: Sql, *, where: Where = HERE, source: str | None = None, dialect: str | None = None, json: Json = False
) -> int:
    """Show the SQL that would run, or why it is refused, without running it.

    Parameters:
        sql: one statement; - reads it from standard input.
        source: which source, where there are several.
        dialect: what the SQL is written in, if not the source's own dialect; it is translated.
        json: for a program.
    """
    from mcp_server.commands.check import run_check  # noqa: PLC0415 - a command loads what it needs

    return run_check(sys.stdin.read() if sql == "-" else sql, where, source=source, dialect=dialect, as_json=json)


@app.command
def profile(
    source: str | None = None,
    *,
    where: Where = HERE,
    anew: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Read what a source's tables hold, for cards and searches: shares of nulls, values, examples, undeclared keys.

    Parameters:
        source: which source, where there are several.
        anew: read tables again that have not changed.
        json: the profile for a program.
    """
    from mcp_server.commands.profile import run_profile  # noqa: PLC0415 - a command loads what it needs

    return run_profile(where, source=source, anew=anew, as_json=json)


@app.command
def doctor(*, where: Where = HERE, deep: Annotated[bool, Parameter(negative="")] = False, json: Json = False) -> int:
    """Look at everything a run needs, and say what is wrong and what to type.

    Parameters:
        deep: run a statement on each worker and source, look at the broker, clocks, disks, connections and secrets.
        json: for a program.
    """
    from mcp_server.commands.doctor import run_doctor  # noqa: PLC0415 - a command loads what it needs

    return run_doctor(where, deep=deep, as_json=json)


@app.command
def workers(*, where: Where = HERE, json: Json = False) -> int:
    """The worker processes of this configuration on all machines: version, jobs, who leaves.

    Parameters:
        json: for a program.
    """
    from mcp_server.commands.workers import run_workers  # noqa: PLC0415 - a command loads what it needs

    return run_workers(where, as_json=json)


@app.command
def reload(*, where: Where = HERE, json: Json = False) -> int:
    """Let this configuration's servers and workers on this machine read it again, after looking whether it is right.

    Parameters:
        json: for a program.
    """
    from mcp_server.commands.reload import run_reload  # noqa: PLC0415 - a command loads what it needs

    return run_reload(where, as_json=json)


@app.command
def install(
    client: str,
    *,
    where: Where = HERE,
    name: str = "awaitsql",
    yes: Annotated[bool, Parameter(negative="")] = False,
    remove: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Write this server into a client's own configuration, after showing the change.

    Parameters:
        client: claude-code, claude-desktop, cursor, gemini, vscode or windsurf.
        name: what the client calls the server.
        yes: write without asking.
        remove: take the entry out instead.
    """
    from mcp_server.commands.install import run_install  # noqa: PLC0415 - a command loads what it needs

    return run_install(client, where, name=name, yes=yes, remove=remove)


@jobs_app.command(name="list")
def jobs_list(*, where: Where = HERE, there: There = NOWHERE, limit: int = 20, json: Json = False) -> int:
    """The newest jobs.

    Parameters:
        limit: how many.
        json: for a program.
    """
    if there.is_meant(where):
        from mcp_server.commands.jobs_there import run_list_there  # noqa: PLC0415 - a command loads what it needs

        return run_list_there(there, limit=limit, as_json=json)
    from mcp_server.commands.jobs import run_list  # noqa: PLC0415 - a command loads what it needs

    return run_list(where, limit=limit, as_json=json)


@jobs_app.command(name="show")
def jobs_show(
    job_id: str, *, where: Where = HERE, there: There = NOWHERE, wait: float = 0.0, json: Json = False
) -> int:
    """One job: state, progress, error or the first rows.

    Parameters:
        job_id: the handle.
        wait: seconds to wait for its end; starts a worker for it where none is running.
        json: for a program.
    """
    if there.is_meant(where):
        from mcp_server.commands.jobs_there import run_show_there  # noqa: PLC0415 - a command loads what it needs

        return run_show_there(job_id, there, wait_s=wait, as_json=json)
    from mcp_server.commands.jobs import run_show  # noqa: PLC0415 - a command loads what it needs

    return run_show(job_id, where, wait_s=wait, as_json=json)


@jobs_app.command(name="rows")
def jobs_rows(
    job_id: str,
    *,
    where: Where = HERE,
    there: There = NOWHERE,
    cursor: str | None = None,
    limit: int = 100,
    format: Format = "table",  # noqa: A002 - the word users know
    output: Path | None = None,
    json: Json = False,
) -> int:
    """A page of a job's rows, or all of them in another format.

    Parameters:
        job_id: the handle.
        cursor: next_cursor of the page before.
        limit: rows a page.
        format: table prints a page; csv, json, parquet and arrow write the whole result.
        output: a file for the rows instead of standard output.
        json: the page for a program.
    """
    if there.is_meant(where):
        from mcp_server.commands.jobs_there import run_rows_there  # noqa: PLC0415 - a command loads what it needs

        return run_rows_there(job_id, there, cursor=cursor, limit=limit, format=format, output=output, as_json=json)
    from mcp_server.commands.jobs import run_rows  # noqa: PLC0415 - a command loads what it needs

    return run_rows(job_id, where, cursor=cursor, limit=limit, format=format, output=output, as_json=json)


@jobs_app.command(name="verify")
def jobs_verify(*, where: Where = HERE, json: Json = False) -> int:
    """Look whether the audit of all jobs is as it was written, and where it is not.

    Parameters:
        json: for a program.
    """
    from mcp_server.commands.jobs import run_verify  # noqa: PLC0415 - a command loads what it needs

    return run_verify(where, as_json=json)


@jobs_app.command(name="answer")
def jobs_answer(
    job_id: str,
    answer: str | None = None,
    /,
    *,
    where: Where = HERE,
    there: There = NOWHERE,
    wait: float = 10.0,
    json: Json = False,
) -> int:
    """Tell a waiting job what it asks.

    Parameters:
        job_id: the handle.
        answer: yes, no, a text, or an object as JSON; left out, you are asked, which counts as a person's answer.
        wait: seconds to wait for its end afterwards.
        json: for a program.
    """
    if there.is_meant(where):
        from mcp_server.commands.jobs_there import run_answer_there  # noqa: PLC0415 - a command loads what it needs

        return run_answer_there(job_id, answer, there, wait_s=wait, as_json=json)
    from mcp_server.commands.jobs import run_answer  # noqa: PLC0415 - a command loads what it needs

    return run_answer(job_id, answer, where, wait_s=wait, as_json=json)


@jobs_app.command(name="cancel")
def jobs_cancel(job_id: str, *, where: Where = HERE, there: There = NOWHERE, json: Json = False) -> int:
    """Cancel a job, down to the database.

    Parameters:
        job_id: the handle.
        json: for a program.
    """
    if there.is_meant(where):
        from mcp_server.commands.jobs_there import run_cancel_there  # noqa: PLC0415 - a command loads what it needs

        return run_cancel_there(job_id, there, as_json=json)
    from mcp_server.commands.jobs import run_cancel  # noqa: PLC0415 - a command loads what it needs

    return run_cancel(job_id, where, as_json=json)


@token_app.command(name="create")
def token_create(
    name: str,
    *,
    where: Where = HERE,
    role: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    attribute: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    scope: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    days: float | None = None,
    json: Json = False,
) -> int:
    """Make a token and print it, once.

    Parameters:
        name: whose it is; tokens of one name see each other's jobs.
        role: a role that policies grant by; may be given several times.
        attribute: NAME=VALUE for row filters and session settings; may be given several times.
        scope: awaitsql:read, awaitsql:query, awaitsql:export (these if none is named) or awaitsql:metrics.
        days: how long it holds; without it, until it is revoked.
        json: for a program.
    """
    from mcp_server.commands.tokens import run_create  # noqa: PLC0415 - a command loads what it needs

    return run_create(name, where, roles=role, attributes=attribute, scopes=scope, days=days, as_json=json)


@token_app.command(name="list")
def token_list(*, where: Where = HERE, json: Json = False) -> int:
    """All tokens, without their texts.

    Parameters:
        json: for a program.
    """
    from mcp_server.commands.tokens import run_tokens  # noqa: PLC0415 - a command loads what it needs

    return run_tokens(where, as_json=json)


@token_app.command(name="revoke")
def token_revoke(token_id: str, *, where: Where = HERE, json: Json = False) -> int:
    """End a token: from the next request on it lets nobody in.

    Parameters:
        token_id: as the list shows it.
        json: for a program.
    """
    from mcp_server.commands.tokens import run_revoke  # noqa: PLC0415 - a command loads what it needs

    return run_revoke(token_id, where, as_json=json)


@verified_app.command(name="add")
def verified_add(
    question: str,
    sql: Sql,
    *,
    where: Where = HERE,
    source: str | None = None,
    by: str | None = None,
    json: Json = False,
) -> int:
    """Keep a question with SQL that is right for it; shown from now on to whoever asks alike and could run it.

    Parameters:
        question: in plain language.
        sql: one statement; - reads it from standard input.
        source: which source, where there are several.
        by: who says so; without it, whoever is logged in.
        json: for a program.
    """
    from mcp_server.commands.verified import run_add  # noqa: PLC0415 - a command loads what it needs

    text = sys.stdin.read() if sql == "-" else sql
    return run_add(question, text, where, source=source, by=by, as_json=json)


@verified_app.command(name="list")
def verified_list(
    *,
    where: Where = HERE,
    source: str | None = None,
    pending: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """The queries of a source, and which are out of date because a column they use has changed.

    Parameters:
        source: which source, where there are several.
        pending: only those that wait for review.
        json: for a program.
    """
    from mcp_server.commands.verified import run_verified  # noqa: PLC0415 - a command loads what it needs

    return run_verified(where, source=source, pending=pending, as_json=json)


@verified_app.command(name="remove")
def verified_remove(query_id: str, *, where: Where = HERE, json: Json = False) -> int:
    """Forget one.

    Parameters:
        query_id: as the list shows it.
        json: for a program.
    """
    from mcp_server.commands.verified import run_remove  # noqa: PLC0415 - a command loads what it needs

    return run_remove(query_id, where, as_json=json)


@verified_app.command(name="review")
def verified_review(
    query_id: str | None = None,
    *,
    where: Where = HERE,
    accept: Annotated[bool | None, Parameter(negative="--reject")] = None,
    by: str | None = None,
    json: Json = False,
) -> int:
    """Say whether proposed SQL is right for its question; without an id, go through all that wait.

    Parameters:
        query_id: as the list shows it.
        accept: what to say of it: --accept or --reject; without either, it is asked.
        by: who says so; without it, whoever is logged in.
        json: for a program.
    """
    from mcp_server.commands.verified import run_review  # noqa: PLC0415 - a command loads what it needs

    return run_review(query_id, where, accept=accept, by=by, as_json=json)


@glossary_app.command(name="draft")
def glossary_draft(source: str | None = None, *, where: Where = HERE, output: Path | None = None) -> int:
    """Write a glossary of a source's tables and columns to begin with, from its schema and comments.

    Parameters:
        source: which source, where there are several.
        output: a new file instead of standard output.
    """
    from mcp_server.commands.glossary import run_draft  # noqa: PLC0415 - a command loads what it needs

    return run_draft(source, where, output=output)


@eval_app.command(name="linking")
def eval_linking(
    *,
    tables: Annotated[Path, Parameter(negative="")],
    questions: Annotated[Path, Parameter(negative="")],
    k: str = "10,20",
    json: Json = False,
) -> int:
    """Measure how often search_schema's first K tables hold all that a question's SQL needs.

    Parameters:
        tables: JSON lines of id, db, table, columns, desc, fks (ids).
        questions: JSON lines of id, question, gold (ids of tables).
        k: how many tables are looked at; several with commas between them.
        json: print one JSON object of the figures, recall@K.
    """
    from mcp_server.commands.eval_linking import run_linking  # noqa: PLC0415 - a command loads what it needs

    return run_linking(tables, questions, k, as_json=json)


@eval_app.command(name="sql")
def eval_sql(
    *,
    questions: Annotated[Path | None, Parameter(negative="")] = None,
    db_root: Annotated[Path | None, Parameter(negative="")] = None,
    predictions: Annotated[Path | None, Parameter(negative="")] = None,
    model: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    mcp: str | None = None,
    set: Annotated[tuple[str, ...], Parameter(negative="")] = (),  # noqa: A002 - the word of the file
    out: Annotated[Path | None, Parameter(negative="")] = None,
    compare: Annotated[tuple[Path, Path] | None, Parameter(negative="")] = None,
    config: Path | None = None,
    json: Json = False,
) -> int:
    """Measure how often written SQL brings the right rows, run past the guard and as jobs like all SQL.

    Parameters:
        questions: JSON lines of id, set, db, question, evidence, gold_sql (any may match), gold_empty.
        db_root: the folder with DB/DB.sqlite for each db of the questions.
        predictions: recorded SQL to replay: JSON lines, or one array, of id, model, sql.
        model: without predictions, the model to ask live, as in [mcp_server.ask]; with them only this model's.
        mcp: an MCP server with a tool ask, by its URL or by the command that starts it.
        set: only this set of questions; may be given several times.
        out: a file with one line of JSON a question; what is in it already is not asked again.
        compare: two files of --out, compared by McNemar's exact test; nothing is run.
        config: a configuration file; its [mcp_server.ask] says how the model is reached and what it may cost.
        json: print the figures as JSON on the last line.
    """
    from mcp_server.commands.eval_sql import Asks, run_compare, run_eval  # noqa: PLC0415 - loads what it needs

    if compare is not None:
        return run_compare(*compare, as_json=json)
    if questions is None or db_root is None:
        raise SettingsInvalid(
            message="eval sql needs questions and their databases.", hint="Give --questions FILE and --db-root FOLDER."
        )
    asks = Asks(questions, db_root, predictions, model, mcp, set, out, config)
    return run_eval(asks, as_json=json)


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
