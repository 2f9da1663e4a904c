"""The stage state machine: by example over HTTP, and at random against AWS's transitions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge_manager.api.calls import OPERATIONS
from edge_manager.domain.scope import Scope
from edge_manager.errors import ApiError
from edge_manager.sandbox.clock import later
from edge_manager.sandbox.memory import Call
from edge_manager.sandbox.settings import Settings
from edge_manager.sandbox.stages import Failure
from edge_manager.sandbox.state import World, device_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_manager.sandbox.server import Sandbox

    Create = Callable[..., str]
    Percentage = Callable[..., dict[str, Any]]
    Status = Callable[..., tuple[str, int, int, int]]

STAGE = {"EdgeDeploymentPlanName": "plan", "StageName": "all"}


def test_a_stage_goes_from_ready_to_deployed_as_time_passes(
    sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Percentage, status: Status
) -> None:
    create(Stages=[percentage("all", 100)])
    assert status("all") == ("READYTODEPLOY", 0, 10, 0)
    sagemaker.start_edge_deployment_stage(**STAGE)
    assert status("all") == ("STARTING", 0, 10, 0)
    sandbox.clock.advance(1)
    assert status("all") == ("INPROGRESS", 0, 10, 0)
    sandbox.clock.advance(5)
    assert status("all") == ("INPROGRESS", 5, 5, 0)
    sandbox.clock.advance(5)
    assert status("all") == ("DEPLOYED", 10, 0, 0)


def test_creating_takes_as_long_as_it_is_set_to(
    sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Percentage, status: Status
) -> None:
    sandbox.settings(create_duration=5)
    create(Stages=[percentage("all", 100)])
    assert status("all")[0] == "CREATING"
    with pytest.raises(ClientError, match="cannot be started while its status is CREATING"):
        sagemaker.start_edge_deployment_stage(**STAGE)
    sandbox.clock.advance(5)
    assert status("all")[0] == "READYTODEPLOY"


def test_a_stopped_stage_keeps_what_it_reached_and_goes_on_from_there(
    sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Percentage, status: Status
) -> None:
    create(Stages=[percentage("all", 100)])
    sagemaker.start_edge_deployment_stage(**STAGE)
    sandbox.clock.advance(5)
    sagemaker.stop_edge_deployment_stage(**STAGE)
    assert status("all") == ("STOPPING", 4, 6, 0)
    sandbox.clock.advance(60)
    assert status("all") == ("STOPPED", 4, 6, 0)
    sagemaker.start_edge_deployment_stage(**STAGE)
    assert status("all") == ("STARTING", 4, 6, 0)
    sandbox.clock.advance(11)
    assert status("all") == ("DEPLOYED", 10, 0, 0)


@pytest.mark.parametrize(
    ("policy", "ends_as", "expected", "says"),
    [
        ("ROLLBACK_ON_FAILURE", "FAILED", "FAILED", "; rolled back to the previous configuration"),
        ("ROLLBACK_ON_FAILURE", "DEPLOYED", "FAILED", "; rolled back to the previous configuration"),
        ("DO_NOTHING", "FAILED", "FAILED", ""),
        ("DO_NOTHING", "DEPLOYED", "DEPLOYED", ""),
    ],
)
def test_devices_that_fail_end_a_stage_by_its_policy(
    *,
    policy: str,
    ends_as: str,
    expected: str,
    says: str,
    sandbox: Sandbox,
    sagemaker: Any,
    create: Create,
    percentage: Percentage,
    status: Status,
) -> None:
    sandbox.settings(do_nothing_ends_as=ends_as)
    sandbox.fail_devices("plan", "all", percent=30, message="out of memory")
    create(Stages=[percentage("all", 100, policy)])
    sagemaker.start_edge_deployment_stage(**STAGE)
    sandbox.clock.advance(6)
    assert status("all") == ("INPROGRESS", 4, 5, 1)
    sandbox.clock.advance(5)
    assert status("all") == (expected, 7, 0, 3)
    message = sandbox.plan("plan")["Stages"][0]["DeploymentStatus"]["EdgeDeploymentStatusMessage"]
    assert message == f"3 of 10 devices failed the deployment: out of memory{says}"


def test_devices_can_fail_together_at_a_chosen_moment(
    sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Percentage, status: Status
) -> None:
    sandbox.fail_devices(devices=4, after=2)
    create(Stages=[percentage("all", 100)])
    sagemaker.start_edge_deployment_stage(**STAGE)
    sandbox.clock.advance(2.9)
    assert status("all")[3] == 0
    sandbox.clock.advance(0.1)
    assert status("all") == ("INPROGRESS", 2, 4, 4)
    sandbox.clear_failures()
    sandbox.clock.advance(60)
    sagemaker.start_edge_deployment_stage(**STAGE)
    sandbox.clock.advance(60)
    assert status("all") == ("DEPLOYED", 10, 0, 0)


def test_whether_a_failed_stage_may_start_again_can_be_set(
    sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Percentage
) -> None:
    sandbox.settings(restart_failed_stages=False, start_duration=0, deploy_duration_per_stage=0)
    sandbox.fail_devices(devices=1)
    create(Stages=[percentage("all", 100)])
    sagemaker.start_edge_deployment_stage(**STAGE)
    with pytest.raises(ClientError, match="cannot be started while its status is FAILED"):
        sagemaker.start_edge_deployment_stage(**STAGE)


def test_each_kind_of_selection_takes_its_devices(sandbox: Sandbox, sagemaker: Any, create: Create) -> None:
    sandbox.seed_fleet("cameras", 3, "{fleet}-canary-{number}", region="eu-west-1")
    sandbox.seed_fleet("cameras", 7, region="eu-west-1")
    selections = {
        "canary": {"DeviceSubsetType": "NAMECONTAINS", "DeviceNameContains": "canary"},
        "named": {"DeviceSubsetType": "SELECTION", "DeviceNames": ["cameras-0007", "cameras-0001", "new"]},
        "half": {"DeviceSubsetType": "PERCENTAGE", "Percentage": 45},
        "rest": {"DeviceSubsetType": "PERCENTAGE", "Percentage": 100},
    }
    stages = [{"StageName": name, "DeviceSelectionConfig": each} for name, each in selections.items()]
    create(fleet="cameras", Stages=stages)
    devices = {
        name: [
            each["DeviceName"]
            for each in sagemaker.list_stage_devices(EdgeDeploymentPlanName="plan", StageName=name)[
                "DeviceDeploymentSummaries"
            ]
        ]
        for name in selections
    }
    assert devices == {
        "canary": ["cameras-canary-1", "cameras-canary-2", "cameras-canary-3"],
        "named": ["cameras-0001", "cameras-0007", "new"],
        "half": ["cameras-0002", "cameras-0003", "cameras-0004", "cameras-0005", "cameras-0006"],
        "rest": [],
    }
    described = sandbox.plan("plan")
    assert {stage["DeploymentConfig"]["FailureHandlingPolicy"] for stage in described["Stages"]} == {
        "ROLLBACK_ON_FAILURE"
    }


def test_ten_thousand_devices_cost_no_more_than_ten(
    sandbox: Sandbox, sagemaker: Any, create: Create, percentage: Percentage, status: Status
) -> None:
    assert sandbox.seed_fleet("plan", 10_000, region="eu-west-1") == 10_000
    create(Stages=[percentage("all", 100)])
    sagemaker.start_edge_deployment_stage(**STAGE)
    sandbox.clock.advance(6)
    assert status("all") == ("INPROGRESS", 5_000, 5_000, 0)


class StageMachine(RuleBasedStateMachine):
    """A plan in a small world; after each step the stages have moved as AWS lets them, and the devices add up."""

    BY_TIME: ClassVar = {
        "CREATING": {"READYTODEPLOY"},
        "STARTING": {"INPROGRESS", "DEPLOYED", "FAILED"},
        "INPROGRESS": {"DEPLOYED", "FAILED"},
        "STOPPING": {"STOPPED"},
    }
    STARTABLE: ClassVar = {"READYTODEPLOY", "STOPPED", "FAILED"}
    STOPPABLE: ClassVar = {"STARTING", "INPROGRESS"}
    ACTIVE: ClassVar = {"CREATING", "STARTING", "INPROGRESS", "STOPPING"}
    NAMES = st.sampled_from(["a", "b", "c"])
    SECONDS = st.sampled_from([0, 0.5, 3, 7, 20])
    EACH: ClassVar = {"StartEdgeDeploymentStage": STARTABLE, "StopEdgeDeploymentStage": STOPPABLE}

    @initialize(
        create=SECONDS,
        start=SECONDS,
        deploy=SECONDS,
        stop=SECONDS,
        devices=st.integers(0, 25),
        ends_as=st.sampled_from(["FAILED", "DEPLOYED"]),
        failing=st.sampled_from([0, 1, 30]),
    )
    def begin(
        self, *, create: float, start: float, deploy: float, stop: float, devices: int, ends_as: str, failing: int
    ) -> None:
        self.settings = Settings().changed(
            {
                "create_duration": create,
                "start_duration": start,
                "deploy_duration_per_stage": deploy,
                "stop_duration": stop,
                "do_nothing_ends_as": ends_as,
            }
        )
        self.now, self.world = 1_000.0, World()
        self.world.failures.append(("*", "*", Failure(devices=failing)))
        self.holdings = self.world.holdings(Scope("1", "r"))
        self.holdings.seed("fleet", device_names("fleet", devices), self.now)
        self.create_plan()

    def call(self, name: str, **parameters: Any) -> dict[str, Any]:
        call = Call(self.world, self.holdings, self.settings, self.now)
        return OPERATIONS[name].function(call, {"EdgeDeploymentPlanName": "plan", **parameters}) or {}

    def create_plan(self) -> None:
        model = {"ModelHandle": "m", "EdgePackagingJobName": "j"}
        self.call("CreateEdgeDeploymentPlan", DeviceFleetName="fleet", ModelConfigs=[model])
        self.before: dict[str, tuple[str, int]] = {}
        self.add_stage("a", 40, "ROLLBACK_ON_FAILURE")
        self.add_stage("b", 100, "DO_NOTHING")

    def stages(self) -> dict[str, dict[str, Any]]:
        described = self.call("DescribeEdgeDeploymentPlan")["Stages"]
        return {stage["StageName"]: stage["DeploymentStatus"] for stage in described}

    def remember(self) -> None:
        self.before = {
            name: (status["StageStatus"], status["EdgeDeploymentSuccessInStage"])
            for name, status in self.stages().items()
        }

    def attempt(self, name: str, allowed: bool, refusal: str, **parameters: Any) -> None:
        try:
            self.call(name, **parameters)
            code = None
        except ApiError as error:
            code = error.code
        assert code == (None if allowed else refusal)

    @rule(name=NAMES, share=st.integers(0, 100), policy=st.sampled_from(["ROLLBACK_ON_FAILURE", "DO_NOTHING"]))
    def add_stage(self, name: str, share: int, policy: str) -> None:
        stage = {
            "StageName": name,
            "DeviceSelectionConfig": {"DeviceSubsetType": "PERCENTAGE", "Percentage": share},
            "DeploymentConfig": {"FailureHandlingPolicy": policy},
        }
        self.attempt("CreateEdgeDeploymentStage", name not in self.before, "ValidationException", Stages=[stage])
        self.remember()

    @rule(name=NAMES, devices=st.integers(0, 30), after=st.none() | SECONDS)
    def break_devices(self, name: str, devices: int, after: float | None) -> None:
        self.world.failures.append(("*", name, Failure(devices=devices, after=after)))

    @rule(name=NAMES, operation=st.sampled_from(sorted(EACH)))
    def start_or_stop(self, name: str, operation: str) -> None:
        self.change(name, operation)

    @rule(name=NAMES, first=SECONDS, second=SECONDS)
    def start_stop_and_start_again(self, name: str, first: float, second: float) -> None:
        self.change(name, "StartEdgeDeploymentStage")
        self.time_passes(first)
        self.change(name, "StopEdgeDeploymentStage")
        self.time_passes(second)
        self.change(name, "StartEdgeDeploymentStage")

    def change(self, name: str, operation: str) -> None:
        if name not in self.before:
            self.attempt(operation, allowed=False, refusal="ResourceNotFound", StageName=name)
            return
        was, succeeded = self.before[name]
        allowed = was in self.EACH[operation]
        self.attempt(operation, allowed, "ValidationException", StageName=name)
        now = self.stages()[name]
        starting = operation.startswith("Start")
        reached = {"STARTING", "INPROGRESS", "DEPLOYED", "FAILED"} if starting else {"STOPPING", "STOPPED"}
        assert now["StageStatus"] in (reached if allowed else {was})
        assert now["EdgeDeploymentSuccessInStage"] >= succeeded
        self.remember()

    @precondition(lambda self: self.before)
    @rule(data=st.data())
    def delete_stage(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.before)))
        allowed = self.before[name][0] not in self.ACTIVE
        self.attempt("DeleteEdgeDeploymentStage", allowed, "ResourceInUse", StageName=name)
        assert (name in self.stages()) is not allowed
        self.remember()

    @rule()
    def delete_plan(self) -> None:
        allowed = not any(status in self.ACTIVE for status, _ in self.before.values())
        self.attempt("DeleteEdgeDeploymentPlan", allowed, "ResourceInUse")
        if allowed:
            self.create_plan()

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.now = later(self.now, seconds)
        for name, status in self.stages().items():
            was, succeeded = self.before[name]
            assert status["StageStatus"] in {was} | self.BY_TIME.get(was, set())
            assert status["EdgeDeploymentSuccessInStage"] >= succeeded
        self.remember()

    @invariant()
    def devices_add_up(self) -> None:
        if not hasattr(self, "place"):
            return
        for name, status in self.stages().items():
            devices = self.call("ListStageDevices", StageName=name, MaxResults=100)["DeviceDeploymentSummaries"]
            outcomes = [device["DeviceDeploymentStatus"] for device in devices]
            succeeded, failed = outcomes.count("DEPLOYED"), outcomes.count("FAILED")
            assert status["EdgeDeploymentSuccessInStage"] == succeeded
            assert status["EdgeDeploymentFailedInStage"] == failed
            assert status["EdgeDeploymentPendingInStage"] == len(devices) - succeeded - failed
            over = status["StageStatus"] in {"DEPLOYED", "FAILED"}
            assert (status["EdgeDeploymentPendingInStage"] == 0) or not over
            assert (status["StageStatus"] != "FAILED") or failed
        plan = self.call("ListEdgeDeploymentPlans")["EdgeDeploymentPlanSummaries"][0]
        counts = [plan[f"EdgeDeployment{outcome}"] for outcome in ("Success", "Pending", "Failed")]
        assert sum(counts) <= len(self.holdings.fleets["fleet"].devices)
        assert plan["CreationTime"] <= plan["LastModifiedTime"] <= self.now


StageMachine.TestCase.settings = hypothesis_settings(
    max_examples=100, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestStageMachine = StageMachine.TestCase
