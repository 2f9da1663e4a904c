"""A Lease on a real API server: what its holder asks for, and what becomes of it where somebody else writes it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from controller.cluster.lease import Election, Terms
from playground.cluster import Cluster
from tests.integration.client import ACCOUNT, call_as_service_account, connected
from tests.integration.operators import wait_until

SHORT = Terms(lease=timedelta(seconds=2), lead=timedelta(seconds=1))


@pytest.fixture(autouse=True)
def _service_account(cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are those of a service account: the API server's audit log has their reads too."""
    call_as_service_account(cluster, namespace, monkeypatch, "get,create,update")


class Leases:
    """The Lease of one namespace, and what was asked about it."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self.name = f"{namespace}/edgeplan"

    def change(self, **fields: Any) -> None:
        body = {"spec": fields, "metadata": {"annotations": {"touched": str(fields)}}}
        self._cluster.client.request("PATCH", f"{self._path}/edgeplan", body, "application/merge-patch+json")

    def delete(self) -> None:
        self._cluster.client.request("DELETE", f"{self._path}/edgeplan")

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self._cluster.client.request("GET", f"{self._path}/edgeplan")["spec"]
        return found

    def asked(self, count: int) -> list[str]:
        """So many requests of the service account, once the log has them."""
        wait_until(lambda: len(self._asked()) >= count, seconds=20)
        return self._asked()

    def _asked(self) -> list[str]:
        user = f"system:serviceaccount:{self._namespace}:{ACCOUNT}"
        return [each.verb for each in self._cluster.requests(namespace=self._namespace, resource="leases", user=user)]


@pytest.fixture
def leases(cluster: Cluster, namespace: str) -> Leases:
    return Leases(cluster, namespace)


def run(leases: Leases, life: Callable[..., Awaitable[Any]], *names: str, shared: bool = False) -> Any:
    """A life of candidates of these names."""

    async def lived() -> Any:
        async with connected() as api:
            return await life(*(Election(api, leases.name, name, SHORT, shared=shared) for name in names))

    return asyncio.run(lived())


def test_a_renewal_is_one_request(leases: Leases) -> None:
    times = []

    async def life(election: Election) -> None:
        for _ in range(4):
            assert await election.attempt()
            times.append(leases.spec["renewTime"])

    run(leases, life, "me")
    assert leases.asked(5) == ["get", "create", "update", "update", "update"]
    assert sorted(set(times)) == times


def test_a_lease_that_several_renew_is_read_each_time(leases: Leases) -> None:
    async def life(one: Election, other: Election) -> None:
        for election in (one, other, one, other):
            assert await election.attempt()

    run(leases, life, "operators of 3 shards", "operators of 3 shards", shared=True)
    assert leases.asked(8) == ["get", "create", *["get", "update"] * 3]


def test_who_only_touches_the_lease_takes_it_from_nobody(leases: Leases) -> None:
    async def life(election: Election) -> list[bool]:
        made = [await election.attempt()]
        leases.change()
        return [*made, await election.attempt(), await election.attempt()]

    assert run(leases, life, "me") == [True, True, True]
    assert leases.asked(6) == ["get", "create", "update", "get", "update", "update"]


def test_a_lease_that_somebody_deleted_is_made_again_at_once(leases: Leases) -> None:
    async def life(election: Election) -> list[bool]:
        made = [await election.attempt()]
        leases.delete()
        return [*made, await election.attempt(), election.leads]

    assert run(leases, life, "me") == [True, True, True]
    assert leases.spec["holderIdentity"] == "me"


def test_a_lease_that_somebody_took_is_lost_at_the_next_renewal(leases: Leases) -> None:
    async def life(election: Election) -> list[bool]:
        made = [await election.attempt()]
        leases.change(holderIdentity="another")
        return [*made, await election.attempt(), election.leads]

    assert run(leases, life, "me") == [True, False, False]
    assert leases.spec["holderIdentity"] == "another"


def test_a_list_and_a_read_tell_the_same_of_a_lease(leases: Leases) -> None:
    async def life(one: Election, other: Election) -> tuple[list[str | None], bool]:
        assert await one.attempt()
        seen = [other.holder(leases.spec)]
        until = asyncio.get_running_loop().time() + 20
        while not (taken := await other.attempt()) and asyncio.get_running_loop().time() < until:
            seen.append(other.holder(leases.spec))  # were it another state each time, the lease would never lapse
            await asyncio.sleep(0.1)
        return seen, taken

    seen, taken = run(leases, life, "one", "other")
    assert set(seen) <= {"one", None}
    assert seen[0] == "one"
    assert taken
