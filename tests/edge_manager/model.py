"""What a fleet, its plans and its devices are by the documented rules; knows nothing of the service's code."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

DEVICES = ("canary-1", "canary-2", "till-1", "till-2", "till-3")
ANSWERED = ("SUCCESS", "FAIL")


@dataclass
class Deployment:
    """One device in one stage. `start` numbers the starts of all stages."""

    start: int
    state: str = "READY"
    superseded: bool = False


@dataclass
class Stage:
    selection: dict[str, Any]
    started: bool = False
    stopped: bool = False
    devices: dict[str, Deployment] = field(default_factory=dict)

    @property
    def status(self) -> str:
        if not self.started:
            return "READYTODEPLOY"
        if self.stopped:
            return "STOPPED"
        states = [deployment.state for deployment in self.devices.values()]
        if any(state not in ANSWERED for state in states):
            return "INPROGRESS"
        return "FAILED" if "FAIL" in states else "DEPLOYED"

    def counts(self, allocated: int) -> tuple[int, int, int]:
        if not self.started:
            return 0, allocated, 0
        states = [deployment.state for deployment in self.devices.values()]
        succeeded, failed = states.count("SUCCESS"), states.count("FAIL")
        return succeeded, len(states) - succeeded - failed, failed


@dataclass
class World:
    plans: dict[str, dict[str, Stage]] = field(default_factory=dict)
    starts: int = 0

    def allocation(self, plan: str) -> dict[str, list[str]]:
        taken: set[str] = set()
        found: dict[str, list[str]] = {}
        for name, stage in self.plans[plan].items():
            kind = stage.selection["DeviceSubsetType"]
            if stage.started:
                chosen = [device for device in DEVICES if device in stage.devices]
            elif kind == "PERCENTAGE":
                share = math.ceil(len(DEVICES) * stage.selection["Percentage"] / 100)
                chosen = [device for device in DEVICES if device not in taken][:share]
            else:
                chosen = [device for device in DEVICES if stage.selection["DeviceNameContains"] in device]
            taken |= set(chosen)
            found[name] = chosen
        return found

    def deployments(self, device: str) -> list[tuple[Deployment, Stage]]:
        """Of one device, the latest start first."""
        stages = [stage for plan in self.plans.values() for stage in plan.values() if device in stage.devices]
        return sorted(((stage.devices[device], stage) for stage in stages), key=lambda pair: -pair[0].start)

    def offer(self, device: str) -> Deployment | None:
        found = self.deployments(device)
        if not found:
            return None
        deployment, stage = found[0]
        if deployment.superseded or deployment.state == "FAIL" or (stage.stopped and deployment.state == "READY"):
            return None
        return deployment

    # Each of these does what a call does; False where the call is refused.

    def create(self, plan: str, stages: dict[str, dict[str, Any]]) -> bool:
        if plan in self.plans:
            return False
        self.plans[plan] = {name: Stage(selection) for name, selection in stages.items()}
        return True

    def delete(self, plan: str) -> bool:
        if plan not in self.plans or any(stage.status == "INPROGRESS" for stage in self.plans[plan].values()):
            return False
        for name in list(self.plans[plan]):
            self.delete_stage(plan, name)
        del self.plans[plan]
        return True

    def delete_stage(self, plan: str, name: str) -> bool:
        stage = self.plans.get(plan, {}).get(name)
        if stage is None or stage.status == "INPROGRESS":
            return False
        for device, deployment in stage.devices.items():
            for other, _ in self.deployments(device):
                other.superseded |= other.start < deployment.start
        del self.plans[plan][name]
        return True

    def start(self, plan: str, name: str) -> bool:
        stage = self.plans.get(plan, {}).get(name)
        if stage is None or stage.status not in ("READYTODEPLOY", "STOPPED", "FAILED"):
            return False
        devices = self.allocation(plan)[name]
        self.starts += 1
        for device in devices:
            if device not in stage.devices or stage.devices[device].state != "SUCCESS":
                stage.devices[device] = Deployment(self.starts)
        stage.started, stage.stopped = True, False
        return True

    def stop(self, plan: str, name: str) -> bool:
        stage = self.plans.get(plan, {}).get(name)
        if stage is None or stage.status != "INPROGRESS":
            return False
        stage.stopped = True
        return True

    def ask(self, device: str) -> bool:
        deployment = self.offer(device)
        if deployment is not None and deployment.state == "READY":
            deployment.state = "FETCHED"
        return True

    def tell(self, device: str, start: int, status: str) -> bool:
        for deployment, _ in self.deployments(device):
            if deployment.start == start and deployment.state not in ANSWERED:
                deployment.state = status
        return True

    # What one sees of it.

    def seen(self) -> dict[str, Any]:
        return {
            plan: {
                name: (stage.status, *stage.counts(len(allocation[name])), self.devices(stage, allocation[name]))
                for name, stage in stages.items()
            }
            for plan, stages in self.plans.items()
            for allocation in [self.allocation(plan)]
        }

    def devices(self, stage: Stage, allocated: list[str]) -> dict[str, str]:
        return {device: self.device(stage, device) for device in allocated}

    def device(self, stage: Stage, device: str) -> str:
        if not stage.started:
            return "READYTODEPLOY"
        deployment = stage.devices[device]
        if deployment.state in ANSWERED:
            return {"SUCCESS": "DEPLOYED", "FAIL": "FAILED"}[deployment.state]
        latest = self.deployments(device)[0][0]
        if deployment.superseded or latest is not deployment:
            return "STOPPED"
        if deployment.state == "FETCHED":
            return "STOPPING" if stage.stopped else "INPROGRESS"
        return "STOPPED" if stage.stopped else "READYTODEPLOY"
