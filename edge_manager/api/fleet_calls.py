"""The operations on fleets and their devices."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edge_manager.api.calls import Call, Result, reads, writes
from edge_manager.domain.rules import tags_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_manager.store.queries import AnyRow


DETAILS = ("RoleArn", "Description", "OutputConfig", "EnableIotRoleAlias")


@writes
def create_device_fleet(call: Call, wanted: dict[str, Any]) -> None:
    """Create a fleet without devices."""
    call.fleets.create(wanted["DeviceFleetName"], _details(wanted), tags_of(wanted.get("Tags")), call.now)


@writes
def update_device_fleet(call: Call, wanted: dict[str, Any]) -> None:
    """Change a fleet's details; those that are not named stay."""
    call.fleets.change(wanted["DeviceFleetName"], _details(wanted), call.now)


@reads
def describe_device_fleet(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a fleet."""
    fleet = call.fleets.find(wanted["DeviceFleetName"])
    return {**fleet.details, **_summarize_fleet(fleet)}


@reads
def list_device_fleets(call: Call, wanted: dict[str, Any]) -> Result:
    """List fleets."""
    fleets, token = call.fleets.page(wanted)
    return {"DeviceFleetSummaries": [_summarize_fleet(fleet) for fleet in fleets], "NextToken": token}


@writes
def delete_device_fleet(call: Call, wanted: dict[str, Any]) -> None:
    """Delete a fleet that no plan uses."""
    call.fleets.delete(wanted["DeviceFleetName"])


@writes
def register_devices(call: Call, wanted: dict[str, Any]) -> None:
    """Register devices."""
    call.fleets.register(wanted["DeviceFleetName"], wanted["Devices"], call.now)


@writes
def update_devices(call: Call, wanted: dict[str, Any]) -> None:
    """Describe devices otherwise."""
    call.fleets.describe_devices(wanted["DeviceFleetName"], wanted["Devices"], call.now)


@writes
def deregister_devices(call: Call, wanted: dict[str, Any]) -> None:
    """Deregister devices; those of a stage that was started stay in its counts."""
    call.fleets.deregister(wanted["DeviceFleetName"], wanted["DeviceNames"], call.now)


@reads
def list_devices(call: Call, wanted: dict[str, Any]) -> Result:
    """List devices of one fleet or of all."""
    devices, token = call.fleets.device_page(wanted)
    return {"DeviceSummaries": [_summarize_device(device) for device in devices], "NextToken": token}


@reads
def describe_device(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a device."""
    return _summarize_device(call.fleets.device(wanted["DeviceFleetName"], wanted["DeviceName"]))


@reads
def get_device_fleet_report(call: Call, wanted: dict[str, Any]) -> Result:
    """What a fleet's devices run; a device is connected if it was heard of lately."""
    fleet = call.fleets.find(wanted["DeviceFleetName"])
    since = call.now - call.rules.connected_within
    agents = call.fleets.agents(fleet, since)
    totals: dict[tuple[str, str], Counter[str]] = {}
    for models, heartbeat in call.fleets.reported(fleet):
        is_connected = heartbeat is not None and heartbeat >= since
        for model in models:
            counter = totals.setdefault((model["ModelName"], model["ModelVersion"]), Counter())
            counter["connected" if is_connected else "offline"] += 1
            counter["active"] += is_connected and model.get("LatestInference", 0) >= since
            counter["sampling"] += is_connected and model.get("LatestSampleTime", 0) >= since
    return {
        "DeviceFleetArn": fleet.arn,
        "DeviceFleetName": fleet.name,
        "OutputConfig": fleet.details["OutputConfig"],
        "Description": fleet.details.get("Description"),
        "ReportGenerated": call.now,
        "DeviceStats": {
            "ConnectedDeviceCount": sum(connected for _, _, connected in agents),
            "RegisteredDeviceCount": sum(total for _, total, _ in agents),
        },
        "AgentVersions": [{"Version": agent, "AgentCount": total} for agent, total, _ in agents if agent is not None],
        "ModelStats": [
            {
                "ModelName": name,
                "ModelVersion": version,
                "OfflineDeviceCount": counter["offline"],
                "ConnectedDeviceCount": counter["connected"],
                "ActiveDeviceCount": counter["active"],
                "SamplingDeviceCount": counter["sampling"],
            }
            for (name, version), counter in sorted(totals.items())
        ],
    }


def device_arn(fleet_arn: str, device: str) -> str:
    """The ARN of a device."""
    return f"{fleet_arn}/device/{device}"


def _details(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: wanted[name] for name in DETAILS if name in wanted}


def _summarize_fleet(fleet: AnyRow) -> Result:
    return {
        "DeviceFleetName": fleet.name,
        "DeviceFleetArn": fleet.arn,
        "CreationTime": fleet.created,
        "LastModifiedTime": fleet.modified,
    }


def _summarize_device(device: AnyRow) -> Result:
    return {
        "DeviceArn": device_arn(device.fleet_arn, device.name),
        "DeviceName": device.name,
        "DeviceFleetName": device.fleet,
        "Description": device.description,
        "IotThingName": device.thing,
        "RegistrationTime": device.registered,
        "LatestHeartbeat": device.heartbeat,
        "Models": device.models,
        "AgentVersion": device.agent,
    }
