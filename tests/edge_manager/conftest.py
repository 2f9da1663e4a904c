"""One service, one sandbox and one S3 per test process; every test works in an account of its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from edge_manager.domain.access import Role
from edge_manager.sandbox.server import Sandbox
from tests.edge_manager.databases import create_database, postgresql
from tests.edge_manager.processes import ONCE, REGION, s3_client, s3_server, served, sqlite
from tests.edge_manager.teams import Rehearsal, Shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.edge_manager.processes import Served
    from tests.edge_manager.teams import Team

ACCOUNTS = itertools.count(100_000_000_000)
DATABASES = itertools.count()
QUOTA = 8


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return sqlite(tmp_path)
    return create_database(request.getfixturevalue("postgresql_server"), f"db{next(DATABASES)}")


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture(scope="session")
def s3(s3_url: str) -> Iterator[Any]:
    client = s3_client(s3_url)
    yield client
    client.close()


@pytest.fixture(scope="session")
def service(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(sqlite(tmp_path_factory.mktemp("store")), s3=s3_url) as running:
        yield running.start()


@pytest.fixture
def shop(service: Served, s3: Any) -> Iterator[Shop]:
    account = str(next(ACCOUNTS))
    yield Shop(service, s3, account, service.key(Role.ADMIN, account))
    service.close_clients()


@pytest.fixture
def shops(shop: Shop) -> Shop:
    """With a fleet of four devices and a package."""
    shop.fleet("canary-1", "till-1", "till-2", "till-3")
    shop.package("counter")
    return shop


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[Sandbox]:
    with Sandbox(speed=0) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def small(s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service whose quota is soon used up."""
    with served(sqlite(tmp_path_factory.mktemp("store")), s3=s3_url, arguments=("--quota", str(QUOTA))) as running:
        yield running.start()


@pytest.fixture(params=["sandbox", "service"])
def team(request: pytest.FixtureRequest, s3: Any) -> Iterator[Team]:
    """A team on the sandbox, and one on the service."""
    account = str(next(ACCOUNTS))
    if request.param == "service":
        small: Served = request.getfixturevalue("small")
        yield Shop(small, s3, account, small.key(Role.ADMIN, account))
        small.close_clients()
        return
    sandbox: Sandbox = request.getfixturevalue("sandbox_server")
    sandbox.reset()
    sandbox.settings(quota=QUOTA)
    credentials = {"aws_access_key_id": account, "aws_secret_access_key": "secret"}
    client = boto3.client("sagemaker", region_name=REGION, endpoint_url=sandbox.url, config=ONCE, **credentials)
    yield Rehearsal(sandbox, account, client)
    client.close()


@pytest.fixture
def stocked(team: Team) -> Team:
    """With a fleet of four devices and a package."""
    team.fleet("canary-1", "till-1", "till-2", "till-3")
    team.package("counter")
    return team
