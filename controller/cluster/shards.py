"""The shards of one operator among several: each a Lease, handed on so that all operators have about as many.

Three kinds of Leases, all by the rules of `lease.py`. That of the plain name says how the objects are cut into shards:
whoever acts has renewed it in the name of that cut, so that operators of different cuts never act at the same time.
One a member, so that each knows how many there are. And one a shard: who holds it works on its objects, nobody else does.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.aio import client

from controller.cluster.connection import call, mapping, translated
from controller.cluster.lease import Election, Terms
from controller.cluster.shares import share_out
from controller.cluster.trouble import Trouble
from controller.engine.ports import ObjectError

logger = logging.getLogger(__name__)

_LEASES = "/apis/coordination.k8s.io/v1"
_PATIENCE = 4.0  # seconds for a list: it must not hold up the renewals


def shard_leases(lease: str, shards: int) -> list[str]:
    """The Leases of the shards."""
    return [f"{lease}-{shard}" for shard in range(shards)]


def member_leases(lease: str, shards: int) -> list[str]:
    """The Leases of the members; more of them than shards would have nothing to do."""
    return [f"{lease}-member-{slot}" for slot in range(shards)]


class Shards:
    """Which shards this process holds. What it does with them it is told through `changed`."""

    def __init__(
        self,
        api: client.ApiClient,
        lease: str,
        identity: str,
        count: int,
        *,
        cut: str = "",
        idle: Callable[[int], bool],
        changed: Callable[[frozenset[int]], None],
        terms: Terms | None = None,
    ) -> None:
        """Take part for `count` shards, and tell by `cut` what they are cut by, if not by the objects.

        A shard is released once it is `idle`; `changed` hears which are to be worked on.
        """
        self.name, self.count = lease, count
        self._identity = identity
        self._api = api
        self._terms = terms or Terms()
        self._idle = idle
        self._changed = changed
        self._trouble = trouble = Trouble(f"leases of {lease}")
        self._layout = Election(api, lease, f"operators of {count} shards{cut}", terms, trouble, shared=True)
        self._shards = [Election(api, name, identity, terms, trouble) for name in shard_leases(lease, count)]
        self._slots = [Election(api, name, identity, terms, trouble) for name in member_leases(lease, count)]
        self._wanted: frozenset[int] = frozenset()
        self._free_slot: Election | None = None
        self._told: frozenset[int] = frozenset()
        self._retired = False

    def leads(self, shard: int | None = None) -> bool:
        """Whether this process may act for that shard, or for any. True and false from any thread."""
        if not self._layout.leads:
            return False
        return any(each.leads for each in self._shards) if shard is None else self._shards[shard].leads

    async def run(self) -> None:
        """Take the shards that are this process's to have, for ever."""
        try:
            while True:
                _, leases = await asyncio.gather(self._renew(), self._look())
                if leases is not None:
                    self._plan(leases)
                self._tell()
                await self._give_up()
                await asyncio.sleep(self._terms.watch.total_seconds())
        finally:
            self._wanted = frozenset()
            self._tell()

    def retire(self) -> None:
        """Take no more work: this process is about to stop."""
        self._retired, self._wanted = True, frozenset()
        self._tell()

    async def release(self) -> None:
        """Let others have the shards at once. The layout's lease lapses: others may act under it."""
        await asyncio.gather(*(each.release() for each in (*self._shards, *self._slots)))

    # -- one look and what follows ----------------------------------------------------------------------------------

    async def _renew(self) -> None:
        """Renew what is held, and try for what is wanted."""
        candidates = [self._layout]
        if self._layout.leads:  # or else members of another layout would count this one among theirs
            slot = next((each for each in self._slots if each.leads), None if self._retired else self._free_slot)
            candidates += [slot] if slot is not None else []
            candidates += [each for shard, each in enumerate(self._shards) if each.leads or shard in self._wanted]
        await asyncio.gather(*(each.attempt() for each in candidates if each.is_due))

    async def _look(self) -> Mapping[str, Mapping[str, Any]] | None:
        """The specs of the namespace's leases by name; None where they cannot be told."""
        namespace = self.name.partition("/")[0]
        try:
            async with translated(f"leases of {namespace}", _PATIENCE):
                # Without the library's models, which take time to fill: this comes every second.
                found = mapping(await call(self._api, "GET", f"{_LEASES}/namespaces/{namespace}/leases"))
        except ObjectError as error:
            self._trouble.failed(error)
            return None
        self._trouble.worked()
        leases = found.get("items") or ()
        return {f"{namespace}/{lease['metadata']['name']}": lease.get("spec") or {} for lease in leases}

    def _plan(self, leases: Mapping[str, Mapping[str, Any]]) -> None:
        """Find out who is there, and with that what is this process's to have."""
        slots = [_holder(each, leases) for each in self._slots]
        free = (each for each, holder in zip(self._slots, slots, strict=True) if holder in (None, self._identity))
        self._free_slot = next(free, None)
        members = {holder for holder in slots if holder is not None}
        holders = [_holder(each, leases) for each in self._shards]
        if self._retired or not self._layout.leads or not any(each.leads for each in self._slots):
            return
        planned = share_out(holders, members | {self._identity})
        self._wanted = frozenset(
            shard
            for shard, holder in enumerate(holders)
            if planned[shard] == self._identity and holder in (None, self._identity)
        )

    def _tell(self) -> None:
        """Say which shards are to be worked on: those that are held, and not to be given up."""
        held = frozenset(shard for shard in self._wanted if self.leads(shard))
        if held != self._told:
            logger.info("%s works on the shards %s of %s", self._identity, _listed(held), self.count)
            self._told = held
            self._changed(held)

    async def _give_up(self) -> None:
        """Release what others should have, once nothing of it is worked on."""
        for shard, each in enumerate(self._shards):
            if each.leads and shard not in self._wanted and self._idle(shard):
                await each.release()
        if self._retired:
            await asyncio.gather(*(each.release() for each in self._slots))


def _holder(election: Election, leases: Mapping[str, Mapping[str, Any]]) -> str | None:
    spec = leases.get(election.name)
    return election.holder(spec) if spec is not None else None


def _listed(shards: frozenset[int]) -> str:
    return ", ".join(str(shard) for shard in sorted(shards)) or "none"
