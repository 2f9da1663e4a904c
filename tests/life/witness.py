"""What must be true of every call as it is made, and of every status as it is written.

The operator would take a wrong call for a failed one and try again, so what is wrong is kept and ends the step.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from controller.domain.api import OWNER_TAG
from controller.domain.ownership import Owner
from tests.life.aws import READS, REGIONS
from tests.life.people import ELSEWHERE
from tests.life.troubles import Check, checked
from tests.life.truth import owner_of, region_of, same_immutables, spec_of, statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from controller.domain.resource import Resource
    from controller.domain.status import EdgeDeploymentPlanStatus
    from edge_manager.sandbox.service import Request
    from tests.life.aws import Aws
    from tests.life.cluster import Cluster


# Calls that there can be between an operator's look at a plan and its call that changes the plan.
_A_MOMENT = 4


class Witness:
    """Watches each call of the operators and each status that they write."""

    def __init__(self, aws: Aws, cluster: Cluster) -> None:
        self._aws, self._cluster = aws, cluster
        self.writes: list[Request] = []
        """Calls that were to change something."""
        self.made_for: dict[tuple[str, str, float], str] = {}
        """For which owner an operator made a plan: by its name, region and CreationTime."""
        self._wrong: list[AssertionError] = []
        aws.calling = lambda request, known: self._judge(lambda: self._calling(request, known))
        aws.called = lambda request: self._judge(lambda: self._called(request))
        cluster.written = lambda resource, status: self._judge(lambda: self.status_is_sound(resource, status))
        cluster.released = lambda resource: self._judge(lambda: self._released(resource))

    def check(self) -> None:
        """Raise what was found wrong since the last time."""
        if self._wrong:
            raise self._wrong[0]

    def _judge(self, judgement: Callable[[], None]) -> None:
        try:
            judgement()
        except AssertionError as error:
            self._wrong.append(error)
            self._aws.loop.halt()

    # -- calls ------------------------------------------------------------------------------------------------------

    def _calling(self, request: Request, known: Sequence[Resource]) -> None:
        """Before a call of an operator is done: may it be made at all, as far as that operator knew when it made it?"""
        if request.operation in READS:
            return
        self.writes.append(request)
        region = request.caller.scope.region
        name = request.name.rpartition("/")[2]
        namesakes = [plan for plan in known if plan.plan_name == name and region_of(plan) == region]
        writers = [
            plan
            for plan in namesakes
            if (plan.deleting and spec_of(plan).deletes)
            or (not plan.deleting and spec_of(plan).manages and not spec_of(plan).suspend)
        ]
        if request.operation == "CreateEdgeDeploymentPlan":
            # A moment passes between the look at what is known and the sending; the deletion is carried out after it.
            departed = self._cluster.departed.values()
            writers += [gone for gone in departed if gone.plan_name == name and spec_of(gone).deletes]
        held = self._aws.plan(name, region)
        assert writers or self._left_behind(held), (
            f"{request.operation} of {name}, which no object may touch; known: {known}"
        )
        if request.operation in {"DeleteEdgeDeploymentPlan", "StopEdgeDeploymentStage"} and held is not None:
            seen = [held, *self._before_somebody_came_in_between(name, region)]
            assert self._left_behind(held) or any(
                self._may_stop(plan, each, request.operation) for plan in writers for each in seen
            ), f"{request.operation} of {name}, which nobody asked for"
        if request.operation == "StartEdgeDeploymentStage" and held is not None and checked(Check.STAGES_IN_ORDER):
            seen = [held, *self._before_somebody_came_in_between(name, region)]
            self._in_order(request.parameters["StageName"], seen)
        claims = {tag["Value"] for tag in request.parameters.get("Tags", ()) if tag["Key"] == OWNER_TAG}
        assert claims <= {owner_of(plan) for plan in writers}, f"{name} is claimed for {claims}"
        assert claims or request.operation != "CreateEdgeDeploymentPlan", f"{name} is created for nobody"

    def _before_somebody_came_in_between(self, name: str, region: str) -> list[Mapping[str, Any]]:
        """The plan as the operator can have seen it a moment ago: AWS has no call that holds only if nothing changed."""
        at, plans = self._aws.intruded
        return [plans[name, region]] if self._aws.calls - at <= _A_MOMENT and (name, region) in plans else []

    def _left_behind(self, held: Mapping[str, Any] | None) -> bool:
        """Whether the plan is what an object left that went without a finalizer, and was to go with it.

        The tag may name a former life of that object: whose plan that was, it took over.
        """
        owner = Owner.parse(held["Tags"].get(OWNER_TAG, "")) if held else None
        departed = self._cluster.departed
        former = departed.get(owner.uid) if owner is not None else None
        return any(
            former is not None and gone.key == former.key and gone.created >= former.created and spec_of(gone).deletes
            for gone in departed.values()
        )

    def _may_stop(self, plan: Resource, held: Mapping[str, Any], operation: str) -> bool:
        """Whether this object asks for the deletion, or for stages to be stopped, and the plan is its own."""
        tag = held["Tags"].get(OWNER_TAG)
        ours = owner_of(plan)
        known = plan.status.edge_deployment_plan_arn == held["EdgeDeploymentPlanArn"] and (
            plan.status.creation_time is None or plan.status.creation_time.timestamp() == held["CreationTime"]
        )
        # A former life of the object left it, or the tag went from what we certainly made.
        own = tag.rpartition("/")[0] == ours.rpartition("/")[0] if tag is not None else known
        spec = spec_of(plan)
        if operation == "StopEdgeDeploymentStage" and spec.rollout is not None:
            return own
        replaced = spec.recreates and not same_immutables(spec, held) and self._can_be_made(plan)
        return own and (plan.deleting or replaced)

    def _can_be_made(self, plan: Resource) -> bool:
        """Whether all that the object names is there."""
        if not self._aws.service.settings.strict_references:
            return True
        spec, held = spec_of(plan), self._aws.holdings(region_of(plan))
        now = self._aws.service.clock.now(self._aws.loop.time())
        finished = {name for name, job in held.packages.items() if job.seen(now).status == "COMPLETED"}
        wanted = {model.edge_packaging_job_name for model in spec.model_configs}
        return spec.device_fleet_name in held.fleets and wanted <= finished

    def _in_order(self, stage: str, seen: Sequence[Mapping[str, Any]]) -> None:
        """Every stage before the one that is started is DEPLOYED, in truth or as it was a moment ago."""
        undone = []
        for plan in seen:
            earlier = takewhile(lambda item: item[0] != stage, statuses(plan).items())
            undone.append({name: status for name, status in earlier if status != "DEPLOYED"})
        assert not all(undone), f"{stage} of {seen[0]['EdgeDeploymentPlanName']} starts while {undone[0]}"

    def _called(self, request: Request) -> None:
        """After a call of the operator succeeded: is what it did consistent?"""
        if request.operation != "CreateEdgeDeploymentPlan":
            return
        name, region = request.name, request.caller.scope.region
        made = self._aws.plan(name, region)
        if made is not None:
            self.made_for[name, region, made["CreationTime"]] = made["Tags"][OWNER_TAG]
        owners = [
            plan.tags[OWNER_TAG]
            for region in REGIONS
            for plan in self._aws.holdings(region).plans.values()
            if plan.tags.get(OWNER_TAG, ELSEWHERE) != ELSEWHERE  # people give that tag to any number of plans
        ]
        assert len(owners) == len(set(owners)), "an object has two plans"

    def _released(self, plan: Resource) -> None:
        """The finalizer goes from an object that is deleted."""
        stored = self._cluster.plan(plan.key)
        if not (spec_of(stored).deletes and spec_of(plan).deletes):
            return
        left = self._aws.plan(plan.plan_name, region_of(plan))
        assert left is None or left["Tags"].get(OWNER_TAG) != owner_of(plan), f"{plan.plan_name} is lost"

    # -- statuses ---------------------------------------------------------------------------------------------------

    def status_is_sound(self, plan: Resource, status: EdgeDeploymentPlanStatus) -> None:
        """What kstatus and the API conventions ask of every status."""
        kinds = [each.type for each in status.conditions]
        assert kinds == [each for each in ("Ready", "Reconciling", "Stalled", "ResourceLimitExceeded") if each in kinds]
        assert not {"Reconciling", "Stalled"} <= set(kinds)
        assert kinds[:1] == ["Ready"]
        for each in status.conditions:
            assert each.type in {"Ready", "ResourceLimitExceeded"} or each.status == "True"
            assert re.fullmatch(r"([A-Z][a-z0-9]*|[A-Z]+)+", each.reason)
            assert each.observed_generation == status.observed_generation == plan.generation
            earlier = plan.status.condition(each.type)
            if earlier is not None and earlier.status == each.status:
                assert each.last_transition_time == earlier.last_transition_time
