"""What people do in AWS behind the operator's back, with plain boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from controller.domain.api import OWNER_TAG
from controller.domain.ownership import Owner
from tests.life.aws import REGIONS
from tests.life.shapes import FLEET_NAMES, FLEETS_AND_JOBS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.life.aws import Aws

ELSEWHERE = Owner("cluster-2", "retail", "z", "uid-z").tag_value
BY_HAND = {
    "StageName": "by-hand",
    "DeviceSelectionConfig": {"DeviceSubsetType": "PERCENTAGE", "Percentage": 5},
}


def create(client: Any, name: str) -> None:
    """A plan of that name."""
    models = [{"ModelHandle": "counter", "EdgePackagingJobName": "counter-v1"}]
    client.create_edge_deployment_plan(EdgeDeploymentPlanName=name, DeviceFleetName="cameras", ModelConfigs=models)


# Each act is told the client, the plan's name, its ARN and its first stage.
_TO_PLANS: dict[str, Callable[[Any, str, str, str], object]] = {
    "delete": lambda client, name, _arn, _stage: client.delete_edge_deployment_plan(EdgeDeploymentPlanName=name),
    "delete stage": lambda client, name, _arn, stage: client.delete_edge_deployment_stage(
        EdgeDeploymentPlanName=name, StageName=stage
    ),
    "start stage": lambda client, name, _arn, stage: client.start_edge_deployment_stage(
        EdgeDeploymentPlanName=name, StageName=stage
    ),
    "stop stage": lambda client, name, _arn, stage: client.stop_edge_deployment_stage(
        EdgeDeploymentPlanName=name, StageName=stage
    ),
    "add stage": lambda client, name, _arn, _stage: client.create_edge_deployment_stage(
        EdgeDeploymentPlanName=name, Stages=[BY_HAND]
    ),
}
_TO_TAGS: dict[str, Callable[[Any, str], object]] = {
    "add tag": lambda client, arn: client.add_tags(ResourceArn=arn, Tags=[{"Key": "hand", "Value": "1"}]),
    "change tag": lambda client, arn: client.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "hand"}]),
    "delete tags": lambda client, arn: client.delete_tags(ResourceArn=arn, TagKeys=["team", "env"]),
    "delete owner": lambda client, arn: client.delete_tags(ResourceArn=arn, TagKeys=[OWNER_TAG]),
    "other owner": lambda client, arn: client.add_tags(ResourceArn=arn, Tags=[{"Key": OWNER_TAG, "Value": ELSEWHERE}]),
}
ACTS = ("create", "replace", *_TO_PLANS, *_TO_TAGS)


class People:
    """Everybody else who has access to the account."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self.plans_changed = False
        """Whether there is something that a sweep has to see."""
        self.tags_changed = False
        """Whether there is something that only an audit can see."""
        self.tags: set[tuple[str, str, str]] = set()
        """Plan, region and key of each tag that they put on."""

    def provide(self, fleet_or_job: str, region: str, seconds: float = 0.0) -> None:
        """Have a fleet there, or a packaging job that takes so many seconds, unless it is there."""
        held, now = self._aws.holdings(region), self._aws.service.clock.now(self._aws.loop.time())
        if fleet_or_job in held.fleets or fleet_or_job in held.packages:
            return
        if fleet_or_job in FLEET_NAMES:
            held.seed(fleet_or_job, [f"{fleet_or_job}-canary-1", f"{fleet_or_job}-2"], now)
        else:
            held.make_up_package(fleet_or_job, now)
            held.packages[fleet_or_job].ends = now + seconds

    def provide_all(self) -> None:
        """Whatever objects may name."""
        for region in REGIONS:
            for each in FLEETS_AND_JOBS:
                self.provide(each, region)

    def act(self, act: str, name: str, region: str) -> bool:
        """Do one thing; False where there is nothing to do it to, or AWS refuses."""
        try:
            return self._act(act, name, region)
        except ClientError:
            return False

    def rest(self) -> None:
        """All that they did has been seen."""
        self.plans_changed = self.tags_changed = False

    def _act(self, act: str, name: str, region: str) -> bool:
        client, held = self._aws.by_hand(region), self._aws.plan(name, region)
        if (act == "create") != (held is None):
            return False
        if held is None:
            create(client, name)
        elif act == "replace":
            client.delete_edge_deployment_plan(EdgeDeploymentPlanName=name)
            self.plans_changed = True
            # Made while the answer to a create was under way: by its times it may be that one, and tags tell.
            self.tags_changed |= self._aws.now().timestamp() - held["CreationTime"] < 2
            self._aws.advance(1)
            create(client, name)
        elif act in _TO_PLANS:
            first = held["Stages"][0]["StageName"] if held["Stages"] else "none"
            _TO_PLANS[act](client, name, held["EdgeDeploymentPlanArn"], first)
        else:
            _TO_TAGS[act](client, held["EdgeDeploymentPlanArn"])
            self.tags_changed = True
            self.tags |= {(name, region, key) for key in {"add tag": ["hand"], "change tag": ["team"]}.get(act, [])}
        self.plans_changed = True
        return True
