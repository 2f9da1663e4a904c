"""`python -m tests.bench memory`: what the operator remembers of a plan, in bytes, by Python's own account (tracemalloc).

The objects are read as the watch brings them, and put into the index. No process is started, and nothing is timed.
"""

from __future__ import annotations

import argparse
import gc
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic_core import from_json, to_json
from rich.console import Console

from controller.domain.api import API_VERSION, FINALIZER, KIND
from controller.domain.resource import Scope, parse
from controller.engine.index import Index
from tests.integration.operators import stage

_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_NOT_ROUND: Final = timedelta(milliseconds=123)
_SCOPE: Final = Scope("123456789012", "eu-west-1")
CASES: Final = {"no stages": (0, True), "three stages": (3, True), "one of its own": (1, False), "three": (3, False)}
"""By name: how many stages a plan has, and whether all plans have the same. Of its own a stage has devices and times."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench memory", description=__doc__)
    parser.add_argument("--objects", type=int, default=10_000, metavar="N", help="how many (default: 10000)")
    chosen = parser.parse_args(arguments)
    output = Console(highlight=False)
    output.print(f"bytes a plan, of {chosen.objects}:")
    for name, (stages, alike) in CASES.items():
        output.print(f"  {name}: {bytes_a_plan(chosen.objects, stages, alike=alike):.0f}")
    return 0


def bytes_a_plan(count: int, stages: int, *, alike: bool) -> float:
    """What one of so many plans takes."""
    index = Index()
    _hear(index, _body(0, stages, alike=alike))
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(1, count + 1):
            _hear(index, _body(number, stages, alike=alike))
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()


def _hear(index: Index, body: bytes) -> None:
    resource = parse(from_json(body))
    index.put(resource)
    index.set_scope(resource, _SCOPE)


def _body(number: int, stages: int, *, alike: bool) -> bytes:
    """An object at rest, as the API server sends it."""
    name, moment = f"store-cameras-{number:05}", _BEGAN + timedelta(hours=number)
    states = [_state(place, number, moment, alike=alike) for place in range(stages)]
    devices = sum(state["devicesSucceeded"] for state in states)
    status: dict[str, Any] = {
        "observedGeneration": 1,
        "edgeDeploymentPlanArn": f"arn:aws:sagemaker:eu-west-1:123456789012:edge-deployment/{name}",
        "edgeDeploymentPlanName": name,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Deployed",
                "message": "the plan is as the spec says",
                "observedGeneration": 1,
                "lastTransitionTime": moment + timedelta(minutes=stages),
            }
        ],
        "account": "123456789012",
        "region": "eu-west-1",
        "appliedTagKeys": ["edgeplan.dev/owner"],
        "creationTime": moment + _NOT_ROUND,
        "lastModifiedTime": moment + timedelta(minutes=stages) + _NOT_ROUND,
    }
    if states:
        status |= {
            "stages": states,
            "devices": {"succeeded": devices, "pending": 0, "failed": 0},
            "devicesDeployed": f"{devices}/{devices}",
            "stagesDeployed": f"{stages}/{stages}",
        }
    body = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "namespace": "retail",
            "name": name,
            "uid": f"{number:08x}-1c1d-4a39-9d57-b1a1f2c3d4e5",
            "generation": 1,
            "resourceVersion": str(1000 + number),
            "creationTimestamp": moment,
            "finalizers": [FINALIZER],
            "managedFields": [{"manager": "argocd-controller", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {
            "deviceFleetName": f"fleet-{number // 10}",
            "modelConfigs": [{"modelHandle": "people-counter", "edgePackagingJobName": "people-counter-v7"}],
            "stages": [stage(f"stage-{place}", 10) for place in range(stages)],
        },
        "status": status,
    }
    return to_json(body)


def _state(place: int, number: int, moment: datetime, *, alike: bool) -> dict[str, Any]:
    state = {"stageName": f"stage-{place}", "status": "DEPLOYED", "devicesSucceeded": 10}
    if alike:
        return state
    began = moment + timedelta(minutes=place)
    times = {"startTime": began, "deployedTime": began + timedelta(seconds=40)}
    return state | times | {"devicesSucceeded": 300 + number % 1000}
