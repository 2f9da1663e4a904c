"""The operations on device fleets, devices and packaging jobs, as far as plans need them."""

from __future__ import annotations

from typing import Any

from edge_manager.domain.paging import between, page
from edge_manager.errors import ApiError, in_use, not_found
from edge_manager.sandbox.calls import Call, Result, operation, tags_of
from edge_manager.sandbox.clock import later
from edge_manager.sandbox.state import Device, Fleet, Job


@operation
def create_device_fleet(call: Call, wanted: dict[str, Any]) -> None:
    """Create a fleet without devices."""
    name = wanted["DeviceFleetName"]
    if name in call.holdings.fleets:
        raise in_use(f"Device fleet {name} already exists.")
    arn, tags = call.holdings.scope.arn("device-fleet", name), tags_of(wanted.get("Tags"), call.settings)
    call.holdings.fleets[name] = Fleet(name, arn, call.now, call.now, wanted, tags)


@operation
def describe_device_fleet(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a fleet."""
    fleet = call.holdings.fleet(wanted["DeviceFleetName"])
    return {**fleet.details, **_summarize_fleet(fleet)}


@operation
def list_device_fleets(call: Call, wanted: dict[str, Any]) -> Result:
    """List fleets."""
    fleets = [
        fleet
        for fleet in call.holdings.fleets.values()
        if wanted.get("NameContains", "") in fleet.name
        and between(fleet.created, wanted, "CreationTime")
        and between(fleet.modified, wanted, "LastModifiedTime")
    ]
    keys = {
        "NAME": lambda fleet: [fleet.name],
        "CREATION_TIME": lambda fleet: [fleet.created, fleet.name],
        "LAST_MODIFIED_TIME": lambda fleet: [fleet.modified, fleet.name],
    }
    found, token = page(
        fleets,
        keys[wanted.get("SortBy", "CREATION_TIME")],
        wanted,
        size=50,
        cap=call.settings.page_size,
        descending=wanted.get("SortOrder", "Descending") == "Descending",
    )
    return {"DeviceFleetSummaries": [_summarize_fleet(fleet) for fleet in found], "NextToken": token}


@operation
def delete_device_fleet(call: Call, wanted: dict[str, Any]) -> None:
    """Delete a fleet that no plan uses."""
    fleet = call.holdings.fleet(wanted["DeviceFleetName"])
    users = [plan.name for plan in call.holdings.plans.values() if plan.fleet is fleet]
    if users:
        raise in_use(f"Device fleet {fleet.name} is used by edge deployment plan {users[0]}.")
    del call.holdings.fleets[fleet.name]


@operation
def register_devices(call: Call, wanted: dict[str, Any]) -> None:
    """Register devices."""
    fleet = call.holdings.fleet(wanted["DeviceFleetName"])
    devices = (
        Device(device["DeviceName"], call.now, device.get("Description"), device.get("IotThingName"))
        for device in wanted["Devices"]
    )
    fleet.register(devices, call.now)


@operation
def deregister_devices(call: Call, wanted: dict[str, Any]) -> None:
    """Deregister devices; those of a stage that was started stay in its counts."""
    fleet = call.holdings.fleet(wanted["DeviceFleetName"])
    for name in wanted["DeviceNames"]:
        fleet.devices.pop(name, None)
    fleet.touch(call.now)


@operation
def list_devices(call: Call, wanted: dict[str, Any]) -> Result:
    """List devices of one fleet or of all. No device of the sandbox sends heartbeats or reports models."""
    name = wanted.get("DeviceFleetName")
    fleets = call.holdings.fleets.values() if name is None else [call.holdings.fleet(name)]
    silent = "LatestHeartbeatAfter" in wanted or "ModelName" in wanted
    devices = [] if silent else [(fleet, device) for fleet in fleets for device in fleet.devices.values()]
    found, token = page(
        devices, lambda item: [item[0].name, item[1].name], wanted, size=50, cap=call.settings.page_size
    )
    return {"DeviceSummaries": [_summarize_device(call, *item) for item in found], "NextToken": token}


@operation
def describe_device(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a device."""
    fleet = call.holdings.fleet(wanted["DeviceFleetName"])
    device = fleet.devices.get(wanted["DeviceName"])
    if device is None:
        raise not_found("Device", wanted["DeviceName"])
    return _summarize_device(call, fleet, device)


@operation
def create_edge_packaging_job(call: Call, wanted: dict[str, Any]) -> None:
    """Create a packaging job."""
    name = wanted["EdgePackagingJobName"]
    if name in call.holdings.jobs:
        raise in_use(f"Edge packaging job {name} already exists.")
    ends, arn = later(call.now, call.settings.packaging_duration), call.holdings.scope.arn("edge-packaging-job", name)
    call.holdings.jobs[name] = Job(name, arn, call.now, ends, wanted, tags_of(wanted.get("Tags"), call.settings))


@operation
def describe_edge_packaging_job(call: Call, wanted: dict[str, Any]) -> Result:
    """Describe a packaging job."""
    job = call.holdings.jobs.get(wanted["EdgePackagingJobName"])
    if job is None:
        raise not_found("Edge packaging job", wanted["EdgePackagingJobName"])
    described = {**job.details, **_summarize_job(call, job)}
    if job.status(call.now) == "COMPLETED":
        location = job.details["OutputConfig"]["S3OutputLocation"].rstrip("/")
        described["ModelArtifact"] = f"{location}/{job.details['ModelName']}-{job.details['ModelVersion']}.tar.gz"
    return described


@operation
def list_edge_packaging_jobs(call: Call, wanted: dict[str, Any]) -> Result:
    """List packaging jobs."""
    jobs = [
        job
        for job in call.holdings.jobs.values()
        if wanted.get("NameContains", "") in job.name
        and wanted.get("ModelNameContains", "") in job.details["ModelName"]
        and wanted.get("StatusEquals", job.status(call.now)) == job.status(call.now)
        and between(job.created, wanted, "CreationTime")
        and between(job.modified(call.now), wanted, "LastModifiedTime")
    ]
    keys = {
        "NAME": lambda job: [job.name],
        "MODEL_NAME": lambda job: [job.details["ModelName"], job.name],
        "CREATION_TIME": lambda job: [job.created, job.name],
        "LAST_MODIFIED_TIME": lambda job: [job.modified(call.now), job.name],
        "STATUS": lambda job: [job.status(call.now), job.name],
    }
    found, token = page(
        jobs,
        keys[wanted.get("SortBy", "CREATION_TIME")],
        wanted,
        size=50,
        cap=call.settings.page_size,
        descending=wanted.get("SortOrder", "Descending") == "Descending",
    )
    return {"EdgePackagingJobSummaries": [_summarize_job(call, job) for job in found], "NextToken": token}


@operation
def stop_edge_packaging_job(call: Call, wanted: dict[str, Any]) -> None:
    """Stop a packaging job; one that is over stays as it ended."""
    job = call.holdings.jobs.get(wanted["EdgePackagingJobName"])
    if job is None:
        raise ApiError(
            call.settings.missing_code, f"Edge packaging job {wanted['EdgePackagingJobName']} does not exist."
        )
    if job.status(call.now) == "INPROGRESS":
        job.stopped = call.now


def _summarize_fleet(fleet: Fleet) -> Result:
    return {
        "DeviceFleetName": fleet.name,
        "DeviceFleetArn": fleet.arn,
        "CreationTime": fleet.created,
        "LastModifiedTime": fleet.modified,
    }


def _summarize_device(call: Call, fleet: Fleet, device: Device) -> Result:
    return {
        "DeviceArn": call.holdings.device_arn(fleet, device.name),
        "DeviceName": device.name,
        "DeviceFleetName": fleet.name,
        "Description": device.description,
        "IotThingName": device.thing,
        "RegistrationTime": device.registered,
    }


def _summarize_job(call: Call, job: Job) -> Result:
    return {
        "EdgePackagingJobArn": job.arn,
        "EdgePackagingJobName": job.name,
        "EdgePackagingJobStatus": job.status(call.now),
        "CompilationJobName": job.details["CompilationJobName"],
        "ModelName": job.details["ModelName"],
        "ModelVersion": job.details["ModelVersion"],
        "CreationTime": job.created,
        "LastModifiedTime": job.modified(call.now),
    }
