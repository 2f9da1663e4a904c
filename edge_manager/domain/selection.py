"""Which devices of a fleet a stage goes to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from edge_manager.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

NEEDS = {"PERCENTAGE": "Percentage", "SELECTION": "DeviceNames", "NAMECONTAINS": "DeviceNameContains"}
Chosen = TypeVar("Chosen")


class Fleet(Protocol[Chosen]):
    """The devices that there are, in the order in which they were registered. What devices are, is the fleet's matter."""

    def __len__(self) -> int: ...

    def named(self, names: Sequence[str]) -> Chosen:
        """Those of these names."""

    def containing(self, part: str) -> Chosen:
        """Those with this in their names."""

    def first(self, count: int, taken: Sequence[Chosen]) -> Chosen:
        """The first so many of which none was taken."""


class Choice(NamedTuple, Generic[Chosen]):
    """A stage, as far as the choice of its devices goes: AWS's DeviceSelectionConfig, and what it was started on."""

    selection: Mapping[str, Any]
    devices: Chosen | None


class Names:
    """A fleet whose devices are their names."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def named(self, names: Sequence[str]) -> Sequence[str]:
        """Those of these names."""
        wanted = frozenset(names)
        return [name for name in self._names if name in wanted]

    def containing(self, part: str) -> Sequence[str]:
        """Those with this in their names."""
        return [name for name in self._names if part in name]

    def first(self, count: int, taken: Sequence[Sequence[str]]) -> Sequence[str]:
        """The first so many of which none was taken."""
        gone = set().union(*taken)
        return [name for name in self._names if name not in gone][:count]


def check_selection(stage: Mapping[str, Any]) -> None:
    """Refuse a selection that lacks what its type needs; the service model leaves that open."""
    selection = stage["DeviceSelectionConfig"]
    kind = selection["DeviceSubsetType"]
    needed = NEEDS[kind]
    if not selection.get(needed) and selection.get(needed) != 0:
        raise invalid(f"Stage {stage['StageName']}: {needed} is required when DeviceSubsetType is {kind}.")
    if kind == "PERCENTAGE" and selection["Percentage"] < 0:
        raise invalid(f"Stage {stage['StageName']}: Percentage must not be negative.")


def select(selection: Mapping[str, Any], fleet: Fleet[Chosen], taken: Sequence[Chosen]) -> Chosen:
    """The devices that a selection means; `taken` are those of earlier stages."""
    kind = selection["DeviceSubsetType"]
    if kind == "SELECTION":
        return fleet.named(selection["DeviceNames"])
    if kind == "NAMECONTAINS":
        return fleet.containing(selection["DeviceNameContains"])
    # A share of the whole fleet, rounded up so that a canary of a small fleet is not empty.
    return fleet.first(math.ceil(len(fleet) * selection["Percentage"] / 100), taken)


def allocate(stages: Sequence[Choice[Chosen]], fleet: Fleet[Chosen]) -> list[Chosen]:
    """The devices of each stage: as it was started, else as the fleet stands now."""
    allocated: list[Chosen] = []
    for stage in stages:
        devices = select(stage.selection, fleet, allocated) if stage.devices is None else stage.devices
        allocated.append(devices)
    return allocated
