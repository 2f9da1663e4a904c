"""Stages that run over the bound of their rollout: not for long, whatever else keeps a plan as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.domain.api import OWNER_TAG
from tests.life.truth import owner_of, region_of, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.life.aws import Aws
    from tests.life.cluster import Cluster

_RUNS = frozenset({"STARTING", "INPROGRESS"})
_PROMPT = 90.0
"""Seconds within which a stage is stopped: its slowest look, and a read that is behind."""


class Bounds:
    """To be asked again and again while nothing is in the operator's way."""

    def __init__(self, aws: Aws, cluster: Cluster) -> None:
        self._aws, self._cluster = aws, cluster
        self._since: dict[tuple[str, ...], float] = {}

    def look(self) -> None:
        """Judge what has run over its bound for too long by now."""
        now = self._aws.loop.time()
        self._since = {each: self._since.get(each, now) for each in self._over()}
        late = [each for each, since in self._since.items() if now - since > _PROMPT]
        assert not late, f"over their bounds, and not stopped: {late}"

    def _over(self) -> Iterator[tuple[str, ...]]:
        for plan in self._cluster.plans():
            spec, aws = spec_of(plan), self._aws.plan(plan.plan_name, region_of(plan))
            bound = spec.rollout.max_failed_percent if spec.rollout is not None else None
            if bound is None or spec.suspend or not spec.manages or plan.deleting or plan.status.retry is not None:
                continue
            if aws is None or aws["Tags"].get(OWNER_TAG) != owner_of(plan):
                continue
            for stage in aws["Stages"]:
                known = plan.status.stage(stage["StageName"])
                if known is None or known.status not in _RUNS:
                    continue  # somebody started it by hand: a sweep will tell
                told = stage["DeploymentStatus"]
                failed, succeeded = told["EdgeDeploymentFailedInStage"], told["EdgeDeploymentSuccessInStage"]
                if told["StageStatus"] in _RUNS and failed * 100 > bound * (failed + succeeded):
                    yield plan.uid, stage["StageName"], str(told["EdgeDeploymentStageStartTime"])
