"""What is counted, by whom, and that labels have bounds."""

import asyncio
import os
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry

from controller.cluster.shares import shard_of
from controller.domain.actions import AddTags, StartStage
from controller.domain.agenda import Wake
from controller.domain.conversation import Result
from controller.domain.failures import FailureKind
from controller.domain.findings import Findings
from controller.domain.outcomes import IN_SYNC, Done, Outcome, Pending, Queued, Retrying, Stalled, Waiting
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource, Scope
from controller.domain.status import Devices
from controller.engine.index import Index
from controller.engine.ports import AwsError, ObjectError
from controller.engine.quotas import Quotas
from controller.engine.sweeper import Sweeper
from controller.operator.census import Census
from controller.operator.measures import LoopWatch, Waits
from controller.operator.metrics import OUTCOMES, MeasuredSweeper, Metrics
from tests.queries import alerts, asked_for, dashboard_queries, metrics_in, panels
from tests.unit.builders import (
    ARN,
    KEY,
    MINUTE,
    NOON,
    REFUSED_FOR_QUOTA,
    SCOPE,
    condition,
    failure,
    plan,
    state,
    status,
)
from tests.unit.ports import MemoryAccounts, MemoryObjects, MemoryPlans, row

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"
HERE = {"account": SCOPE.account, "region": SCOPE.region}
READY = status(conditions=(condition("Ready"),))
CORRECTED = Result(IN_SYNC, Findings(done=(AddTags(ARN, {"team": "retail"}),)))


def value(registry: CollectorRegistry, metric: str, /, **labels: str) -> float | None:
    return registry.get_sample_value(f"edgeplan_{metric}", labels)


@dataclass
class Operator:
    """As much of an operator as is measured."""

    index: Index = field(default_factory=Index)
    serving: bool = True
    last_event: datetime = NOON
    silent_for: timedelta = timedelta(seconds=7)
    term: Sweeper | None = None
    per_object: bool = False
    rates: dict[Scope, float] = field(default_factory=dict)
    shards: dict[int, bool] = field(default_factory=dict)

    def works_on(self, resource: Resource) -> bool:
        return not self.shards or self.shards[shard_of(resource.uid, len(self.shards))]

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.index.scope)
        self.census = Census(self, per_object=self.per_object)
        self.metrics.registry.register(self.census)
        self.plans = MemoryPlans()
        self.sweeper = MeasuredSweeper(
            index=self.index,
            accounts=MemoryAccounts(self.plans),
            objects=MemoryObjects(),
            quotas=Quotas(lambda *_: None),
            wake=lambda *_: None,
            cluster="cluster-1",
            clock=lambda: NOON,
            audits_per_minute=1000,
            interval=MINUTE,
            audit_interval=1_000_000 * MINUTE,
            metrics=self.metrics,
        )
        self.term = self.sweeper

    def add(self, resource: Resource, scope: Scope = SCOPE) -> Resource:
        self.index.put(resource)
        self.index.set_scope(resource, scope)
        self.plans.rows[resource.plan_name] = row(resource.plan_name)
        return resource

    def value(self, metric: str, /, **labels: str) -> float | None:
        self.census.refresh()
        return value(self.metrics.registry, metric, **labels)


def test_every_outcome_is_counted_with_a_reason() -> None:
    assert set(OUTCOMES) == set(get_args(Outcome))
    operator = Operator()
    operator.metrics.attempted(plan(), Result(Waiting(MINUTE, Reason.SETTLING, "")), 0.1)
    operator.metrics.attempted(plan(), Result(Pending(())), 0.1)
    assert operator.value("reconciles_total", outcome="Waiting", reason="Settling") == 1
    assert operator.value("reconciles_total", outcome="Pending", reason="ChangesPending") == 1
    assert operator.value("reconcile_seconds_count", outcome="Waiting") == 1


@pytest.mark.parametrize(
    ("before", "result", "found", "corrected"),
    [
        (plan(status=READY), CORRECTED, 1, 1),
        (plan(status=READY), Result(Done(Reason.IN_SYNC, "")), 0, 0),
        (plan(status=READY), Result(Pending((StartStage("p", "s"),))), 1, 0),
        (plan(status=READY), Result(Stalled(Reason.OWNERSHIP_LOST, "")), 1, 0),
        (plan(status=READY), Result(Retrying(failure(), MINUTE, 1), CORRECTED.found), 1, 0),
        (plan(status=READY, generation=2), CORRECTED, 0, 0),
        (plan(status=READY, requested="now"), CORRECTED, 0, 0),
        (plan(status=READY, deleting=True), CORRECTED, 0, 0),
        (plan(status=status()), CORRECTED, 0, 0),
    ],
    ids=["corrected", "none", "observed", "lost", "failed", "edited", "asked", "deleted", "rolling"],
)
def test_drift_is_work_that_nobody_asked_for(before: Resource, result: Result, found: int, corrected: int) -> None:
    operator = Operator()
    operator.add(before)
    asyncio.run(operator.sweeper.sweep(SCOPE))  # from here on the series are there
    operator.metrics.attempted(before, result, 0.1)
    assert operator.value("drift_found_total", **HERE) == found
    assert operator.value("drift_corrected_total", **HERE) == corrected


def test_a_place_in_the_quota_queue_is_no_retry_but_a_refusal_is() -> None:
    operator = Operator()
    for attempts in (0, 1):
        operator.metrics.attempted(plan(), Result(Queued(1, MINUTE, attempts, REFUSED_FOR_QUOTA)), 0.1)
    assert operator.value("retries_total", failure="quota") == 1


def test_who_asked_and_was_refused_for_quota_fails_and_who_waits_behind_it_does_not() -> None:
    operator = Operator()
    first, second = operator.add(plan()), operator.add(plan(name="other", uid="uid-2"))
    operator.metrics.attempted(first, Result(Queued(0, MINUTE, 1, REFUSED_FOR_QUOTA)), 0.1)
    operator.metrics.attempted(second, Result(Queued(1, MINUTE, 0, REFUSED_FOR_QUOTA)), 0.1)
    assert operator.value("failing", **HERE, failure="quota") == 1
    operator.metrics.attempted(first, Result(IN_SYNC), 0.1)
    assert operator.value("failing", **HERE, failure="quota") == 0


@pytest.mark.parametrize("reason", [Reason.WAITING_FOR_QUOTA, Reason.SHARE_USED])
def test_whoever_waits_for_quota_or_for_a_share_is_counted_and_its_wait_too(reason: Reason) -> None:
    operator = Operator()
    waits = condition("ResourceLimitExceeded", reason=reason, since=datetime.now(UTC) - MINUTE)
    over = condition("ResourceLimitExceeded", "False", Reason.QUOTA_AVAILABLE, since=datetime.now(UTC) - 60 * MINUTE)
    operator.add(plan(status=status(arn=None, conditions=(waits,))))
    operator.add(plan(name="other", uid="uid-2", status=status(conditions=(over,))))
    assert operator.value("quota_waiting", **HERE) == 1
    longest = operator.value("quota_longest_wait_seconds", **HERE)
    assert longest is not None
    assert 60 <= longest < 120


def test_an_object_fails_until_an_attempt_works_or_it_goes() -> None:
    operator = Operator()
    one, other = operator.add(plan()), operator.add(plan(name="other", uid="uid-2"))
    for each in (one, other):
        operator.metrics.attempted(each, Result(Retrying(failure(FailureKind.CREDENTIALS), MINUTE, 1)), 0.1)
    labels = {**HERE, "failure": "credentials"}
    assert operator.value("failing", **labels) == 2
    operator.metrics.attempted(one, Result(IN_SYNC), 0.1)
    assert operator.value("failing", **labels) == 1
    operator.index.remove(other.key, other.uid)
    assert operator.value("failing", **labels) == 0
    assert operator.metrics.failing == {}


def test_codes_that_somebody_makes_up_are_one_series() -> None:
    operator = Operator()
    for number in range(500):
        operator.metrics.called(SCOPE, "ListTags", failure(code=f"Code{number}"), 0.1)
    operator.metrics.called(SCOPE, "ListTags", None, 0.1)
    codes = [
        sample.labels["code"]
        for family in operator.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "edgeplan_aws_calls_total"
    ]
    assert len(codes) < 100
    assert {"OK", "other", "Code0"} <= set(codes)


def test_a_wait_begins_with_the_wake_up_or_when_the_timer_ends() -> None:
    registry = CollectorRegistry()
    waits = Waits(registry)
    waits.due(KEY, timedelta(hours=1))
    assert waits.waiting() == []
    waits.woken(KEY, (Wake.DRIFT,))
    waits.woken(KEY, ())
    assert [trigger for _, trigger in waits.waiting()] == ["drift"]
    waits.started(KEY, frozenset({Wake.DRIFT}))
    assert (waits.waiting(), waits.working) == ([], 1)
    waits.woken(KEY, (Wake.QUOTA,))
    waits.due(KEY, timedelta(hours=1))  # it was woken in the middle of the work, which ends now
    assert [trigger for _, trigger in waits.waiting()] == ["quota"]
    waits.started(KEY, frozenset({Wake.QUOTA}))
    waits.due(KEY, timedelta(0))
    waits.started(KEY, frozenset())
    waits.started(KEY, frozenset())  # after a failure the queue repeats by itself: no wait is known
    counted = [value(registry, "queue_wait_seconds_count", trigger=each) for each in ("drift", "quota", "timer")]
    assert counted == [1, 1, 1]


@pytest.mark.parametrize(("error", "reason"), [(ObjectError("away"), "ObjectError"), (KeyError("bug"), "Exception")])
def test_a_failed_run_is_counted_and_is_no_work_any_more(error: Exception, reason: str) -> None:
    operator = Operator()

    async def work(_key: Key, _wakes: frozenset[Wake]) -> None:
        raise error

    async def run() -> None:
        await operator.metrics.measured(work)(KEY, frozenset())

    with pytest.raises(type(error)):
        asyncio.run(run())
    assert operator.value("reconciles_total", outcome="Failed", reason=reason) == 1
    assert operator.value("queue_working") == 0


def test_sweeps_are_counted_and_their_age_goes_with_the_last_object() -> None:
    operator = Operator()
    known = operator.add(plan())
    asyncio.run(operator.sweeper.sweep(SCOPE))
    operator.plans.failures["list"] = [failure()]
    with pytest.raises(AwsError):
        asyncio.run(operator.sweeper.sweep(SCOPE))
    assert operator.value("sweeps_total", **HERE, result="success") == 1
    assert operator.value("sweeps_total", **HERE, result="failure") == 1
    age = operator.value("sweep_age_seconds", **HERE)
    assert age is not None
    operator.index.remove(known.key, known.uid)
    assert operator.value("sweep_age_seconds", **HERE) is None
    assert operator.metrics.sweeps.ages() == {}


def test_a_block_of_the_event_loop_is_seen_and_forgotten() -> None:
    watch = LoopWatch()

    async def block() -> None:
        watching = asyncio.create_task(watch.run())
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251 - it is the point
        while not watch.longest():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(block())
    assert watch.longest() >= 0.3
    now = time.monotonic()
    watch._turn(now + 60)
    assert watch.longest() >= 0.3
    watch._turn(now + 120)
    assert watch.longest() == 0
    watch._longest = 1
    watch._turn(now + 600)  # nobody looked for minutes: what was before is older than that
    assert watch.longest() == 0


def test_the_census_sums_conditions_stages_and_devices() -> None:
    operator = Operator()
    stages = (state("a", "DEPLOYED", devices_succeeded=3), state("b", "FAILED", devices_failed=2, devices_pending=1))
    operator.add(plan(status=status(conditions=(condition("Ready"),), stages=stages)))
    long_ago = condition("ResourceLimitExceeded", reason="OfALaterVersion", since=datetime.now(UTC) - MINUTE)
    operator.add(plan(name="other", uid="uid-2", status=status(conditions=(condition("Ready"), long_ago))))
    assert operator.value("objects") == 2
    assert operator.value("conditions", type="Ready", status="True", reason="InSync") == 2
    assert operator.value("conditions", type="ResourceLimitExceeded", status="True", reason="other") == 1
    assert (operator.value("stages", status="DEPLOYED"), operator.value("stages", status="STOPPED")) == (1, 0)
    assert [operator.value("devices", status=each) for each in ("succeeded", "pending", "failed")] == [3, 1, 2]
    assert (operator.value("quota_longest_wait_seconds", **HERE) or 0) >= 60
    assert operator.value("watch_age_seconds") == 7


def test_one_that_stands_by_has_no_objects_to_tell_of() -> None:
    operator = Operator(serving=False)
    operator.add(plan())
    operator.term = None
    assert (operator.value("leader"), operator.value("objects")) == (0, None)


def test_one_of_several_tells_of_the_objects_of_its_shards_only() -> None:
    operators = [Operator(shards={0: True, 1: False}), Operator(shards={0: False, 1: True})]
    waiting = condition("ResourceLimitExceeded", reason=Reason.RESOURCE_LIMIT_EXCEEDED)
    for number in range(20):
        for operator in operators:
            held_back = status(arn=None, conditions=(waiting,))
            operator.add(plan(name=f"plan-{number}", uid=f"uid-{number}", status=held_back))
    for metric in ("objects", "quota_waiting"):
        values = [operator.value(metric, **(HERE if metric == "quota_waiting" else {})) or 0 for operator in operators]
        assert sum(values) == 20
        assert all(values)
    assert [operator.value("shard_held", shard="0") for operator in operators] == [1, 0]
    assert [operator.value("leader") for operator in operators] == [1, 1]


def _says(answer: object, *_: object) -> bool:
    return bool(answer)


def test_one_of_several_looks_for_drift_of_its_own_objects_and_one_judges_strangers() -> None:
    woken: list[Key] = []
    for mine, judges in ((True, True), (True, False), (False, False)):
        woken.clear()
        operator = Operator()
        sweeper, resource = operator.sweeper, operator.add(plan(status=READY))
        sweeper.mine, sweeper.judges = partial(_says, mine), partial(_says, judges)
        sweeper.wake = lambda key, _: woken.append(key)
        operator.plans.rows = {"stranger": row("stranger")}
        asyncio.run(sweeper.sweep(SCOPE))
        assert woken == [resource.key] * mine
        assert ("tags" in operator.plans.calls) is judges


# --- what the documentation and the chart say of them ---


def exercised() -> Operator:
    """An operator that has a value of every metric."""
    operator = Operator(per_object=True, shards={0: True})
    operator.rates[SCOPE] = 8.0
    operator.metrics.waited(SCOPE, 0.3)
    states = (state("a", "DEPLOYED", devices_succeeded=3),)
    known = operator.add(
        plan(status=status(conditions=(condition("Ready"),), stages=states, devices=Devices(succeeded=3)))
    )
    asyncio.run(operator.sweeper.sweep(SCOPE))
    operator.metrics.attempted(known, CORRECTED, 0.1)
    operator.metrics.called(SCOPE, "ListTags", None, 0.1)
    operator.census.refresh()
    return operator


def test_the_documentation_has_every_metric_with_its_labels() -> None:
    families = [each for each in exercised().metrics.registry.collect() if each.name.startswith("edgeplan_")]
    rows = {}
    for each in families:
        labels = sorted({label for sample in each.samples for label in sample.labels} - {"le"})
        name = f"{each.name}_total" if each.type == "counter" else each.name
        rows[name] = f"| `{name}` | {each.type} | {', '.join(labels)} | {each.documentation} |"
    per_object = [name for name in rows if name.startswith("edgeplan_object_")]
    ordered = [*sorted(rows.keys() - per_object), *sorted(per_object)]
    table = "\n".join(["| metric | type | labels | what |", "|---|---|---|---|", *(rows[name] for name in ordered)])
    text = DOCS.read_text(encoding="utf-8")
    head, _, rest = text.partition("<!-- metrics -->\n")
    _, _, tail = rest.partition("<!-- /metrics -->\n")
    expected = f"{head}<!-- metrics -->\n\n{table}\n\n<!-- /metrics -->\n{tail}"
    if os.environ.get("REGENERATE"):
        DOCS.write_text(expected, encoding="utf-8")
        text = expected
    assert text == expected


def test_dashboard_and_alerts_ask_for_metrics_that_exist() -> None:
    registry = exercised().metrics.registry
    there = {sample.name for family in registry.collect() for sample in family.samples}
    assert len(asked_for()) > 25
    assert {name for name in asked_for() if name.startswith("edgeplan_")} <= there  # process_… are there on Linux only


def test_every_panel_has_a_title_of_its_own_a_description_a_unit_and_a_place_of_its_own() -> None:
    assert len({panel["title"] for panel in panels()}) == len({panel["id"] for panel in panels()}) == len(panels())
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = {(column, row) for column in columns for row in rows}
        assert columns.stop <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


def test_dashboard_and_alerts_choose_by_labels_that_exist() -> None:
    labels: defaultdict[str, set[str]] = defaultdict(lambda: {"namespace", "job", "pod", "instance"})
    for family in exercised().metrics.registry.collect():
        for sample in family.samples:
            labels[sample.name].update(sample.labels)
    queries = [*dashboard_queries(), *(alert["expr"] for alert in alerts())]
    for query in queries:
        for metric, selector in re.findall(r"\b(\w+)\{([^}]*)\}", query):
            assert set(re.findall(r"(\w+)[=!]~?=?\"", selector)) <= labels[metric], query
        known = set().union(*(labels[metric] for metric in metrics_in(query)))
        for grouped in re.findall(r"by \(([^)]*)\)", query):
            assert set(grouped.split(", ")) <= known, query


def test_rate_and_waits_are_told_where_aws_throttles() -> None:
    operator = Operator()
    assert operator.value("aws_rate", **HERE) is None
    operator.rates[SCOPE] = 8.0
    operator.metrics.waited(SCOPE, 0.3)
    assert operator.value("aws_rate", **HERE) == 8
    assert operator.value("aws_throttle_wait_seconds_sum", **HERE) == 0.3
