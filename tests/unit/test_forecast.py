"""What the controller would do, call by call: what `edgeplan diff` shows, and Observe lists."""

import pytest

from controller.domain.forecast import Call, End, Step, Wait, differs, forecast
from controller.domain.outcomes import IN_SYNC, Pending, Suspended
from controller.domain.reasons import Reason
from controller.domain.stage import StageStatus
from tests.unit.builders import MINUTE, NAME, NOON, desired, given, observed, rollout, stage, state, status

NEVER_OURS = status(arn=None)


def told(steps: tuple[Step, ...]) -> list[str]:
    """The steps in words."""
    words = []
    for step in steps:
        match step:
            case Call(action):
                words.append(str(action))
            case Wait(text):
                words.append(f"wait {text}")
            case End(outcome):
                words.append(f"end {getattr(outcome, 'reason', type(outcome).__name__)}")
    return words


def test_plan_as_specified_is_the_end() -> None:
    steps = forecast(desired("canary"), observed("canary"), given())
    assert steps == (End(IN_SYNC),)
    assert not differs(steps)


def test_creation_and_rollout_are_told_to_the_end() -> None:
    want = desired("canary", "fleet", rollout=rollout(bakeTime="30m"))
    steps = forecast(want, None, given(before=NEVER_OURS))
    assert told(steps) == [
        f"CreatePlan({NAME} on fleet {NAME}: canary, fleet)",
        "StartStage(canary)",
        "wait until canary is DEPLOYED",
        "wait stage canary is DEPLOYED and bakes for 30m before the next one",
        "StartStage(fleet)",
        "wait until fleet is DEPLOYED",
        "end RolloutComplete",
    ]
    assert differs(steps)


def test_rollout_is_told_to_its_gate() -> None:
    want = desired("canary", "fleet", rollout=rollout(throughStage="canary"))
    assert told(forecast(want, observed().at("canary", "INPROGRESS").at("fleet", "READYTODEPLOY"), given())) == [
        "wait until canary is DEPLOYED",
        "end WaitingForPromotion",
    ]


def test_replacement_is_told_with_all_that_it_stops() -> None:
    want = desired("canary", deviceFleetName="other", policy={"replacement": "Recreate"})
    assert told(forecast(want, observed().at("canary", "INPROGRESS"), given())) == [
        "StopStage(canary)",
        "wait until canary is STOPPED",
        f"DeletePlan({NAME})",
        f"wait the plan is deleted and created again for deviceFleetName: {NAME} -> other",
        f"CreatePlan({NAME} on fleet other: canary)",
        "end InSync",
    ]


def test_changes_of_stages_and_tags_are_told_and_taken_as_done() -> None:
    before = status(applied_tag_keys=("edgeplan.dev/owner", "crew"))
    want = desired(stage("canary", 20), tags={"team": "retail"})
    steps = forecast(want, observed("canary", tags={"crew": "x"}), given(before=before))
    assert told(steps) == [
        "DeleteTags(crew)",
        "AddTags(team=retail)",
        "DeleteStage(canary)",
        "CreateStages(canary)",
        "end InSync",
    ]


def test_stage_over_its_bound_is_stopped_and_stalls() -> None:
    held = observed().at("canary", "INPROGRESS", failed=5)
    steps = forecast(desired("canary", rollout=rollout(maxFailedPercent=0)), held, given())
    assert told(steps) == ["StopStage(canary)", "wait until canary is STOPPED", "end RolloutStopped"]


def test_one_request_is_one_more_start() -> None:
    held = observed().at("canary", "FAILED")
    steps = forecast(desired("canary", rollout=rollout()), held, given(asked=True))
    assert told(steps) == ["StartStage(canary)", "wait until canary is DEPLOYED", "end RolloutComplete"]


def test_stage_that_stays_is_no_wait_without_end() -> None:
    steps = forecast(desired("canary", "fleet", rollout=rollout()), observed().at("canary", "DEPLOYED"), given())
    assert told(steps)[:1] == ["CreateStages(fleet)"]
    assert told(steps)[-1] == "end RolloutComplete"


def test_bake_time_counts_from_what_the_status_knows() -> None:
    before = status(stages=(state("canary", "DEPLOYED", deployed_time=NOON - 60 * MINUTE),))
    held = observed().at("canary", "DEPLOYED").at("fleet", "READYTODEPLOY")
    want = desired("canary", "fleet", rollout=rollout(bakeTime="30m"))
    assert told(forecast(want, held, given(before=before)))[0] == "StartStage(fleet)"


def test_refusal_is_a_difference() -> None:
    steps = forecast(desired("canary"), observed("canary").tagged({}), given(before=NEVER_OURS))
    assert told(steps) == ["end NotOwned"]
    assert differs(steps)


def test_suspended_object_is_told_as_such() -> None:
    steps = forecast(desired("canary", suspend=True), None, given())
    assert steps == (End(Suspended()),)
    assert not differs(steps)


def test_observe_lists_every_call_that_manage_would_make() -> None:
    want = desired("canary", policy={"management": "Observe"}, rollout=rollout())
    steps = forecast(want, None, given(before=NEVER_OURS))
    assert told(steps) == [f"CreatePlan({NAME} on fleet {NAME}: canary)", "StartStage(canary)", "end Pending"]
    last = steps[-1]
    assert isinstance(last, End)
    assert isinstance(last.outcome, Pending)


@pytest.mark.parametrize(
    ("stage_status", "end"),
    [("INPROGRESS", Reason.ROLLOUT_PROGRESSING), ("FAILED", Reason.STAGE_FAILED), ("DEPLOYED", Reason.IN_SYNC)],
)
def test_observe_tells_what_becomes_of_a_stage_that_nobody_starts(stage_status: StageStatus, end: Reason) -> None:
    want = desired("canary", policy={"management": "Observe"}, rollout=rollout())
    steps = forecast(want, observed().at("canary", stage_status), given())
    assert told(steps) == [f"end {end}"]
    assert differs(steps) == (end is Reason.STAGE_FAILED)
