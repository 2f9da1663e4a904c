"""The newest known version of each object, who names which AWS plan, and the ghosts of objects that went unseen."""

from collections.abc import Iterator
from dataclasses import replace

from controller.domain.api import FINALIZER
from controller.domain.resource import Key, Resource, Scope
from controller.domain.status import EdgeDeploymentPlanStatus

_DEAD = 2048


class Index:
    """Objects by key, and by the AWS plan that they name. Fed by watch events and by our own writes.

    A ghost is an object that is gone although its finalizer was on, or a create for it may be under way: the API server
    can accept a DELETE and the patch that adds the first finalizer, both. Its deletion is carried out like any other.
    """

    def __init__(self) -> None:
        self.departed = 0
        """How many objects went, ever."""
        self._objects: dict[Key, Resource] = {}
        self._ghosts: dict[Key, dict[str, Resource]] = {}  # by key, then by uid
        self._dead: dict[str, Resource] = {}  # the latest that went, by uid: as it was last, without its status
        self._made: dict[str, EdgeDeploymentPlanStatus] = {}  # by uid: what could not be written any more
        self._scopes: dict[Key, Scope] = {}
        self._local: dict[str, dict[Key, None]] = {}  # by namespace, in order of arrival
        self._moving: dict[Key, None] = {}  # those with a stage under way
        self._named: dict[str, list[Key]] = {}  # by name of the AWS plan, in whatever scope; in order of arrival

    def __iter__(self) -> Iterator[Resource]:
        return iter(tuple(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, key: Key) -> Resource | None:
        """The object of that key, if it is there."""
        return self._objects.get(key)

    def at(self, key: Key) -> tuple[Resource, ...]:
        """Who is to be worked on under that key: ghosts first, but for those whose plan the object there takes over."""
        living = self._objects.get(key)
        ghosts = tuple(self._ghosts.get(key, {}).values())
        if living is None:
            return ghosts
        taken = [ghost for ghost in ghosts if living.takes_over(ghost)]
        for ghost in taken if living.status.has_plan else ():
            self.exorcise(ghost)
        return (*(ghost for ghost in ghosts if ghost not in taken), living)

    def put(self, resource: Resource) -> bool:
        """Take in a version; False for one older than the one known, or of an object that is gone.

        A watch may replay what our own write returned, and the answer to a write may come after the news that the object
        is gone.
        """
        dead = self._dead.get(resource.uid)
        if dead is not None and resource.version <= dead.version:
            return False
        known = self._objects.get(resource.key)
        if known is not None and known.uid == resource.uid and known.version > resource.version:
            return False
        if known is None or known.plan_name != resource.plan_name:
            if known is not None:
                self._unname(known)
            self._named.setdefault(resource.plan_name, []).append(resource.key)
        self._objects[resource.key] = resource
        self._local.setdefault(resource.key.namespace, {})[resource.key] = None
        if resource.status.moving:
            self._moving[resource.key] = None
        else:
            self._moving.pop(resource.key, None)
        return True

    def remove(self, key: Key, uid: str, version: str = "0") -> Resource | None:
        """Forget an object that is gone, by news of that resourceVersion.

        Its last version, or None where a newer object of that name is known.
        """
        known = self._objects.get(key)
        if known is None or known.uid != uid:
            return None
        self._unname(known)
        del self._objects[key]
        self.departed += 1
        self._moving.pop(key, None)
        self._local[key.namespace].pop(key)
        latest = str(max(known.version, int(version)))
        self._made.pop(uid, None)
        self._dead[known.uid] = replace(known, resource_version=latest, status=EdgeDeploymentPlanStatus())
        if len(self._dead) > _DEAD:
            del self._dead[next(iter(self._dead))]
        self._forget_scope(key)
        return known

    # -- ghosts -----------------------------------------------------------------------------------------------------

    def lost(self, resource: Resource) -> Resource | None:
        """The object is gone; its ghost, if there may be something of it in AWS and nobody took its finalizer off."""
        scope, made = self._scopes.get(resource.key), self._made.pop(resource.uid, resource.status)
        known = self.remove(resource.key, resource.uid, resource.resource_version)
        # What a call came to is known of the version that it was made for, and what is asked for by the last one.
        last = replace(known or self._dead.get(resource.uid, resource), status=made)
        status = last.status
        # The finalizer comes before the first call, and whoever has none may have had one under an earlier policy.
        held = resource.has_finalizer or (known is not None and known.has_finalizer)
        touched = held or status.has_plan or status.settling is not None
        if not last.readable_spec.deletes or not touched or (last.deleting and last.has_finalizer):
            return None
        if scope is not None:
            self._scopes[resource.key] = scope
        return self.haunt(last)

    def remember(self, uid: str, status: EdgeDeploymentPlanStatus) -> None:
        """Keep what a call came to of an object that is gone, until news tell how that was last."""
        self._made[uid] = status

    def let_go(self, resource: Resource) -> None:
        """We took the finalizer off, and the object is gone as soon as the watch says so: nothing is left of it."""
        known = self._objects.get(resource.key)
        if known is not None and known.uid == resource.uid:  # the watch may have been quicker, with a successor even
            self._objects[resource.key] = replace(known, finalizers=(), status=EdgeDeploymentPlanStatus())

    def haunt(self, resource: Resource) -> Resource:
        """Keep an object that is gone until nothing is left of it in AWS."""
        ghost = replace(resource, deleting=True, finalizers=(FINALIZER,))
        self._ghosts.setdefault(ghost.key, {})[ghost.uid] = ghost
        return ghost

    def is_ghost(self, resource: Resource) -> bool:
        """Whether the object is one that is gone."""
        return resource.uid in self._ghosts.get(resource.key, {})

    def ghosts(self) -> list[Resource]:
        """All objects that are gone, and of which something may be left."""
        return [ghost for ghosts in self._ghosts.values() for ghost in ghosts.values()]

    def exorcise(self, ghost: Resource) -> None:
        """Nothing is left of it."""
        ghosts = self._ghosts.get(ghost.key, {})
        ghosts.pop(ghost.uid, None)
        if not ghosts:
            self._ghosts.pop(ghost.key, None)
            self._forget_scope(ghost.key)

    # -- scopes and names -------------------------------------------------------------------------------------------

    def set_scope(self, resource: Resource, scope: Scope) -> None:
        """Note where the object's plan lives."""
        self._scopes[resource.key] = scope

    def scope(self, key: Key) -> Scope | None:
        """Where the object's plan lives, if that is known."""
        return self._scopes.get(key)

    def keys(self) -> tuple[Key, ...]:
        """Of all objects."""
        return tuple(self._objects)

    def namespaces(self) -> set[str]:
        """Those that have objects."""
        return {name for name, keys in self._local.items() if keys}

    def count(self, namespace: str | None) -> int:
        """How many objects there are in a namespace, or in all."""
        return len(self._objects if namespace is None else self._local.get(namespace, ()))

    def used(self, scope: Scope) -> bool:
        """Whether there is an object whose plan lives there."""
        return any(self._scopes.get(key) == scope for key in self._objects)

    def neighbours(self, resource: Resource) -> Iterator[Resource]:
        """The other objects of its namespace, and the ghosts of those that are gone."""
        for key in self._local.get(resource.key.namespace, ()):
            if (other := self._objects[key]).uid != resource.uid:
                yield other
        for ghost in self.ghosts():
            if ghost.key.namespace == resource.key.namespace and ghost.uid != resource.uid:
                yield ghost

    def crowd(self, scope: Scope) -> int:
        """How many objects have stages under way there."""
        return sum(self._scopes.get(key) == scope for key in self._moving)

    def scopes(self) -> set[Scope]:
        """All accounts and regions in use."""
        return set(self._scopes.values())

    def rivals(self, resource: Resource, scope: Scope) -> tuple[Resource, ...]:
        """The other objects that want the AWS plan that this one names."""
        namesakes = (self._objects[key] for key in self.namesakes(resource.plan_name, scope) if key != resource.key)
        return tuple(other for other in namesakes if other.holds_its_name)

    def namesakes(self, name: str, scope: Scope | None) -> list[Key]:
        """The objects that name that AWS plan."""
        return [key for key in self._named.get(name, ()) if self._scopes.get(key) == scope]

    def _forget_scope(self, key: Key) -> None:
        if key not in self._objects and key not in self._ghosts:
            self._scopes.pop(key, None)

    def _unname(self, resource: Resource) -> None:
        keys = self._named[resource.plan_name]
        keys.remove(resource.key)
        if not keys:
            del self._named[resource.plan_name]
