"""Who may have which plan: two objects of one name, strangers, former lives, rights, and where the plan is."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.domain.agenda import Wake
from controller.domain.api import OWNER_TAG
from controller.domain.conversation import Exists
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import IN_SYNC, Retrying
from controller.domain.ownership import Owner, Reach, Rights
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource, Scope
from tests.unit.builders import (
    ACCOUNT,
    ARN,
    MINUTE,
    NAME,
    NOON,
    OWNER,
    condition,
    fresh,
    observed,
    plan,
    retry,
    settling,
    status,
)
from tests.unit.dialogue import (
    ANNOUNCED,
    BROKEN,
    DENIED,
    DID,
    HELD,
    IN_USE,
    MADE,
    NOTHING,
    attempted,
    reported,
)

ADOPT = {"adoption": "Adopt"}
NAME_WAKE = frozenset({Wake.NAME})
DRIFT = frozenset({Wake.DRIFT})


def tagged(owner: Owner | None) -> ObservedPlan:
    return observed("canary").tagged({} if owner is None else {OWNER_TAG: owner.tag_value})


def namesake(name: str, *, uid: str, age: int = 0, **fields: object) -> Resource:
    """Another object that names the same plan."""
    more: dict[str, object] = {"edgeDeploymentPlanName": NAME, "age": age * MINUTE} | fields
    return plan("canary", name=name, uid=uid, **more)  # type: ignore[arg-type]


OLDER = namesake("older", uid="uid-0", age=5)
YOUNGER = namesake("younger", uid="uid-2", age=-5)


# -- two objects, one name --------------------------------------------------------------------------------------------


def test_younger_object_of_one_name_makes_no_call_and_names_the_holder() -> None:
    talk = attempted(fresh(), namesakes=(OLDER,))
    assert talk.words == []
    assert talk.reason is Reason.NAME_CONFLICT
    assert talk.message == (
        f"the AWS plan {NAME} is held by the object retail/older; delete this object and create one with another "
        "edgeDeploymentPlanName"
    )
    assert talk.result.untouched


def test_object_whose_plan_is_away_to_be_replaced_keeps_its_name_before_an_older_one() -> None:
    away = plan("canary", status=status(arn=None, replacing_since=NOON, retry=retry(1, NOON)))
    talk = attempted(away, MADE, namesakes=(OLDER,))
    assert talk.words[-1] == "CreatePlan"
    other = replace(YOUNGER, status=away.status)
    assert attempted(fresh(), namesakes=(other,)).reason is Reason.NAME_CONFLICT


def test_holder_of_another_namespace_is_not_named() -> None:
    stranger = replace(OLDER, key=Key("kiosks", "secret"))
    for talk in (
        attempted(fresh(), namesakes=(stranger,)),
        attempted(plan("canary"), IN_USE, observed("canary").tagged({OWNER_TAG: "cluster-1/kiosks/secret/uid-0"})),
    ):
        assert "an object of another namespace" in talk.message
        assert "kiosks" not in talk.message
        assert "secret" not in talk.message


def test_older_object_of_one_name_creates() -> None:
    talk = attempted(fresh(), HELD, MADE, namesakes=(YOUNGER,))
    assert talk.words == ["hold", "CreatePlan"]


def test_object_that_has_the_plan_holds_it_against_an_older_one() -> None:
    talk = attempted(fresh(), namesakes=(namesake("younger", uid="uid-2", age=-5, status=status()),))
    assert (talk.words, talk.reason) == ([], Reason.NAME_CONFLICT)


@pytest.mark.parametrize("uids", list(itertools.permutations(["uid-0", "uid-1", "uid-2"])))
def test_of_objects_made_in_one_second_exactly_one_holds(uids: tuple[str, ...]) -> None:
    everyone = [fresh(name=f"plan-{uid}", uid=uid, edgeDeploymentPlanName=NAME) for uid in uids]
    holders = []
    for one in everyone:
        others = tuple(each for each in everyone if each is not one)
        answers = (HELD, MADE) if one.uid == "uid-0" else ()
        if attempted(one, *answers, namesakes=others).outcome == IN_SYNC:
            holders.append(one.uid)
    assert holders == ["uid-0"]


def test_loser_of_one_name_takes_over_when_the_holder_goes() -> None:
    one = fresh()
    one = reported(one, attempted(one, namesakes=(OLDER,)))
    talk = attempted(one, HELD, NOTHING, MADE, wakes=NAME_WAKE, untouched=True)
    assert (talk.words, talk.outcome) == (["hold", "look at tags", "CreatePlan"], IN_SYNC)


def test_object_that_made_the_plan_holds_it_whatever_its_age_because_the_tag_names_it() -> None:
    """Its status did not say so yet: killed between the create and the write."""
    talk = attempted(plan("canary"), tagged(OWNER), namesakes=(OLDER,))
    assert talk.words == ["look at tags"]
    assert talk.outcome == IN_SYNC
    assert talk.found.arn == ARN


@pytest.mark.parametrize(
    "there", [None, tagged(None), tagged(Owner(OWNER.cluster, "retail", "older", "uid-0"))], ids=["none", "hand", "its"]
)
def test_younger_object_that_may_have_called_looks_before_it_stands_back(there: ObservedPlan | None) -> None:
    talk = attempted(plan("canary"), there, namesakes=(OLDER,))
    assert (talk.words, talk.reason) == (["look at tags"], Reason.NAME_CONFLICT)


def test_object_that_looked_whether_it_holds_its_name_does_not_look_twice() -> None:
    holder = namesake("older", uid="uid-0", age=5, status=status())
    talk = attempted(plan("canary", status=status()), tagged(OWNER), namesakes=(holder,))
    assert (talk.words, talk.outcome) == (["look at tags"], IN_SYNC)


def test_stranger_is_told_from_a_namesake() -> None:
    stranger = Owner(OWNER.cluster, "retail", "stranger", "uid-5")
    talk = attempted(fresh(), HELD, IN_USE, tagged(stranger), namesakes=(YOUNGER,))
    assert talk.reason is Reason.NOT_OWNED
    assert "retail/stranger" in talk.message


def test_failed_look_of_a_younger_object_is_a_failed_look() -> None:
    talk = attempted(plan("canary"), BROKEN, namesakes=(OLDER,))
    assert (talk.words, isinstance(talk.outcome, Retrying)) == (["look at tags"], True)


def test_object_whose_plan_the_tag_gives_to_a_namesake_names_it_instead_of_a_stranger() -> None:
    """Both applied in the same second; `Adopt` could not help."""
    winner = namesake("winner", uid="uid-2", age=-5)
    talk = attempted(
        fresh(), HELD, IN_USE, tagged(Owner(OWNER.cluster, "retail", "winner", "uid-2")), namesakes=(winner,)
    )
    assert talk.reason is Reason.NAME_CONFLICT
    assert "retail/winner" in talk.message


def test_object_that_only_observes_stands_back_for_nobody() -> None:
    one = fresh(policy={"management": "Observe"})
    talk = attempted(one, observed("canary").tagged({}), namesakes=(OLDER,))
    assert (talk.words, talk.reason if talk.outcome == IN_SYNC else None) == (["look at tags"], None)


# -- strangers and rights ---------------------------------------------------------------------------------------------

NEIGHBOUR = Owner(OWNER.cluster, "retail", "other", "uid-7")
OTHER_NAMESPACE = Owner(OWNER.cluster, "stores", "other", "uid-8")
OTHER_CLUSTER = Owner("cluster-2", "retail", "other", "uid-9")


def test_plan_of_an_object_that_lives_is_never_adopted() -> None:
    talk = attempted(plan("canary", policy=ADOPT), IN_USE, tagged(NEIGHBOUR), True)
    assert talk.words == ["CreatePlan", "look at tags", "exists retail/other"]
    assert isinstance(talk.requests[-1], Exists)
    assert talk.requests[-1].owner == NEIGHBOUR
    assert talk.reason is Reason.NOT_OWNED
    assert "delete the object that it belongs to" in talk.message


def test_plan_of_an_object_that_is_gone_is_adopted_in_its_own_namespace() -> None:
    talk = attempted(plan("canary", policy=ADOPT), IN_USE, tagged(NEIGHBOUR), False, ANNOUNCED, DID)
    assert talk.words[-1].startswith("AddTags(")
    assert talk.outcome == IN_SYNC


@pytest.mark.parametrize(
    ("owner", "reach"), [(OTHER_NAMESPACE, Reach.UNOWNED), (OTHER_CLUSTER, Reach.CLUSTER), (None, Reach.OWN)]
)
def test_plan_that_the_namespace_may_not_adopt_is_left_alone(owner: Owner | None, reach: Reach) -> None:
    answers = (False,) if owner == OTHER_NAMESPACE else ()
    talk = attempted(plan("canary", policy=ADOPT), IN_USE, tagged(owner), *answers, rights=Rights(adopt=reach))
    assert talk.reason is Reason.NOT_PERMITTED
    assert "spec.policy.adoption Adopt: namespace retail is not permitted to take it over" in talk.message
    needed = {OTHER_NAMESPACE: "cluster", OTHER_CLUSTER: "any", None: "unowned"}[owner]
    assert f"needs `adopt` for plans `{needed}`" in talk.message


@pytest.mark.parametrize(
    ("owner", "reach"), [(OTHER_NAMESPACE, Reach.CLUSTER), (OTHER_CLUSTER, Reach.ANY), (None, Reach.UNOWNED)]
)
def test_plan_that_the_namespace_may_adopt_is_tagged(owner: Owner | None, reach: Reach) -> None:
    answers = (False,) if owner == OTHER_NAMESPACE else ()
    talk = attempted(
        plan("canary", policy=ADOPT), IN_USE, tagged(owner), *answers, ANNOUNCED, DID, rights=Rights(adopt=reach)
    )
    assert talk.outcome == IN_SYNC


def test_owner_whose_name_the_tag_has_cut_counts_as_living() -> None:
    cut = Owner(OWNER.cluster, "retail", "g" * 200, "uid-7")
    talk = attempted(plan("canary", policy=ADOPT), IN_USE, tagged(cut))
    assert (talk.words, talk.reason) == (["CreatePlan", "look at tags"], Reason.NOT_OWNED)


def test_former_life_of_the_object_is_not_asked_for() -> None:
    former = Owner(OWNER.cluster, OWNER.namespace, OWNER.name, "uid-0")
    talk = attempted(plan("canary", policy=ADOPT), IN_USE, tagged(former), ANNOUNCED, DID)
    assert [word for word in talk.words if "exists" in word] == []
    assert talk.outcome == IN_SYNC


def test_plan_made_by_hand_in_place_of_ours_is_never_taken_for_ours() -> None:
    """It has the same ARN. What the first look saw of it must not make it a known one at the second."""
    one = plan("canary", status=status(conditions=(condition("Ready"),)))
    by_hand = replace(tagged(None), created=NOON + MINUTE, modified=NOON + MINUTE)
    for _ in range(3):
        talk = attempted(one, by_hand, wakes=DRIFT, now=NOON + 5 * MINUTE)
        assert (talk.words, talk.reason) == (["look at tags"], Reason.NOT_OWNED)
        one = reported(one, talk)
        assert not one.status.has_plan


def test_plan_that_somebody_took_and_whose_tag_then_went_is_not_ours_again() -> None:
    elsewhere = Owner("cluster-2", "retail", "z", "uid-z")
    one = plan("canary", status=status(conditions=(condition("Ready"),)))
    theirs = replace(tagged(elsewhere), created=NOON + MINUTE, modified=NOON + MINUTE)
    talk = attempted(one, theirs, wakes=DRIFT, now=NOON + 5 * MINUTE)
    assert talk.reason is Reason.OWNERSHIP_LOST
    talk = attempted(reported(one, talk), replace(theirs, tags={}), wakes=DRIFT, now=NOON + 6 * MINUTE)
    assert (talk.words, talk.reason) == (["look at tags"], Reason.NOT_OWNED)


def test_plan_that_another_cluster_took_is_not_taken_back() -> None:
    rights = Rights(adopt=Reach.ANY)
    talk = attempted(plan("canary", policy=ADOPT, generation=2, status=status()), tagged(OTHER_CLUSTER), rights=rights)
    assert talk.reason is Reason.OWNERSHIP_LOST
    assert "delete this object, the plan stays" in talk.message


# -- where the plan is ------------------------------------------------------------------------------------------------

ELSEWHERE = Scope("default", "us-east-1")


def test_status_arn_in_another_region_stalls_and_names_both() -> None:
    talk = attempted(plan("canary", status=status()), scope=ELSEWHERE)
    assert (talk.words, talk.reason) == ([], Reason.PLAN_ELSEWHERE)
    assert ARN in talk.message
    assert "the operator now works in region us-east-1" in talk.message


def test_deletion_waits_while_the_status_arn_is_in_another_region() -> None:
    talk = attempted(plan("canary", deleting=True, status=status()), False, scope=ELSEWHERE)
    assert (talk.words, talk.reason) == (["definition"], Reason.PLAN_ELSEWHERE)


@pytest.mark.parametrize("deleting", [False, True])
def test_not_found_in_another_account_stalls_and_names_both(deleting: bool) -> None:
    one = plan("canary", deleting=deleting, status=status())
    talk = attempted(one, *((False, "999999999999") if deleting else ()), NOTHING, "999999999999")
    assert talk.words[-1] == "account"
    assert talk.reason is Reason.PLAN_ELSEWHERE
    assert ARN in talk.message
    assert "account 999999999999" in talk.message
    assert reported(one, talk).status.edge_deployment_plan_arn == ARN


def test_plan_of_that_name_in_another_account_is_another_plan() -> None:
    there = observed("canary").but(arn=ARN.replace(ACCOUNT, "999999999999"))
    talk = attempted(plan("canary", status=status()), there)
    assert (talk.words, talk.reason) == (["look"], Reason.PLAN_ELSEWHERE)


def test_account_that_cannot_be_told_is_asked_again_and_nothing_is_created() -> None:
    talk = attempted(plan("canary", status=status()), NOTHING, DENIED)
    assert talk.words == ["look", "account"]
    assert isinstance(talk.outcome, Retrying)


def test_operator_that_is_pointed_back_goes_on() -> None:
    one = plan("canary", status=status())
    one = reported(one, attempted(one, scope=ELSEWHERE))
    talk = attempted(one, observed("canary"), wakes=DRIFT)
    assert talk.outcome == IN_SYNC


def test_arn_of_another_form_raises_no_doubt_about_its_place() -> None:
    one = plan("canary", status=status(arn="arn"))
    talk = attempted(one, observed("canary").but(arn="arn"))
    assert talk.outcome == IN_SYNC


def test_successor_starts_from_nothing() -> None:
    """An object replaced by force: its status is empty, the plan's tag names the former uid."""
    former = Owner(OWNER.cluster, OWNER.namespace, OWNER.name, "uid-0")
    talk = attempted(fresh(), HELD, IN_USE, tagged(former), ANNOUNCED, DID)
    assert talk.words[:3] == ["hold", "CreatePlan", "look at tags"]
    assert (talk.words[-1], talk.outcome) == (f"AddTags({OWNER_TAG}={OWNER.tag_value})", IN_SYNC)


def test_conflict_that_does_not_hold_any_more_is_looked_at() -> None:
    stalled = status(arn=None, conditions=(condition("Stalled", reason=Reason.NAME_CONFLICT),), settling=settling())
    talk = attempted(replace(plan("canary"), status=stalled), NOTHING, MADE, now=NOON + timedelta(seconds=90))
    assert (talk.words, talk.outcome) == (["look at tags", "CreatePlan"], IN_SYNC)
