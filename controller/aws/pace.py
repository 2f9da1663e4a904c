"""How fast AWS may be called where it throttles, found out from its refusals. State in, value out: no clock, no waiting.

AWS fills a bucket with tokens at a rate that it does not tell, and refuses who finds the bucket empty. So between two
refusals it took as many calls as tokens flowed in: counting them measures the rate. Calls then go a little slower than
that, which saves tokens, and ever faster later on: about the rate when twice K seconds have passed, when the next refusal
is due if the rate is still the same, and soon many times as fast if it is not. The curve is that of CUBIC, as in
botocore's adaptive mode, but as flat as the rate wants it: botocore's comes back to the rate within two seconds at 10 calls
a second, and is refused one in forty.
"""

from dataclasses import dataclass, replace

LEAST = 0.5
"""Calls a second that are tried at least, however often AWS refuses."""
FREE = 1_000.0
"""Calls a second at which nothing is paced any more: one process does not make as many."""
_GUESS = 10.0  # calls a second at first, or as many as went in the last one: too many are found out sooner than too few
_CUT = 0.2  # how much slower than the rate at first; with K it says how many tokens are saved: cut * rate * K / 4
_CALLS, _SHORTEST, _LONGEST = 80, 5.0, 30.0  # K is the time of so many calls, within these seconds
_LEAST_SURE = 0.4  # K is shorter where the rate is a guess: so many times as long at least
_GROWTH = 50.0  # after 2 K: by so many calls a second, times the cube of the K since
_TRUST = 0.3  # how far from what was counted to the rate at which AWS refused a call
_SLACK = 0.5  # seconds by which calls may be late and still be made up for, as behind a busy event loop


@dataclass(frozen=True)
class Pace:
    """The rate that AWS is believed to take, and what was called since it last refused. All moments are of one clock."""

    rate: float
    """Calls a second that AWS takes."""
    sure: float
    """How well that is known, from 0 for a guess to 1."""
    since: float
    """When the latest refusal came."""
    due: float
    """When the next call may go."""
    calls: int = 0
    """Calls that went since."""
    idle: float = 0.0
    """Seconds since in which a call might have gone and there was none."""

    @classmethod
    def guess(cls, calls: int, now: float) -> "Pace":
        """The pace when AWS refuses for the first time, after so many calls within a second."""
        return cls._of(max(_GUESS, calls), 0, now)

    @classmethod
    def _of(cls, rate: float, calls: int, now: float) -> "Pace":
        rate = max(LEAST, rate)
        return cls(rate, min(1.0, 2 * calls / _CALLS), now, now + 1 / (rate * (1 - _CUT)))

    def allowed(self, now: float) -> float:
        """Calls a second that may go at this moment."""
        flat = min(_LONGEST, max(_SHORTEST, _CALLS / self.rate)) * max(_LEAST_SURE, self.sure)
        passed = max(0.0, now - self.since)
        curve = self.rate * (1 + _CUT * (passed / flat - 1) ** 3)
        return float(curve + _GROWTH * max(0.0, passed / flat - 2) ** 3)

    def sent(self, now: float) -> "Pace":
        """One call goes now."""
        made_up = max(self.due, now - _SLACK)
        due = made_up + 1 / self.allowed(now)
        return replace(self, due=due, calls=self.calls + 1, idle=self.idle + made_up - self.due)

    def refused(self, sent: float, number: int, now: float) -> "Pace":
        """AWS refused the call that went at `sent`, as the `number`th of its time."""
        if sent <= self.since:
            return self  # it was under way when the latest refusal came, and tells nothing new
        passed, taken = sent - self.since, number - 1
        busy = passed - self.idle
        # While nobody called, the bucket filled, or was full: how much of it came in then is not known.
        least, most = taken / passed, taken / busy if busy > 0 else FREE
        tried = self.allowed(sent)
        believed = min(max(self.rate, least), most, tried)
        # A bucket that is small ran over, so that less was counted than flowed in: the truth is in between.
        believed += _TRUST * (tried - believed)
        # A few calls measure nothing.
        return self._of(max(believed, min(self.rate, tried) / 2), taken, now)
