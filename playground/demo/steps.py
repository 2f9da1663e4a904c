"""What both acts of the demo do: apply, look, wait for what was promised, and let all of it go again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from playground.demo.world import NAMESPACE, DemoFailedError, Snapshot, World, shipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from playground.demo.view import View

_DEADLINE: Final = 60.0
_PAUSE: Final = 0.2


class Steps:
    """Plays in a world; each step ends when what it promises has been seen, or fails."""

    def __init__(self, world: World, view: View) -> None:
        self._world = world
        self._view = view

    def set_up(self) -> None:
        """The resource is known, the operator runs."""
        self._view.heading("Setting up")
        self._view.doing("waiting for Kubernetes to serve EdgeDeploymentPlan")
        self._world.define()
        self._world.make_namespace()
        self._until("Kubernetes serves EdgeDeploymentPlan", self._world.defined)
        self._view.doing("the operator starts")
        self._world.start_operator()

    def all_goes(self) -> None:
        """Everything is deleted: nothing is left on either side."""
        self._view.heading("Everything goes")
        self._view.command(f"kubectl delete edp --all -n {NAMESPACE}")
        self._view.doing("waiting for the AWS plans to be deleted")
        for plan in self._look().plans:
            self._world.delete(plan.name)
        self._until(
            "no object is left in Kubernetes and no plan in AWS",
            lambda: not (seen := self._look()).plans and not seen.at_aws,
        )

    def _apply(self, example: str) -> None:
        self._view.command(f"kubectl apply -f examples/{example} -n {NAMESPACE}")
        self._view.doing(f"waiting for the operator to take up {example}")
        self._world.apply(shipped("examples") / example)

    def _delete(self, name: str) -> None:
        self._view.command(f"kubectl delete edp {name} -n {NAMESPACE}")
        self._view.doing(f"waiting for {name} to be deleted in AWS")
        self._world.delete(name)

    def _look(self) -> Snapshot:
        seen = self._world.look()
        self._view.show(seen)
        return seen

    def _watch(self, seconds: float, doing: str) -> None:
        self._view.doing(doing)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._world.require_operator()
            self._look()
            time.sleep(_PAUSE)

    def _until(self, promise: str, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _DEADLINE
        while not true():
            self._world.require_operator()
            if time.monotonic() > deadline:
                raise DemoFailedError(f"not within {_DEADLINE:.0f} seconds: {promise}")
            time.sleep(_PAUSE)
        self._view.done(promise)

    @staticmethod
    def _require(true: bool, otherwise: str) -> None:
        if not true:
            raise DemoFailedError(otherwise)
