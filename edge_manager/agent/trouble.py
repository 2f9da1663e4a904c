"""Words for what a server said, the clock's part in it included."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from edge_manager.agent.values import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.exceptions import ClientError

SKEW = 300.0  # seconds that a signature's date may be off


def describe(error: ClientError) -> str:
    """Code and message of a refusal."""
    said = error.response.get("Error", {})
    return clean(": ".join(str(said[part]) for part in ("Code", "Message") if said.get(part))) or "no reason given"


def offset(response: Mapping[str, Any]) -> float | None:
    """How many seconds the device's clock is ahead of the server's, as far as the answer's date tells."""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return time.time() - parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def clock(response: Mapping[str, Any]) -> str:
    """What is to be said of the device's clock; nothing if it is right."""
    seconds = offset(response)
    if seconds is None or abs(seconds) <= SKEW:
        return ""
    side = "ahead of" if seconds > 0 else "behind"
    return f"This device's clock is {abs(seconds):.0f} seconds {side} the server's, 300 are allowed: set it (NTP)."
