"""The commands ``awaitsql eval``: how good the answers are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from executor import SettingsInvalid
from mcp_server.commands.options import Json, Many

eval_app = App(name="eval")


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
    model: Many = (),
    mcp: str | None = None,
    set: Many = (),  # noqa: A002 - the word of the file
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
