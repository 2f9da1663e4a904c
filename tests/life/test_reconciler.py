"""Single stories of the real loop with real boto3 against the sandbox: rows of docs/lifecycle.md, and bugs that were."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from controller.domain.api import OWNER_TAG
from controller.domain.resource import Key, Scope
from tests.life.aws import READS, REGIONS, Aws
from tests.life.cluster import Cluster
from tests.life.crash import Crash
from tests.life.driver import Process
from tests.life.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.domain.status import EdgeDeploymentPlanStatus
    from edge_manager.sandbox.service import Request

REGION = REGIONS[0]
A, B = Key("retail", "a"), Key("retail", "b")
MODELS = [{"modelHandle": "counter", "edgePackagingJobName": "counter-v1"}]
ROLLOUT = {"strategy": "Sequential"}
RECREATE = {"replacement": "Recreate"}


def stage(name: str, percentage: int = 10) -> dict[str, Any]:
    selection = {"deviceSubsetType": "PERCENTAGE", "percentage": percentage}
    return {"stageName": name, "deviceSelectionConfig": selection}


class Story:
    """A cluster, an AWS and an operator's process, and what is told of them."""

    def __init__(self, aws: Aws) -> None:
        aws.reset()
        self.aws = aws
        self.cluster = Cluster(aws.now)
        self.witness = Witness(aws, self.cluster)
        self.calls: Counter[str] = Counter()
        called = aws.calling

        def count(request: Request, process: Any) -> None:
            called(request, process)
            self.calls[request.operation] += 1

        aws.calling = count
        self.process = self.begin()

    def begin(self) -> Process:
        return Process(self.cluster, self.aws, self.witness, random.Random(0))  # noqa: S311

    def restart(self) -> None:
        self.process.end()
        self.process = self.begin()

    def create(self, key: Key, *stages: dict[str, Any], **fields: Any) -> None:
        body: dict[str, Any] = {"modelConfigs": MODELS, "deviceFleetName": "cameras"}
        self.cluster.create(key, body | ({"stages": list(stages)} if stages else {}) | fields)
        self.aws.advance(1)

    def edit(self, key: Key, **fields: Any) -> None:
        spec = self.cluster.spec(key) | fields
        self.cluster.edit(key, {name: value for name, value in spec.items() if value is not None})

    def work(self) -> None:
        """Do all that is to be done at this moment."""
        assert self.aws.loop.run_ready() < 2000, "a hot loop"
        self.process.check()

    def pass_time(self, span: timedelta = timedelta(minutes=20)) -> None:
        """Let so much time go by, with every timer in it."""
        self.aws.loop.run_for(span.total_seconds())
        self.process.check()

    def sweep(self, *, audit: bool = False) -> None:
        self.process.sweep(audit=audit)
        self.work()

    def status(self, key: Key) -> EdgeDeploymentPlanStatus:
        return self.cluster.plan(key).status

    def says(self, key: Key) -> tuple[str, str]:
        ready = self.status(key).condition("Ready")
        assert ready is not None
        return ready.status, ready.reason

    def plan(self, name: str = "a") -> dict[str, Any]:
        found = self.aws.plan(name, REGION)
        assert found is not None
        return found

    @property
    def changes(self) -> Counter[str]:
        """Calls that were to change AWS."""
        return Counter({name: count for name, count in self.calls.items() if name not in READS})

    @property
    def by_hand(self) -> Any:
        return self.aws.by_hand(REGION)


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    aws = Aws()
    yield aws
    aws.close()


@pytest.fixture
def story(aws: Aws) -> Story:
    return Story(aws)


READY = ("True", "InSync")
CREATE = "CreateEdgeDeploymentPlan"
DELETE = "DeleteEdgeDeploymentPlan"
DESCRIBE = "DescribeEdgeDeploymentPlan"


# -- cost -------------------------------------------------------------------------------------------------------------


def test_hundred_happy_plans_cost_a_hundred_calls(story: Story) -> None:
    for number in range(100):
        story.create(Key("retail", f"plan-{number}"), stage("canary"))
    story.pass_time()
    assert story.calls == {CREATE: 100, DESCRIBE: 100}  # one early look for what a create makes of the stages
    assert {story.says(key) for key in story.cluster.all_keys()} == {READY}


def test_idle_plans_cost_one_listing_a_sweep(story: Story) -> None:
    for number in range(30):
        story.create(Key("retail", f"plan-{number}"))
    story.work()
    story.sweep()  # the first sweep looks at what was created and never looked at
    story.calls.clear()
    for _ in range(5):
        story.aws.advance(60)
        story.sweep()
    assert story.calls == {"ListEdgeDeploymentPlans": 5}


# -- suspend ----------------------------------------------------------------------------------------------------------


def test_suspended_object_makes_no_call(story: Story) -> None:
    story.create(A, stage("canary"), suspend=True)
    story.pass_time()
    story.edit(A, deviceFleetName="scanners")
    story.cluster.request(A, "now")
    story.pass_time()
    assert not story.calls
    assert story.says(A) == ("Unknown", "Suspended")
    assert story.status(A).last_handled_reconcile_at == "now"


def test_suspended_object_leaves_the_quota_queue(story: Story) -> None:
    story.aws.settings(quota=0)
    story.create(A)
    story.create(B)
    story.pass_time()
    story.edit(A, suspend=True)
    story.pass_time()
    assert story.says(A) == ("Unknown", "Suspended")
    assert not story.status(A).is_true("ResourceLimitExceeded")
    assert [ticket.key for ticket in story.process.quotas.queue(Scope("default", REGION)).waiting] == [B]
    story.aws.settings(quota=1)
    story.pass_time()
    assert story.says(B) == READY


def test_resumed_object_is_brought_in_step(story: Story) -> None:
    story.create(A)
    story.work()
    story.edit(A, suspend=True, tags=[{"key": "team", "value": "retail"}])
    story.pass_time()
    assert "team" not in story.plan()["Tags"]
    story.edit(A, suspend=None)
    story.work()
    assert story.plan()["Tags"]["team"] == "retail"
    assert story.says(A) == READY


# -- deletion ---------------------------------------------------------------------------------------------------------


def test_deletion_is_honoured_while_suspended(story: Story) -> None:
    story.create(A)
    story.work()
    story.edit(A, suspend=True)
    story.cluster.delete(A)
    story.work()
    assert story.cluster.all_keys() == []
    assert story.aws.plan("a", REGION) is None


def test_deletion_of_what_was_never_created_makes_no_call(story: Story) -> None:
    story.process.reconciler.alone = True  # as it is with a lease
    story.aws.fault(CREATE, error="AccessDeniedException")
    story.create(A)
    story.work()
    story.cluster.delete(A)
    story.work()
    assert story.cluster.all_keys() == []
    assert story.calls == {CREATE: 1}


def test_deletion_finds_the_plan_of_a_create_whose_answer_got_lost(story: Story) -> None:
    story.aws.fault(CREATE, mode="drop_after", times=1)
    story.aws.fault(CREATE, error="AccessDeniedException")  # a refusal that proves nothing about the call before it
    story.create(A)
    story.pass_time()
    assert story.plan()["Tags"]
    story.cluster.delete(A)
    story.work()
    assert story.cluster.all_keys() == []
    assert story.aws.plan("a", REGION) is None


def lives(story: Story, *, after: bool) -> Iterator[int]:
    """One round for each call to AWS or the cluster at which the process can die; ends when a round met none."""
    for call in range(1, 60):
        yield call
        story.process.mortality.schedule(call, after=after)
        try:
            for _ in range(10):
                story.work()
                story.aws.advance(10)
        except Crash:
            story.restart()
        else:
            story.process.mortality.spare()
            assert call > 3
            return


@pytest.mark.parametrize("after", [False, True])
def test_creation_survives_a_crash_at_every_call(story: Story, after: bool) -> None:
    for call in lives(story, after=after):
        key = Key("retail", f"plan-{call}")
        story.create(key, stage("canary"), tags=[{"key": "team", "value": "retail"}])
    story.pass_time()
    for key in story.cluster.all_keys():
        assert story.says(key) == READY
        assert story.plan(key.name)["Tags"]["team"] == "retail"


@pytest.mark.parametrize("after", [False, True])
def test_deletion_survives_a_crash_at_every_call(story: Story, after: bool) -> None:
    for call in lives(story, after=after):
        key = Key("retail", f"plan-{call}")
        story.create(key, stage("canary"), rollout=ROLLOUT)
        story.work()
        story.aws.advance(4)
        story.work()
        story.cluster.delete(key)
    story.pass_time()
    assert story.cluster.all_keys() == []
    assert story.aws.holdings(REGION).plans == {}


@pytest.mark.parametrize("after", [False, True])
def test_replacement_survives_a_crash_at_every_call(story: Story, after: bool) -> None:
    for call in lives(story, after=after):
        key = Key("retail", f"plan-{call}")
        story.create(key, stage("canary"), rollout=ROLLOUT, policy=RECREATE)
        story.work()
        story.aws.advance(4)
        story.work()
        story.edit(key, deviceFleetName="scanners")
    story.pass_time()
    assert {story.plan(key.name)["DeviceFleetName"] for key in story.cluster.all_keys()} == {"scanners"}
    assert {story.says(key) for key in story.cluster.all_keys()} == {("True", "RolloutComplete")}


# -- two objects, one plan --------------------------------------------------------------------------------------------


def test_younger_object_of_the_same_plan_stalls(story: Story) -> None:
    story.create(A, edgeDeploymentPlanName="shared")
    story.create(B, edgeDeploymentPlanName="shared")
    story.pass_time()
    assert story.says(A) == READY
    assert story.says(B) == ("False", "NameConflict")
    assert story.calls == {CREATE: 1}


def test_younger_object_takes_over_when_the_holder_goes(story: Story) -> None:
    story.create(A, edgeDeploymentPlanName="shared")
    story.create(B, edgeDeploymentPlanName="shared")
    story.pass_time()
    story.cluster.delete(A)
    story.work()
    assert story.says(B) == READY
    assert story.plan("shared")["Tags"][OWNER_TAG].endswith(f"/b/{story.cluster.plan(B).uid}")


def test_younger_object_is_told_the_truth_when_the_holder_only_observes(story: Story) -> None:
    story.create(A, edgeDeploymentPlanName="shared")
    story.create(B, edgeDeploymentPlanName="shared")
    story.pass_time()
    story.edit(A, policy={"management": "Observe"})
    story.work()
    assert story.says(B) == ("False", "NotOwned")
    assert story.changes.keys() == {CREATE}
    assert story.plan("shared")["Tags"][OWNER_TAG].endswith(f"/a/{story.cluster.plan(A).uid}")


def test_younger_object_that_made_the_plan_before_a_crash_keeps_it(story: Story) -> None:
    story.create(A, edgeDeploymentPlanName="shared", policy={"management": "Observe"})
    story.create(B, edgeDeploymentPlanName="shared")
    story.process.mortality.schedule(3, after=True)  # the finalizers' write, A's look and B's create
    with pytest.raises(Crash):
        story.work()
    assert story.plan("shared")["Tags"][OWNER_TAG].endswith(f"/b/{story.cluster.plan(B).uid}")
    story.edit(A, policy=None)
    story.restart()
    story.pass_time()
    assert story.says(B) == READY
    assert story.says(A) in {("False", "NotOwned"), ("False", "NameConflict")}
    assert story.calls[DELETE] == 0


# -- failed calls -----------------------------------------------------------------------------------------------------


def test_tag_whose_call_failed_is_put_on_by_the_retry(story: Story) -> None:
    story.create(A)
    story.work()
    story.aws.fault("AddTags", error="ThrottlingException", times=1)
    story.edit(A, tags=[{"key": "team", "value": "retail"}])
    story.pass_time()
    assert story.says(A) == READY
    assert story.plan()["Tags"]["team"] == "retail"


def test_tag_whose_answer_got_lost_is_taken_off_again(story: Story) -> None:
    story.create(A)
    story.work()
    story.aws.fault("AddTags", mode="drop_after", times=1)
    story.edit(A, tags=[{"key": "team", "value": "retail"}])
    story.work()
    assert story.plan()["Tags"]["team"] == "retail"
    story.edit(A, tags=None)
    story.pass_time()
    assert set(story.plan()["Tags"]) == {OWNER_TAG}


def test_request_survives_a_failed_call(story: Story) -> None:
    story.aws.fail_devices("canary", 100)
    story.create(A, stage("canary", 100), rollout=ROLLOUT)
    story.pass_time()
    assert story.says(A) == ("False", "StageFailed")
    story.aws.heal_devices()
    story.aws.fault("*", error="ThrottlingException", times=1)
    story.cluster.request(A, "again")
    story.pass_time()
    assert story.says(A) == ("True", "RolloutComplete")


def test_edit_while_a_stage_stops_resumes_it(story: Story) -> None:
    story.create(A, stage("canary", 100), rollout=ROLLOUT)
    story.pass_time(timedelta(seconds=10))
    story.by_hand.stop_edge_deployment_stage(EdgeDeploymentPlanName="a", StageName="canary")
    story.edit(A, rollout={"strategy": "Sequential", "throughStage": "canary"})
    story.pass_time()
    assert story.says(A) == ("True", "RolloutComplete")


def test_change_that_somebody_else_made_first_is_no_refusal(story: Story) -> None:
    story.aws.settings(missing_code="ValidationException")
    story.create(A, stage("canary"), stage("fleet"))
    story.work()
    story.aws.advance(5)
    story.edit(A, stages=[stage("canary")])

    def race() -> None:
        story.by_hand.delete_edge_deployment_stage(EdgeDeploymentPlanName="a", StageName="fleet")

    story.aws.intruder = (story.aws.calls + 3, race)  # after Describe and ListTags
    story.work()
    assert story.says(A) == READY


# -- drift ------------------------------------------------------------------------------------------------------------


def test_plan_deleted_at_aws_is_back_after_one_sweep(story: Story) -> None:
    story.create(A)
    story.pass_time()
    story.sweep()
    story.by_hand.delete_edge_deployment_plan(EdgeDeploymentPlanName="a")
    story.calls.clear()
    story.sweep()
    assert story.says(A) == READY
    assert story.plan()["Tags"]
    assert story.calls[DESCRIBE] <= 2


def test_stage_deleted_at_aws_is_back_after_one_sweep(story: Story) -> None:
    story.create(A, stage("canary"), stage("fleet"))
    story.work()
    story.aws.advance(5)
    story.sweep()
    story.by_hand.delete_edge_deployment_stage(EdgeDeploymentPlanName="a", StageName="fleet")
    story.sweep()
    assert [each["StageName"] for each in story.plan()["Stages"]] == ["canary", "fleet"]


def test_tag_taken_off_at_aws_is_back_after_one_audit(story: Story) -> None:
    story.create(A, tags=[{"key": "team", "value": "retail"}])
    story.work()
    story.sweep()
    story.by_hand.delete_tags(ResourceArn=story.plan()["EdgeDeploymentPlanArn"], TagKeys=["team"])
    story.sweep(audit=True)
    assert story.plan()["Tags"]["team"] == "retail"


def test_plan_that_appears_is_shown_under_observe(story: Story) -> None:
    story.create(A, policy={"management": "Observe"})
    story.work()
    assert story.status(A).pending_changes == ("CreatePlan(a on fleet cameras: no stages)",)
    models = [{"ModelHandle": "counter", "EdgePackagingJobName": "counter-v1"}]
    story.by_hand.create_edge_deployment_plan(
        EdgeDeploymentPlanName="a", DeviceFleetName="cameras", ModelConfigs=models
    )
    story.sweep()
    assert story.status(A).edge_deployment_plan_arn == story.plan()["EdgeDeploymentPlanArn"]
    assert not story.changes


def test_object_whose_call_met_a_late_lease_is_taken_up_again_once_it_is_held(story: Story) -> None:
    story.process.leads = False
    story.create(A)
    story.work()
    assert not story.changes
    story.process.leads = True
    story.pass_time()
    assert story.plan()["Tags"]


def test_plan_replaced_by_hand_before_the_first_look_is_never_deleted(story: Story) -> None:
    story.create(A)
    story.work()
    story.by_hand.delete_edge_deployment_plan(EdgeDeploymentPlanName="a")
    story.aws.advance(1)
    models = [{"ModelHandle": "other", "EdgePackagingJobName": "other-v1"}]
    story.by_hand.create_edge_deployment_plan(EdgeDeploymentPlanName="a", DeviceFleetName="other", ModelConfigs=models)
    story.cluster.delete(A)
    story.pass_time()
    assert story.cluster.all_keys() == []
    assert story.plan()["DeviceFleetName"] == "other"
