"""What must be true of the whole once everything is quiet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from controller.domain.api import OWNER_TAG
from controller.domain.ownership import Owner
from tests.life.aws import REGIONS
from tests.life.people import ELSEWHERE
from tests.life.troubles import Check, checked
from tests.life.truth import CLUSTER, owner_of, region_of, same_immutables, same_stages, spec_of, statuses

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from controller.domain.resource import Resource
    from tests.life.aws import Aws
    from tests.life.cluster import Cluster


class Verdict:
    """Judges every object once all is quiet. Each `_stalled_…` says whether a reason is true."""

    def __init__(
        self,
        aws: Aws,
        cluster: Cluster,
        foreign_tags: set[tuple[str, str, str]],
        *,
        made_for: Mapping[tuple[str, str, float], str],
        told: AbstractSet[str],
        forgetful: bool,
        swept: bool,
    ) -> None:
        self._aws, self._cluster = aws, cluster
        self.made_for = made_for
        """For whom each plan was made: by its name, region and CreationTime."""
        self.told = told
        """Objects, by uid, of whose end an operator has heard that is still alive."""
        self.foreign_tags = foreign_tags
        """Plan, region and key of each tag that a person put on."""
        self.swept = swept
        """Whether the listing was looked at, which tells that a stage has become READYTODEPLOY, say."""
        self.forgetful = forgetful
        """Whether the process died or a status was not written: a tag of a former spec may have been left then."""

    def judge(self) -> None:
        """Every object has what it asks for, or says truthfully why not."""
        for key in self._cluster.all_keys():
            plan = self._cluster.plan(key)
            assert not plan.deleting, f"{key} is still there"
            assert plan.status.observed_generation == plan.generation
            self._judge(plan)
        self._nothing_doubled()
        if checked(Check.NOTHING_LOST):
            self._nothing_lost()

    def _nothing_doubled(self) -> None:
        """One plan for each object; for whom people in AWS tag a plan is theirs to say."""
        owners = [tag for _, _, tag in self._owned() if tag != ELSEWHERE]
        assert len(owners) == len(set(owners)), f"an object has two plans: {owners}"

    def _nothing_lost(self) -> None:
        """No plan without its object, once an operator knew that the plan was to go with the object."""
        living = {plan.uid for plan in self._cluster.plans()}
        for name, region, tag in self._owned():
            owner = Owner.parse(tag)
            if owner is None or owner.cluster != CLUSTER or owner.uid in living:
                continue
            gone = self._cluster.departed[owner.uid]
            known = gone.has_finalizer or gone.deleting or gone.uid in self.told
            known = known and gone.uid not in self._cluster.stripped
            assert not (spec_of(gone).deletes and known), f"{name} in {region} is left of {gone.key}, which is gone"

    def _owned(self) -> list[tuple[str, str, str]]:
        """Name, region and owner of each plan that somebody owns."""
        return [
            (plan.name, region, plan.tags[OWNER_TAG])
            for region in REGIONS
            for plan in self._aws.holdings(region).plans.values()
            if OWNER_TAG in plan.tags
        ]

    def _judge(self, plan: Resource) -> None:
        spec, status = spec_of(plan), plan.status
        aws = self._aws.plan(plan.plan_name, region_of(plan))
        ready, stalled = status.condition("Ready"), status.condition("Stalled")
        context = f"{plan.key}: {status.conditions}\nspec {spec.wire()}\nAWS {aws}"
        assert ready is not None
        # Where the plan of that name is another's nothing in AWS needs a finalizer that somebody took off.
        needless = stalled is not None and stalled.reason in {"NameConflict", "NotOwned"}
        assert plan.has_finalizer == spec.deletes or spec.suspend or needless, context
        if spec.suspend:
            assert (ready.status, ready.reason) == ("Unknown", "Suspended"), context
        elif stalled is not None:
            assert self._stalled(stalled.reason, plan, aws), context
        elif status.is_true("ResourceLimitExceeded"):
            self._queued(plan, aws, context)
        elif not spec.manages:
            assert not status.is_true("Reconciling"), context
            assert (ready.status == "True") == (status.pending_changes is None), context
            if ready.status == "True":
                assert aws is not None, context
                assert same_immutables(spec, aws), context
                assert same_stages(spec, aws), context
        else:
            assert ready.status == "True", context
            assert not status.is_true("Reconciling"), context
            assert aws is not None, context
            self._in_sync(plan, aws, context)

    def _in_sync(self, plan: Resource, aws: Mapping[str, Any], context: str) -> None:
        spec, status = spec_of(plan), plan.status
        assert same_immutables(spec, aws), context
        assert same_stages(spec, aws), context
        wanted = {tag.key: tag.value for tag in spec.tags or ()} | {OWNER_TAG: owner_of(plan)}
        assert wanted.items() <= aws["Tags"].items(), context
        # Keys that the spec had and has no more are gone; what people put on stays.
        others = {key for name, region, key in self.foreign_tags if (name, region) == (plan.plan_name, region_of(plan))}
        # What another object, or a former life, put on a plan that this one took over is told by no status.
        made = (plan.plan_name, region_of(plan), aws["CreationTime"])
        inherited = self.made_for.get(made, owner_of(plan)) != owner_of(plan)
        forgotten = inherited or (self.forgetful and not checked(Check.NO_OLD_TAGS))
        assert forgotten or aws["Tags"].keys() <= wanted.keys() | others, context
        assert status.edge_deployment_plan_arn == aws["EdgeDeploymentPlanArn"], context
        told = {stage.stage_name: stage.status for stage in status.stages or ()}
        assert not self.swept or told == statuses(aws), context
        if spec.rollout is not None:
            order = [stage.stage_name for stage in spec.stages or ()]
            gate = order.index(spec.rollout.through_stage) if spec.rollout.through_stage else len(order) - 1
            assert {statuses(aws)[name] for name in order[: gate + 1]} == {"DEPLOYED"}, context

    def _queued(self, plan: Resource, aws: Mapping[str, Any] | None, context: str) -> None:
        region = region_of(plan)
        quota = self._aws.service.settings.quota
        assert aws is None, context
        assert quota is not None, context
        assert len(self._aws.holdings(region).plans) >= quota, context
        older = [
            other
            for other in map(self._cluster.plan, self._cluster.all_keys())
            if other.seniority < plan.seniority
            and region_of(other) == region
            and other.status.is_true("ResourceLimitExceeded")
            and not spec_of(other).suspend
        ]
        message = next(each.message for each in plan.status.conditions if each.type == "ResourceLimitExceeded")
        assert re.match(rf"{len(older) + 1}(st|nd|rd|th) of \d+ waiting for quota", message), context

    def _stalled(self, reason: str, plan: Resource, aws: Mapping[str, Any] | None) -> bool:
        spec = spec_of(plan)
        stages = statuses(aws) if aws else {}
        tag = aws["Tags"].get(OWNER_TAG) if aws else None
        match reason:
            case "NameConflict":
                return any(
                    other.key != plan.key
                    and other.plan_name == plan.plan_name
                    and region_of(other) == region_of(plan)
                    and spec_of(other).manages
                    and (other.seniority < plan.seniority or other.status.has_the_name)
                    for other in map(self._cluster.plan, self._cluster.all_keys())
                )
            case "NotPermitted":
                return (spec.adopts or not spec.manages) and aws is not None and tag != owner_of(plan)
            case "NotOwned":
                return aws is not None and tag != owner_of(plan)
            case "OwnershipLost":
                return aws is not None and tag not in {None, owner_of(plan)}
            case "ImmutableFieldChanged":
                return aws is not None and not spec.recreates and not same_immutables(spec, aws)
            case "DeployedStageChanged":
                return aws is not None and "DEPLOYED" in stages.values() and not same_stages(spec, aws)
            case "StageFailed":
                return spec.rollout is not None and "FAILED" in stages.values()
            case "RolloutStopped":
                bounded = spec.rollout is not None and spec.rollout.max_failed_percent is not None
                return spec.rollout is not None and (
                    "STOPPED" in stages.values() or (bounded and "DEPLOYED" in stages.values())
                )
            case _:
                return False
