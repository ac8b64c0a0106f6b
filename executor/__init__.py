"""Runs statements as jobs: durable, read-only, cancellable, their rows kept. Knows no MCP, no HTTP, no policy.

`Executor` is the front door for programs that submit and read; `run_worker` is the process that executes. What
``__all__`` names is the contract; everything else is private to this package. The front door itself is imported when
it is first asked for, so that the nouns cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor.answers import Answer, Answers, InputNeeded, InputRequest, Voice
from executor.bodies import Answered, Body, Lease
from executor.enrolled import WorkerSeen
from executor.errors import (
    ErrorCode,
    ExecutorError,
    InputFailed,
    JobLost,
    JobNotFound,
    QuestionFailed,
    ResultFailed,
    SettingsInvalid,
    SourceFailed,
    StatementFailed,
    SubmitRefused,
)
from executor.figures import Figures, QueueFigures
from executor.inputs import MOST_INPUTS, inputs_of, origins_of_results, proof_of_results, schema_of_results
from executor.jobs import (
    GENERATE,
    HIGHEST_PRIORITY,
    PRIORITIES,
    RESULTS,
    Caution,
    CostGate,
    Input,
    Job,
    JobKind,
    JobState,
    Limits,
    Origin,
    Question,
    ResultBlock,
    ResultColumn,
    ResultPage,
    ResultSummary,
    Statement,
    Touch,
    Truncated,
    new_job_id,
    parse_job_id,
)
from executor.leaving import EXIT_ASKED, EXIT_STUCK
from executor.profiles import ColumnProfile, InferredKey, SourceProfile, TableProfile
from executor.sessions import attribute_of
from executor.settings import ExecutorSettings, HistorySettings, LimitSettings, ProfileSettings, TracingSettings
from executor.sources import (
    AnySource,
    BigQuerySource,
    ClickHouseSource,
    Column,
    DuckDBSource,
    ForeignKey,
    GenericSource,
    MSSQLSource,
    MySQLSource,
    PostgresSource,
    SecretRef,
    SnowflakeSource,
    SourceConfig,
    SourceInfo,
    SourceSchema,
    SQLiteSource,
    Table,
    TrinoSource,
)

if TYPE_CHECKING:
    from executor.broker import open_broker, signing_key
    from executor.client import Executor
    from executor.demo import build_shop, demo_questions
    from executor.embedded import EmbeddedBroker
    from executor.exposition import metrics_of
    from executor.fleet import Program, WorkerFleet
    from executor.health import BrokerSeen, ResultsSeen, look_at_broker, try_results
    from executor.history.place import open_records
    from executor.logs import log_as_json
    from executor.metrics import process_registry
    from executor.metrics_page import serving_metrics
    from executor.secret_strength import Weakness, weaknesses
    from executor.tracing.export import TraceExport
    from executor.worker import run_worker

_LAZY = {
    "open_broker": "executor.broker",
    "signing_key": "executor.broker",
    "Executor": "executor.client",
    "EmbeddedBroker": "executor.embedded",
    "open_records": "executor.history.place",
    "Program": "executor.fleet",
    "WorkerFleet": "executor.fleet",
    "build_shop": "executor.demo",
    "demo_questions": "executor.demo",
    "BrokerSeen": "executor.health",
    "ResultsSeen": "executor.health",
    "look_at_broker": "executor.health",
    "try_results": "executor.health",
    "log_as_json": "executor.logs",
    "Weakness": "executor.secret_strength",
    "weaknesses": "executor.secret_strength",
    "TraceExport": "executor.tracing.export",
    "metrics_of": "executor.exposition",
    "process_registry": "executor.metrics",
    "run_worker": "executor.worker",
    "serving_metrics": "executor.metrics_page",
}

__all__ = [
    "EXIT_ASKED",
    "EXIT_STUCK",
    "GENERATE",
    "HIGHEST_PRIORITY",
    "MOST_INPUTS",
    "PRIORITIES",
    "RESULTS",
    "Answer",
    "Answered",
    "Answers",
    "AnySource",
    "BigQuerySource",
    "Body",
    "BrokerSeen",
    "Caution",
    "ClickHouseSource",
    "Column",
    "ColumnProfile",
    "CostGate",
    "DuckDBSource",
    "EmbeddedBroker",
    "ErrorCode",
    "Executor",
    "ExecutorError",
    "ExecutorSettings",
    "Figures",
    "ForeignKey",
    "GenericSource",
    "HistorySettings",
    "InferredKey",
    "Input",
    "InputFailed",
    "InputNeeded",
    "InputRequest",
    "Job",
    "JobKind",
    "JobLost",
    "JobNotFound",
    "JobState",
    "Lease",
    "LimitSettings",
    "Limits",
    "MSSQLSource",
    "MySQLSource",
    "Origin",
    "PostgresSource",
    "ProfileSettings",
    "Program",
    "Question",
    "QuestionFailed",
    "QueueFigures",
    "ResultBlock",
    "ResultColumn",
    "ResultFailed",
    "ResultPage",
    "ResultSummary",
    "ResultsSeen",
    "SQLiteSource",
    "SecretRef",
    "SettingsInvalid",
    "SnowflakeSource",
    "SourceConfig",
    "SourceFailed",
    "SourceInfo",
    "SourceProfile",
    "SourceSchema",
    "Statement",
    "StatementFailed",
    "SubmitRefused",
    "Table",
    "TableProfile",
    "Touch",
    "TraceExport",
    "TracingSettings",
    "TrinoSource",
    "Truncated",
    "Voice",
    "Weakness",
    "WorkerFleet",
    "WorkerSeen",
    "attribute_of",
    "build_shop",
    "demo_questions",
    "inputs_of",
    "log_as_json",
    "look_at_broker",
    "metrics_of",
    "new_job_id",
    "open_broker",
    "open_records",
    "origins_of_results",
    "parse_job_id",
    "process_registry",
    "proof_of_results",
    "run_worker",
    "schema_of_results",
    "serving_metrics",
    "signing_key",
    "try_results",
    "weaknesses",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(name)
    import importlib  # noqa: PLC0415 - only when a lazy name is asked for

    return getattr(importlib.import_module(_LAZY[name]), name)
