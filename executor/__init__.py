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
from executor.handles import new_job_id, parse_job_id
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
)
from executor.leaving import EXIT_ASKED, EXIT_STUCK
from executor.profiles import ColumnProfile, InferredKey, SourceProfile, TableProfile
from executor.sessions import attribute_of
from executor.settings import ExecutorSettings, HistorySettings, LimitSettings, ProfileSettings, TracingSettings
from executor.source_schema import Column, ForeignKey, SourceSchema, Table
from executor.sources import (
    AnySource,
    BigQuerySource,
    ClickHouseSource,
    DuckDBSource,
    GenericSource,
    MSSQLSource,
    MySQLSource,
    PostgresSource,
    SecretRef,
    SnowflakeSource,
    SourceConfig,
    SourceInfo,
    SQLiteSource,
    TrinoSource,
)

if TYPE_CHECKING:
    from executor.acts import Act
    from executor.auditing import FileReport, Wanted, export_audit, record_act, verify_audit_file
    from executor.broker import open_broker
    from executor.client import Executor
    from executor.demo import build_shop, demo_questions
    from executor.embedded import EmbeddedBroker
    from executor.exposition import metrics_of
    from executor.fleet import Program, WorkerFleet
    from executor.health import BrokerSeen, ResultsSeen, look_at_broker, try_results
    from executor.history.place import open_records
    from executor.key_place import PlacedKeys, signing_keys
    from executor.keys import KeyRing, SigningKey
    from executor.logs import log_as_json
    from executor.metrics import process_registry
    from executor.metrics_page import serving_metrics
    from executor.secret_strength import Weakness, weaknesses
    from executor.signing import Keys, Signer
    from executor.tracing.export import TraceExport
    from executor.worker import run_worker

_LAZY = {
    "Act": "executor.acts",
    "FileReport": "executor.auditing",
    "Wanted": "executor.auditing",
    "export_audit": "executor.auditing",
    "record_act": "executor.auditing",
    "verify_audit_file": "executor.auditing",
    "open_broker": "executor.broker",
    "Executor": "executor.client",
    "EmbeddedBroker": "executor.embedded",
    "open_records": "executor.history.place",
    "PlacedKeys": "executor.key_place",
    "KeyRing": "executor.keys",
    "SigningKey": "executor.keys",
    "signing_keys": "executor.key_place",
    "Keys": "executor.signing",
    "Signer": "executor.signing",
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
    "Act",
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
    "FileReport",
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
    "KeyRing",
    "Keys",
    "Lease",
    "LimitSettings",
    "Limits",
    "MSSQLSource",
    "MySQLSource",
    "Origin",
    "PlacedKeys",
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
    "Signer",
    "SigningKey",
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
    "Wanted",
    "Weakness",
    "WorkerFleet",
    "WorkerSeen",
    "attribute_of",
    "build_shop",
    "demo_questions",
    "export_audit",
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
    "record_act",
    "run_worker",
    "schema_of_results",
    "serving_metrics",
    "signing_keys",
    "try_results",
    "verify_audit_file",
    "weaknesses",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(name)
    import importlib  # noqa: PLC0415 - only when a lazy name is asked for

    return getattr(importlib.import_module(_LAZY[name]), name)
