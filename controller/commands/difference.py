"""What a manifest would lead to: a value between `diff`, which finds it out, and `show`, which prints it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.domain.desired import Desired
from controller.domain.forecast import Step
from controller.domain.observed import ObservedPlan
from controller.domain.resource import Scope


@dataclass(frozen=True)
class Difference:
    """What a manifest would lead to."""

    scope: Scope
    desired: Desired
    observed: ObservedPlan | None
    steps: tuple[Step, ...]
    devices: Mapping[str, str] = field(default_factory=dict)
    """Devices of each stage that AWS has: a number, or `?` where it would not say."""
