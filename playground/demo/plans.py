"""The first act: manifests become plans with an ARN, one meets the quota and gets in when another goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from playground.demo.steps import Steps
from playground.demo.world import QUOTA, PlanView, SandboxWorld, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from playground.demo.view import View

CREATE: Final = "CreateEdgeDeploymentPlan"


class Plans(Steps):
    """The first act: manifests become plans, the quota is met, room is made; each promise is checked on both sides."""

    def __init__(self, world: SandboxWorld, view: View) -> None:
        super().__init__(world, view)
        self._sandbox = world.sandbox

    def play(self, *, keep: bool) -> None:
        """Play the act; everything that it made goes, unless it is to be kept."""
        self.set_up()
        self.manifests_become_plans()
        self.quota_is_met()
        self.room_is_made()
        if not keep:
            self.all_goes()

    def manifests_become_plans(self) -> None:
        """Two ordinary manifests: each becomes a plan by one AWS call, its ARN comes back."""
        self._view.heading("A manifest becomes a plan")
        self._apply("minimal.yaml")
        self._until("store-cameras is Ready and carries the ARN that AWS gave it", self._is_ready("store-cameras"))
        self._apply("staged-rollout.yaml")
        self._until("self-checkout is Ready, with three stages in AWS", self._is_ready("self-checkout"))
        stages = [stage["StageName"] for stage in self._sandbox.plan("self-checkout")["Stages"]]
        self._require(stages == ["canary", "tenth", "fleet"], f"the stages in AWS are {stages}")
        creates = self._sandbox.counts().get(CREATE, 0)
        self._require(creates == 2, f"two plans cost {creates} creates")  # noqa: PLR2004

    def quota_is_met(self) -> None:
        """Three more, with one place left: one gets in, the other two wait in order and say so."""
        self._view.heading(f"The account has room for {QUOTA} plans")
        self._apply("quota/shelf-scanners.yaml")
        self._until("shelf-scanners got the last place", self._is_ready("shelf-scanners"))
        self._apply("quota/freezer-monitors.yaml")
        self._until("freezer-monitors is refused: ResourceLimitExceeded", self._is_limited("freezer-monitors"))
        time.sleep(1)  # creationTimestamp counts whole seconds, and the order of the queue is to be seen
        self._apply("quota/parking-counters.yaml")
        self._until("parking-counters waits behind it", self._is_limited("parking-counters"))
        before = self._sandbox.counts().get(CREATE, 0)
        self._watch(4.0, "watching how often AWS is asked in the meantime")
        asked = self._sandbox.counts().get(CREATE, 0) - before
        self._require(asked <= 4, f"in 4 seconds of waiting AWS was asked {asked} times")  # noqa: PLR2004
        self._view.done(f"two plans wait, and in 4 seconds AWS was asked for {asked} more")

    def room_is_made(self) -> None:
        """One plan is deleted: exactly the next one gets in."""
        self._view.heading("Room is made")
        self._delete("store-cameras")
        self._until("store-cameras is gone, in Kubernetes and in AWS", self._is_gone("store-cameras"))
        self._until("freezer-monitors got its place", self._is_ready("freezer-monitors"))
        seen = self._look()
        self._require(self._limited(seen, "parking-counters"), "parking-counters does not wait any more")
        self._require(len(seen.at_aws) == QUOTA, f"AWS holds {sorted(seen.at_aws)}")
        self._view.done("parking-counters still waits, now first in line")

    def _is_ready(self, name: str) -> Callable[[], bool]:
        def check() -> bool:
            plan = self._look().plan(name)
            return plan is not None and plan.ready == "True" and not plan.limited and self._tells_the_truth(plan)

        return check

    def _is_limited(self, name: str) -> Callable[[], bool]:
        return lambda: self._limited(self._look(), name)

    def _is_gone(self, name: str) -> Callable[[], bool]:
        return lambda: (seen := self._look()).plan(name) is None and name not in seen.at_aws

    @staticmethod
    def _limited(seen: Snapshot, name: str) -> bool:
        plan = seen.plan(name)
        return plan is not None and plan.limited and plan.ready == "False" and name not in seen.at_aws

    def _tells_the_truth(self, plan: PlanView) -> bool:
        try:
            return bool(self._sandbox.plan(plan.name)["EdgeDeploymentPlanArn"] == plan.arn)
        except LookupError:
            return False
