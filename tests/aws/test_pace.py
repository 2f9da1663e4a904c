"""The pace of calls where AWS throttles, against a bucket of tokens as AWS has them: how close it comes, and how soon."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.aws.pace import FREE, LEAST, Pace

LATENCY = 0.02
SPEED = 250.0  # calls a second that the caller could make
PLACES = 32  # calls at a time
RATES = st.floats(LEAST, 900)
some = settings(max_examples=8)  # each of them simulates minutes


@dataclass
class Throttled:
    """A caller that always has something to call, and AWS, which takes `rate` calls a second (None: all of them)."""

    rate: float | None
    burst: float
    now: float = 0.0
    pace: Pace | None = None
    sent: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    _tokens: tuple[float, float] = (math.inf, 0.0)
    _under_way: list[tuple[float, float, int, bool]] = field(default_factory=list)

    def run(self, seconds: float, *, every: float = 1 / SPEED) -> None:
        """Call for so long, at most one call in so many seconds."""
        end, ready = self.now + seconds, self.now
        while True:
            answer = self._under_way[0][0] if self._under_way else math.inf
            call = max(ready, self.now, self.pace.due if self.pace else 0.0)
            if len(self._under_way) >= PLACES:
                call = math.inf
            if min(answer, call) > end:
                self.now = end
                return
            if call < answer:
                self.now, ready = call, call + every
                self._send()
            else:
                self._hear()

    def _send(self) -> None:
        if self.pace is not None:
            self.pace = self.pace.sent(self.now) if self.pace.allowed(self.now) < FREE else None
        self.sent.append(self.now)
        number = self.pace.calls if self.pace is not None else 0
        heapq.heappush(self._under_way, (self.now + LATENCY, self.now, number, self._admits()))

    def _admits(self) -> bool:
        if self.rate is None:
            return True
        tokens, since = self._tokens
        tokens = min(self.burst, tokens + (self.now - since) * self.rate)
        self._tokens = (tokens - 1 if tokens >= 1 else tokens, self.now)
        return tokens >= 1

    def _hear(self) -> None:
        self.now, sent, number, admitted = heapq.heappop(self._under_way)
        if admitted:
            return
        self.refused.append(sent)
        if self.pace is None:
            self.pace = Pace.guess(sum(moment > self.now - 1 for moment in self.sent), self.now)
        else:
            self.pace = self.pace.refused(sent, number, self.now)

    def taken(self, since: float) -> float:
        """Calls a second that AWS took from that moment on."""
        return (sum(moment >= since for moment in self.sent) - self.share(since)[0]) / (self.now - since)

    def share(self, since: float) -> tuple[int, float]:
        """How many calls were refused from that moment on, and what share of all that is."""
        refused = sum(moment >= since for moment in self.refused)
        return refused, refused / max(1, sum(moment >= since for moment in self.sent))

    def settled(self, seconds: float, *, then: float) -> float:
        """Run for so long, and on; the moment in between, from which on is measured."""
        self.run(seconds)
        since = self.now
        self.run(then)
        return since


def throttled(rate: float, seconds_of_burst: float = 1.0) -> Throttled:
    return Throttled(rate, max(1.0, rate * seconds_of_burst))


@some
@given(rate=st.floats(1, 100), seconds_of_burst=st.floats(1, 5))
def test_comes_to_the_rate_that_aws_takes_within_a_minute(rate: float, seconds_of_burst: float) -> None:
    aws = throttled(rate, seconds_of_burst)
    since = aws.settled(60, then=120)
    assert 0.85 * rate <= aws.taken(since) <= 1.05 * rate + 1


@some
@given(rate=st.floats(8, 100))
def test_less_than_two_in_a_hundred_calls_are_refused_once_the_rate_is_known(rate: float) -> None:
    aws = throttled(rate)
    since = aws.settled(20, then=60)
    assert aws.share(since)[1] < 0.02


@some
@given(rate=st.floats(1, 100), burst=st.floats(1, 2))
def test_bucket_that_holds_hardly_a_token_costs_speed_and_few_refusals(rate: float, burst: float) -> None:
    aws = Throttled(rate, burst)
    since = aws.settled(60, then=120)
    assert aws.taken(since) >= 0.5 * rate
    assert aws.share(since)[1] < 0.1


def test_two_hundred_calls_at_ten_a_second_take_little_more_than_aws_does() -> None:
    aws = throttled(10)
    aws.run(20)
    assert len(aws.sent) - len(aws.refused) >= 200
    aws.run(60)
    assert aws.share(0)[1] < 0.025  # with those that were under way when AWS first refused one


@some
@given(before=st.floats(1, 100), after=st.floats(1, 100))
def test_follows_when_aws_takes_more_or_fewer_from_now_on(before: float, after: float) -> None:
    aws = throttled(before)
    aws.run(60)
    aws.rate, aws.burst = after, max(1.0, after)
    since = aws.settled(90, then=60)
    assert 0.85 * after <= aws.taken(since) <= 1.05 * after + 1


@some
@given(rate=st.floats(1, 100))
def test_nothing_is_paced_two_minutes_after_the_throttle_has_ended(rate: float) -> None:
    aws = throttled(rate)
    aws.run(60)
    aws.rate = None
    aws.run(150)
    assert aws.pace is None
    assert not aws.share(61)[0]


@given(rate=RATES, calls=st.integers(0, 1_000), waits=st.lists(st.floats(0, 2), max_size=60))
def test_no_more_calls_go_than_the_pace_allows(rate: float, calls: int, waits: list[float]) -> None:
    """Whoever asks, and however late: between any two moments, and with what a late call may make up for."""
    pace, now, went = Pace(rate, 1.0, 0.0, 0.0, calls), 0.0, []
    for wait in waits:
        now = max(now + wait, pace.due)
        went.append(now)
        pace = pace.sent(now)
    ceiling = pace.allowed(now)
    for first in range(len(went)):
        for last in range(first, len(went)):
            assert last - first <= (went[last] - went[first] + 0.5) * ceiling + 1e-6


@given(rate=RATES, ages=st.lists(st.floats(0, 300), min_size=2))
def test_calls_go_ever_faster_until_aws_refuses_one(rate: float, ages: list[float]) -> None:
    pace = Pace(rate, 1.0, 0.0, 0.0)
    assert all(pace.allowed(one) <= pace.allowed(other) for one, other in pairwise(sorted(ages)))
    assert pace.allowed(0) < rate
    assert pace.allowed(150) >= FREE


@given(rate=RATES, sure=st.floats(0, 1), calls=st.integers(1, 1_000), idle=st.floats(0, 60), sent=st.floats(0.01, 100))
def test_refusal_slows_down_and_by_no_more_than_half_of_what_was_believed(
    rate: float, sure: float, calls: int, idle: float, sent: float
) -> None:
    pace = Pace(rate, sure, 0.0, 0.0, calls, idle)
    slower = pace.refused(sent, calls, sent + LATENCY)
    assert slower.allowed(slower.since) < pace.allowed(sent)
    assert slower.rate >= max(LEAST, min(rate, pace.allowed(sent)) / 2)
    assert slower.due > sent + LATENCY


def test_refusals_of_calls_that_were_under_way_together_count_once() -> None:
    pace = Pace.guess(20, now=1.0)
    assert pace.refused(0.99, 0, now=1.01) is pace


def test_quiet_hour_is_no_slow_rate() -> None:
    """Few calls in a long time say how few there were to make, not how few AWS takes."""
    aws = throttled(10)
    aws.run(60)
    assert aws.pace is not None
    aws.run(25, every=2.0)
    assert aws.pace is None or aws.pace.rate == pytest.approx(10, rel=0.1)
    aws.run(10)
    since = aws.now
    aws.run(30)
    assert aws.taken(since) >= 9
