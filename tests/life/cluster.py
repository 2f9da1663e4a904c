"""Objects that behave as at an API server: uid, generation, resourceVersion, finalizers, status, a watch that may lag."""

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from typing import Any, TypeVar

from controller.domain.api import API_VERSION, FINALIZER, KIND, RECONCILE_ANNOTATION
from controller.domain.events import Event
from controller.domain.resource import Key, Resource, parse
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.engine.ports import ObjectChanged, ObjectError, ObjectGone
from tests.life.crash import Mortality

Body = dict[str, Any]
T = TypeVar("T")


class Cluster:
    """What is stored, and the news of it that nobody has read yet. Implements `ports.Objects`."""

    def __init__(self, now: Callable[[], datetime], mortality: Mortality) -> None:
        self._now = now
        self._mortality = mortality
        self._stored: dict[Key, Body] = {}
        self._version = 0
        self._uids = 0
        self.news: list[tuple[str, Body]] = []
        self.failing: list[bool] = []
        """Writes that will fail, first to last: True where the work is done all the same."""
        self.written: Callable[[Resource, EdgeDeploymentPlanStatus], None] = lambda _plan, _status: None
        self.released: Callable[[Resource], None] = lambda _plan: None
        self.events: list[tuple[Key, Event]] = []

    # -- what users do ----------------------------------------------------------------------------------------------

    def all_keys(self) -> list[Key]:
        """All objects."""
        return list(self._stored)

    def plan(self, key: Key) -> Resource:
        """The object as it is stored."""
        return parse(self._stored[key])

    def spec(self, key: Key) -> Body:
        """Its spec, to change and give back to `edit`."""
        return deepcopy(self._stored[key]["spec"])

    def create(self, key: Key, spec: Body) -> None:
        """`kubectl create`."""
        assert key not in self._stored
        self._uids += 1
        self._stored[key] = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "namespace": key.namespace,
                "name": key.name,
                "uid": f"uid-{self._uids}",
                "generation": 1,
                "creationTimestamp": self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "spec": deepcopy(spec),
            "status": {"observedGeneration": -1},
        }
        self._changed(key, "ADDED")

    def edit(self, key: Key, spec: Body) -> None:
        """`kubectl apply` of a changed spec."""
        body = self._stored[key]
        if body["spec"] != spec:
            body["spec"] = deepcopy(spec)
            body["metadata"]["generation"] += 1
            self._changed(key, "MODIFIED")

    def request(self, key: Key, token: str) -> None:
        """`kubectl annotate`; no new generation."""
        self._stored[key]["metadata"].setdefault("annotations", {})[RECONCILE_ANNOTATION] = token
        self._changed(key, "MODIFIED")

    def delete(self, key: Key) -> None:
        """`kubectl delete --wait=false`."""
        metadata = self._stored[key]["metadata"]
        if "deletionTimestamp" in metadata:
            return
        if not metadata.get("finalizers"):
            self._remove(key)
            return
        metadata["deletionTimestamp"] = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["generation"] += 1
        self._changed(key, "MODIFIED")

    def relist(self) -> list[Body]:
        """What a new watch begins with; older news are in it."""
        self.news.clear()
        return deepcopy(list(self._stored.values()))

    # -- ports.Objects ----------------------------------------------------------------------------------------------

    async def write_status(self, plan: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status; a merge patch without resourceVersion, as the adapter's."""

        def work() -> Resource:
            body = self._mine(plan)
            self.written(plan, status)
            if body["status"] != status.wire():
                body["status"] = status.wire()
                self._changed(plan.key, "MODIFIED")
            return self.plan(plan.key)

        return self._write(work)

    async def claim(self, plan: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status, unless the object was changed in between."""

        def work() -> Resource:
            if self._mine(plan)["metadata"]["resourceVersion"] != plan.resource_version:
                raise ObjectChanged(f"{plan.key} was changed", self.plan(plan.key))
            self._mine(plan)["status"] = status.wire()
            self._changed(plan.key, "MODIFIED")
            return self.plan(plan.key)

        return self._write(work)

    async def hold(self, plan: Resource) -> Resource:
        """Put the finalizer on."""
        found = self._write(lambda: self._finalize(plan, [*plan.finalizers, FINALIZER]))
        assert found is not None
        return found

    async def release(self, plan: Resource) -> Resource | None:
        """Take the finalizer off."""
        others = [name for name in plan.finalizers if name != FINALIZER]
        try:
            return self._write(lambda: self._finalize(plan, others))
        except ObjectGone:
            return None

    async def exists(self, key: Key, uid: str) -> bool:
        """Whether the object of that uid is there."""
        return self._write(lambda: key in self._stored and self._stored[key]["metadata"]["uid"] == uid)

    async def definition_going(self) -> bool:
        """Never, here."""
        self._mortality.before_work()
        return False

    async def publish(self, plan: Resource, event: Event) -> None:
        """Note the event."""
        self._mortality.before_work()
        self.events.append((plan.key, event))

    # -- the inside -------------------------------------------------------------------------------------------------

    def _write(self, work: Callable[[], T]) -> T:
        self._mortality.before_work()
        done = self.failing.pop(0) if self.failing else None
        if done is False:
            raise ObjectError("the API server is away")
        result = work()
        self._mortality.after_work()
        if done:
            raise ObjectError("the API server's answer got lost")
        return result

    def _mine(self, plan: Resource) -> Body:
        body = self._stored.get(plan.key)
        if body is None or body["metadata"]["uid"] != plan.uid:
            raise ObjectGone(f"{plan.key} is gone")
        return body

    def _finalize(self, plan: Resource, finalizers: list[str]) -> Resource | None:
        metadata = self._mine(plan)["metadata"]
        if metadata["resourceVersion"] != plan.resource_version:
            raise ObjectChanged(f"{plan.key} changed in between")
        metadata["finalizers"] = finalizers
        if not finalizers and "deletionTimestamp" in metadata:
            self.released(plan)
            self._remove(plan.key)
            return None
        self._changed(plan.key, "MODIFIED")
        return self.plan(plan.key)

    def _remove(self, key: Key) -> None:
        self._changed(key, "DELETED")
        del self._stored[key]

    def _changed(self, key: Key, kind: str) -> None:
        self._version += 1
        self._stored[key]["metadata"]["resourceVersion"] = str(self._version)
        self.news.append((kind, deepcopy(self._stored[key])))
