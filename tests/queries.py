"""The queries of the chart's dashboard and alerts, and the metrics that they ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

CHART = Path(__file__).parents[1] / "charts" / "edgeplan"
ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = CHART / "dashboards" / "edgeplan.json"


def alerts() -> list[dict[str, Any]]:
    """The alerts as they are before Helm puts in the release's names."""
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return list(group["rules"])


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard."""
    return list(json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"])


def dashboard_queries() -> Iterator[str]:
    """Every query of the dashboard, those of its variables included."""
    for panel in panels():
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def metrics_in(query: str) -> set[str]:
    """The names of series in a query: words that are followed by a selector, a range, or nothing that names something."""
    bare = re.sub(r'"[^"]*"', '""', query)
    return set(re.findall(r"\b(?:edgeplan|process|python)_\w+", bare))


def asked_for() -> set[str]:
    """Every metric in a query of the dashboard or of an alert."""
    queries = [*dashboard_queries(), *(alert["expr"] for alert in alerts())]
    return set().union(*(metrics_in(query) for query in queries))
