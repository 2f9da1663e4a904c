"""What a sweep costs AWS: real boto3 over HTTP, a thousand plans, no cluster needed."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from kubernetes.aio import client

from controller.aws.accounts import Accounts
from controller.cluster.connection import connect
from controller.cluster.objects import KubernetesObjects
from controller.domain.agenda import Wake
from controller.domain.resource import Key, Resource, Scope, parse
from controller.engine.index import Index
from controller.engine.quotas import Quotas
from controller.engine.sweeper import Sweeper
from edge_manager.sandbox.server import Sandbox
from tests.integration.operators import REGION, minimal_spec

SCOPE = Scope("default", REGION)
PLANS = 1000


@pytest.fixture
def aws(sandbox: Sandbox) -> Iterator[Any]:
    client = boto3.client("sagemaker", endpoint_url=sandbox.url, region_name=REGION)
    yield client
    client.close()


def _object(name: str, arn: str, modified: datetime) -> Resource:
    status = {
        "observedGeneration": 1,
        "edgeDeploymentPlanArn": arn,
        "lastModifiedTime": modified.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    metadata = {
        "namespace": "retail",
        "name": name,
        "uid": f"uid-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return parse({"metadata": metadata, "spec": minimal_spec(), "status": status})


def test_thousand_idle_plans_cost_ten_list_calls_and_one_changed_plan_is_woken(sandbox: Sandbox, aws: Any) -> None:
    sandbox.settings(quota=None)
    for number in range(PLANS):
        aws.create_edge_deployment_plan(
            EdgeDeploymentPlanName=f"plan-{number}", ModelConfigs=[], DeviceFleetName="store-cameras"
        )
    index, woken = Index(), list[tuple[Key, Wake]]()
    for page in aws.get_paginator("list_edge_deployment_plans").paginate(MaxResults=100):
        for row in page["EdgeDeploymentPlanSummaries"]:
            plan = _object(row["EdgeDeploymentPlanName"], row["EdgeDeploymentPlanArn"], row["LastModifiedTime"])
            index.put(plan)
            index.set_scope(plan, SCOPE)
    accounts = Accounts(region=REGION, accounts={}, threads=4, timeout=10, endpoint_url=sandbox.url)

    def wake(key: Key, reason: Wake) -> None:
        woken.append((key, reason))

    async def one() -> None:
        api = connect(client.Configuration(host="http://127.0.0.1:1"), 1)  # every plan is named: nobody is looked up
        sweeper = Sweeper(
            index=index,
            accounts=accounts,
            objects=KubernetesObjects(api, lambda: datetime.now(UTC), "test"),
            quotas=Quotas(wake),
            wake=wake,
            cluster="test",
            clock=lambda: datetime.now(UTC),
            audits_per_minute=1000,
            interval=timedelta(seconds=1),
            audit_interval=timedelta(days=1_000_000),  # no audits in this test
        )
        await sweeper.sweep(SCOPE)
        await api.close()  # type: ignore[no-untyped-call]

    def sweep() -> dict[str, int]:
        """One sweep in a loop of its own; the calls that it made."""
        sandbox.reset_counts()
        woken.clear()
        asyncio.run(one())
        return sandbox.counts()

    assert sweep() == {"ListEdgeDeploymentPlans": PLANS // 100}
    assert woken == []

    stage = {"StageName": "new", "DeviceSelectionConfig": {"DeviceSubsetType": "PERCENTAGE", "Percentage": 5}}
    sandbox.clock.advance(1)
    aws.create_edge_deployment_stage(EdgeDeploymentPlanName="plan-7", Stages=[stage])
    aws.delete_edge_deployment_plan(EdgeDeploymentPlanName="plan-8")
    assert sweep() == {"ListEdgeDeploymentPlans": PLANS // 100}
    assert sorted(woken) == [(Key("retail", "plan-7"), Wake.DRIFT), (Key("retail", "plan-8"), Wake.DRIFT)]
    accounts.close()


def test_changed_plan_costs_one_describe(sandbox: Sandbox, aws: Any) -> None:
    aws.create_edge_deployment_plan(EdgeDeploymentPlanName="plan", ModelConfigs=[], DeviceFleetName="f")
    sandbox.reset_counts()
    accounts = Accounts(region=REGION, accounts={}, threads=1, timeout=10, endpoint_url=sandbox.url)
    observed = asyncio.run(accounts.plans(accounts.scope("retail", None)).describe("plan", with_tags=True))
    assert observed is not None
    assert sandbox.counts() == {"DescribeEdgeDeploymentPlan": 1, "ListTags": 1}
    accounts.close()
