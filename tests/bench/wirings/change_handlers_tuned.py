"""Change handlers as lean as Kopf lets them be: no annotations, no posting, no scanning, own threads, light login."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import boto3
import kopf
from botocore.config import Config

from tests.bench.wirings.calls import GROUP, create_request, ready

THREADS: Final = 32
sagemaker = boto3.client("sagemaker", config=Config(max_pool_connections=THREADS))
threads = ThreadPoolExecutor(THREADS, thread_name_prefix="aws")


class ObservedGeneration(kopf.DiffBaseStorage):
    """An object has changed when its generation is not the observed one: nothing has to be stored beside it."""

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        observed = body.status.get("observedGeneration", -1)
        if observed == -1:
            return None
        return self.build(body=body) if observed == body.metadata["generation"] else cast("kopf.BodyEssence", {})

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:  # noqa: ARG002
        patch.status["observedGeneration"] = body.metadata["generation"]


@kopf.on.startup()
async def tune(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.persistence.diffbase_storage = ObservedGeneration()
    settings.persistence.progress_storage = kopf.StatusProgressStorage()
    settings.posting.enabled = False
    settings.scanning.disabled = True


@kopf.on.login()
def log_in(**arguments: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_kubeconfig(**arguments)


@kopf.on.create(*GROUP)
async def create(name: str, spec: kopf.Spec, meta: kopf.Meta, patch: kopf.Patch, **_: Any) -> None:
    answer = await _call("create_edge_deployment_plan", **create_request(name, spec))
    patch.status["edgeDeploymentPlanArn"] = answer["EdgeDeploymentPlanArn"]
    patch.status["conditions"] = ready(meta["generation"])


@kopf.on.update(*GROUP)
async def update(meta: kopf.Meta, patch: kopf.Patch, **_: Any) -> None:
    patch.status["conditions"] = ready(meta["generation"])  # AWS has no update call


@kopf.on.delete(*GROUP)
async def delete(name: str, **_: Any) -> None:
    with contextlib.suppress(sagemaker.exceptions.ResourceNotFound):
        await _call("delete_edge_deployment_plan", EdgeDeploymentPlanName=name)


async def _call(method: str, **request: Any) -> dict[str, Any]:
    call = getattr(sagemaker, method)
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: dict(call(**request)))
