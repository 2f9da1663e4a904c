"""An API server that refuses the calls about Leases: one warning when that begins, a line when it has ended."""

import asyncio
import logging
from datetime import timedelta

import pytest

from controller.cluster import trouble
from controller.cluster.lease import Election, Terms
from controller.cluster.shards import Shards
from playground.cluster import Cluster
from tests.integration.client import call_as_service_account, connected, permit_leases
from tests.log import lines


@pytest.fixture(autouse=True)
def _service_account(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls are those of a service account which may read and create Leases, but not update them."""
    caplog.set_level(logging.INFO)
    call_as_service_account(cluster, namespace, monkeypatch, "get,create")


def test_renewal_that_is_refused_is_told_once_and_its_end_too(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(trouble, "_CALM", timedelta(0))
    lease = f"{namespace}/edgeplan"

    async def renew() -> list[bool]:
        async with connected() as api:
            election = Election(api, lease, "me")
            made = [await election.attempt() for _ in range(4)]
            cluster.kubectl("delete", "role", "leases", "--namespace", namespace)
            permit_leases(cluster, namespace, "get,create,update")
            async with asyncio.timeout(20):
                while not await election.attempt():  # noqa: ASYNC110 - the API server is asked
                    await asyncio.sleep(0.1)
            return made

    assert asyncio.run(renew()) == [True, False, False, False]
    (began, refused), (ended, again) = lines(caplog)
    assert (began, ended) == ("WARNING", "INFO")
    assert refused.startswith(f"lease {lease}: 403 Forbidden: leases.coordination.k8s.io")
    assert 'cannot update resource "leases"' in refused
    assert again.startswith(f"lease {lease}: works again, after 0:00:0")


def test_token_of_a_deleted_service_account_is_one_warning_for_all_leases_of_the_shards(
    cluster: Cluster, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.kubectl("delete", "serviceaccount", "operator", "--namespace", namespace)

    async def take_part() -> None:
        async with connected() as api:
            shards = Shards(
                *(api, f"{namespace}/edgeplan", "me", 3),
                idle=lambda _: True,
                changed=lambda _: None,
                terms=Terms(watch=timedelta(seconds=0.1)),
            )
            running = asyncio.create_task(shards.run())
            async with asyncio.timeout(60):
                while not lines(caplog):  # noqa: ASYNC110 - the log is read
                    await asyncio.sleep(0.1)
            await asyncio.sleep(2)  # for some twenty tries
            running.cancel()

    asyncio.run(take_part())
    ((level, said),) = lines(caplog)
    assert level == "WARNING"
    assert said.endswith("401 Unauthorized: Unauthorized")
