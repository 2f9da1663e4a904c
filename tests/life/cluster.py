"""Objects that behave as at an API server: uid, generation, resourceVersion, finalizers, status, and watches of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from typing import TYPE_CHECKING, Any

from controller.domain.api import API_VERSION, FINALIZER, KIND, RECONCILE_ANNOTATION
from controller.domain.events import Event
from controller.domain.resource import Key, Resource, parse
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.engine.ports import ObjectChanged, ObjectGone

if TYPE_CHECKING:
    from tests.life.watch import Watch

Body = dict[str, Any]


class Cluster:
    """What is stored, what users do to it, and what becomes of the operators' writes."""

    def __init__(self, now: Callable[[], datetime], dice: random.Random | None = None) -> None:
        self._now = now
        self._dice = dice
        """Makes the uids, where they are not to be in order of creation."""
        self._stored: dict[Key, Body] = {}
        self._version = 0
        self._uids = 0
        self.watches: list[Watch] = []
        self.failing: list[bool] = []
        """Writes that will fail, first to last: True where the work is done all the same."""
        self.racing: set[Key] = set()
        """Objects that go in the moment in which their first finalizer is put on: the API server accepts both."""
        self.finalizer_policy = False
        """Whether the API server puts the finalizer on new objects, by the chart's policy."""
        self.departed: dict[str, Resource] = {}
        """Each object that went, as it was then, by uid."""
        self.stripped: set[str] = set()
        """Those, by uid, whose plans are left alone: somebody took the finalizer off while they were being deleted."""
        self.written: Callable[[Resource, EdgeDeploymentPlanStatus], None] = lambda _resource, _status: None
        self.released: Callable[[Resource], None] = lambda _resource: None
        self.events: list[tuple[Key, Event]] = []

    # -- what users do ----------------------------------------------------------------------------------------------

    def all_keys(self) -> list[Key]:
        """All objects."""
        return list(self._stored)

    def plan(self, key: Key) -> Resource:
        """The object as it is stored."""
        return parse(self._stored[key])

    def plans(self) -> list[Resource]:
        """All objects as they are stored."""
        return [parse(body) for body in self._stored.values()]

    def spec(self, key: Key) -> Body:
        """Its spec, to change and give back to `edit`."""
        return deepcopy(dict(self._stored[key]["spec"]))

    def create(self, key: Key, spec: Body) -> None:
        """`kubectl create`."""
        assert key not in self._stored
        self._uids += 1
        prefix = f"{self._dice.randrange(2**32):08x}-" if self._dice is not None else ""
        self._stored[key] = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "namespace": key.namespace,
                "name": key.name,
                "uid": f"{prefix}uid-{self._uids}",
                "generation": 1,
                "creationTimestamp": self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            | ({"finalizers": [FINALIZER]} if self.finalizer_policy and _goes_with_its_plan(spec) else {}),
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

    def strip(self, key: Key) -> None:
        """`kubectl patch` that takes our finalizer off."""
        metadata = self._stored[key]["metadata"]
        if FINALIZER in metadata.get("finalizers", ()):
            if "deletionTimestamp" in metadata:
                self.stripped.add(metadata["uid"])
            self._take_off(key)

    def replace_by_force(self, key: Key, spec: Body) -> bool:
        """`kubectl replace --force`: another object of that name, at once; False where a finalizer makes it wait."""
        self.delete(key)
        if key in self._stored:
            return False
        self.create(key, spec)
        return True

    def bodies(self) -> list[Body]:
        """What a list answers."""
        return deepcopy(list(self._stored.values()))

    # -- what operators write ---------------------------------------------------------------------------------------

    def write_status(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status over the one that the writer knows, whatever else was changed in between.

        Raises:
            ObjectChanged: the status is another one by now.
            ObjectGone: the object is gone, or another one of that name is there.

        """
        body = self._mine(resource)
        now = parse(body)
        if now.status != resource.status:
            raise ObjectChanged(f"{resource.key}: somebody else wrote the status", now)
        self.written(resource, status)
        if body["status"] != status.wire():
            body["status"] = status.wire()
            self._changed(resource.key, "MODIFIED")
        return self.plan(resource.key)

    def claim(self, resource: Resource, status: EdgeDeploymentPlanStatus) -> Resource:
        """Write the status unless anything was changed in between."""
        body = self._mine(resource)
        if body["metadata"]["resourceVersion"] != resource.resource_version:
            raise ObjectChanged(f"{resource.key} was changed", parse(body))
        body["status"] = status.wire()
        self._changed(resource.key, "MODIFIED")
        return self.plan(resource.key)

    def hold(self, resource: Resource) -> Resource:
        """Put our finalizer on, beside those that are there by now."""
        body = self._mine(resource)
        finalizers = body["metadata"].setdefault("finalizers", [])
        if resource.key in self.racing and not finalizers:
            self.racing.discard(resource.key)
            accepted = deepcopy(body)
            accepted["metadata"]["finalizers"] = [FINALIZER]
            accepted["metadata"]["resourceVersion"] = str(self._version + 1)
            self._remove(resource.key)
            return parse(accepted)
        if FINALIZER not in finalizers:
            finalizers.append(FINALIZER)
            self._changed(resource.key, "MODIFIED")
        return self.plan(resource.key)

    def release(self, resource: Resource) -> Resource | None:
        """Take our finalizer off, and leave those of others that are there by now."""
        metadata = self._mine(resource)["metadata"]
        finalizers = metadata.get("finalizers", [])
        if FINALIZER not in finalizers:
            return self.plan(resource.key)
        if "deletionTimestamp" in metadata:
            self.released(resource)
        return self.plan(resource.key) if self._take_off(resource.key) else None

    def _take_off(self, key: Key) -> bool:
        """Take our finalizer off; whether the object is there still. One that goes is told as it was before."""
        metadata = self._stored[key]["metadata"]
        if "deletionTimestamp" in metadata and metadata["finalizers"] == [FINALIZER]:
            self._remove(key)
            return False
        metadata["finalizers"].remove(FINALIZER)
        self._changed(key, "MODIFIED")
        return True

    # -- the inside -------------------------------------------------------------------------------------------------

    def _mine(self, resource: Resource) -> Body:
        body = self._stored.get(resource.key)
        if body is None or body["metadata"]["uid"] != resource.uid:
            raise ObjectGone(f"{resource.key} is gone")
        return body

    def _remove(self, key: Key) -> None:
        self._changed(key, "DELETED")
        gone = parse(self._stored.pop(key))
        self.departed[gone.uid] = gone

    def _changed(self, key: Key, kind: str) -> None:
        self._version += 1
        self._stored[key]["metadata"]["resourceVersion"] = str(self._version)
        for watch in self.watches:
            watch.tell(kind, deepcopy(self._stored[key]))


def _goes_with_its_plan(spec: Body) -> bool:
    """What the chart's MutatingAdmissionPolicy asks."""
    policy = spec.get("policy") or {}
    kept = policy.get("management") == "Observe" or policy.get("deletion") == "Retain"
    return not (kept or spec.get("suspend"))
