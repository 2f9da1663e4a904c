"""What the watch tells, and what a fresh list does not show: taken into the index, and to whom it matters."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from controller.domain.agenda import Wake
from controller.domain.reasons import Reason
from controller.domain.resource import Resource, Scope
from controller.engine.index import Index
from controller.engine.ports import Accounts, TargetRefused
from controller.engine.quotas import Quotas


@dataclass(kw_only=True)
class News:
    """The ears of the operator. Mutable through its parts, but without I/O."""

    index: Index
    accounts: Accounts
    quotas: Quotas
    wake: Callable[..., None]

    def seen(self, resource: Resource) -> None:
        """An object is there, in this version."""
        known = self.index.get(resource.key)
        if known is not None and known.uid != resource.uid:
            self.gone(known)
        if not self.index.put(resource):
            return
        with suppress(TargetRefused):  # the reconciler tells the user
            scope = self.accounts.scope(resource.key.namespace, resource.readable_spec.target)
            self.index.set_scope(resource, scope)
            self.quotas.resume(scope, resource)
            if (not resource.holds_its_name and resource.edited) or _lost_its_plan(known, resource):
                self._offer(resource, scope)
        self.wake(resource.key)

    def wrote(self, before: Resource, written: Resource) -> None:
        """We wrote this version over that one."""
        self.index.put(written)
        if _lost_its_plan(before, written):
            self._offer(written, self.index.scope(written.key))

    def gone(self, resource: Resource) -> None:
        """The object is not there any more, says the watch or a fresh list.

        An object that may have a plan leaves a ghost; not so one that was being deleted. It waited for its finalizers,
        so the last was taken off: by the operator that acts, whoever that is, or by somebody who wants the plan left
        alone. DELETED does not show that: it tells of the object as it was before (kube-apiserver 1.37).
        """
        known = self.index.get(resource.key)
        if known is None or known.uid != resource.uid:
            return
        if resource.deleting:
            scope = self.index.scope(resource.key)
            self.index.remove(resource.key, resource.uid, resource.resource_version)
            self._free(resource, scope)
        else:
            self._lost(replace(known, resource_version=resource.resource_version))

    def missed(self, resource: Resource) -> bool:
        """An attempt found the object gone; whether news of that are still to come.

        They tell what it asked for last, which may be that the plan stays: nothing is deleted before.
        """
        known = self.index.get(resource.key)
        if known is not None and known.uid == resource.uid:
            return True
        self._lost(resource)
        return False

    def at_rest(self, ghost: Resource) -> None:
        """Nothing is left of it in AWS."""
        scope = self.index.scope(ghost.key)
        self.index.exorcise(ghost)
        self._free(ghost, scope)

    def _lost(self, resource: Resource) -> None:
        """The object is not there any more, and this is the latest that is known of it."""
        scope = self.index.scope(resource.key)
        if self.index.lost(resource) is not None:
            self.wake(resource.key)
        self._free(resource, scope)

    def _free(self, resource: Resource, scope: Scope | None) -> None:
        """The name of its plan and its place in the queue are free."""
        if self.index.get(resource.key) is None:
            self.quotas.leave(resource.key)
        for key in self.index.namesakes(resource.plan_name, scope):
            self.wake(key, Wake.NAME)

    def _offer(self, resource: Resource, scope: Scope | None) -> None:
        """Wake those that this object kept from their plan: it does not go before them any more, or only observes."""
        for key in self.index.namesakes(resource.plan_name, scope):
            other = self.index.get(key)
            stalled = other.status.condition("Stalled") if other else None
            if stalled is not None and stalled.reason == Reason.NAME_CONFLICT:
                self.wake(key, Wake.NAME)


def _lost_its_plan(before: Resource | None, after: Resource) -> bool:
    return before is not None and before.status.has_plan and not after.status.has_plan
