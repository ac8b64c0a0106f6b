"""What is shipped for Prometheus and Grafana, as tests read it: the expressions, and the metrics that they name."""

from __future__ import annotations

import json
from typing import Any

import promql_parser
import yaml
from served import ROOT

FOLDER = ROOT / "examples" / "monitoring"
RULES: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf8"))
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana" / "awaitsql.json").read_text(encoding="utf8"))
PROMETHEUS: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf8"))

# what Grafana writes in its place before Prometheus sees it
_OF_GRAFANA = {"$__rate_interval": "1m", "$__range": "1h"}


def alerts(rules: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]


def expressions_of_rules(rules: dict[str, Any]) -> list[str]:
    return [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions_of_dashboard(dashboard: dict[str, Any]) -> list[str]:
    found = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    for name, value in _OF_GRAFANA.items():
        found = [expression.replace(name, value) for expression in found]
    return found


def metrics_named(expression: str) -> set[str]:
    """The metrics that a PromQL expression reads. Raises ValueError where it is none."""
    found: set[str] = set()

    def see(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.add(node.name)

    promql_parser.walk(promql_parser.parse(expression), see)
    return found


def metrics_recorded(rules: dict[str, Any]) -> set[str]:
    """What the rules themselves make."""
    return {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
