"""Devices that failed are named, for as few calls as there is news of them."""

import asyncio
from contextlib import closing
from dataclasses import replace

import pytest

from controller.aws.sagemaker import SageMakerPlans
from controller.domain.actions import CreatePlan, StartStage
from controller.domain.observed import ObservedStage
from controller.domain.resource import Scope
from controller.domain.spec import ModelConfig, Stage
from edge_manager.sandbox.server import Sandbox
from tests.aws.conftest import REGION, accounts_at

pytestmark = pytest.mark.usefixtures("either_way")
FAST = {"start_duration": 0.0, "deploy_duration_per_stage": 0.0, "stop_duration": 0.0}
MODELS = (ModelConfig(model_handle="a", edge_packaging_job_name="a"),)
SELECTION = {"deviceSubsetType": "PERCENTAGE", "percentage": 100}
CANARY = Stage.model_validate({"stageName": "canary", "deviceSelectionConfig": SELECTION})


async def ended(plans: SageMakerPlans) -> ObservedStage:
    """The stage, once it has ended."""
    async with asyncio.timeout(60):
        while True:
            plan = await plans.describe("plan", with_tags=False)
            stage = plan.stage("canary") if plan else None
            if stage is not None and stage.status in {"DEPLOYED", "FAILED"}:
                return stage
            await asyncio.sleep(0.05)


def test_five_devices_that_failed_are_named_with_the_words_of_aws(sandbox: Sandbox) -> None:
    sandbox.settings(**FAST)
    sandbox.seed_fleet("fleet", 40, region=REGION)
    sandbox.fail_devices("plan", "canary", percent=50, message="model does not load")

    async def look() -> tuple[ObservedStage, ObservedStage, int]:
        with closing(accounts_at(sandbox.url)) as accounts:
            plans = accounts.plans(Scope("default", REGION))
            await plans.apply(CreatePlan("plan", "fleet", MODELS, (CANARY,), {}))
            await plans.apply(StartStage("plan", "canary"))
            first = await ended(plans)
            asked = sandbox.counts()["ListStageDevices"]
            second = await ended(plans)
            return first, second, sandbox.counts()["ListStageDevices"] - asked

    first, second, asked_again = asyncio.run(look())
    assert (first.failed, len(first.failed_devices)) == (20, 5)
    assert all((device.message or "").startswith("model does not load") for device in first.failed_devices)
    assert len({device.device_name for device in first.failed_devices}) == 5
    assert second == first
    assert asked_again == 0


def test_devices_that_may_not_be_listed_hide_nothing_of_the_plan(sandbox: Sandbox) -> None:
    sandbox.settings(**FAST)
    sandbox.seed_fleet("fleet", 4, region=REGION)
    sandbox.fail_devices("plan", "canary", percent=50, message="model does not load")
    sandbox.fault("ListStageDevices", error="AccessDeniedException")

    async def look() -> tuple[ObservedStage, ObservedStage, int]:
        with closing(accounts_at(sandbox.url)) as accounts:
            plans = accounts.plans(Scope("default", REGION))
            await plans.apply(CreatePlan("plan", "fleet", MODELS, (CANARY,), {}))
            await plans.apply(StartStage("plan", "canary"))
            first = await ended(plans)
            asked = sandbox.counts()["ListStageDevices"]
            return first, await ended(plans), sandbox.counts()["ListStageDevices"] - asked

    first, second, asked_again = asyncio.run(look())
    assert (first.failed, first.failed_devices) == (2, ())
    assert second == replace(first, failed_devices=())
    assert asked_again == 0
