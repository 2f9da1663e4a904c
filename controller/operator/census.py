"""What there is, counted when a scrape asks: objects by condition, stages, devices, queues, ages.

Nothing is kept up to date for it. It is counted in a thread, so that a scrape of many objects holds up no reconcile. Of an
object only the operator tells that works on it: two that tell the same would be counted twice.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, get_args

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from controller.domain.agenda import Wake
from controller.domain.failures import FailureKind
from controller.domain.reasons import Reason
from controller.domain.resource import Resource, Scope
from controller.domain.stage import StageStatus
from controller.engine.index import Index
from controller.engine.sweeper import Sweeper
from controller.operator.measures import TRIGGERS
from controller.operator.metrics import OTHER, Metrics

_DEVICES = ("succeeded", "pending", "failed")
_SCOPE = ("account", "region")


class Subject(Protocol):
    """What of the operator is looked at."""

    index: Index
    metrics: Metrics
    serving: bool
    last_event: datetime

    @property
    def silent_for(self) -> timedelta:
        """How long the API server has given no answer to the check of the watch."""

    @property
    def shards(self) -> Mapping[int, bool]:
        """All shards, and whether each is worked on here; none where one operator works on everything."""

    def works_on(self, resource: Resource) -> bool:
        """Whether the object is worked on here."""

    @property
    def term(self) -> Sweeper | None:
        """The sweeper that the operator has while it acts."""

    @property
    def rates(self) -> Mapping[Scope, float]:
        """Calls a second that go to AWS at present, where it throttles."""


class Census(Collector):
    """Counts what the operator knows."""

    def __init__(self, subject: Subject, *, per_object: bool) -> None:
        self._subject = subject
        self._per_object = per_object
        self._silent = timedelta(0)
        self._ghosts = 0
        self._rates: Mapping[Scope, float] = {}

    def refresh(self) -> None:
        """Look at what only the event loop's own thread may look at, right before a scrape."""
        self._silent = self._subject.silent_for
        self._ghosts = sum(map(self._subject.works_on, self._subject.index.ghosts()))
        self._rates = self._subject.rates

    def describe(self) -> list[Metric]:
        """Nothing: who registers a collector without this makes it collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The gauges; those of the objects only while this operator acts."""
        subject = self._subject
        yield _one("edgeplan_leader", "Whether this operator acts (1) or stands by (0).", int(subject.serving))
        if subject.shards:
            yield _many(
                "edgeplan_shard_held",
                "Whether this operator works on the shard (1) or not (0); only with more than one shard.",
                ["shard"],
                {(str(shard),): int(held) for shard, held in subject.shards.items()},
            )
        yield _one(
            "edgeplan_watch_age_seconds",
            "Time since the API server last answered the check of the watch.",
            self._silent.total_seconds(),
        )
        yield _one(
            "edgeplan_watch_event_age_seconds",
            "Time since the last watch event; long is normal where nothing happens.",
            max(0.0, (datetime.now(UTC) - subject.last_event).total_seconds()),
        )
        yield _one(
            "edgeplan_loop_block_seconds",
            "The longest time that the event loop was held up, in the last one to two minutes.",
            subject.metrics.loop.longest(),
        )
        yield _many(
            "edgeplan_aws_rate",
            "AWS calls a second that the operator makes at most, where AWS throttles; none where it does not.",
            _SCOPE,
            self._rates,
        )
        sweeper = subject.term
        if sweeper is not None:
            yield from self._queue()
            yield from self._objects(sweeper)

    def _queue(self) -> Iterator[Metric]:
        waits = self._subject.metrics.waits
        waiting = waits.waiting()
        yield _many(
            "edgeplan_queue_waiting",
            "Objects that could be worked on and wait for a place, by what woke them.",
            ["trigger"],
            dict.fromkeys(((each,) for each in TRIGGERS), 0) | Counter((trigger,) for _, trigger in waiting),
        )
        yield _one(
            "edgeplan_queue_longest_wait_seconds",
            "Longest time that an object waits for a place; audits, which let others go first for minutes, are left out.",
            max((wait for wait, trigger in waiting if trigger != Wake.AUDIT), default=0.0),
        )
        yield _one("edgeplan_queue_working", "Objects that are worked on.", waits.working)

    def _objects(self, sweeper: Sweeper) -> Iterator[Metric]:
        index = self._subject.index
        resources = [resource for resource in index if self._subject.works_on(resource)]
        yield _one("edgeplan_objects", "Objects that are there.", len(resources))
        yield _one("edgeplan_ghosts", "Objects that are gone, and of which something may be left in AWS.", self._ghosts)
        tally = Tally.of(resources)
        yield _many(
            "edgeplan_conditions",
            "Objects by condition: its type, status and reason.",
            ["type", "status", "reason"],
            tally.conditions,
        )
        yield _many("edgeplan_stages", "Stages of all plans, by their status in AWS.", ["status"], tally.stages)
        yield _many("edgeplan_devices", "Devices of all stages, by how the deployment went.", ["status"], tally.devices)
        yield from self._scopes(resources, tally, sweeper)
        if self._per_object:
            yield from _each(resources)

    def _scopes(self, resources: list[Resource], tally: "Tally", sweeper: Sweeper) -> Iterator[Metric]:
        index, metrics = self._subject.index, self._subject.metrics
        present = {resource.key: index.scope(resource.key) for resource in resources}
        scopes = {scope for scope in present.values() if scope is not None}
        # Both by what the statuses say: the engine's queue does not hold those that wait for their namespace's share.
        waiting, longest = dict.fromkeys(scopes, 0), dict.fromkeys(scopes, 0.0)
        for resource, wait in tally.kept_out:
            scope = present[resource.key]
            if scope is not None:
                waiting[scope] += 1
                longest[scope] = max(longest[scope], wait)
        yield _many(
            "edgeplan_quota_waiting",
            "Plans that wait for AWS's quota or for their namespace's share of it.",
            _SCOPE,
            waiting,
        )
        yield _many(
            "edgeplan_quota_longest_wait_seconds",
            "Longest time that a plan waits for quota or its share of it.",
            _SCOPE,
            longest,
        )
        failing: dict[tuple[str, ...], float] = {(*scope, kind): 0 for scope in scopes for kind in FailureKind}
        for key, kind in list(metrics.failing.items()):
            scope = present.get(key)
            if scope is not None:
                failing[*scope, kind] += 1
            elif index.get(key) is None:
                metrics.failing.pop(key, None)
        yield _many(
            "edgeplan_failing",
            "Objects whose latest attempt failed and is tried again, by kind of failure.",
            [*_SCOPE, "failure"],
            failing,
        )
        yield _many(
            "edgeplan_orphans",
            "Plans in AWS that objects of this cluster left behind.",
            _SCOPE,
            {scope: len(sweeper.orphans.get(scope, ())) for scope in scopes},
        )
        yield _one(
            "edgeplan_sweep_interval_seconds", "Time between two sweeps, as set.", sweeper.interval.total_seconds()
        )
        ages = metrics.sweeps.ages()
        for scope in ages.keys() - scopes:
            metrics.sweeps.forget(scope)
        swept = [(scope, *found) for scope, found in ages.items() if scope in scopes]
        yield _many(
            "edgeplan_sweep_age_seconds",
            "Time since the last sweep that succeeded ended, or since the first began.",
            _SCOPE,
            {scope: age for scope, age, _ in swept},
        )
        yield _many(
            "edgeplan_sweep_seconds",
            "How long the latest sweep that succeeded took.",
            _SCOPE,
            {scope: took for scope, _, took in swept},
        )


@dataclass(frozen=True)
class Tally:
    """Sums over all objects."""

    conditions: Counter[tuple[str, str, str]]
    stages: dict[tuple[str], int]
    devices: dict[tuple[str], int]
    kept_out: list[tuple[Resource, float]]
    """Who waits for quota or for its namespace's share, and for how long."""

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> "Tally":
        """The sums over these objects."""
        now = datetime.now(UTC)
        found = cls(
            conditions=Counter({("Ready", "True", Reason.IN_SYNC): 0, ("Stalled", "True", Reason.STAGE_FAILED): 0}),
            stages=dict.fromkeys(((each,) for each in get_args(StageStatus)), 0),
            devices=dict.fromkeys(((each,) for each in _DEVICES), 0),
            kept_out=[],
        )
        for resource in resources:
            status = resource.status
            for each in status.conditions:
                found.conditions[each.type, each.status, Reason.of(each.reason) or OTHER] += 1
                if each.type == "ResourceLimitExceeded" and each.status == "True":
                    found.kept_out.append((resource, max(0.0, (now - each.last_transition_time).total_seconds())))
            for stage in status.stages or ():
                found.stages[stage.status,] += 1
                for name in _DEVICES:
                    found.devices[name,] += getattr(stage, f"devices_{name}")
        return found


def _each(resources: Iterable[Resource]) -> Iterator[Metric]:
    """Series for each object: so many that they are there only where asked for."""
    conditions = GaugeMetricFamily(
        "edgeplan_object_condition",
        "Conditions of each object; always 1.",
        labels=["namespace", "name", "type", "status", "reason"],
    )
    devices = GaugeMetricFamily(
        "edgeplan_object_devices", "Devices of each object, over its stages.", labels=["namespace", "name", "status"]
    )
    for resource in resources:
        for each in resource.status.conditions:
            reason = Reason.of(each.reason) or OTHER
            conditions.add_metric([*resource.key, each.type, each.status, reason], 1)
        for name in _DEVICES if resource.status.devices is not None else ():
            devices.add_metric([*resource.key, name], getattr(resource.status.devices, name))
    yield from (conditions, devices)


def _one(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value)


def _many(name: str, told: str, labels: Sequence[str], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
