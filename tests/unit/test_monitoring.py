"""What is written and shipped for those who watch: the tables, the alerts and the dashboard, held against the code."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from monitoring import (
    DASHBOARD,
    FOLDER,
    PROMETHEUS,
    RULES,
    alerts,
    expressions_of_dashboard,
    expressions_of_rules,
    metrics_named,
    panels,
)
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from served import ROOT

from executor import ErrorCode, ExecutorError, Figures, JobKind, JobState, QueueFigures, metrics_of
from executor.metrics import WorkerMetrics
from mcp_server.calls import Calls
from mcp_server.errors import CallCode, CallRefused

TEXT = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf8")

Row = tuple[str, str, frozenset[str]]
"""A metric's name, its type, and the names of its labels."""


def documented(heading: str) -> set[Row]:
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    return {(cells[1].strip(" `"), cells[2].strip(), frozenset(re.findall(r"\w+", cells[3]))) for cells in lines}


def exposed(metrics: Iterable[Metric]) -> set[Row]:
    return {
        (
            f"{metric.name}_total" if metric.type == "counter" else metric.name,
            metric.type,
            frozenset(name for sample in metric.samples for name in sample.labels if name != "le"),
        )
        for metric in metrics
    }


def test_the_figures_of_the_configuration_are_all_documented():
    queue = QueueFigures("statements", 1, 1.0, 1, 1, 1, 1)
    figures = Figures((queue,), 1, 1, 1.0, 1, 1, {}, {}, {})

    assert documented("What any server tells of the configuration") == exposed(metrics_of(figures))


def test_what_a_server_counts_is_all_documented():
    registry = CollectorRegistry()
    calls = Calls(registry)
    for error in (CallRefused(CallCode.UNKNOWN_SOURCE, "No."), ExecutorError.of(ErrorCode.QUEUE_FULL, "No.")):
        with contextlib.suppress(CallRefused, ExecutorError), calls.counted("mcp", "query"):
            raise error

    assert documented("What a server process counts") == exposed(registry.collect())


def test_what_a_worker_measures_is_all_documented():
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry, slots=1, busy=lambda: 0)
    metrics.waited("store", "shop", 1.0)
    metrics.ended(JobKind.QUERY, JobState.SUCCEEDED, 1.0)
    metrics.kept("shop", rows=1, size=1)

    assert documented("What a worker process measures") == exposed(registry.collect())


@pytest.mark.parametrize("alert", alerts(RULES), ids=lambda alert: alert["alert"])
def test_an_alert_says_what_is_wrong_and_its_runbook_line_is_there(alert: dict[str, Any]):
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert alert["annotations"]["summary"]
    assert alert["annotations"]["runbook"] == f"docs/monitoring.md#{alert['alert'].lower()}"
    assert f"\n### {alert['alert']}\n" in TEXT


def test_every_runbook_line_is_of_an_alert():
    assert re.findall(r"^### (\w+)$", TEXT, re.MULTILINE) == [alert["alert"] for alert in alerts(RULES)]


def test_prometheus_reads_the_rules_and_the_jobs_that_they_name():
    jobs = {job["job_name"] for job in PROMETHEUS["scrape_configs"]}

    assert all((FOLDER / name).is_file() for name in PROMETHEUS["rule_files"])
    assert jobs == {"awaitsql-server", "awaitsql-worker"}
    assert any('job=~"awaitsql-.*"' in expression for expression in expressions_of_rules(RULES))


@pytest.mark.parametrize("expression", [*expressions_of_rules(RULES), *expressions_of_dashboard(DASHBOARD)])
def test_an_expression_is_promql_and_counts_no_job_once_a_server(expression: str):
    named = metrics_named(expression)
    shared = {name for name, _, _ in documented("What any server tells of the configuration")}

    assert named or expression.startswith("vector(")
    assert not named & shared or re.search(r"\b(max|min)\b", expression)


def test_the_dashboard_is_one_that_grafanas_own_types_know_whole():
    register_default_plugins()
    known = json.loads(json.dumps(Dashboard.from_json(DASHBOARD), cls=JSONEncoder))

    assert not list(unknown(DASHBOARD, known, "dashboard"))


def unknown(written: Any, known: Any, place: str) -> Iterator[str]:
    """Where something stands in `written` that is not in `known`, which may have more."""
    if isinstance(written, dict) and isinstance(known, dict):
        for key, value in written.items():
            yield from unknown(value, known.get(key), f"{place}.{key}")
    elif isinstance(written, list) and isinstance(known, list) and len(written) == len(known):
        for n, value in enumerate(written):
            yield from unknown(value, known[n], f"{place}.{n}")
    elif written != known:
        yield place


def test_the_panels_have_room_and_names_of_their_own():
    places = [
        (panel["gridPos"]["y"] + dy, panel["gridPos"]["x"] + dx)
        for panel in DASHBOARD["panels"]
        for dy in range(panel["gridPos"]["h"])
        for dx in range(panel["gridPos"]["w"])
    ]

    assert len(places) == len(set(places))
    assert max(x for _, x in places) == 23
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(panel["title"] and panel["description"] for panel in panels(DASHBOARD))
    assert {panel["datasource"]["uid"] for panel in panels(DASHBOARD)} == {"${datasource}"}
