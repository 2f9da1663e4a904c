"""How many calls may be under way where it is not known how fast AWS may be called. State in, value out.

Few at first, and one more with each answer, so that their number doubles in the time that an answer takes: TCP's slow
start (RFC 5681). Else as many calls as there are workers go at once when work comes, and where AWS throttles, most of them
are refused.
"""

from dataclasses import dataclass, replace

_FEW = 4
_QUIET = 10.0  # seconds without a call after which it is not known any more: AWS's bucket has filled, and may be small
PATIENCE = 1.0
"""Seconds without a call after which more may go all the same: who does not answer is not known to throttle."""


@dataclass(frozen=True)
class Opening:
    """What is under way, and how much may be."""

    under_way: int = 0
    width: int = _FEW
    latest: float = 0.0

    def has_room(self, now: float) -> bool:
        """Whether another call may go."""
        return self.under_way < (_FEW if self._quiet(now) else self.width)

    def sent(self, now: float) -> "Opening":
        """A call has gone."""
        return replace(self.again() if self._quiet(now) else self, under_way=self.under_way + 1, latest=now)

    def over(self) -> "Opening":
        """A call is over."""
        return replace(self, under_way=self.under_way - 1, width=self.width + 1)

    def again(self) -> "Opening":
        """Few at first, once more."""
        return replace(self, width=_FEW)

    def wide(self) -> "Opening":
        """Room for all that wait: they have waited long enough."""
        return replace(self, width=max(self.width, 2 * self.under_way + _FEW))

    def _quiet(self, now: float) -> bool:
        return self.under_way == 0 and now - self.latest > _QUIET
