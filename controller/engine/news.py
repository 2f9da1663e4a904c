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
            if not resource.holds_its_name and resource.edited:
                self._offer(resource, scope)
        self.wake(resource.key)

    def gone(self, resource: Resource) -> None:
        """The object is not there any more, says the watch or a fresh list.

        An object that we did not let go, and that may have a plan, leaves a ghost; not so one whose finalizer somebody
        took off while it was being deleted: whoever does that wants the plan left alone.
        """
        known = self.index.get(resource.key)
        if known is None or known.uid != resource.uid:
            return
        if known.deleting and resource.deleting and not resource.has_finalizer:
            scope = self.index.scope(resource.key)
            self.index.remove(resource.key, resource.uid, resource.resource_version)
            self._free(resource, scope)
        else:
            self.lost(replace(known, resource_version=resource.resource_version))

    def lost(self, resource: Resource) -> None:
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

    def _offer(self, resource: Resource, scope: Scope) -> None:
        """Wake those that this object kept from their plan: it only observes from now on."""
        for key in self.index.namesakes(resource.plan_name, scope):
            other = self.index.get(key)
            stalled = other.status.condition("Stalled") if other else None
            if stalled is not None and stalled.reason == Reason.NAME_CONFLICT:
                self.wake(key, Wake.NAME)
