"""The second act: a commit puts a model on devices, stage by stage; a bad one is rolled back and stops the rollout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playground.demo.edge import DEVICES, PLAN, EdgeWorld
from playground.demo.steps import Steps

if TYPE_CHECKING:
    from playground.demo.view import View
    from playground.demo.world import Snapshot

_CANARY, *_OTHERS = DEVICES


class Devices(Steps):
    """Plays it in a world of processes, and checks every promise in Kubernetes, in the service and on the devices."""

    def __init__(self, world: EdgeWorld, view: View) -> None:
        super().__init__(world, view)
        self._edge = world

    def play(self, *, keep: bool) -> None:
        """Play the act; everything that it made goes, unless it is to be kept."""
        self.set_up()
        self.devices_join()
        self.model_is_rolled_out()
        self.bad_model_is_stopped()
        self.good_model_follows()
        if not keep:
            self.all_goes()

    def devices_join(self) -> None:
        """A fleet is registered, its models are packaged, an agent runs on each device."""
        self._view.heading("Six devices and three versions of a model")
        self._view.doing("registering the fleet, packaging the models")
        self._edge.make_fleet()
        for version, content in ((1, b"works"), (2, b"broken"), (3, b"works again")):
            self._edge.package(version, content)
        self._view.done("the Edge Manager knows the fleet, and S3 holds counter 1, 2 and 3")
        self._view.doing("the agents start")
        self._edge.start_agents()

    def model_is_rolled_out(self) -> None:
        """First the canary, then the others; then each device runs it."""
        self._view.heading("A manifest puts the model on the devices")
        self._apply("devices/counter-v1.yaml")
        self._until(f"{_CANARY} runs counter 1, the others nothing", lambda: self._first_alone("counter 1", "-"))
        self._until("all six devices run counter 1", lambda: self._all_run("counter 1"))
        self._until(f"{PLAN} is Ready: the rollout is complete", lambda: self._says("True", "RolloutComplete"))

    def bad_model_is_stopped(self) -> None:
        """The canary refuses it and goes back; no other device ever gets it."""
        self._view.heading("A bad version stops at the canary")
        self._apply("devices/counter-v2.yaml")
        self._until(f"{_CANARY} failed its check of counter 2", self._canary_failed)
        self._until(f"{PLAN} is Stalled: the rollout stopped", lambda: self._says("False", "StageFailed"))
        self._until("all six devices run counter 1 still", lambda: self._all_run("counter 1"))

    def good_model_follows(self) -> None:
        """The next version goes to all."""
        self._view.heading("The next version gets through")
        self._apply("devices/counter-v3.yaml")
        self._until("all six devices run counter 3", lambda: self._all_run("counter 3"))
        self._until(f"{PLAN} is Ready: the rollout is complete", lambda: self._says("True", "RolloutComplete"))

    def _first_alone(self, canary: str, others: str) -> bool:
        runs = self._runs(self._look())
        return runs[_CANARY] == canary and all(runs[name] == others for name in _OTHERS)

    def _all_run(self, model: str) -> bool:
        return set(self._runs(self._look()).values()) == {model}

    def _canary_failed(self) -> bool:
        device = next(device for device in self._look().devices if device.name == _CANARY)
        return device.status == "FAILED" and device.runs == "counter 1"

    def _says(self, ready: str, reason: str) -> bool:
        plan = self._look().plan(PLAN)
        return plan is not None and (plan.ready, plan.reason) == (ready, reason)

    @staticmethod
    def _runs(seen: Snapshot) -> dict[str, str]:
        return {device.name: device.runs for device in seen.devices}
