"""What was noticed and could not be carried out yet is kept in status: an edit of the spec, a request by annotation."""

from datetime import timedelta

import pytest

from controller.domain.conversation import Announce
from controller.domain.failures import Failure
from controller.domain.outcomes import Retrying
from controller.domain.reasons import Reason
from controller.domain.resource import Resource
from controller.domain.status import OwedWork
from tests.unit.builders import NOON, condition, observed, plan, rollout, stage, status
from tests.unit.dialogue import ANNOUNCED, BROKEN, DENIED, DID, LOST, NOTHING, THROTTLED, attempted, reported

SECOND = timedelta(seconds=1)
FAILED = observed().at("canary", "FAILED")
STOPPING = observed().at("canary", "STOPPING")
STOPPED = observed().at("canary", "STOPPED")
FAILURES = pytest.mark.parametrize("broken", [LOST, BROKEN, DENIED, THROTTLED], ids=lambda each: each.code)


def rolling(**fields: object) -> Resource:
    before = status(conditions=(condition("Ready"),))
    return plan("canary", **{"rollout": rollout(), "status": before} | fields)  # type: ignore[arg-type]


@FAILURES
def test_request_survives_a_look_that_failed_and_a_restart(broken: Failure) -> None:
    one = rolling(requested="again")
    talk = attempted(one, broken)
    assert talk.result.owed == ("Request",)
    one = reported(one, talk)
    assert (one.asked, one.status.owed) == (False, ("Request",))
    talk = attempted(one, FAILED, ANNOUNCED, DID, now=NOON + SECOND)
    assert talk.words[-1] == "StartStage(canary)"
    assert talk.result.owed == ()
    assert reported(one, talk).status.owed is None


@FAILURES
def test_request_survives_a_start_that_failed(broken: Failure) -> None:
    one = rolling(requested="again")
    talk = attempted(one, FAILED, ANNOUNCED, broken)
    assert talk.result.owed == ("Request",)
    assert isinstance(talk.outcome, Retrying)


@pytest.mark.parametrize(
    ("fields", "owed"),
    [
        ({"generation": 2}, ("Edit",)),
        ({"requested": "again"}, ("Request",)),
        ({"generation": 2, "requested": "again"}, ("Edit", "Request")),
    ],
    ids=["edit", "request", "both"],
)
def test_edit_and_request_that_meet_a_stopping_stage_are_carried_out_once_it_has_stopped(
    fields: dict[str, object], owed: OwedWork
) -> None:
    one = rolling(**fields)
    talk = attempted(one, STOPPING)
    assert (talk.reason, talk.result.owed) == (Reason.STOPPING_STAGE, owed)
    one = reported(one, talk)
    talk = attempted(one, STOPPED, ANNOUNCED, DID, now=NOON + 2 * SECOND)
    assert talk.words[-1] == "StartStage(canary)"
    assert reported(one, talk).status.owed is None


def test_edit_that_waits_for_an_active_stage_is_owed() -> None:
    talk = attempted(plan(stage("canary", 20), generation=2, status=status()), observed().at("canary", "INPROGRESS"))
    assert (talk.reason, talk.result.owed) == (Reason.STAGE_ACTIVE, ("Edit",))


def test_edit_is_owed_while_aws_does_not_show_what_was_changed_before() -> None:
    before = status(settling={"until": NOON + 60 * SECOND, "modifiedAfter": NOON})
    talk = attempted(plan("canary", "fleet", generation=2, status=before), observed("canary"))
    assert (talk.reason, talk.result.owed) == (Reason.SETTLING, ("Edit",))


def test_what_is_owed_is_announced_with_the_call_that_carries_it_out() -> None:
    talk = attempted(rolling(requested="again"), FAILED, ANNOUNCED, DID)
    (note,) = [request for request in talk.requests if isinstance(request, Announce)]
    assert note.owed == ("Request",)


def test_edit_that_is_done_is_owed_no_more() -> None:
    talk = attempted(rolling(generation=2), observed().at("canary", "INPROGRESS"))
    assert (talk.reason, talk.result.owed) == (Reason.ROLLOUT_PROGRESSING, ())


def test_object_that_owes_is_looked_at_with_tags() -> None:
    one = rolling(status=status(conditions=(condition("Ready"),), owed=("Edit",)))
    assert attempted(one, observed().at("canary", "INPROGRESS")).words == ["look at tags"]


def test_what_is_owed_does_not_outlive_the_object() -> None:
    one = plan("canary", deleting=True, generation=2, status=status())
    talk = attempted(one, False, "123456789012", {}, NOTHING, "123456789012")
    assert talk.result.owed == ()


def test_request_beside_an_edit_is_carried_out_in_the_same_attempt() -> None:
    """The edit adds a stage, the annotation asks for the one that failed."""
    one = plan("canary", "fleet", rollout=rollout(), generation=2, requested="again", status=status())
    both = FAILED.at("fleet", "READYTODEPLOY").but(modified=NOON + SECOND)
    talk = attempted(one, FAILED, DID, both, ANNOUNCED, DID)
    assert talk.words == [
        "look at tags",
        "CreateStages(fleet)",
        "look",
        "announce RolloutProgressing",
        "StartStage(canary)",
    ]


def test_request_beside_an_edit_is_owed_while_the_change_does_not_show_yet() -> None:
    one = plan("canary", "fleet", rollout=rollout(), generation=2, requested="again", status=status())
    talk = attempted(one, FAILED, DID, FAILED)
    assert (talk.reason, talk.result.owed) == (Reason.SETTLING, ("Edit", "Request"))
