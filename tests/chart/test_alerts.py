"""The chart's alerts: each fires when it should and is silent when it should be, by promtool, in the release's own names."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.chart.helm import ROOT, Helm, of_kind
from tests.chart.promtool import find_promtool
from tests.queries import alerts, dashboard_queries, metrics_in

if TYPE_CHECKING:
    from pathlib import Path

RELEASE = 'namespace="edgeplan-system",job="edgeplan-metrics"'
SCOPE = 'account="stores",region="eu-west-1"'
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
MINUTES = 180

# Two replicas at work on one account, a sample a minute; promtool's notation: value+step x times.
HEALTHY = {
    'leader{pod="a"}': "1x180",
    'leader{pod="b"}': "0x180",
    'watch_age_seconds{pod="a"}': "3x180",
    'watch_age_seconds{pod="b"}': "9x180",
    'conditions{pod="a",type="Ready",status="True",reason="InSync"}': "20x180",
    'conditions{pod="a",type="Stalled",status="True",reason="StageFailed"}': "0x180",
    f'failing{{pod="a",{SCOPE},failure="credentials"}}': "0x180",
    f'failing{{pod="a",{SCOPE},failure="transient"}}': "0x180",
    f'aws_calls_total{{pod="a",{SCOPE},operation="ListTags",code="OK",failure="none"}}': "0+60x180",
    f'aws_calls_total{{pod="a",{SCOPE},operation="ListTags",code="Throttling",failure="throttled"}}': "0x180",
    f'quota_longest_wait_seconds{{pod="a",{SCOPE}}}': "0x180",
    f'sweep_age_seconds{{pod="a",{SCOPE}}}': "50x180",
    'sweep_interval_seconds{pod="a"}': "60x180",
    'queue_longest_wait_seconds{pod="a"}': "0x180",
    'reconciles_total{pod="a",outcome="Failed",reason="ObjectError"}': "0x180",
    'reconciles_total{pod="a",outcome="Failed",reason="Exception"}': "0x180",
}
THROTTLED = f'aws_calls_total{{pod="a",{SCOPE},operation="ListTags",code="Throttling",failure="throttled"}}'


@dataclass(frozen=True)
class Case:
    """What differs from health, and when it is looked at; None: the series is not there."""

    differs: dict[str, str | None]
    at: int


def gone(*patterns: str) -> dict[str, str | None]:
    return {series: None for series in HEALTHY if series.startswith(patterns)}


FIRES = {
    "EdgeplanAbsent": Case(gone(""), 10),
    "EdgeplanNoLeader": Case({'leader{pod="a"}': "0x180"}, 10),
    "EdgeplanWatchStale": Case({'watch_age_seconds{pod="b"}': "0+60x180"}, 10),
    "EdgeplanStalled": Case({'conditions{pod="a",type="Stalled",status="True",reason="NotOwned"}': "1x180"}, 20),
    "EdgeplanRolloutFailed": Case(
        {'conditions{pod="a",type="Stalled",status="True",reason="StageFailed"}': "1x180"}, 5
    ),
    "EdgeplanAccessDenied": Case({f'failing{{pod="a",{SCOPE},failure="credentials"}}': "2x180"}, 15),
    "EdgeplanFailing": Case({f'failing{{pod="a",{SCOPE},failure="transient"}}': "2x180"}, 40),
    "EdgeplanThrottled": Case({THROTTLED: "0+20x180"}, 40),
    "EdgeplanQuotaWaitingLong": Case({f'quota_longest_wait_seconds{{pod="a",{SCOPE}}}': "0+60x180"}, 75),
    "EdgeplanSweepFailing": Case({f'sweep_age_seconds{{pod="a",{SCOPE}}}': "0+60x180"}, 20),
    "EdgeplanQueueWaitLong": Case({'queue_longest_wait_seconds{pod="a"}': "0+60x180"}, 20),
    "EdgeplanReconcilesFail": Case({'reconciles_total{pod="a",outcome="Failed",reason="Exception"}': "0+2x180"}, 60),
}
SILENT = {
    # One replica is drained; the other goes on, and leads.
    "EdgeplanAbsent": Case({'leader{pod="a"}': None, 'leader{pod="b"}': "1x180"}, 60),
    # The leader changes, in a minute between two scrapes.
    "EdgeplanNoLeader": Case({'leader{pod="a"}': "1x5 0x170", 'leader{pod="b"}': "0x6 1x169"}, 60),
    "EdgeplanWatchStale": Case({'watch_age_seconds{pod="b"}': "0+30x3 5x170"}, 6),
    # A failed rollout has an alert of its own; what is put right within a quarter of an hour needs none.
    "EdgeplanStalled": Case(
        {
            'conditions{pod="a",type="Stalled",status="True",reason="RolloutStopped"}': "1x2 0x170",
            'conditions{pod="a",type="Stalled",status="True",reason="NotOwned"}': "1x10 0x170",
        },
        60,
    ),
    "EdgeplanRolloutFailed": Case(
        {'conditions{pod="a",type="Reconciling",status="True",reason="Baking"}': "1x180"}, 60
    ),
    # Throttling and quota are failures too, and no matter of rights.
    "EdgeplanAccessDenied": Case({f'failing{{pod="a",{SCOPE},failure="throttled"}}': "5x180"}, 60),
    "EdgeplanFailing": Case({f'failing{{pod="a",{SCOPE},failure="transient"}}': "3x20 0x150"}, 60),
    "EdgeplanThrottled": Case({THROTTLED: "0+2x180"}, 60),
    "EdgeplanQuotaWaitingLong": Case({f'quota_longest_wait_seconds{{pod="a",{SCOPE}}}': "0+60x50 0x130"}, 60),
    # Whoever sweeps once an hour has sweeps that are an hour old.
    "EdgeplanSweepFailing": Case(
        {f'sweep_age_seconds{{pod="a",{SCOPE}}}': "0+60x180", 'sweep_interval_seconds{pod="a"}': "3600x180"}, 90
    ),
    "EdgeplanQueueWaitLong": Case({'queue_longest_wait_seconds{pod="a"}': "90x5 1x170"}, 60),
    "EdgeplanReconcilesFail": Case({'reconciles_total{pod="a",outcome="Failed",reason="Exception"}': "0x9 5x170"}, 60),
}


@pytest.fixture(scope="module")
def promtool() -> Path:
    return find_promtool()


def series(case: Case, release: str) -> list[dict[str, str]]:
    return [
        {"series": "edgeplan_" + name.replace("{", f"{{{release},", 1), "values": values}
        for name, values in {**HEALTHY, **case.differs}.items()
        if values is not None
    ]


def firing(case: Case, alert: str, count: int, release: str = RELEASE) -> dict[str, Any]:
    """How often that alert fires, and that no other one does where it does."""
    query = 'count by (alertname) (ALERTS{alertstate="firing"})'
    samples = [{"labels": f'{{alertname="{alert}"}}', "value": count}] if count else []
    return {
        "name": f"{alert} {'fires' if count else 'is silent'}",
        "interval": "1m",
        "input_series": series(case, release),
        "promql_expr_test": [{"expr": query, "eval_time": f"{case.at}m", "exp_samples": samples}],
    }


def check(promtool: Path, folder: Path, rules: Any, tests: list[dict[str, Any]]) -> str:
    """What promtool has to say against these tests."""
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    names = [{key: value for key, value in test.items() if key != "name"} for test in tests]
    (folder / "tests.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": names})
    )
    done = subprocess.run(
        [promtool, "test", "rules", "tests.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def rules_of(offline: Helm, *values: str) -> Any:
    (rule,) = of_kind(offline.template("--set=metrics.prometheusRule.enabled=true", *values), "PrometheusRule")
    return rule["spec"]


def test_every_alert_has_both_cases_and_its_section() -> None:
    names = [alert["alert"] for alert in alerts()]
    assert names == list(FIRES) == list(SILENT)
    assert re.findall(r"(?m)^## (Edgeplan\w+)$", RUNBOOK) == names
    for alert in alerts():
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"


def test_an_alert_tells_only_labels_that_it_has() -> None:
    for alert in alerts():
        told = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["description"]))
        grouped = re.search(r"by \(([^)]*)\)", alert["expr"])
        assert told <= set(grouped[1].split(", ") if grouped else ()), alert["alert"]


def test_each_alert_fires_alone_and_is_silent_in_the_opposite_case(
    offline: Helm, promtool: Path, tmp_path: Path
) -> None:
    rules = rules_of(offline)
    tests = [firing(case, alert, 1) for alert, case in FIRES.items()]
    tests += [firing(case, alert, 0) for alert, case in SILENT.items()]
    tests.append(firing(Case({}, MINUTES), "nothing", 0))
    assert check(promtool, tmp_path, rules, tests) == ""


def test_promtool_complains_of_an_alert_that_does_not_fire(offline: Helm, promtool: Path, tmp_path: Path) -> None:
    rules = rules_of(offline)
    assert "FAILED" in check(promtool, tmp_path, rules, [firing(Case({}, 10), "EdgeplanAbsent", 1)])


def test_alerts_look_at_their_own_release(offline: Helm, promtool: Path, tmp_path: Path) -> None:
    rules = rules_of(
        offline, "--set=fullnameOverride=plans", "--set=metrics.prometheusRule.runbookUrl=https://a.example/b"
    )
    own = 'namespace="edgeplan-system",job="plans-metrics"'
    case = FIRES["EdgeplanStalled"]
    tests = [
        firing(case, "EdgeplanStalled", 1, release=own),
        firing(Case(case.differs, case.at), "EdgeplanAbsent", 1),  # of the other release nothing is seen
    ]
    assert check(promtool, tmp_path, rules, tests) == ""
    urls = {rule["annotations"]["runbook_url"] for rule in rules["groups"][0]["rules"]}
    assert urls == {f"https://a.example/b#{alert['alert'].lower()}" for alert in alerts()}


def test_every_query_of_the_dashboard_is_one(promtool: Path, tmp_path: Path) -> None:
    plain = [query for query in dashboard_queries() if not query.startswith("label_values")]
    filled = [query.replace("$__rate_interval", "5m").replace("$job", "a") for query in plain]
    assert len(filled) > 20
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(filled)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", "rules.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_metrics_are_found_in_a_query() -> None:
    query = 'sum by (edgeplan) (rate(edgeplan_a_total{reason="edgeplan_b"}[5m])) / edgeplan_c'
    assert metrics_in(query) == {"edgeplan_a_total", "edgeplan_c"}
