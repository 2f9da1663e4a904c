"""A share of quota: how many plans a namespace may have, who of it goes first, and what those that wait are told."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.actions import DeletePlan
from controller.domain.agenda import Wake
from controller.domain.api import OWNER_TAG
from controller.domain.outcomes import IN_SYNC
from controller.domain.ownership import Rights
from controller.domain.quota import goes_before, remembered_refusal
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource
from controller.domain.status import EdgeDeploymentPlanStatus
from tests.unit.builders import (
    ACCOUNT,
    MINUTE,
    NAME,
    NOON,
    OWNER,
    SCOPE,
    condition,
    fresh,
    observed,
    plan,
    retry,
    settling,
    status,
)
from tests.unit.dialogue import ANNOUNCED, DID, HELD, MADE, THERE, attempted, reported
from tests.unit.ports import MemoryAccounts
from tests.unit.test_reconciler import Loop

ONE = Rights(share=1)
NO_PLAN = status(arn=None, generation=1)
HAS = status()


def aged(age: int, known: EdgeDeploymentPlanStatus = NO_PLAN, **fields: Any) -> Resource:
    return plan(name=f"plan-{age}", uid=f"uid-{age}", age=age * MINUTE, status=known, **fields)


def stalled(reason: Reason) -> EdgeDeploymentPlanStatus:
    return status(arn=None, conditions=(condition("Stalled", reason=reason),))


# -- the rule ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "before"),
    [
        (aged(1, HAS), True),
        (aged(9), True),
        (aged(1), False),
        (aged(1, status(arn=None, settling=settling())), True),
        (aged(9, stalled(Reason.NOT_OWNED)), False),
        (aged(9, status(arn=None, retry=retry(3, NOON, "ResourceNotFound"))), False),
        (aged(9, status(arn=None, retry=retry(3, NOON, "ResourceLimitExceeded"))), True),
        (aged(9, suspend=True), False),
        (aged(1, HAS, suspend=True), True),
        (aged(9, HAS, policy={"management": "Observe"}), False),
        (aged(9, NO_PLAN, deleting=True), False),
        (aged(9, HAS, deleting=True), True),
    ],
)
def test_who_comes_before_an_object_that_wants_a_plan(other: Resource, *, before: bool) -> None:
    assert goes_before(other, aged(5), on_its_way=False) is before


def test_who_is_on_its_way_comes_before_the_older() -> None:
    assert goes_before(aged(1), aged(5), on_its_way=True)


@pytest.mark.parametrize("known", [HAS, status(arn=None, settling=settling())])
def test_nobody_who_waits_comes_before_an_object_that_has_or_just_had_a_plan(known: EdgeDeploymentPlanStatus) -> None:
    assert not goes_before(aged(9), aged(5, known), on_its_way=False)
    assert goes_before(aged(9, HAS), aged(5, known), on_its_way=False)


@given(have=st.sets(st.integers(0, 12)), want=st.sets(st.integers(0, 12)), share=st.integers(0, 8))
def test_no_more_are_let_in_than_the_share_has_room_for_and_the_oldest_of_them(
    have: set[int], want: set[int], share: int
) -> None:
    resources = [aged(age, HAS) for age in have] + [aged(age) for age in want - have]
    let_in = {
        one.key.name
        for one in resources
        if not one.status.has_plan
        and sum(goes_before(other, one, on_its_way=False) for other in resources if other is not one) < share
    }
    room = max(0, share - len(have))
    assert let_in == {f"plan-{age}" for age in sorted(want - have, reverse=True)[:room]}


# -- the attempt ------------------------------------------------------------------------------------------------------


def test_object_over_the_share_waits_without_a_call_and_is_told_whose_limit_it_is() -> None:
    talk = attempted(fresh(), HELD, rights=ONE, over_share=True)
    assert (talk.words, talk.reason) == (["hold"], Reason.SHARE_USED)
    said = reported(fresh(), talk).status.condition("ResourceLimitExceeded")
    assert said is not None
    assert (said.status, said.reason) == ("True", "ShareUsed")
    assert said.message == (
        "namespace retail may have 1 plans in this account and region, and as many come before this one: a share that whoever "
        "runs the operator has set, not AWS's limit"
    )
    assert [each.type for each in reported(fresh(), talk).status.conditions or ()] == [
        "Ready",
        "Reconciling",
        "ResourceLimitExceeded",
    ]


def test_object_within_the_share_is_created() -> None:
    talk = attempted(fresh(), HELD, MADE, rights=Rights(share=2))
    assert (talk.words[0], talk.outcome) == ("hold", IN_SYNC)


def test_plan_is_not_deleted_for_one_that_could_not_be_created() -> None:
    """The administrator made the share smaller."""
    known = plan("canary", deviceFleetName="other", policy={"replacement": "Recreate"}, generation=2, status=status())
    talk = attempted(known, observed("canary"), THERE, rights=ONE, over_share=True)
    assert (talk.words[:1], talk.reason) == (["look at tags"], Reason.SHARE_USED)
    assert not any(isinstance(request, DeletePlan) for request in talk.requests)
    talk = attempted(known, observed("canary"), THERE, ANNOUNCED, DID, ANNOUNCED, MADE, rights=ONE)
    assert any(isinstance(request, DeletePlan) for request in talk.requests)


def test_object_over_the_share_is_deleted_like_any_other() -> None:
    one = plan("canary", status=status(), deleting=True)
    talk = attempted(one, False, ACCOUNT, {OWNER_TAG: OWNER.tag_value}, DID, rights=ONE, over_share=True)
    assert talk.words[-1].startswith("DeletePlan")


def test_wait_for_the_share_is_no_place_in_the_queue_for_awss_quota() -> None:
    one = reported(fresh(), attempted(fresh(), HELD, rights=ONE, over_share=True))
    assert one.status.is_true("ResourceLimitExceeded")
    assert remembered_refusal(one) is None


# -- the loop ---------------------------------------------------------------------------------------------------------


def sharing(*resources: Resource, share: int = 1) -> Loop:
    loop = Loop(*resources)
    accounts = MemoryAccounts(loop.aws, Rights(share=share))
    loop.news.accounts = loop.process.accounts = accounts
    for one in resources:
        loop.news.seen(one)
        loop.index.set_scope(one, SCOPE)
    loop.woken.clear()
    return loop


OLDER, YOUNGER = fresh(age=MINUTE), fresh(name="younger", uid="uid-2")


def test_younger_object_waits_for_the_older_and_moves_up_when_that_goes() -> None:
    loop = sharing(OLDER, YOUNGER)
    assert loop.reconcile(YOUNGER.key) == timedelta(seconds=45)
    assert (loop.aws.calls, loop.ready(YOUNGER.key).reason) == ([], "ShareUsed")
    loop.reconcile(OLDER.key)
    assert loop.ready(OLDER.key).status == "True"
    loop.woken.clear()
    loop.news.gone(loop.objects.there.pop(OLDER.key))
    assert (YOUNGER.key, Wake.QUOTA) in loop.woken
    for ghost in loop.index.ghosts():
        loop.index.exorcise(ghost)
    loop.reconcile(YOUNGER.key, frozenset({Wake.QUOTA}))
    assert loop.ready(YOUNGER.key).status == "True"
    assert not loop.status(YOUNGER.key).is_true("ResourceLimitExceeded")


def test_place_that_became_free_before_the_next_one_stood_in_the_line_is_not_missed() -> None:
    """Its status was being written when the older one went, so that nobody knew yet whom to wake."""
    loop = sharing(OLDER, YOUNGER)
    loop.reconcile(YOUNGER.key)
    assert (YOUNGER.key, Wake.QUOTA) in loop.woken
    loop.woken.clear()
    loop.reconcile(YOUNGER.key, frozenset({Wake.QUOTA}))
    assert loop.woken == [], "once is enough"


def test_place_that_becomes_free_while_the_first_of_the_line_is_let_in_is_the_next_ones() -> None:
    """Of each place that becomes free the first is told; by then it may have one already."""
    youngest = fresh(name="youngest", uid="uid-3")
    loop = sharing(OLDER, YOUNGER, youngest)
    for each in (YOUNGER, youngest):
        loop.reconcile(each.key)
    loop.news.gone(loop.objects.there.pop(OLDER.key))
    loop.woken.clear()
    loop.reconcile(YOUNGER.key, frozenset({Wake.QUOTA}))
    assert loop.ready(YOUNGER.key).status == "True"
    assert (youngest.key, Wake.QUOTA) in loop.woken


def test_neighbours_share_is_another_one() -> None:
    neighbour = replace(OLDER, key=Key("kitchen", NAME), uid="uid-3", status=HAS)
    loop = sharing(neighbour, YOUNGER)
    loop.reconcile(YOUNGER.key)
    assert loop.ready(YOUNGER.key).status == "True"


def test_older_object_that_comes_while_the_younger_is_created_waits() -> None:
    loop = sharing(YOUNGER)
    seen: list[bool] = []

    def comes() -> None:
        loop.news.seen(OLDER)
        loop.index.set_scope(OLDER, SCOPE)
        seen.append(loop.process._over_share(OLDER, SCOPE, 1))

    loop.meanwhile("CreatePlan", comes)
    loop.reconcile(YOUNGER.key)
    assert seen == [True]
    assert loop.process._over_share(OLDER, SCOPE, 1)  # by its ARN from now on


def test_object_that_waits_for_the_share_holds_nobody_in_the_queue_for_awss_quota() -> None:
    loop = sharing(OLDER, YOUNGER)
    loop.reconcile(YOUNGER.key)
    assert loop.quotas.queue(SCOPE).probe is None
