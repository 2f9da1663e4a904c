"""Creating a plan, in every order of answers: lost, late, refused, lagging."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from controller.domain.agenda import Wake
from controller.domain.api import OWNER_TAG
from controller.domain.conversation import Answer
from controller.domain.failures import Failure, FailureKind
from controller.domain.outcomes import IN_SYNC, Queued, Retrying, Stalled, Suspended
from controller.domain.reasons import Reason
from controller.domain.resource import Resource
from controller.domain.status import Settling
from tests.unit.builders import (
    ACCOUNT,
    ARN,
    MINUTE,
    NAME,
    NOON,
    OWNER,
    REFUSED_FOR_QUOTA,
    condition,
    failure,
    fresh,
    observed,
    plan,
    retry,
    rollout,
    settling,
    status,
)
from tests.unit.dialogue import (
    BROKEN,
    CONFLICT,
    CREATE,
    DENIED,
    FINISHED,
    HELD,
    IN_USE,
    LOST,
    MADE,
    NOT_FOUND,
    NOTHING,
    REFUSED,
    RELEASED,
    STRANGE,
    THROTTLED,
    UNREACHED,
    Dialogue,
    attempted,
    reported,
)

SECOND = timedelta(seconds=1)
SETTLE = timedelta(seconds=60)
DRIFT, AUDIT = frozenset({Wake.DRIFT}), frozenset({Wake.AUDIT})
REFUSALS = (REFUSED_FOR_QUOTA, REFUSED, IN_USE, CONFLICT, STRANGE)
MAY_BE_THERE = pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.code)


def lost() -> Resource:
    """An object whose create was not answered."""
    return reported(fresh(), attempted(fresh(), HELD, LOST))


def created() -> Resource:
    """An object whose plan has just been created."""
    return reported(fresh(), attempted(fresh(), HELD, MADE))


# -- the ordinary case ------------------------------------------------------------------------------------------------


def test_new_object_is_held_and_created_without_a_look() -> None:
    talk = attempted(fresh(tags={"team": "retail"}), HELD, MADE)
    assert talk.words == ["hold", "CreatePlan"]
    assert talk.outcome == IN_SYNC
    assert (talk.found.arn, talk.found.created_stages) == (ARN, ("canary",))
    assert talk.found.applied_tag_keys == {"team", OWNER_TAG}
    assert talk.found.settling == Settling(until=NOON + SETTLE, created_after=NOON - SECOND)
    assert (talk.result.owed, talk.result.untouched) == ((), False)


@pytest.mark.parametrize("policy", [{"deletion": "Retain"}, {"management": "Manage", "deletion": "Retain"}])
def test_object_whose_plan_is_retained_needs_no_finalizer(policy: dict[str, str]) -> None:
    assert attempted(fresh(policy=policy), MADE).words == ["CreatePlan"]


def test_finalizer_that_is_not_needed_any_more_is_taken_off_first() -> None:
    talk = attempted(plan("canary", status=status(), policy={"deletion": "Retain"}), RELEASED, observed("canary"))
    assert talk.words == ["release", "look"]


def test_plan_with_a_rollout_is_looked_at_after_its_creation() -> None:
    talk = attempted(fresh(rollout=rollout()), HELD, MADE, observed().at("canary", "CREATING"))
    assert talk.words == ["hold", "CreatePlan", "look"]
    assert talk.reason is Reason.ROLLOUT_PROGRESSING


def test_object_that_stalls_by_its_spec_asks_nothing() -> None:
    talk = attempted(fresh(invalid="deviceFleetName: Required value"))
    assert (talk.words, talk.outcome) == ([], Stalled(Reason.INVALID_SPEC, "deviceFleetName: Required value"))


def test_suspended_object_asks_nothing() -> None:
    assert attempted(fresh(suspend=True)).outcome == Suspended()


def test_target_that_is_not_open_is_refused_without_a_call() -> None:
    talk = attempted(fresh(), scope=None, refusal="region us-east-1 is not open to namespace retail")
    assert talk.words == []
    assert talk.outcome == Stalled(Reason.TARGET_REFUSED, "region us-east-1 is not open to namespace retail")


# -- reads lag --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [SECOND, 20 * SECOND, 59 * SECOND])
def test_not_found_after_create_within_settling_time_is_lag(delay: timedelta) -> None:
    talk = attempted(created(), NOTHING, now=NOON + delay, wakes=DRIFT)
    assert talk.words == ["look at tags"]
    assert talk.reason is Reason.SETTLING
    assert talk.found.arn == ARN


def test_not_found_right_after_create_with_rollout_is_waited_out_and_one_plan_is_made() -> None:
    one = fresh(rollout=rollout())
    talk = attempted(one, HELD, MADE, NOTHING)
    assert talk.words == ["hold", "CreatePlan", "look"]
    assert talk.reason is Reason.SETTLING
    one = reported(one, talk)
    assert one.status.edge_deployment_plan_arn == ARN
    talk = attempted(one, observed().at("canary", "CREATING"), now=NOON + 4 * SECOND)
    assert talk.words == ["look at tags"]
    assert talk.reason is Reason.ROLLOUT_PROGRESSING


def test_lag_waits_no_longer_than_the_settling_time_however_often_it_is_seen() -> None:
    one = created()
    for seconds in (10, 30, 50):
        moment = NOON + seconds * SECOND
        one = reported(one, attempted(one, NOTHING, now=moment, wakes=DRIFT), moment)
        assert one.status.settling == Settling(until=NOON + SETTLE, created_after=NOON - SECOND)


def test_not_found_after_the_settling_time_is_a_plan_that_went() -> None:
    later = NOON + SETTLE
    talk = attempted(created(), NOTHING, ACCOUNT, MADE, now=later, wakes=DRIFT)
    assert talk.words == ["look at tags", "account", "CreatePlan"]
    assert talk.outcome == IN_SYNC


def test_plan_without_stages_yet_is_not_taken_for_one_that_lost_them() -> None:
    one = created()
    talk = attempted(one, observed().at("canary", "CREATING"), now=NOON + 2 * SECOND)
    assert (talk.words, talk.outcome) == (["look"], IN_SYNC)
    assert reported(one, talk).status.creation_time == NOON


# -- answers get lost -------------------------------------------------------------------------------------------------


def open_until(moment: datetime) -> Settling:
    return Settling(until=moment, unanswered=moment)


def test_unanswered_create_is_noted_until_it_cannot_be_under_way_any_more() -> None:
    talk = attempted(fresh(), HELD, LOST)
    assert talk.words == ["hold", "CreatePlan"]
    assert talk.outcome == Retrying(LOST, timedelta(seconds=0.5), 1)
    assert talk.found.settling == open_until(NOON + SETTLE)
    assert not talk.result.untouched
    assert lost().status.settling == open_until(NOON + SETTLE)


@MAY_BE_THERE
def test_create_after_an_unanswered_one_comes_after_a_look(refusal: Failure) -> None:
    talk = attempted(lost(), NOTHING, refusal, now=NOON + SECOND)
    assert talk.words == ["look at tags", "CreatePlan"]
    talk = attempted(reported(lost(), talk, NOON + SECOND), observed("canary"), now=NOON + 2 * SECOND)
    assert (talk.words, talk.outcome) == (["look at tags"], IN_SYNC)
    assert talk.found.arn == ARN


def test_refusal_for_quota_of_a_create_that_may_have_worked_before_is_never_without_a_look() -> None:
    """The create that took the last place lost its answer; an endpoint may look at the quota before the name."""
    one, moment = lost(), NOON
    for _ in range(3):  # over retries and restarts, as long as AWS does not show it
        moment += MINUTE
        looks_first = one.status.settling is not None
        answers = (NOTHING, REFUSED_FOR_QUOTA) if looks_first else (REFUSED_FOR_QUOTA, NOTHING)
        talk = attempted(one, *answers, now=moment)
        assert sorted(talk.words) == ["CreatePlan", "look at tags"]
        assert isinstance(talk.outcome, Queued)
        one = reported(one, talk, moment)
    talk = attempted(one, REFUSED_FOR_QUOTA, observed("canary"), now=moment + MINUTE)
    assert talk.outcome == IN_SYNC


@MAY_BE_THERE
def test_refusal_of_a_create_by_a_process_that_does_not_know_the_one_before_is_followed_by_a_look(
    refusal: Failure,
) -> None:
    talk = attempted(plan("canary"), refusal, observed("canary"))
    assert (talk.words, talk.outcome) == (["CreatePlan", "look at tags"], IN_SYNC)


def test_create_that_is_lost_again_and_again_is_noted_each_time() -> None:
    talk = attempted(lost(), NOTHING, LOST, now=NOON + SECOND)
    assert talk.words == ["look at tags", "CreatePlan"]
    assert talk.outcome == Retrying(LOST, SECOND, 2)
    assert talk.found.settling == open_until(NOON + SECOND + SETTLE)


def test_create_that_never_arrived_proves_nothing_about_the_one_before() -> None:
    talk = attempted(lost(), NOTHING, UNREACHED, now=NOON + SECOND)
    assert talk.found.settling == open_until(NOON + SETTLE)
    assert not talk.result.untouched


def test_tags_that_a_create_without_an_answer_put_on_go_when_the_spec_drops_them() -> None:
    talk = attempted(plan("canary"), IN_USE, observed("canary", tags={"team": "retail", "aws:made-by": "x"}), None)
    assert talk.words == ["CreatePlan", "look at tags", "DeleteTags(team)"]
    assert talk.outcome == IN_SYNC
    assert talk.found.applied_tag_keys == {OWNER_TAG}


def test_look_that_is_lost_is_repeated_and_forgets_nothing() -> None:
    talk = attempted(created(), LOST, now=NOON + SECOND, wakes=DRIFT)
    assert talk.outcome == Retrying(replace(LOST), timedelta(seconds=0.5), 1)
    after = reported(created(), talk).status
    assert (after.edge_deployment_plan_arn, after.is_true("Ready")) == (ARN, True)
    assert after.settling == Settling(until=NOON + SETTLE, created_after=NOON - SECOND)


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_terminal_refusal_of_the_first_create_stalls_with_the_words_of_aws() -> None:
    talk = attempted(fresh(), HELD, REFUSED, NOTHING, FINISHED)
    assert talk.words == ["hold", "CreatePlan", "look at tags", "status of edgePackagingJobName people-counter-v7"]
    assert talk.outcome == Stalled(Reason.REFUSED_BY_AWS, f"AWS refuses {CREATE}", REFUSED)
    assert talk.result.untouched


@pytest.mark.parametrize("told", ["FAILED", "STOPPED", NOT_FOUND, DENIED], ids=str)
def test_refusal_stalls_where_the_packaging_job_will_not_be_finished_or_cannot_be_looked_at(told: Answer) -> None:
    assert attempted(fresh(), HELD, REFUSED, NOTHING, told).reason is Reason.REFUSED_BY_AWS


def test_plan_that_aws_refuses_as_its_packaging_job_is_not_finished_waits_for_the_job() -> None:
    talk = attempted(fresh(), HELD, REFUSED, NOTHING, "INPROGRESS")
    assert (talk.reason, talk.result.untouched) == (Reason.REFERENCE_NOT_FOUND, True)
    assert talk.message == (
        "edgePackagingJobName people-counter-v7 is INPROGRESS, and no plan can be made of it before it is COMPLETED"
    )
    assert attempted(reported(fresh(), talk), MADE, untouched=True).outcome == IN_SYNC


def test_terminal_refusal_of_what_may_be_another_operators_doing_stalls_only_after_the_settling_time() -> None:
    one = plan("canary")
    talk = attempted(one, REFUSED, NOTHING)
    assert talk.outcome == Retrying(REFUSED, timedelta(seconds=0.5), 1)
    one = reported(one, talk)
    assert one.status.settling == Settling(until=NOON + SETTLE)
    talk = attempted(one, NOTHING, REFUSED, now=NOON + 30 * SECOND)
    assert isinstance(talk.outcome, Retrying)
    one = reported(one, talk, NOON + 30 * SECOND)
    talk = attempted(one, NOTHING, REFUSED, FINISHED, now=NOON + SETTLE)
    assert talk.outcome == Stalled(Reason.REFUSED_BY_AWS, f"AWS refuses {CREATE}", REFUSED)


def test_second_operator_finds_what_the_other_has_just_created() -> None:
    talk = attempted(fresh(), HELD, CONFLICT, observed("canary"))
    assert (talk.words, talk.outcome) == (["hold", "CreatePlan", "look at tags"], IN_SYNC)


def test_refusal_because_the_name_is_taken_by_a_stranger_says_so() -> None:
    talk = attempted(fresh(), HELD, IN_USE, observed("canary").tagged({}))
    assert talk.reason is Reason.NOT_OWNED
    assert talk.found.arn is None


def test_refusal_for_quota_of_a_certainly_new_plan_costs_no_look() -> None:
    talk = attempted(fresh(), HELD, REFUSED_FOR_QUOTA)
    assert talk.words == ["hold", "CreatePlan"]
    assert talk.outcome == Queued(0, timedelta(seconds=0.5), 1, REFUSED_FOR_QUOTA)
    assert talk.result.untouched


@pytest.mark.parametrize(
    ("refusal", "after"),
    [(BROKEN, timedelta(seconds=0.5)), (DENIED, 5 * MINUTE), (THROTTLED, 10 * SECOND), (UNREACHED, SECOND / 2)],
    ids=["broken", "denied", "throttled", "unreached"],
)
def test_create_that_certainly_did_nothing_leaves_the_object_untouched(refusal: Failure, after: timedelta) -> None:
    answers = (HELD, refusal, NOTHING) if refusal is BROKEN else (HELD, refusal)
    talk = attempted(fresh(), *answers)
    assert isinstance(talk.outcome, Retrying)
    assert talk.outcome.after == after
    assert talk.result.untouched
    assert talk.found.settling is None


def test_attempts_go_on_from_what_the_status_says_so_a_restart_loses_none() -> None:
    one = plan("canary", status=status(arn=None, retry=retry(6, NOON)))
    assert attempted(one, DENIED).outcome == Retrying(DENIED, 5 * MINUTE, 7)
    assert attempted(one, LOST).outcome == Retrying(LOST, timedelta(seconds=32), 7)


def test_edited_spec_starts_to_count_from_one() -> None:
    one = plan("canary", generation=2, status=status(arn=None, retry=retry(6, NOON)))
    assert attempted(one, LOST).outcome == Retrying(LOST, timedelta(seconds=0.5), 1)


def test_throttled_call_is_not_counted() -> None:
    one = plan("canary", status=status(arn=None, retry=retry(3, NOON)))
    assert attempted(one, THROTTLED).outcome == Retrying(THROTTLED, 10 * SECOND, 0)


# -- at rest ----------------------------------------------------------------------------------------------------------


def refused(**more: object) -> Resource:
    stalled = status(
        arn=None, conditions=(condition("Ready", "False"), condition("Stalled", reason=Reason.REFUSED_BY_AWS))
    )
    return plan("canary", **{"status": stalled} | more)  # type: ignore[arg-type]


def test_object_whose_creation_was_refused_makes_no_call_at_rest_but_reads() -> None:
    for wakes in (DRIFT, AUDIT):
        talk = attempted(refused(), NOTHING, wakes=wakes)
        assert talk.words == ["look at tags"]
        assert talk.reason is Reason.REFUSED_BY_AWS


def test_object_whose_creation_was_refused_goes_on_when_its_plan_turns_up() -> None:
    talk = attempted(refused(), observed("canary"), wakes=DRIFT)
    assert (talk.words, talk.outcome) == (["look at tags"], IN_SYNC)


@pytest.mark.parametrize("way", [{"generation": 2}, {"requested": "again"}], ids=["edited", "asked"])
def test_object_whose_creation_was_refused_tries_again_when_somebody_acts(way: dict[str, object]) -> None:
    talk = attempted(refused(**way), NOTHING, MADE)
    assert (talk.words, talk.outcome) == (["look at tags", "CreatePlan"], IN_SYNC)


def test_object_that_stands_back_for_a_strangers_plan_makes_no_call_at_rest_but_reads() -> None:
    stalled = status(arn=None, conditions=(condition("Ready", "False"), condition("Stalled", reason=Reason.NOT_OWNED)))
    talk = attempted(plan("canary", status=stalled), observed("canary").tagged({}), wakes=AUDIT)
    assert talk.words == ["look at tags"]
    assert talk.reason is Reason.NOT_OWNED


def test_object_that_stood_back_creates_once_the_strangers_plan_is_gone() -> None:
    stalled = status(arn=None, conditions=(condition("Ready", "False"), condition("Stalled", reason=Reason.NOT_OWNED)))
    talk = attempted(plan("canary", status=stalled), NOTHING, MADE, wakes=DRIFT)
    assert (talk.words, talk.outcome) == (["look at tags", "CreatePlan"], IN_SYNC)


def test_object_that_was_refused_and_is_in_step_all_the_same_is_stalled_no_more() -> None:
    stalled = status(
        conditions=(condition("Ready", "False"), condition("Stalled", reason=Reason.REFUSED_BY_AWS)),
        last_modified_time=NOON,
    )
    talk = attempted(plan("canary", status=stalled), observed("canary"), wakes=AUDIT)
    assert (talk.words, talk.outcome) == (["look at tags"], IN_SYNC)


def test_refusal_is_not_at_rest_where_aws_does_not_say_whether_it_changed() -> None:
    stalled = status(conditions=(condition("Ready", "False"), condition("Stalled", reason=Reason.REFUSED_BY_AWS)))
    held, brought = observed("canary").but(modified=None), observed("canary", "fleet").but(modified=None)
    talk = attempted(plan("canary", "fleet", status=stalled), held, None, brought, wakes=AUDIT)
    assert talk.words == ["look at tags", "CreateStages(fleet)", "look"]


def test_refusal_of_a_change_is_at_rest_until_aws_changes() -> None:
    stalled = status(
        conditions=(condition("Ready", "False"), condition("Stalled", reason=Reason.REFUSED_BY_AWS)),
        last_modified_time=NOON,
    )
    one = plan("canary", "fleet", status=stalled)
    talk = attempted(one, observed("canary"), wakes=AUDIT)
    assert (talk.words, talk.reason) == (["look at tags"], Reason.REFUSED_BY_AWS)
    changed = observed("canary").but(modified=NOON + MINUTE)
    talk = attempted(one, changed, None, observed("canary", "fleet"), wakes=DRIFT)
    assert talk.words == ["look at tags", "CreateStages(fleet)", "look"]


# -- the clock --------------------------------------------------------------------------------------------------------


def test_clock_that_was_set_ahead_shortens_no_settling_time() -> None:
    """By the clock that does not jump, the create was a moment ago."""
    talk = attempted(created(), NOTHING, now=NOON + 60 * MINUTE, wakes=DRIFT, settling_for=50 * SECOND)
    assert (talk.words, talk.reason) == (["look at tags"], Reason.SETTLING)
    assert talk.found.settling == Settling(until=NOON + 60 * MINUTE + 50 * SECOND, created_after=NOON - SECOND)


def test_settling_time_is_known_even_if_the_status_lost_it() -> None:
    one = plan("canary", status=status())
    talk = attempted(one, NOTHING, wakes=DRIFT, settling_for=50 * SECOND)
    assert talk.reason is Reason.SETTLING


# -- never twice ------------------------------------------------------------------------------------------------------


def test_clock_that_was_set_back_lengthens_no_settling_time() -> None:
    one = replace(created(), status=created().status.model_copy(update={"settling": settling(NOON + 9999 * MINUTE)}))
    talk = attempted(one, NOTHING, wakes=DRIFT)
    assert talk.reason is Reason.SETTLING
    assert talk.found.settling == Settling(until=NOON + SETTLE)


def test_every_kind_of_failed_create_ends_the_attempt_in_an_outcome_of_its_kind() -> None:
    for kind in FailureKind:
        for harmless in (False, True):
            answer = failure(kind, "Code", operation=CREATE, harmless=harmless, request_id=None)
            asks = (
                {FailureKind.TERMINAL, FailureKind.TRANSIENT, FailureKind.UNKNOWN} if harmless else set[FailureKind]()
            )
            looks = kind is FailureKind.QUOTA or kind in asks
            talk: Dialogue = attempted(plan("canary"), answer, *((NOTHING,) if looks else ()))
            expected = Queued if kind is FailureKind.QUOTA else Retrying
            assert isinstance(talk.outcome, expected), (kind, harmless)
            assert OWNER.tag_value in dict(talk.requests[0].tags).values()  # type: ignore[union-attr]
            assert (talk.found.settling is None) == (harmless and kind is not FailureKind.TERMINAL), (kind, NAME)
