"""How fleets and their devices are described."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_manager.domain import views

DETAILS = ("RoleArn", "Description", "OutputConfig", "EnableIotRoleAlias")


def details_of(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What a request says about a fleet."""
    return {name: wanted[name] for name in DETAILS if name in wanted}


def summarize(fleet: views.Fleet) -> dict[str, Any]:
    """AWS's DeviceFleetSummary."""
    return {
        "DeviceFleetName": fleet.name,
        "DeviceFleetArn": fleet.arn,
        "CreationTime": fleet.created,
        "LastModifiedTime": fleet.modified,
    }


def describe(fleet: views.Fleet) -> dict[str, Any]:
    """A fleet with its details."""
    return {**fleet.details, **summarize(fleet)}


def device_arn(fleet_arn: str, device: str) -> str:
    """The ARN of a device."""
    return f"{fleet_arn}/device/{device}"


def summarize_device(device: views.Device) -> dict[str, Any]:
    """AWS's DeviceSummary, which has all there is to describe."""
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


def report(
    fleet: views.Fleet,
    agents: Iterable[tuple[str | None, int, int]],
    reported: Iterable[views.Reported],
    *,
    now: float,
    since: float,
) -> dict[str, Any]:
    """What a fleet's devices run; one is connected if it was heard of since then.

    `agents` has the devices of each version, and how many of them are connected.
    """
    agents = list(agents)
    totals: dict[tuple[str, str], Counter[str]] = {}
    for device in reported:
        is_connected = device.heartbeat is not None and device.heartbeat >= since
        for model in device.models:
            counter = totals.setdefault((model["ModelName"], model["ModelVersion"]), Counter())
            counter["connected" if is_connected else "offline"] += 1
            counter["active"] += is_connected and model.get("LatestInference", 0) >= since
            counter["sampling"] += is_connected and model.get("LatestSampleTime", 0) >= since
    return {
        "DeviceFleetArn": fleet.arn,
        "DeviceFleetName": fleet.name,
        "OutputConfig": fleet.details["OutputConfig"],
        "Description": fleet.details.get("Description"),
        "ReportGenerated": now,
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
