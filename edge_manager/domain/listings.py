"""What List operations sort by and filter by, in words that both a table and an object in memory understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# `<name>After` and `<name>Before` of a request, and the moment that they bound.
TIMES = {"CreationTime": "created", "LastModifiedTime": "modified"}


class Listing(NamedTuple):
    """`orders`: what is sorted by under which SortBy, the first one by default; each ends in what tells any two apart.

    `parts`: which member of a request has to be part of which name.
    """

    orders: Mapping[str, Sequence[str]]
    parts: Mapping[str, str]

    def order(self, wanted: Mapping[str, Any]) -> Sequence[str]:
        """What a request wants sorted by."""
        return self.orders[wanted.get("SortBy") or next(iter(self.orders))]


def is_descending(wanted: Mapping[str, Any]) -> bool:
    """The order that was asked for; newest first by default."""
    return str(wanted.get("SortOrder", "Descending")) == "Descending"


FLEETS = Listing(
    {
        "CREATION_TIME": ["created", "name"],
        "NAME": ["name"],
        "LAST_MODIFIED_TIME": ["modified", "name"],
    },
    {"NameContains": "name"},
)
PLANS = Listing(
    {**FLEETS.orders, "DEVICE_FLEET_NAME": ["fleet", "name"]},
    {"NameContains": "name", "DeviceFleetNameContains": "fleet"},
)
PACKAGING_JOBS = Listing(
    {**FLEETS.orders, "MODEL_NAME": ["model", "name"], "STATUS": ["status", "name"]},
    {"NameContains": "name", "ModelNameContains": "model"},
)
COMPILATION_JOBS = Listing(
    {"CreationTime": ["created", "name"], "Name": ["name"], "Status": ["status", "name"]}, {"NameContains": "name"}
)
