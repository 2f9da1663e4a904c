"""How many calls a second are let through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass
class Throttle:
    """Token buckets, one per account and region or per access key, filled by the wall clock."""

    buckets: dict[Hashable, tuple[float, float]] = field(default_factory=dict)

    def admit(self, whose: Hashable, rate: float, burst: int | None, wall: float) -> bool:
        """Take a token, if there is one."""
        size = float(burst or max(1, round(rate)))
        tokens, since = self.buckets.get(whose, (size, wall))
        tokens = min(size, tokens + (wall - since) * rate)
        admitted = tokens >= 1
        self.buckets[whose] = (tokens - admitted, wall)
        return admitted
