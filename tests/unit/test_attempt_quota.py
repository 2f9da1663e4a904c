"""The quota queue as an attempt meets it: who asks, who waits, and who is kept out by something else."""

from datetime import timedelta

import pytest

from controller.domain.agenda import Wake
from controller.domain.outcomes import IN_SYNC, Queued, Retrying
from controller.domain.quota import Place
from controller.domain.reasons import Reason
from controller.domain.resource import Resource
from tests.unit.builders import MINUTE, NOON, REFUSED_FOR_QUOTA, condition, fresh, observed, plan, retry, status
from tests.unit.dialogue import BROKEN, FINISHED, HELD, MADE, NOTHING, REFUSED, attempted, reported

QUOTA = frozenset({Wake.QUOTA})
SECOND = timedelta(seconds=1)


def place(*ages: int) -> Place:
    """The place among objects of those ages in minutes: older ones go before."""
    return Place(sum(age > 0 for age in ages), len(ages) + 1, REFUSED_FOR_QUOTA)


def waiting(**fields: object) -> Resource:
    """An object that waits for quota and certainly has nothing in AWS."""
    return reported(fresh(**fields), attempted(fresh(**fields), HELD, REFUSED_FOR_QUOTA))


def test_object_behind_others_asks_nothing_of_aws() -> None:
    talk = attempted(fresh(), HELD, place=place(1, 2))
    assert talk.words == ["hold"]
    assert talk.outcome == Queued(2, 45 * SECOND, 0, REFUSED_FOR_QUOTA, waiting=3)
    assert talk.result.untouched


def test_object_before_all_others_asks() -> None:
    talk = attempted(waiting(), MADE, place=place(-1, -2), wakes=QUOTA, untouched=True)
    assert (talk.words, talk.outcome) == (["CreatePlan"], IN_SYNC)


def test_probe_that_is_refused_again_counts_and_costs_one_call() -> None:
    talk = attempted(waiting(), REFUSED_FOR_QUOTA, wakes=QUOTA, untouched=True)
    assert talk.words == ["CreatePlan"]
    assert talk.outcome == Queued(0, SECOND, 2, REFUSED_FOR_QUOTA)


def test_object_that_is_refused_behind_others_learns_its_place() -> None:
    """They joined while its own call was under way."""
    one = waiting()
    outcome = attempted(one, HELD, place=place(3)) if not one.has_finalizer else attempted(one, place=place(3))
    assert outcome.outcome == Queued(1, 45 * SECOND, 0, REFUSED_FOR_QUOTA, waiting=2)


def test_refusal_of_a_stage_for_quota_is_no_place_in_the_queue_of_plans() -> None:
    """CreateEdgeDeploymentStage has a limit of its own: new plans would wait behind it for ever."""
    one = plan("canary", "fleet", status=status(), generation=2)
    talk = attempted(one, observed("canary"), REFUSED_FOR_QUOTA)
    assert not isinstance(talk.outcome, Queued)


def test_object_with_a_plan_waits_for_nobody() -> None:
    talk = attempted(plan("canary", status=status()), observed("canary"), place=place(1, 2))
    assert talk.outcome == IN_SYNC


@pytest.mark.parametrize("refusal", [BROKEN, REFUSED], ids=lambda refusal: refusal.code)
def test_head_of_the_queue_that_is_refused_for_another_reason_is_no_longer_queued(refusal: object) -> None:
    told = (FINISHED,) if refusal is REFUSED else ()
    talk = attempted(waiting(), refusal, NOTHING, *told, wakes=QUOTA, untouched=True)  # type: ignore[arg-type]
    assert not isinstance(talk.outcome, Queued)


def test_stalled_object_does_not_ask_when_the_queue_moves() -> None:
    """NotOwned, and the account full: nobody waits behind it."""
    stalled = status(arn=None, conditions=(condition("Ready", "False"), condition("Stalled", reason=Reason.NOT_OWNED)))
    talk = attempted(plan("canary", status=stalled), observed("canary").tagged({}), wakes=QUOTA, place=place(-1))
    assert (talk.words, talk.reason) == (["look at tags"], Reason.NOT_OWNED)


def test_plan_that_turns_up_in_the_listing_ends_the_wait() -> None:
    before = status(
        arn=None,
        conditions=(
            condition("Ready", "False"),
            condition("Reconciling"),
            condition("ResourceLimitExceeded", reason=Reason.WAITING_FOR_QUOTA),
        ),
        retry=retry(3, NOON + MINUTE),
    )
    one = plan("canary", status=before)
    talk = attempted(one, observed("canary"), wakes=frozenset({Wake.DRIFT}), place=place(1))
    assert (talk.words, talk.outcome) == (["look at tags"], IN_SYNC)
    after = reported(one, talk).status.condition("ResourceLimitExceeded")
    assert after is not None
    assert (after.status, after.reason) == ("False", Reason.QUOTA_AVAILABLE)


def test_failed_look_while_waiting_keeps_what_aws_last_said_of_quota() -> None:
    one = waiting()
    talk = attempted(one, BROKEN, wakes=frozenset({Wake.DRIFT}))
    assert isinstance(talk.outcome, Retrying)
    assert reported(one, talk).status.is_true("ResourceLimitExceeded")
