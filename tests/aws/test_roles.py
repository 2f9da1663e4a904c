"""Roles of accounts: what AssumeRole is asked for, and whose session signs which call."""

import asyncio
from collections.abc import Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from controller.aws.accounts import Accounts
from controller.aws.accounts_file import read_accounts
from controller.aws.sessions import Assumption
from controller.aws.tenancy import acting_namespace, on_behalf_of
from controller.domain.failures import FailureKind
from controller.domain.resource import Scope
from controller.engine.ports import AwsError
from edge_manager.sandbox.server import Sandbox
from tests.aws.conftest import REGION, account

ROLE = "arn:aws:iam::222222222222:role/edge"
TENANTS = account("eu-west-1", "us-east-1", externalId="edgeplan-7", sessionTags=True)


def accounts_at(sandbox: Sandbox, **accounts: Any) -> Accounts:
    return Accounts(region=REGION, accounts=accounts, threads=4, timeout=5, endpoint_url=sandbox.url, cluster="prod-1")


async def look(accounts: Accounts, namespace: str | None, region: str = REGION) -> None:
    with on_behalf_of(namespace) if namespace else nullcontext():
        assert await accounts.plans(Scope("emea", region)).list_plans() == {}


def assumed(sandbox: Sandbox) -> list[tuple[str | None, Mapping[str, str]]]:
    return [(call["externalId"], call["tags"]) for call in sandbox.requests("AssumeRole")]


def callers(sandbox: Sandbox) -> list[str]:
    return [call["caller"].rpartition("/")[2] for call in sandbox.requests("ListEdgeDeploymentPlans")]


def test_without_a_wish_neither_id_nor_tags_are_sent(sandbox: Sandbox) -> None:
    with closing(accounts_at(sandbox, emea=account())) as accounts:
        asyncio.run(look(accounts, "retail"))
    assert assumed(sandbox) == [(None, {})]
    assert callers(sandbox) == ["edgeplan"]


def test_roles_are_assumed_at_sts_and_not_at_the_endpoint_of_sagemaker(sandbox: Sandbox) -> None:
    with Sandbox() as service:  # AWS_ENDPOINT_URL_STS names the other one
        with closing(accounts_at(service, emea=account())) as accounts:
            asyncio.run(look(accounts, None))
        assert assumed(service) == []
        assert callers(service) == ["edgeplan"]
    assert assumed(sandbox) == [(None, {})]
    assert callers(sandbox) == []


def test_each_namespace_calls_by_a_session_of_its_own_whatever_the_order_and_at_the_same_time(sandbox: Sandbox) -> None:
    namespaces = [None, "retail", "kitchen"] * 4

    async def look_all(accounts: Accounts) -> None:
        await asyncio.gather(*(look(accounts, namespace) for namespace in namespaces))

    with closing(accounts_at(sandbox, emea=TENANTS)) as accounts:
        asyncio.run(look_all(accounts))
    assert sorted(callers(sandbox)) == ["edgeplan"] * 4 + ["edgeplan@kitchen"] * 4 + ["edgeplan@retail"] * 4
    tags = [tags for _, tags in sorted(assumed(sandbox), key=str)]
    assert tags == [
        {"edgeplan.dev/cluster": "prod-1", "edgeplan.dev/namespace": "kitchen"},
        {"edgeplan.dev/cluster": "prod-1", "edgeplan.dev/namespace": "retail"},
        {"edgeplan.dev/cluster": "prod-1"},
    ]
    assert {external for external, _ in assumed(sandbox)} == {"edgeplan-7"}


def test_a_session_serves_all_regions_and_outlives_its_client(sandbox: Sandbox) -> None:
    async def look_all(accounts: Accounts) -> None:
        for region in ("eu-west-1", "us-east-1"):
            await look(accounts, "retail", region)
            accounts.plans(Scope("emea", region)).let_go()
        await look(accounts, "retail")

    with closing(accounts_at(sandbox, emea=TENANTS)) as accounts:
        asyncio.run(look_all(accounts))
    assert callers(sandbox) == ["edgeplan@retail"] * 3
    assert len(assumed(sandbox)) == 1


def test_a_hundred_namespaces_are_one_client(sandbox: Sandbox) -> None:
    async def look_all(accounts: Accounts) -> None:
        for number in range(100):
            await look(accounts, f"team-{number}")

    with closing(accounts_at(sandbox, emea=TENANTS)) as accounts:
        asyncio.run(look_all(accounts))
        assert list(accounts._plans) == [Scope("emea", REGION)]
    assert callers(sandbox) == [f"edgeplan@team-{number}" for number in range(100)]
    assert len(assumed(sandbox)) == 100


def test_a_tenant_that_may_not_assume_the_role_holds_up_no_other(sandbox: Sandbox) -> None:
    sandbox.fault("AssumeRole", error="AccessDenied", times=1)
    with closing(accounts_at(sandbox, emea=TENANTS)) as accounts:

        async def both() -> AwsError:
            with pytest.raises(AwsError) as caught:
                await look(accounts, "retail")
            await look(accounts, "kitchen")
            return caught.value

        failure = asyncio.run(both()).failure
    assert (failure.operation, failure.kind, failure.harmless) == ("AssumeRole", FailureKind.CREDENTIALS, True)
    assert callers(sandbox) == ["edgeplan@kitchen"]


def test_a_session_name_has_the_length_that_sts_takes() -> None:
    longest = Assumption(ROLE, REGION, tagged=True, cluster="c").arguments("n" * 63)
    assert len(longest["RoleSessionName"]) == 64
    assert longest["Tags"] == [
        {"Key": "edgeplan.dev/cluster", "Value": "c"},
        {"Key": "edgeplan.dev/namespace", "Value": "n" * 63},
    ]


def test_nobody_is_acted_for_outside_of_a_task() -> None:
    with on_behalf_of("retail"):
        assert acting_namespace() == "retail"
    assert acting_namespace() is None


@pytest.mark.parametrize("refused", ["x", "two words", "größe", "x" * 1225])
def test_an_external_id_that_sts_would_refuse_is_refused_at_the_start(tmp_path: Path, refused: str) -> None:
    path = tmp_path / "accounts.yaml"
    path.write_text(yaml.safe_dump({"emea": {"roleArn": ROLE, "regions": [REGION], "externalId": refused}}))
    with pytest.raises(ValueError, match=r"emea\.externalId: .*must be 2 to 1224 letters"):
        read_accounts(path)


@pytest.mark.parametrize(
    "tags", [[{"Key": "k" * 129, "Value": "v"}], [{"Key": "k", "Value": "v"}] * 51, [{"Key": "*", "Value": "v"}]]
)
def test_the_sandbox_refuses_tags_that_sts_would(sandbox: Sandbox, tags: list[dict[str, str]]) -> None:
    sts = boto3.client("sts", endpoint_url=sandbox.url, region_name=REGION)
    with pytest.raises(ClientError) as caught:
        sts.assume_role(RoleArn=ROLE, RoleSessionName="someone", Tags=tags)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
