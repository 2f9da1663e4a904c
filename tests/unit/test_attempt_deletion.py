"""Deleting what goes with an object, in every order of answers."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.domain.api import OWNER_TAG
from controller.domain.attempt import take_away
from controller.domain.failures import Failure, FailureKind
from controller.domain.outcomes import Gone, Retrying, Stalled, Waiting
from controller.domain.ownership import Owner
from controller.domain.reasons import Reason
from controller.domain.resource import InvalidSpec, Resource
from controller.domain.schedule import DOUBT_POLL
from tests.unit.builders import (
    ACCOUNT,
    ARN,
    MINUTE,
    NAME,
    NOON,
    OWNER,
    failure,
    fresh,
    given,
    observed,
    plan,
    retry,
    settling,
    spec,
    state,
    status,
)
from tests.unit.dialogue import (
    BROKEN,
    DID,
    HELD,
    LOST,
    MADE,
    NOT_FOUND,
    NOTHING,
    REFUSED,
    attempted,
    reported,
    talk,
)

SECOND = timedelta(seconds=1)
SETTLE = timedelta(seconds=60)
LOOK = ["definition", "look at tags"]
TAGS = ["definition", "account", "tags"]
THEN_LOOK = [*TAGS, "look at tags"]
OWN = {OWNER_TAG: OWNER.tag_value}
KEPT = False  # the definition stays
DELETE = f"DeletePlan({NAME})"


def deleted(**fields: object) -> Resource:
    """An object with a plan, being deleted."""
    return plan("canary", **{"deleting": True, "generation": 2, "status": status()} | fields)  # type: ignore[arg-type]


def going(one: Resource) -> Resource:
    return replace(one, deleting=True, generation=one.generation + 1)


# -- the ordinary case ------------------------------------------------------------------------------------------------


def test_plan_goes_with_its_object() -> None:
    said = attempted(deleted(), KEPT, ACCOUNT, OWN, DID)
    assert said.words == [*TAGS, DELETE]
    assert said.outcome == Gone(Reason.DELETED, f"deleted the AWS plan {NAME}")


def test_plan_of_which_less_is_known_is_looked_at_and_goes_with_its_object() -> None:
    said = attempted(deleted(status=status(arn=None)), KEPT, observed("canary"), DID)
    assert said.words == [*LOOK, DELETE]
    assert said.outcome == Gone(Reason.DELETED, f"deleted the AWS plan {NAME}")


def test_active_stages_are_stopped_first() -> None:
    said = attempted(
        deleted(status=status(stages=(state("canary", "INPROGRESS"),))),
        KEPT,
        observed().at("canary", "INPROGRESS"),
        DID,
    )
    assert said.words == [*LOOK, "StopStage(canary)"]
    assert (said.reason, said.found.observed is not None) == (Reason.STOPPING_STAGES, True)


def test_stage_that_is_active_and_that_the_object_does_not_know_of_makes_aws_refuse_and_is_stopped() -> None:
    said = attempted(deleted(), KEPT, ACCOUNT, OWN, REFUSED, observed().at("canary", "INPROGRESS"), DID)
    assert said.words == [*TAGS, DELETE, "look at tags", "StopStage(canary)"]
    assert said.reason is Reason.STOPPING_STAGES


def test_stage_that_cannot_be_stopped_is_waited_for() -> None:
    said = attempted(
        deleted(status=status(stages=(state("canary", "STOPPING"),))), KEPT, observed().at("canary", "STOPPING")
    )
    assert (said.words, said.reason) == (LOOK, Reason.STOPPING_STAGES)


@pytest.mark.parametrize("policy", [{"deletion": "Retain"}, {"management": "Observe"}])
def test_plan_that_is_to_stay_stays_without_a_call(policy: dict[str, str]) -> None:
    said = attempted(deleted(policy=policy))
    assert (said.words, said.reason) == ([], Reason.RETAINED)


def test_nothing_is_deleted_with_the_definition() -> None:
    said = attempted(deleted(), True)
    assert (said.words, said.reason) == (["definition"], Reason.RETAINED)


def test_object_that_was_never_worked_on_goes_without_a_call() -> None:
    said = attempted(going(replace(fresh(), generation=0)), KEPT)
    assert (said.words, said.reason) == (["definition"], Reason.DELETED)


def test_object_whose_every_create_was_refused_goes_without_a_call() -> None:
    said = attempted(deleted(status=status(arn=None)), KEPT, untouched=True)
    assert (said.words, said.reason) == (["definition"], Reason.DELETED)


def test_plan_that_another_operator_may_have_made_is_looked_for() -> None:
    """Two that act by mistake: the status of the one that made it has not been seen yet."""
    one = deleted(status=status(arn=None))
    said = attempted(one, KEPT, observed("canary"), DID, untouched=True, alone=False)
    assert (said.words[-1], said.reason) == (DELETE, Reason.DELETED)
    for held, reason in ((NOTHING, Reason.DELETED), (observed("canary").tagged({}), Reason.KEPT)):
        said = attempted(one, KEPT, held, untouched=True, alone=False, starting_for=SETTLE)
        assert said.reason is reason


def test_suspended_object_is_deleted_like_any_other() -> None:
    said = attempted(deleted(suspend=True), KEPT, ACCOUNT, OWN, DID)
    assert said.reason is Reason.DELETED


# -- whose the plan is ------------------------------------------------------------------------------------------------

FORMER = Owner(OWNER.cluster, OWNER.namespace, OWNER.name, "uid-0")
LATER = Owner(OWNER.cluster, OWNER.namespace, OWNER.name, "uid-2")


@pytest.mark.parametrize("value", [None, "cluster-2/retail/z/uid-9", "by another tool"])
def test_plan_of_others_stays(value: str | None) -> None:
    before = status(arn=None)
    held = observed("canary").tagged({} if value is None else {OWNER_TAG: value})
    said = attempted(deleted(status=before), KEPT, held)
    assert (said.words, said.reason) == (LOOK, Reason.KEPT)


def test_former_life_neither_takes_back_nor_deletes() -> None:
    """A rebuilt cluster took the plan over under the same cluster id; then the old one is cleaned up."""
    taken = observed("canary").tagged({OWNER_TAG: LATER.tag_value})
    said = attempted(deleted(), KEPT, ACCOUNT, taken.tags, taken)
    assert (said.words, said.reason) == (THEN_LOOK, Reason.KEPT)
    said = attempted(plan("canary", generation=2, status=status()), taken)
    assert (said.words, said.reason) == (["look at tags"], Reason.OWNERSHIP_LOST)


def test_plan_of_a_former_life_goes_with_the_later_one() -> None:
    said = attempted(
        deleted(status=status(arn=None)), KEPT, observed("canary").tagged({OWNER_TAG: FORMER.tag_value}), DID
    )
    assert said.words == [*LOOK, DELETE]


def test_plan_whose_tag_is_gone_is_looked_at_before_it_is_deleted() -> None:
    """Tags are read as they are, a Describe may be behind: until it cannot be, the plan may be somebody's own."""
    one, bare = deleted(), observed("canary").tagged({})
    said = attempted(one, KEPT, ACCOUNT, {}, bare)
    assert (said.words, said.reason) == (THEN_LOOK, Reason.SETTLING)
    one = reported(one, said)
    said = attempted(one, KEPT, ACCOUNT, {}, bare, now=NOON + 30 * SECOND)
    assert (said.words, said.reason) == (THEN_LOOK, Reason.SETTLING)
    assert "has lost its ownership tag" in said.message
    one = reported(one, said, NOON + 30 * SECOND)
    another = bare.but(created=NOON + SECOND)
    assert attempted(one, KEPT, ACCOUNT, {}, another, now=NOON + SETTLE).reason is Reason.KEPT
    said = attempted(one, KEPT, ACCOUNT, {}, bare, DID, now=NOON + SETTLE)
    assert said.words == [*THEN_LOOK, DELETE]


@pytest.mark.parametrize(
    "account", ["999999999999", "", failure(harmless=True)], ids=["another", "unknown", "no answer"]
)
def test_plan_of_what_may_be_another_account_is_looked_at_before_it_is_deleted(account: str | Failure) -> None:
    """The tags are asked for by ARN, the deletion by name: it must be the same account's."""
    said = attempted(deleted(), KEPT, account, observed("canary"), DID)
    assert said.words == ["definition", "account", "look at tags", DELETE]


# -- reads lag, answers get lost --------------------------------------------------------------------------------------


def test_deletion_within_the_lag_of_a_create_waits_and_leaves_nothing() -> None:
    one = going(reported(fresh(), attempted(fresh(), HELD, MADE)))
    said = attempted(one, KEPT, NOTHING, now=NOON + 4 * SECOND)
    assert (said.words, said.reason) == (LOOK, Reason.SETTLING)
    one = reported(one, said, NOON + 4 * SECOND)
    assert one.status.edge_deployment_plan_arn == ARN
    said = attempted(one, KEPT, observed("canary"), DID, now=NOON + 6 * SECOND)
    assert (said.words[-1], said.reason) == (DELETE, Reason.DELETED)


def test_tags_that_are_not_there_yet_prove_nothing_either() -> None:
    one = going(reported(fresh(stages=None), attempted(fresh(stages=None), HELD, MADE)))
    said = attempted(one, KEPT, ACCOUNT, NOT_FOUND, NOTHING, now=NOON + 4 * SECOND)
    assert (said.words, said.reason) == (THEN_LOOK, Reason.SETTLING)
    said = attempted(reported(one, said), KEPT, ACCOUNT, OWN, DID, now=NOON + 6 * SECOND)
    assert said.reason is Reason.DELETED


def test_not_found_is_believed_once_an_unanswered_create_cannot_be_under_way_any_more() -> None:
    one = going(reported(fresh(), attempted(fresh(), HELD, LOST)))
    for seconds in (1, 30, 59):
        said = attempted(one, KEPT, NOTHING, now=NOON + seconds * SECOND)
        assert said.words == LOOK
        assert said.reason is Reason.SETTLING
        assert isinstance(said.outcome, Waiting)
        assert said.outcome.after == min(DOUBT_POLL, SETTLE - seconds * SECOND)
    said = attempted(one, KEPT, observed("canary"), DID, now=NOON + 59 * SECOND)
    assert (said.words, said.reason) == ([*LOOK, DELETE], Reason.SETTLING)  # it may be of another one
    said = attempted(one, KEPT, NOTHING, now=NOON + SETTLE)
    assert said.outcome == Gone(Reason.DELETED, f"no plan {NAME} is left in AWS")


def test_plan_that_shows_is_not_waited_for_however_fresh_the_doubt() -> None:
    one = going(reported(fresh(), attempted(fresh(), HELD, LOST)))
    said = attempted(one, KEPT, observed().at("canary", "STOPPING"), now=NOON + SECOND)
    assert said.reason is Reason.STOPPING_STAGES


def test_deletion_waits_until_an_earlier_create_whose_answer_got_lost_cannot_be_carried_out() -> None:
    """The first create timed out, the second was answered; the first is carried out after the deletion."""
    one = deleted(status=status(settling=settling()))
    said = attempted(one, KEPT, observed("canary"), DID, unanswered_for=20 * SECOND)
    assert (said.words, said.reason) == ([*LOOK, DELETE], Reason.SETTLING)
    one = reported(one, said)
    said = attempted(one, KEPT, NOTHING, now=NOON + 2 * SECOND, unanswered_for=18 * SECOND)
    assert said.reason is Reason.SETTLING
    later = attempted(one, KEPT, NOTHING, now=NOON + 2 * SECOND, starting_for=58 * SECOND)
    assert later.reason is Reason.SETTLING
    known = settling(unanswered=NOON + MINUTE)  # as the status has it, for a process that comes later
    other = deleted(status=status(settling=known, retry=retry(1, NOON)))
    said = attempted(other, KEPT, observed("canary"), DID)
    assert (said.words, said.reason) == ([*LOOK, DELETE], Reason.SETTLING)
    late = observed("canary").but(created=NOON + 10 * SECOND)
    said = attempted(one, KEPT, late, DID, now=NOON + 30 * SECOND)
    assert said.reason is Reason.DELETED


def test_deletion_waits_for_nothing_where_aws_answered_all_since_the_plan_was_deleted_to_be_replaced() -> None:
    away = settling(deleted=True, created_after=NOON)
    one = deleted(status=status(arn=None, settling=away, retry=retry(1, NOON + MINUTE)))
    said = attempted(one, KEPT, NOTHING)
    assert (said.words, said.reason) == (LOOK, Reason.DELETED)
    assert attempted(one, KEPT, NOTHING, alone=False).reason is Reason.SETTLING
    lost = deleted(status=status(arn=None, settling=settling(created_after=NOON), retry=retry(1, NOON + MINUTE)))
    assert attempted(lost, KEPT, NOTHING).reason is Reason.SETTLING


def test_create_of_a_process_that_was_killed_may_be_under_way_after_a_restart() -> None:
    one = deleted(status=status(arn=None))
    said = attempted(one, KEPT, NOTHING, starting_for=50 * SECOND)
    assert (said.words, said.reason) == (LOOK, Reason.SETTLING)
    said = attempted(one, KEPT, NOTHING, starting_for=0 * SECOND)
    assert said.reason is Reason.DELETED


def test_clock_that_jumped_back_makes_no_deletion_wait_longer_than_the_settling_time() -> None:
    one = deleted(status=status(arn=None, settling=settling(NOON + 9999 * MINUTE)))
    said = attempted(one, KEPT, NOTHING)
    assert said.found.settling is not None
    assert said.found.settling.until == NOON + SETTLE
    one = reported(one, said)
    assert attempted(one, KEPT, NOTHING, now=NOON + SETTLE).reason is Reason.DELETED


def test_plan_that_is_known_and_gone_needs_no_more_than_a_look() -> None:
    said = attempted(deleted(), KEPT, ACCOUNT, NOT_FOUND, NOTHING, ACCOUNT)
    assert (said.words, said.reason) == ([*THEN_LOOK, "account"], Reason.DELETED)


def test_deletion_that_was_lost_is_found_done() -> None:
    said = attempted(deleted(), KEPT, ACCOUNT, OWN, LOST)
    assert said.outcome == Retrying(LOST, SECOND / 2, 1)
    one = reported(deleted(), said)
    said = attempted(one, KEPT, NOTHING, ACCOUNT, now=NOON + SECOND)
    assert said.reason is Reason.DELETED


def test_deletion_that_another_operator_made_first_is_looked_at_again() -> None:
    said = attempted(deleted(), KEPT, ACCOUNT, OWN, NOT_FOUND, NOTHING, ACCOUNT)
    assert (said.words[-2:], said.reason) == (["look at tags", "account"], Reason.DELETED)
    said = attempted(deleted(status=status(arn=None)), KEPT, observed("canary"), NOT_FOUND)
    assert isinstance(said.outcome, Retrying)
    said = attempted(reported(deleted(), said), KEPT, NOTHING, ACCOUNT)
    assert said.reason is Reason.DELETED


@pytest.mark.parametrize("kind", FailureKind)
@pytest.mark.parametrize("where", ["look", "call", "account", "tags", "call at once"])
def test_nothing_is_terminal_while_the_object_is_deleted(kind: FailureKind, where: str) -> None:
    broken = failure(kind, "Code", harmless=True)
    look = (broken,) if kind in {FailureKind.TERMINAL, FailureKind.TRANSIENT, FailureKind.UNKNOWN} else ()
    answers = {
        "look": (KEPT, broken),
        "call": (KEPT, observed("canary"), broken),
        "account": (KEPT, NOTHING, broken),
        "tags": (KEPT, ACCOUNT, broken, *look),
        "call at once": (KEPT, ACCOUNT, OWN, broken, *look),
    }[where]
    tried = None if where in {"tags", "call at once"} else retry(1, NOON)
    said = attempted(deleted(status=status(retry=tried)), *answers)
    assert isinstance(said.outcome, Retrying)


# -- what cannot be read ----------------------------------------------------------------------------------------------


def unreadable(*fields: str) -> Resource:
    """A stored spec that the models refuse; all but these fields can be read."""
    text = "spec.newField: unknown field"
    return replace(deleted(), spec=InvalidSpec(text, spec(), tuple(fields)))


def test_stored_spec_with_an_unknown_field_is_deleted_by_what_can_be_read() -> None:
    said = attempted(unreadable("newField"), KEPT, ACCOUNT, OWN, DID)
    assert (said.words[-1], said.reason) == (DELETE, Reason.DELETED)


@pytest.mark.parametrize("missing", ["policy", "target"])
def test_stored_spec_that_hides_what_becomes_of_the_plan_says_what_is_missing(missing: str) -> None:
    said = attempted(unreadable("newField", missing))
    assert said.words == []
    text = "cannot tell what to do with the AWS plan: spec.newField: unknown field"
    assert said.outcome == Stalled(Reason.INVALID_SPEC, text)


def test_deletion_where_the_target_is_refused_says_so_and_waits() -> None:
    said = attempted(deleted(), KEPT, scope=None, refusal="account stores is not known")
    assert (said.words, said.reason) == (["definition"], Reason.TARGET_REFUSED)
    assert (
        "is being deleted, and waits until it can be told what is left in AWS: account stores is not known"
        in said.message
    )
    assert "set policy.deletion to Retain" in said.message


def test_way_to_nothing_is_a_conversation_of_its_own() -> None:
    one = deleted(status=status(retry=retry(1, NOON)))
    said = talk(take_away(one, given()), KEPT, observed("canary"), DID)
    assert said.reason is Reason.DELETED
    broken: Failure = BROKEN
    assert isinstance(talk(take_away(one, given()), KEPT, broken).outcome, Retrying)
    assert isinstance(talk(take_away(one, given()), KEPT, observed("canary"), REFUSED).outcome, Retrying)
