"""Which of several operators acts: the one that holds a coordination Lease.

On the Kubernetes client's own lock. Its election is not used: it ends on a refused connection, never gives a lease back,
and takes the time from the wall clock, which may jump (kubernetes 36 and 37).
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from controller.cluster.connection import translated
from controller.cluster.trouble import Trouble
from controller.engine.ports import ObjectError

logger = logging.getLogger(__name__)
_NOT_FOUND, _CONFLICT = 404, 409
# It logs each lost race with a traceback.
logging.getLogger("kubernetes.aio.leaderelection").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Terms:
    """How long a lease holds. Whoever stands by counts from when it saw the lease change last."""

    lease: timedelta = timedelta(seconds=12)
    """So long after the last renewal seen, others may take it."""
    lead: timedelta = timedelta(seconds=8)
    """So long after the last renewal sent, its holder acts; the difference is for calls that are under way."""
    renew: timedelta = timedelta(seconds=2)
    watch: timedelta = timedelta(seconds=1)
    """Between two looks of those who stand by."""


async def _written(call: Awaitable[client.V1Lease], *lost: int) -> client.V1Lease | None:
    """Make the call; the lease as it is now, or None where the answer says that another one was quicker."""
    try:
        return await call
    except ApiException as error:
        if error.status not in lost:
            raise
        return None


class _Lock(LeaseLock):
    """The library's lock, which may be given back as well."""

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Make the lease. The library's own way passes `pretty=True`, which its own validation refuses."""
        body = client.V1Lease(
            metadata=client.V1ObjectMeta(name=name),
            spec=self.update_lease(election_record),
        )
        self.lease_reference = await _written(self.api_instance.create_namespaced_lease(namespace, body), _CONFLICT)
        return self.lease_reference is not None

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Write the lease; False if it is another one by now. The library's own way hides why it cannot."""
        lease = self.lease_reference
        assert lease is not None  # noqa: S101 - who updates has read it before
        self.lease_reference = None  # what is there by now the answer tells, or nobody
        lease.spec = self.update_lease(updated_record, lease.spec)
        written = self.api_instance.replace_namespaced_lease(name=name, namespace=namespace, body=lease)
        self.lease_reference = await _written(written, _CONFLICT, _NOT_FOUND)
        return self.lease_reference is not None

    async def release(self) -> None:
        """Name no holder, if it is still this one."""
        await self.get(self.name, self.namespace)
        lease = self.lease_reference
        if lease is not None and lease.spec is not None and lease.spec.holder_identity == self.identity:
            lease.spec.holder_identity = ""
            lease.spec.lease_duration_seconds = 1  # as client-go does: those who count by it need not wait
            await self.api_instance.replace_namespaced_lease(name=self.name, namespace=self.namespace, body=lease)


class Election:
    """One candidate. Moments are seconds of the monotonic clock."""

    def __init__(
        self,
        api: client.ApiClient,
        name: str,
        identity: str,
        terms: Terms | None = None,
        trouble: Trouble | None = None,
        *,
        shared: bool = False,
    ) -> None:
        """Take part in the election for the lease `name`, which is a namespace and a name with a slash in between.

        `trouble` is told of each call; who takes part in several elections has one for all of them. A `shared` lease is
        renewed by several under one identity.
        """
        namespace, _, lease = name.partition("/")
        self.name, self.identity = name, identity
        self._terms = terms or Terms()
        self._shared = shared
        self._lock = _Lock(lease, namespace, identity, api)
        self._until = 0.0
        self._seen: tuple[object, float] = (None, 0.0)
        self._trouble = trouble or Trouble(f"lease {name}")

    @property
    def leads(self) -> bool:
        """Whether this one may act. True and false from any thread."""
        return time.monotonic() < self._until

    @property
    def is_due(self) -> bool:
        """Whether it is time to renew."""
        renewed = self._until - self._terms.lead.total_seconds()
        return time.monotonic() >= renewed + self._terms.renew.total_seconds()

    def holder(self, spec: Mapping[str, Any]) -> str | None:
        """Who holds the lease of this spec, as a list has just shown it; None where it may be taken."""
        holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
        as_the_lock_has_it = str(datetime.fromisoformat(renewed).replace(tzinfo=None)) if renewed else None
        mine = holder == self.identity
        return holder if mine or self._is_held(holder, as_the_lock_has_it, time.monotonic()) else None

    async def win(self) -> None:
        """Stand by until the lease is this one's."""
        while not await self.attempt():  # noqa: ASYNC110 - the API server is asked; nobody here sets an event
            await asyncio.sleep(self._terms.watch.total_seconds())
        logger.info("%s leads: it holds the lease %s", self.identity, self.name)

    async def hold(self) -> None:
        """Renew until the lease is lost."""
        while self.leads:
            await asyncio.sleep(self._terms.renew.total_seconds())
            await self.attempt()
        logger.warning("%s does not lead any more", self.identity)

    async def release(self) -> None:
        """Let another one lead at once."""
        if not self.leads:
            return
        self._until = 0.0
        try:
            async with translated("cannot release the lease", self._terms.renew.total_seconds()):
                await self._lock.release()
        except ObjectError as error:
            logger.warning("%s; others wait until it ends", error)

    async def attempt(self) -> bool:
        """Take or renew the lease, if it is free or this one's; False if not, or if that could not be told."""
        begun = time.monotonic()
        try:
            async with translated(f"lease {self.name}", self._terms.lead.total_seconds() / 2):
                written = await self._write(begun)
        except ObjectError as error:
            self._trouble.failed(error)
            return False
        self._trouble.worked()
        if written:
            self._until = begun + self._terms.lead.total_seconds()
        return written

    async def _write(self, now: float) -> bool:
        mine = self._lock.lease_reference if self.leads and not self._shared else None
        # As client-go does: who holds it has written it last, and the API server refuses what is no more so.
        if mine is not None and await self._update(self._lock.election_record(mine).acquire_time):
            return True
        found, record = await self._lock.get(self._lock.name, self._lock.namespace)
        if not found:
            assert isinstance(record, ApiException)  # noqa: S101 - the lock's own convention
            if record.status != _NOT_FOUND:
                raise record
            return await self._lock.create(self._lock.name, self._lock.namespace, self._record(None))
        assert isinstance(record, LeaderElectionRecord)  # noqa: S101 - the lock's own convention
        if record.holder_identity == self.identity:
            return await self._update(record.acquire_time)
        self._until = 0.0
        if self._is_held(record.holder_identity, record.renew_time, now):
            return False
        return await self._update(None)

    async def _update(self, since: str | None) -> bool:
        return await self._lock.update(self._lock.name, self._lock.namespace, self._record(since))

    def _is_held(self, holder: str | None, renewed: str | None, now: float) -> bool:
        """Whether another one holds it: it was seen to change not long ago."""
        state = (holder, renewed)
        if state != self._seen[0]:
            self._seen = (state, now)
        return bool(holder) and now < self._seen[1] + self._terms.lease.total_seconds()

    def _record(self, since: str | None) -> LeaderElectionRecord:
        now = str(datetime.now(UTC).replace(tzinfo=None))
        return LeaderElectionRecord(self.identity, str(int(self._terms.lease.total_seconds())), since or now, now)
