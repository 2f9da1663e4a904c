"""Every stage status in every situation of a rollout: what is called, and what the user reads."""

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given as generate
from hypothesis import strategies as st

from controller.domain.actions import StartStage, StopStage
from controller.domain.circumstances import Circumstances
from controller.domain.decide import decide
from controller.domain.desired import Desired
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import Decision, Done, Next, Stalled, Waiting
from controller.domain.rollout import halt, roll_out
from controller.domain.spec import duration
from controller.domain.stage import StageStatus
from controller.domain.status import EdgeDeploymentPlanStatus, FailedDevice
from tests.unit.builders import MINUTE, NAME, NOON, desired, given, observed, rollout, state, status

STATUSES: tuple[StageStatus, ...] = get_args(StageStatus)

# status of the one stage -> (action, reason) by situation: nothing special; asked; edited; over its bound.
STEPS: dict[str, tuple[tuple[str, str], tuple[str, str], tuple[str, str], tuple[str, str]]] = {
    "CREATING": (
        ("", "RolloutProgressing"),
        ("", "RolloutProgressing"),
        ("", "RolloutProgressing"),
        ("", "RolloutProgressing"),
    ),
    "READYTODEPLOY": (
        ("start", "RolloutProgressing"),
        ("start", "RolloutProgressing"),
        ("start", "RolloutProgressing"),
        ("start", "RolloutProgressing"),
    ),
    "STARTING": (
        ("", "RolloutProgressing"),
        ("", "RolloutProgressing"),
        ("", "RolloutProgressing"),
        ("stop", "StoppingStage"),
    ),
    "INPROGRESS": (
        ("", "RolloutProgressing"),
        ("", "RolloutProgressing"),
        ("", "RolloutProgressing"),
        ("stop", "StoppingStage"),
    ),
    "STOPPING": (("", "StoppingStage"), ("", "StoppingStage"), ("", "StoppingStage"), ("", "StoppingStage")),
    "STOPPED": (
        ("", "RolloutStopped"),
        ("start", "RolloutProgressing"),
        ("start", "RolloutProgressing"),
        ("", "RolloutStopped"),
    ),
    "FAILED": (("", "StageFailed"), ("start", "RolloutProgressing"), ("", "StageFailed"), ("", "StageFailed")),
    "DEPLOYED": (
        ("", "RolloutComplete"),
        ("", "RolloutComplete"),
        ("", "RolloutComplete"),
        ("", "RolloutStopped"),
    ),
}
SITUATIONS = ("plain", "asked", "edited", "over its bound")


def step(want: Desired, held: ObservedPlan, circumstances: Circumstances) -> Decision:
    return halt(want, held, circumstances) or roll_out(want, held, circumstances)


def decision(stage_status: StageStatus, *, asked: bool = False, edited: bool = False, over: bool = False) -> Decision:
    counts = {"succeeded": 1, "failed": 1} if over else {"succeeded": 2, "failed": 0}
    held = observed().at("canary", stage_status, **counts)
    want = desired("canary", rollout=rollout(maxFailedPercent=10))
    return step(want, held, given(asked=asked, edited=edited))


def short(found: Decision) -> tuple[str, str]:
    names = {StartStage(NAME, "canary"): "start", StopStage(NAME, "canary"): "stop"}
    assert isinstance(found.outcome, Waiting | Stalled | Done)
    return "".join(
        names[action] for action in found.actions if isinstance(action, StartStage | StopStage)
    ), found.outcome.reason


@pytest.mark.parametrize(("stage_status", "situation"), list(itertools.product(STATUSES, range(4))))
def test_every_stage_status_has_a_step_in_every_situation(stage_status: StageStatus, situation: int) -> None:
    flags = ({}, {"asked": True}, {"edited": True}, {"over": True})[situation]
    assert short(decision(stage_status, **flags)) == STEPS[stage_status][situation], SITUATIONS[situation]


@generate(
    stages=st.lists(st.sampled_from(STATUSES), min_size=1, max_size=6),
    gate=st.integers(0, 5),
    asked=st.booleans(),
    edited=st.booleans(),
)
def test_at_most_one_stage_is_touched_and_only_behind_deployed_ones(
    stages: list[StageStatus], gate: int, asked: bool, edited: bool
) -> None:
    names = [f"stage-{number}" for number in range(len(stages))]
    held = observed()
    for name, stage_status in zip(names, stages, strict=True):
        held = held.at(name, stage_status)
    through = names[min(gate, len(names) - 1)]
    want = desired(*names, rollout=rollout(throughStage=through))
    found = step(want, held, given(asked=asked, edited=edited))
    assert len(found.actions) <= 1
    for action in found.actions:
        assert isinstance(action, StartStage)
        position = names.index(action.stage)
        assert position <= names.index(through)
        assert set(stages[:position]) <= {"DEPLOYED"}
    done = set(stages[: names.index(through) + 1]) == {"DEPLOYED"}
    assert isinstance(found.outcome, Done) == done


def baking(deployed: timedelta | None) -> EdgeDeploymentPlanStatus:
    moment = None if deployed is None else NOON - deployed
    return status(stages=(state("canary", "DEPLOYED", deployed_time=moment),))


def test_stage_first_seen_deployed_bakes_from_now() -> None:
    held = observed().at("canary", "DEPLOYED").at("fleet", "READYTODEPLOY")
    want = desired("canary", "fleet", rollout=rollout(bakeTime="30m"))
    for before in (status(), baking(None)):
        found = step(want, held, given(before=before))
        assert isinstance(found.outcome, Waiting)
        assert found.outcome.after == timedelta(minutes=30)
        assert found.outcome.message.endswith("bakes for 30m before the next one, until 12:30:00 UTC")


def test_stage_that_is_not_listed_yet_is_waited_for() -> None:
    found = step(desired("canary", rollout=rollout()), observed(), given())
    assert short(found) == ("", "RolloutProgressing")


def test_deadline_is_not_over_at_its_very_end() -> None:
    want = desired("canary", rollout=rollout(progressDeadline="1h"))
    for minutes, action in ((60, ""), (61, "stop")):
        held = observed().at("canary", "INPROGRESS", started=NOON - minutes * MINUTE)
        assert short(step(want, held, given()))[0] == action


def test_stage_is_looked_at_when_its_deadline_is_over_however_many_are_under_way() -> None:
    want = desired("canary", rollout=rollout(progressDeadline="1h"))
    held = observed().at("canary", "INPROGRESS", started=NOON - 50 * MINUTE)
    found = step(want, held, given(crowd=5000)).outcome
    assert isinstance(found, Waiting)
    assert found.after == 10 * MINUTE


@pytest.mark.parametrize(
    ("succeeded", "failed", "percent", "minimum", "over"),
    [
        (95, 5, 5, None, False),
        (94, 6, 5, None, True),
        (0, 1, 0, None, True),
        (0, 1, 100, None, False),
        (0, 0, 0, None, False),
        (8, 1, 5, 10, False),
        (9, 1, 5, 10, True),
        (199, 1, 0, 200, True),
    ],
)
def test_failures_are_judged_against_what_finished(
    succeeded: int, failed: int, percent: int, minimum: int | None, over: bool
) -> None:
    fields = {"maxFailedPercent": percent} | ({"minDevices": minimum} if minimum else {})
    held = observed().at("canary", "INPROGRESS", succeeded=succeeded, failed=failed, pending=100)
    found = step(desired("canary", rollout=rollout(**fields)), held, given())
    assert (short(found)[0] == "stop") == over


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1h", 3600), ("1h30m", 5400), ("1h0m5s", 3605), ("0s", 0)]
)
def test_durations_are_read(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "10", "1d", "5m1h", "1.5h", "-5m", " 5m", "5 m", "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        duration(text)


@pytest.mark.parametrize("text", ["8760h1s", "8761h", "99999999999h", "9" * 5000 + "s", "9999h999999m99999999s"])
def test_a_duration_over_a_year_is_refused_and_never_overflows(text: str) -> None:
    with pytest.raises(ValueError, match="is over 8760h, a year"):
        duration(text)


def test_a_year_is_the_longest_duration() -> None:
    assert duration("8760h") == duration("31536000s") == timedelta(days=365)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("1 of 20 devices failed the deployment: disk full", "deployment: disk full; device till-7; "),
        ("1 of 20 devices failed", "1 of 20 devices failed; device till-7: disk full; "),
    ],
)
def test_failed_stage_says_once_what_its_device_said(message: str, words: str) -> None:
    devices = (FailedDevice(device_name="till-7", message="disk full"),)
    held = observed().at("canary", "FAILED", message=message, failed_devices=devices)
    decision = decide(desired("canary", rollout=rollout()), held, given())
    assert isinstance(decision.outcome, Stalled)
    assert words in decision.outcome.message


@pytest.mark.parametrize("recreates", [False, True])
def test_replacing_a_plan_tells_that_its_gate_stays(*, recreates: bool) -> None:
    policy = {"policy": {"replacement": "Recreate"}} if recreates else {}
    want = desired("canary", "fleet", rollout=rollout(throughStage="canary"), **policy)
    decision = decide(want, replace(observed("canary", "fleet"), fleet="other"), given())
    assert isinstance(decision.outcome, Next if recreates else Stalled)
    assert decision.outcome.message.endswith("; its rollout starts over, through rollout.throughStage as it stands")
