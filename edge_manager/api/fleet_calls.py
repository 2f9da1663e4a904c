"""The operations on fleets and their devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_manager.api.calls import Result, reads, writes
from edge_manager.domain import fleets

if TYPE_CHECKING:
    from edge_manager.api.ports import Call


@writes
def create_device_fleet(call: Call, wanted: dict[str, Any]) -> None:
    """Create a fleet without devices."""
    tags = call.rules.tags_of(wanted.get("Tags"))
    call.fleets.create(wanted["DeviceFleetName"], fleets.details_of(wanted), tags, call.now)


@writes
def update_device_fleet(call: Call, wanted: dict[str, Any]) -> None:
    """Change a fleet's details; those that are not named stay."""
    call.fleets.change(wanted["DeviceFleetName"], fleets.details_of(wanted), call.now)


@reads
def describe_device_fleet(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a fleet."""
    return fleets.describe(call.fleet_named(wanted["DeviceFleetName"]))


@reads
def list_device_fleets(call: Call, wanted: dict[str, Any]) -> Result:
    """List fleets."""
    found, token = call.fleets.page(wanted)
    return {"DeviceFleetSummaries": [fleets.summarize(fleet) for fleet in found], "NextToken": token}


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
    found, token = call.fleets.device_page(wanted)
    return {"DeviceSummaries": [fleets.summarize_device(device) for device in found], "NextToken": token}


@reads
def describe_device(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a device."""
    return fleets.summarize_device(call.fleets.device(wanted["DeviceFleetName"], wanted["DeviceName"]))


@reads
def get_device_fleet_report(call: Call, wanted: dict[str, Any]) -> Result:
    """What a fleet's devices run; a device is connected if it was heard of lately."""
    fleet = call.fleets.find(wanted["DeviceFleetName"])
    since = call.now - call.rules.connected_within
    agents, reported = call.fleets.agents(fleet, since), call.fleets.reported(fleet)
    return fleets.report(fleet, agents, reported, now=call.now, since=since)
