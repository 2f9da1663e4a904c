"""The sandbox's own time: real, faster, or standing still until somebody moves it."""

from __future__ import annotations

from dataclasses import dataclass


def later(now: float, seconds: float) -> float:
    """A moment to the millisecond, as AWS has it, so that moments reckoned in different ways compare equal."""
    return round(now + seconds, 3)


@dataclass
class Clock:
    """A line through (`wall`, `epoch`) with slope `speed`; speed 0 is the manual clock."""

    wall: float
    epoch: float
    speed: float = 1.0

    @classmethod
    def real(cls, wall: float) -> Clock:
        """A clock that agrees with the wall."""
        return cls(wall=wall, epoch=wall)

    def now(self, wall: float) -> float:
        """Seconds since the epoch, as the sandbox sees them."""
        return later(self.epoch, (wall - self.wall) * self.speed)

    def set_speed(self, speed: float, wall: float) -> None:
        """Go on from now at another pace, without a jump."""
        self.epoch, self.wall, self.speed = self.now(wall), wall, speed

    def advance(self, seconds: float) -> None:
        """Jump ahead."""
        self.epoch += seconds
