"""The newest known version of each object, and who holds which AWS plan."""

from collections.abc import Iterator
from datetime import datetime

from controller.domain.resource import Key, Plan, Scope
from controller.domain.spec import EdgeDeploymentPlanSpec


class Index:
    """Objects by key, and by the AWS plan that they name. Fed by watch events and by our own writes."""

    def __init__(self) -> None:
        self._plans: dict[Key, Plan] = {}
        self._scopes: dict[Key, Scope] = {}
        self._named: dict[str, dict[Key, None]] = {}  # by name of the AWS plan, in whatever scope; in order of arrival

    def __iter__(self) -> Iterator[Plan]:
        return iter(tuple(self._plans.values()))

    def __len__(self) -> int:
        return len(self._plans)

    def get(self, key: Key) -> Plan | None:
        """The object of that key, if it is there."""
        return self._plans.get(key)

    def put(self, plan: Plan) -> bool:
        """Take in a version; False for one older than the one known.

        resourceVersions of one resource compare as integers (KEP-5504); a watch may replay what our own write returned.
        """
        known = self._plans.get(plan.key)
        if known is not None and known.uid == plan.uid and int(known.resource_version) > int(plan.resource_version):
            return False
        if known is not None and known.plan_name != plan.plan_name:
            self._unname(known)
        self._plans[plan.key] = plan
        self._named.setdefault(plan.plan_name, {})[plan.key] = None
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

    def place(self, plan: Plan, scope: Scope) -> None:
        """Note where the object's plan lives."""
        self._scopes[plan.key] = scope

    def scope(self, key: Key) -> Scope | None:
        """Where the object's plan lives, if that is known."""
        return self._scopes.get(key)

    def within(self, scope: Scope) -> list[Plan]:
        """The objects whose plans live there."""
        return [plan for plan in self if self._scopes.get(plan.key) == scope]

    def scopes(self) -> set[Scope]:
        """All accounts and regions in use."""
        return set(self._scopes.values())

    def holder(self, plan: Plan) -> Plan:
        """Which object holds the AWS plan that this one names: one that has it already, else the oldest."""
        namesakes = (self._plans[key] for key in self.namesakes(plan.plan_name, self._scopes.get(plan.key)))
        return min(filter(_writes, namesakes), key=_claim, default=plan)

    def namesakes(self, name: str, scope: Scope | None) -> list[Key]:
        """The objects that name that AWS plan."""
        return [key for key in self._named.get(name, ()) if self._scopes.get(key) == scope]

    def _unname(self, plan: Plan) -> None:
        keys = self._named[plan.plan_name]
        del keys[plan.key]
        if not keys:
            del self._named[plan.plan_name]


def _writes(plan: Plan) -> bool:
    return isinstance(plan.spec, EdgeDeploymentPlanSpec) and plan.spec.manages


def _claim(plan: Plan) -> tuple[bool, datetime, str]:
    return (plan.status.edge_deployment_plan_arn is None, *plan.seniority)
