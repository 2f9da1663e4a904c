"""The operations of devices. Each reads; what it has to write it hands on, to be committed with that of others."""

from __future__ import annotations

from typing import Any

from edge_manager.api.calls import Result, device_reads
from edge_manager.api.stored import Call, Pending
from edge_manager.domain.deployments import answer_of
from edge_manager.errors import ApiError, invalid
from edge_manager.store.devices import Beat, Device, Fetch, find, offered

MOST_MODELS = 64  # that a device may say it runs
CACHE_SECONDS = "300"  # that a device may believe in its registration


@device_reads
def get_device_registration(call: Call, wanted: dict[str, Any]) -> Result:
    """Say whether a device is registered."""
    try:
        find(call.db, _device(call, wanted))
    except ApiError:
        return {"DeviceRegistration": "NOT_REGISTERED", "CacheTTL": CACHE_SECONDS}
    return {"DeviceRegistration": "REGISTERED", "CacheTTL": CACHE_SECONDS}


@device_reads
def get_deployments(call: Call, wanted: dict[str, Any]) -> Result | Pending:
    """Say what a device has to run now. The first time that is news, and the stage shows that the device knows."""
    device = _device(call, wanted)
    offer = offered(call.db, call.caches, device)
    if offer is None:
        return {"Deployments": []}
    answer = {"Deployments": [offer.answer]}
    return Pending(Fetch(device, offer.sequence), answer) if offer.is_first else answer


@device_reads
def send_heartbeat(call: Call, wanted: dict[str, Any]) -> Pending:
    """Take down that a device lives, what it runs, and how its deployment went."""
    names = ("ModelName", "ModelVersion", "LatestSampleTime", "LatestInference")
    if len(wanted.get("Models", ())) > MOST_MODELS:
        raise invalid(f"A heartbeat names at most {MOST_MODELS} models.")
    models = [{name: model[name] for name in names if name in model} for model in wanted.get("Models", ())]
    complete = [model for model in models if "ModelName" in model and "ModelVersion" in model]
    answer = answer_of(wanted.get("DeploymentResult"))
    return Pending(Beat(_device(call, wanted), call.now, wanted["AgentVersion"], complete, answer), {})


def _device(call: Call, wanted: dict[str, Any]) -> Device:
    return Device(call.scope, wanted["DeviceFleetName"], wanted["DeviceName"])
