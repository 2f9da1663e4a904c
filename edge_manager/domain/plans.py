"""What a plan may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_manager.domain.rules import STAGES_PER_PLAN
from edge_manager.domain.selection import check_selection
from edge_manager.errors import invalid, not_found, quota_reached

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from edge_manager.domain.deployments import Model
    from edge_manager.domain.jobs import Packaged


def check_stages(wanted: Sequence[Mapping[str, Any]], present: Sequence[str]) -> list[str]:
    """Refuse stages that a plan with such stages cannot have; the devices that the wanted ones name."""
    names = [*present, *(stage["StageName"] for stage in wanted)]
    if len(set(names)) != len(names):
        raise invalid("Stage names must be unique within an edge deployment plan.")
    for stage in wanted:
        check_selection(stage)
    if len(names) > STAGES_PER_PLAN:
        unit = "EdgeDeploymentStages"
        raise quota_reached("Stages per edge deployment plan", unit, STAGES_PER_PLAN, len(present), len(wanted))
    return [name for stage in wanted for name in stage["DeviceSelectionConfig"].get("DeviceNames", ())]


def check_devices(named: Sequence[str], fleet: Container[str]) -> None:
    """Refuse devices that the fleet lacks."""
    for name in named:
        if name not in fleet:
            raise not_found("Device", name)


def models_of(wanted: Sequence[Mapping[str, str]], jobs: Mapping[str, Packaged]) -> list[Model]:
    """What devices have to fetch for a plan's models, refused where a package is unknown or not ready."""
    handles = [model["ModelHandle"] for model in wanted]
    if len(set(handles)) != len(handles):
        raise invalid("Model handles must be unique within an edge deployment plan.")
    found: list[Model] = []
    for model in wanted:
        name = model["EdgePackagingJobName"]
        job = jobs.get(name)
        if job is None:
            raise not_found("Edge packaging job", name)
        if job.artifact is None or job.sha1 is None:
            raise invalid(f"Edge packaging job {name} is {job.status}, it must be COMPLETED.")
        package = {"url": job.artifact, "sha1": job.sha1, "name": job.model, "version": job.version}
        found.append({"handle": model["ModelHandle"], "job": name, **package})
    return found
