"""The newest known version of each object, and who holds which AWS plan."""

from collections.abc import Iterator
from datetime import datetime

from controller.domain.resource import Key, Resource, Scope
from controller.domain.spec import EdgeDeploymentPlanSpec


class Index:
    """Objects by key, and by the AWS plan that they name. Fed by watch events and by our own writes."""

    def __init__(self) -> None:
        self._plans: dict[Key, Resource] = {}
        self._scopes: dict[Key, Scope] = {}
        self._named: dict[str, dict[Key, None]] = {}  # by name of the AWS plan, in whatever scope; in order of arrival

    def __iter__(self) -> Iterator[Resource]:
        return iter(tuple(self._plans.values()))

    def __len__(self) -> int:
        return len(self._plans)

    def get(self, key: Key) -> Resource | None:
        """The object of that key, if it is there."""
        return self._plans.get(key)

    def put(self, resource: Resource) -> bool:
        """Take in a version; False for one older than the one known.

        resourceVersions of one resource compare as integers (KEP-5504); a watch may replay what our own write returned.
        """
        known = self._plans.get(resource.key)
        if (
            known is not None
            and known.uid == resource.uid
            and int(known.resource_version) > int(resource.resource_version)
        ):
            return False
        if known is not None and known.plan_name != resource.plan_name:
            self._unname(known)
        self._plans[resource.key] = resource
        self._named.setdefault(resource.plan_name, {})[resource.key] = None
        return True

    def remove(self, key: Key, uid: str) -> bool:
        """Forget an object that is gone; False when a newer one of that name is known."""
        known = self._plans.get(key)
        if known is None or known.uid != uid:
            return False
        self._unname(known)
        del self._plans[key]
        self._scopes.pop(key, None)
        return True

    def place(self, resource: Resource, scope: Scope) -> None:
        """Note where the object's plan lives."""
        self._scopes[resource.key] = scope

    def scope(self, key: Key) -> Scope | None:
        """Where the object's plan lives, if that is known."""
        return self._scopes.get(key)

    def within(self, scope: Scope) -> list[Resource]:
        """The objects whose plans live there."""
        return [resource for resource in self if self._scopes.get(resource.key) == scope]

    def scopes(self) -> set[Scope]:
        """All accounts and regions in use."""
        return set(self._scopes.values())

    def holder(self, resource: Resource) -> Resource:
        """Which object holds the AWS plan that this one names: one that has it already, else the oldest."""
        namesakes = (self._plans[key] for key in self.namesakes(resource.plan_name, self._scopes.get(resource.key)))
        return min(filter(_writes, namesakes), key=_claim, default=resource)

    def namesakes(self, name: str, scope: Scope | None) -> list[Key]:
        """The objects that name that AWS plan."""
        return [key for key in self._named.get(name, ()) if self._scopes.get(key) == scope]

    def _unname(self, resource: Resource) -> None:
        keys = self._named[resource.plan_name]
        del keys[resource.key]
        if not keys:
            del self._named[resource.plan_name]


def _writes(resource: Resource) -> bool:
    return isinstance(resource.spec, EdgeDeploymentPlanSpec) and resource.spec.manages


def _claim(resource: Resource) -> tuple[bool, datetime, str]:
    return (resource.status.edge_deployment_plan_arn is None, *resource.seniority)
