"""Which devices of a fleet a stage goes to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_manager.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

NEEDS = {"PERCENTAGE": "Percentage", "SELECTION": "DeviceNames", "NAMECONTAINS": "DeviceNameContains"}


class Choice(NamedTuple):
    """A stage, as far as the choice of its devices goes: AWS's DeviceSelectionConfig, and what it was started on."""

    selection: Mapping[str, Any]
    devices: Sequence[str] | None


def check_selection(stage: Mapping[str, Any]) -> None:
    """Refuse a selection that lacks what its type needs; the service model leaves that open."""
    selection = stage["DeviceSelectionConfig"]
    kind = selection["DeviceSubsetType"]
    needed = NEEDS[kind]
    if not selection.get(needed) and selection.get(needed) != 0:
        raise invalid(f"Stage {stage['StageName']}: {needed} is required when DeviceSubsetType is {kind}.")
    if kind == "PERCENTAGE" and selection["Percentage"] < 0:
        raise invalid(f"Stage {stage['StageName']}: Percentage must not be negative.")


def select(selection: Mapping[str, Any], fleet: Collection[str], taken: Collection[str]) -> Sequence[str]:
    """The devices that a selection means, in the fleet's order; `taken` are those of earlier stages."""
    kind = selection["DeviceSubsetType"]
    if kind == "SELECTION":
        named = frozenset(selection["DeviceNames"])
        return [name for name in fleet if name in named]
    if kind == "NAMECONTAINS":
        return [name for name in fleet if selection["DeviceNameContains"] in name]
    # A share of the whole fleet, rounded up so that a canary of a small fleet is not empty.
    wanted = math.ceil(len(fleet) * selection["Percentage"] / 100)
    return [name for name in fleet if name not in taken][:wanted]


def allocate(stages: Sequence[Choice], fleet: Collection[str]) -> list[Sequence[str]]:
    """The devices of each stage: as it was started, else as the fleet stands now. `fleet` is quick to look up in."""
    taken: set[str] = set()
    allocated: list[Sequence[str]] = []
    for stage in stages:
        devices = select(stage.selection, fleet, taken) if stage.devices is None else stage.devices
        taken.update(devices)
        allocated.append(devices)
    return allocated
