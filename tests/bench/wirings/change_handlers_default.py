"""Kopf as its tutorial shows it: change handlers, default persistence, boto3 in Kopf's default threads."""

from __future__ import annotations

import contextlib
from typing import Any

import boto3
import kopf

from tests.bench.wirings.calls import GROUP, create_request, ready

sagemaker = boto3.client("sagemaker")


@kopf.on.create(*GROUP)
def create(name: str, spec: kopf.Spec, meta: kopf.Meta, patch: kopf.Patch, **_: Any) -> None:
    answer = sagemaker.create_edge_deployment_plan(**create_request(name, spec))
    patch.status["edgeDeploymentPlanArn"] = answer["EdgeDeploymentPlanArn"]
    patch.status["conditions"] = ready(meta["generation"])


@kopf.on.update(*GROUP, field="spec")
def update(meta: kopf.Meta, patch: kopf.Patch, **_: Any) -> None:
    patch.status["conditions"] = ready(meta["generation"])  # AWS has no update call


@kopf.on.delete(*GROUP)
def delete(name: str, **_: Any) -> None:
    with contextlib.suppress(sagemaker.exceptions.ResourceNotFound):
        sagemaker.delete_edge_deployment_plan(EdgeDeploymentPlanName=name)
