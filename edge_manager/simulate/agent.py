"""One device: polls with jitter, works on what it is offered, answers until it was heard."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_manager.simulate.api import CallError

if TYPE_CHECKING:
    from edge_manager.simulate.api import Api
    from edge_manager.simulate.figures import Figures
    from edge_manager.simulate.signing import Signer

VERSION = "simulated 1.0"


@dataclass(frozen=True)
class Habits:
    """What all agents of a fleet do alike."""

    interval: float  # seconds between polls
    work: float  # seconds that a deployment takes, give or take a half
    fail_percent: float


@dataclass
class Agent:
    """A device and what it runs."""

    fleet: str
    name: str
    signer: Signer
    habits: Habits
    models: list[dict[str, Any]] = field(default_factory=list)
    done: str | None = None  # the deployment that it answered last
    result: dict[str, Any] | None = None  # an answer that was not heard yet

    async def live(self, api: Api, figures: Figures) -> None:
        """Poll for ever, each device at another moment of the interval."""
        await asyncio.sleep(random.uniform(0, self.habits.interval))  # noqa: S311  no secret
        while True:
            with contextlib.suppress(CallError):  # it was counted, and the next poll is the next try
                await self.poll(api, figures)
            await asyncio.sleep(self.habits.interval * random.uniform(0.9, 1.1))  # noqa: S311  no secret

    async def poll(self, api: Api, figures: Figures) -> None:
        """Ask what to run, do it, and say how it went; a device without work says what it runs."""
        device = {"DeviceFleetName": self.fleet, "DeviceName": self.name}
        answer = await api.edge(self.signer, "GetDeployments", **device)
        for deployment in answer.get("Deployments") or ():
            if deployment["DeploymentName"] != self.done:
                self.result = await self.carry_out(deployment)
                self.done = deployment["DeploymentName"]
        said = {"DeploymentResult": self.result} if self.result is not None else {}
        await api.edge(self.signer, "SendHeartbeat", AgentVersion=VERSION, Models=self.models, **device, **said)
        if self.result is not None:
            figures.answers[self.result["DeploymentStatus"]] += 1
            self.result = None

    async def carry_out(self, deployment: dict[str, Any]) -> dict[str, Any]:
        """What becomes of a deployment, after a while."""
        await asyncio.sleep(self.habits.work * random.uniform(0.5, 1.5))  # noqa: S311  no secret
        name = deployment["DeploymentName"]
        if random.uniform(0, 100) < self.habits.fail_percent:  # noqa: S311  no secret
            message = "simulated: the model does not answer"
            return {"DeploymentName": name, "DeploymentStatus": "FAIL", "DeploymentStatusMessage": message}
        running = [each for each in deployment.get("Definitions") or () if each["State"] == "DEPLOY"]
        # A handle may be shorter than a model's name must be.
        self.models = [{"ModelName": f"model-{each['ModelHandle']}", "ModelVersion": "simulated"} for each in running]
        return {"DeploymentName": name, "DeploymentStatus": "SUCCESS"}
