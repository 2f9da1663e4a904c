"""The whole life of plans, at random: it always converges to the spec, or to a Stalled that names the true reason.

Never two plans for one object, never a lost plan, never a deletion that was not asked for.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from pydantic import ValidationError

from controller.domain.resource import Key
from controller.domain.schedule import BACKOFF_CAP
from controller.domain.spec import EdgeDeploymentPlanSpec
from controller.domain.status import EdgeDeploymentPlanStatus
from tests.life.aws import REGIONS, Aws, Loop
from tests.life.cluster import Cluster
from tests.life.crash import Crash, Mortality
from tests.life.driver import Process
from tests.life.people import ACTS, People
from tests.life.truth import Verdict, Witness, spec_of

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = st.sampled_from([Key("retail", "a"), Key("retail", "b"), Key("retail", "c"), Key("stores", "d")])
NAMES = ("a", "b", "shared")
STAGE_NAMES = st.sampled_from(["canary", "tenth", "fleet"])
SELECTIONS = st.sampled_from(
    [
        {"deviceSubsetType": "PERCENTAGE", "percentage": 10},
        {"deviceSubsetType": "PERCENTAGE", "percentage": 100},
        {"deviceSubsetType": "NAMECONTAINS", "deviceNameContains": "canary"},
    ]
)
DEPLOYMENTS = st.sampled_from([None, "ROLLBACK_ON_FAILURE", "DO_NOTHING"])


def _stage(name: str, selection: dict[str, Any], policy: str | None) -> dict[str, Any]:
    config = {"deploymentConfig": {"failureHandlingPolicy": policy}} if policy else {}
    return {"stageName": name, "deviceSelectionConfig": selection, **config}


STAGES = st.lists(
    st.builds(_stage, STAGE_NAMES, SELECTIONS, DEPLOYMENTS), unique_by=lambda each: each["stageName"], max_size=3
)
TAGS = st.dictionaries(st.sampled_from(["team", "env"]), st.sampled_from(["1", "2"])).map(
    lambda tags: [{"key": key, "value": value} for key, value in tags.items()]
)
FLEETS = st.sampled_from(["cameras", "scanners"])
MODELS = st.sampled_from([["counter-v1"], ["counter-v2"], ["counter-v1", "reader-v1"]]).map(
    lambda jobs: [{"modelHandle": job.partition("-")[0], "edgePackagingJobName": job} for job in jobs]
)
POLICY = {
    "management": ["Manage", "Manage", "Manage", "Observe"],
    "deletion": ["Delete", "Delete", "Retain"],
    "adoption": ["Never", "Adopt"],
    "replacement": ["Never", "Recreate"],
}
POLICIES = st.fixed_dictionaries({}, optional={key: st.sampled_from(values) for key, values in POLICY.items()})
ROLLOUTS = st.none() | st.fixed_dictionaries(
    {"strategy": st.just("Sequential")},
    optional={
        "throughStage": STAGE_NAMES,
        "bakeTime": st.sampled_from(["30s", "10m"]),
        "progressDeadline": st.sampled_from(["20s", "1h"]),
        "maxFailedPercent": st.sampled_from([0, 30]),
    },
)


def legal(wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The spec without what is None, its gate put right; None for one that the API server would refuse."""
    spec = {name: value for name, value in wanted.items() if value is not None}
    names = [stage["stageName"] for stage in spec.get("stages", ())]
    rollout = spec.get("rollout", {})
    if not names:
        spec.pop("rollout", None)
    elif rollout.get("throughStage", names[0]) not in names:
        spec["rollout"] = {**rollout, "throughStage": names[-1]}
    try:
        EdgeDeploymentPlanSpec.model_validate(spec)
    except ValidationError:
        return None
    return spec


def _spec(*, shared: bool, region: str | None, **fields: Any) -> dict[str, Any] | None:
    name = {"edgeDeploymentPlanName": "shared"} if shared else {}
    target = {"target": {"region": region}} if region else {}
    return legal({field: value or None for field, value in fields.items()} | name | target)


SPECS = st.builds(
    _spec,
    shared=st.booleans(),
    region=st.sampled_from([None, None, None, REGIONS[1]]),
    modelConfigs=MODELS,
    deviceFleetName=FLEETS,
    stages=STAGES,
    tags=TAGS,
    policy=POLICIES,
    rollout=ROLLOUTS,
)
WRITES = (
    "CreateEdgeDeploymentPlan",
    "DeleteEdgeDeploymentPlan",
    "CreateEdgeDeploymentStage",
    "DeleteEdgeDeploymentStage",
    "StartEdgeDeploymentStage",
    "StopEdgeDeploymentStage",
    "AddTags",
    "DeleteTags",
)
OPERATIONS = st.sampled_from(["*", "*", "DescribeEdgeDeploymentPlan", "ListTags", WRITES[0], WRITES[0], *WRITES])
TROUBLE = st.sampled_from(
    [
        {"error": "ThrottlingException"},
        {"error": "InternalFailure"},
        {"error": "ServiceUnavailable"},
        {"error": "AccessDeniedException"},
        {"error": "ExpiredTokenException"},
        {"error": "SomethingNew", "status": 400},
        {"mode": "drop_before"},
        {"mode": "drop_after"},
        {"mode": "drop_after"},
    ]
)
WORLDS = st.fixed_dictionaries(
    {},
    optional={
        "duplicate_code": st.sampled_from(["ValidationException", "ResourceInUse", "ConflictException"]),
        "missing_code": st.sampled_from(["ResourceNotFound", "ValidationException"]),
        "last_modified_with_devices": st.booleans(),
        "last_modified_with_tags": st.booleans(),
        "page_size": st.just(1),
        "do_nothing_ends_as": st.sampled_from(["FAILED", "DEPLOYED"]),
        "quota": st.integers(0, 3),
    },
)
# How long a life may take to settle, in rounds of the queue.
PATIENCE = 400

_AWS = Aws()
_LOOP = Loop()


@pytest.fixture(scope="module", autouse=True)
def _closed_loop() -> Any:
    yield
    _LOOP.close()


class Life(RuleBasedStateMachine):
    """Users, people at AWS, trouble and crashes, in any order; after each stretch of it the truth is looked at."""

    steps: ClassVar[Counter[str]] = Counter()
    endings: ClassVar[Counter[str]] = Counter()

    @initialize(world=WORLDS, seed=st.integers(0, 1000), specs=st.lists(st.tuples(KEYS, SPECS), min_size=1, max_size=4))
    def begin(self, world: dict[str, Any], seed: int, specs: list[tuple[Key, dict[str, Any] | None]]) -> None:
        _AWS.reset(**world)
        self.aws = _AWS
        self.mortality = self.aws.mortality = Mortality()
        self.cluster = Cluster(self.aws.now, self.mortality)
        self.witness = Witness(self.aws, self.cluster)
        self.dice = random.Random(seed)  # noqa: S311 - jitter
        self.deaf = False
        self.people = People(self.aws)
        self.start()
        self.forgetful = False
        for key, spec in specs:
            if spec is not None and not self.there(key):
                self.count("created")
                self.cluster.create(key, spec)
                self.aws.advance(1)

    def start(self) -> None:
        """A new process, which knows only what is stored."""
        self.forgetful = True
        self.mortality.revive()
        self.process = self.witness.process = Process(self.cluster, self.aws, _LOOP, self.dice)
        self.process.begin()

    def count(self, name: str) -> None:
        self.steps[name] += 1

    def perhaps_dying(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Crash:
            self.count("died")
            self.start()

    def turn(self, most: int = 1000) -> None:
        """One round of the operator's work."""

        def act() -> None:
            if not self.deaf:
                self.process.hear()
            self.process.work(most)

        self.perhaps_dying(act)

    def there(self, key: Key) -> bool:
        return key in self.cluster.all_keys()

    def apply(self, key: Key, **change: Any) -> None:
        """An edit that the API server lets through, if this one is."""
        spec = legal(self.cluster.spec(key) | change)
        if spec is not None:
            self.cluster.edit(key, spec)

    # -- users ------------------------------------------------------------------------------------------------------

    @rule(key=KEYS, spec=SPECS)
    def user_creates(self, key: Key, spec: dict[str, Any] | None) -> None:
        if spec is not None and not self.there(key):
            self.count("created")
            self.cluster.create(key, spec)
            self.turn()

    @rule(key=KEYS, stages=STAGES)
    def user_edits_stages(self, key: Key, stages: list[dict[str, Any]]) -> None:
        if self.there(key):
            self.count("stages edited")
            self.apply(key, stages=stages or None)

    @rule(key=KEYS, tags=TAGS)
    def user_edits_tags(self, key: Key, tags: list[dict[str, str]]) -> None:
        if self.there(key):
            self.count("tags edited")
            self.apply(key, tags=tags or None)

    @rule(key=KEYS, fleet=FLEETS)
    def user_edits_fleet(self, key: Key, fleet: str) -> None:
        if self.there(key):
            self.count("fleet edited")
            self.apply(key, deviceFleetName=fleet)

    @rule(key=KEYS, models=MODELS)
    def user_edits_models(self, key: Key, models: list[dict[str, str]]) -> None:
        if self.there(key):
            self.count("models edited")
            self.apply(key, modelConfigs=models)

    @rule(key=KEYS, policy=POLICIES)
    def user_edits_policy(self, key: Key, policy: dict[str, str]) -> None:
        if self.there(key):
            self.count("policy edited")
            self.apply(key, policy=policy or None)

    @rule(key=KEYS, rollout=ROLLOUTS)
    def user_edits_rollout(self, key: Key, rollout: dict[str, Any] | None) -> None:
        if self.there(key):
            self.count("rollout edited")
            self.apply(key, rollout=rollout)

    @rule(key=KEYS, suspend=st.booleans())
    def user_suspends_or_resumes(self, key: Key, *, suspend: bool) -> None:
        if self.there(key):
            self.count("suspended or resumed")
            self.apply(key, suspend=suspend or None)

    @rule(key=KEYS, token=st.integers(0, 9))
    def user_asks(self, key: Key, token: int) -> None:
        if self.there(key):
            self.count("asked")
            self.cluster.request(key, str(token))

    @rule(key=KEYS)
    def user_deletes(self, key: Key) -> None:
        if self.there(key):
            self.count("deleted")
            self.cluster.delete(key)

    # -- people at AWS ----------------------------------------------------------------------------------------------

    PLACES = st.tuples(st.sampled_from(NAMES), st.sampled_from([REGIONS[0], REGIONS[0], REGIONS[1]]))

    @rule(act=st.sampled_from(ACTS), place=PLACES)
    def somebody_changes_aws(self, act: str, place: tuple[str, str]) -> None:
        if self.people.act(act, *place):
            self.count("changed at AWS")

    @rule(act=st.sampled_from(ACTS), place=PLACES, calls=st.integers(1, 5))
    def somebody_changes_aws_between_two_calls(self, act: str, place: tuple[str, str], calls: int) -> None:
        self.count("changed at AWS between two calls")
        self.aws.intruder = (self.aws.calls + calls, lambda: self.people.act(act, *place))
        self.turn()

    # -- trouble ----------------------------------------------------------------------------------------------------

    @rule(
        operation=OPERATIONS, troubles=st.lists(TROUBLE, min_size=1, max_size=3), times=st.sampled_from([1, 1, 2, None])
    )
    def aws_makes_trouble(self, operation: str, troubles: list[dict[str, Any]], times: int | None) -> None:
        self.count("trouble")
        for trouble in troubles:
            self.aws.fault(operation, **trouble, times=times)

    @rule(calls=st.integers(1, 3))
    def network_refuses(self, calls: int) -> None:
        self.count("refused connections")
        self.aws.refused_connections = calls

    @rule()
    def trouble_ends(self) -> None:
        self.count("trouble ends")
        self.aws.calm()

    @rule(quota=st.sampled_from([0, 1, 2, 3, None]))
    def quota_changes(self, quota: int | None) -> None:
        self.count("quota changed")
        self.aws.settings(quota=quota)

    @rule(stage=STAGE_NAMES, percent=st.sampled_from([0, 20, 50]))
    def devices_fail(self, stage: str, percent: int) -> None:
        self.count("devices fail")
        self.aws.fail_devices(stage, percent)

    @rule(failing=st.lists(st.booleans(), min_size=1, max_size=3))
    def api_server_fails(self, failing: list[bool]) -> None:
        self.count("API server fails")
        self.forgetful = True
        self.cluster.failing = failing

    @rule()
    def watch_falls_silent_or_comes_back(self) -> None:
        self.count("watch falls silent or comes back")
        self.deaf = not self.deaf

    @rule()
    def process_is_killed(self) -> None:
        self.count("killed")
        self.start()

    @rule(calls=st.integers(1, 6), after=st.booleans())
    def process_is_killed_at_a_call(self, calls: int, *, after: bool) -> None:
        self.count("killed at a call")
        self.mortality.schedule(calls, after=after)
        self.turn()

    # -- time and work ----------------------------------------------------------------------------------------------

    @rule(most=st.sampled_from([1, 2, 1000]))
    def operator_works(self, most: int) -> None:
        self.count("worked")
        self.turn(most)

    @rule(seconds=st.sampled_from([1, 5, 45, 600, 7200]))
    def time_goes_on(self, seconds: int) -> None:
        self.count("time")
        self.aws.advance(seconds)
        self.turn()

    @rule(audit=st.booleans())
    def operator_sweeps(self, *, audit: bool) -> None:
        self.count("swept")
        self.perhaps_dying(lambda: self.process.sweep(audit=audit))

    @rule()
    def all_settles(self) -> None:
        self.count("settled")
        self.settle()

    def teardown(self) -> None:
        if hasattr(self, "process"):
            self.settle()

    # -- the truth --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """No more trouble, and time enough: everything comes to rest, and every status is true.

        Sweeps may only be needed for what people did at AWS, or for what other objects did to a plan that is observed,
        and audits only for tags: all else comes about without.
        """
        self.aws.calm()
        self.cluster.failing.clear()
        self.mortality.revive()
        self.deaf = False
        plans = map(self.cluster.plan, self.cluster.all_keys())
        quiet, swept = 0, self.people.plans_changed or any(not spec_of(plan).manages for plan in plans)
        for _ in range(PATIENCE):
            before = self.picture()
            self.process.hear()
            if self.process.work():
                continue
            moment = self.process.queue.next()
            if moment is not None and not self.only_quota_waits():
                self.aws.advance(max(0.001, (moment - self.aws.now()).total_seconds()))
                continue
            self.aws.advance((BACKOFF_CAP + timedelta(seconds=1)).total_seconds())  # who waits for quota asks once more
            if swept:
                self.process.sweep(audit=self.people.tags_changed)
            for _ in range(PATIENCE):
                self.process.hear()
                if not self.process.work():
                    break
            quiet = quiet + 1 if self.picture() == before else 0
            if quiet == 2:
                break
        else:
            raise AssertionError(f"does not settle: {self.picture()}")
        self.people.rest()
        for plan in map(self.cluster.plan, self.cluster.all_keys()):
            for condition in plan.status.conditions:
                self.endings[f"{condition.type} {condition.reason}"] += condition.status == "True"
        Verdict(self.aws, self.cluster, self.people.tags, forgetful=self.forgetful, swept=swept).judge()

    def only_quota_waits(self) -> bool:
        """Whether all that is left to happen is that somebody asks for quota again."""
        keys = {*self.process.queue.timers, *(key for _, key, _ in self.process.queue.delayed)} & set(
            self.cluster.all_keys()
        )
        return all(self.cluster.plan(key).status.is_true("ResourceLimitExceeded") for key in keys)

    def picture(self) -> dict[Key, Any]:
        """The statuses, without what moves while a plan waits for quota."""

        def still(status: EdgeDeploymentPlanStatus) -> Any:
            if not status.is_true("ResourceLimitExceeded"):
                return status
            return [(each.type, each.status, each.reason) for each in status.conditions]

        plans = map(self.cluster.plan, self.cluster.all_keys())
        return {plan.key: (plan.generation, still(plan.status)) for plan in plans}


def test_every_life_converges_and_every_status_is_true(capsys: pytest.CaptureFixture[str]) -> None:
    Life.steps.clear()
    run_state_machine_as_test(Life, settings=settings())
    total = sum(Life.steps.values())
    with capsys.disabled():
        for title, counts in ((f"{total} steps", Life.steps), ("endings", Life.endings)):
            sys.stdout.write(
                f"\n{title}: {', '.join(f'{name} {count}' for name, count in counts.most_common() if count)}"
            )
        sys.stdout.write("\n")
    assert total >= (50_000 if settings().max_examples > 1000 else 2_000)
