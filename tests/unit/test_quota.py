"""The quota queue: in order of age, one probe, nobody lost."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from controller.domain.actions import CreatePlan, DeletePlan
from controller.domain.agenda import Wake
from controller.domain.outcomes import IN_SYNC, Gone, Outcome, Queued, Retrying, Stalled, Suspended, Waiting
from controller.domain.quota import Place, Ticket
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource, Scope
from controller.engine.quotas import QuotaQueue, Quotas
from tests.unit.builders import MINUTE, NOON, REFUSED_FOR_QUOTA, SCOPE, condition, failure, plan, retry, status

AGES = st.integers(0, 9)


def waits(ahead: int = 0) -> Queued:
    return Queued(ahead, MINUTE, 1, REFUSED_FOR_QUOTA)


def one_creation(one: Resource) -> CreatePlan:
    return CreatePlan(one.plan_name, "fleet", (), (), {})


def ticket(age: int) -> Ticket:
    return Ticket(NOON - age * MINUTE, f"uid-{age}", Key("retail", f"plan-{age}"))


def queue(*ages: int) -> QuotaQueue:
    result = QuotaQueue()
    for age in ages:
        result.join(ticket(age), REFUSED_FOR_QUOTA)
    return result


@given(st.lists(AGES))
def test_queue_is_in_order_of_age_however_they_came(ages: list[int]) -> None:
    waiting = queue(*ages).waiting
    assert [each.uid for each in waiting] == [f"uid-{age}" for age in sorted(set(ages), reverse=True)]


@given(st.lists(AGES, min_size=1), AGES)
def test_exactly_the_oldest_probes(ages: list[int], age: int) -> None:
    waiting = queue(*ages)
    asking = [each for each in map(ticket, set(ages)) if waiting.place(each).ahead == 0]
    assert asking == [waiting.probe]
    ahead, all_of_them = len({each for each in ages if each > age}), len({*ages, age})
    assert waiting.place(ticket(age)) == Place(ahead, all_of_them, REFUSED_FOR_QUOTA)


@given(st.lists(AGES), AGES)
def test_who_leaves_is_gone_and_the_others_keep_their_order(ages: list[int], age: int) -> None:
    rest = queue(*ages)
    behind = rest.leave(ticket(age).key)
    assert ticket(age).key not in rest
    assert rest.waiting == queue(*(each for each in ages if each != age)).waiting
    assert list(behind) == [each for each in rest.waiting if each > ticket(age) and age in ages]


def test_refusal_is_forgotten_when_nobody_waits() -> None:
    one = queue(1)
    assert one.refusal == REFUSED_FOR_QUOTA
    one.leave(ticket(1).key)
    assert one.refusal is None


def test_same_object_made_again_takes_one_place() -> None:
    older, newer = ticket(3), Ticket(NOON, "uid-new", ticket(3).key)
    both = queue()
    for each in (older, newer):
        both.join(each, REFUSED_FOR_QUOTA)
    assert both.waiting == [newer]


def test_nobody_waits_in_an_empty_queue() -> None:
    assert QuotaQueue().probe is None
    assert QuotaQueue().place(ticket(1)) == Place(0, 1, None)


class QuotasMachine(RuleBasedStateMachine):
    """Plans that ask, are refused, let in, or leave, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.woken: list[tuple[Key, Wake]] = []
        self.quotas = Quotas(lambda key, wake: self.woken.append((key, wake)))
        self.model: set[int] = set()

    @rule(age=AGES)
    def asks(self, age: int) -> None:
        one = plan(name=f"plan-{age}", uid=f"uid-{age}", age=age * MINUTE)
        ahead = self.quotas.queue(SCOPE).place(Ticket.of(one)).ahead
        assert ahead == len({each for each in self.model if each > age})
        self.woken.clear()
        self.quotas.settle(SCOPE, one, waits(ahead), ())
        behind = [] if age in self.model else sorted((each for each in self.model if each < age), reverse=True)
        assert self.woken == [(Key("retail", f"plan-{each}"), Wake.QUOTA) for each in behind]
        self.model.add(age)

    @rule(age=AGES)
    def is_admitted(self, age: int) -> None:
        self.woken.clear()
        one = plan(name=f"plan-{age}", uid=f"uid-{age}", age=age * MINUTE)
        self.quotas.settle(SCOPE, one, IN_SYNC, (one_creation(one),))
        behind = sorted((each for each in self.model if each < age), reverse=True) if age in self.model else []
        assert self.woken == [(Key("retail", f"plan-{each}"), Wake.QUOTA) for each in behind]
        self.model.discard(age)

    @rule(age=AGES)
    def leaves(self, age: int) -> None:
        self.woken.clear()
        self.quotas.leave(Key("retail", f"plan-{age}"))
        assert bool(self.woken) == (age in self.model and min(self.model) < age)
        self.model.discard(age)

    @rule()
    def a_plan_goes(self) -> None:
        self.woken.clear()
        self.quotas.freed(SCOPE)
        assert self.woken == ([(Key("retail", f"plan-{max(self.model)}"), Wake.QUOTA)] if self.model else [])

    @invariant()
    def queue_is_the_model_in_order_of_age(self) -> None:
        waiting = [each.uid for each in self.quotas.queue(SCOPE).waiting]
        assert waiting == [f"uid-{age}" for age in sorted(self.model, reverse=True)]


TestQuotasMachine = QuotasMachine.TestCase


def test_queues_of_two_places_do_not_know_each_other() -> None:
    quotas = Quotas(lambda _key, _wake: None)
    quotas.settle(SCOPE, plan(), waits(), ())
    assert quotas.queue(Scope("default", "us-east-1")).waiting == []


@pytest.mark.parametrize(
    "outcome",
    [
        Retrying(failure(), MINUTE, 1),
        Stalled(Reason.REFUSED_BY_AWS, "AWS refuses CreateEdgeDeploymentPlan", failure()),
        Suspended(),
        Waiting(MINUTE, Reason.SETTLING, ""),
    ],
)
def test_head_that_is_kept_out_by_something_else_than_quota_holds_nobody_up(outcome: Outcome) -> None:
    woken: list[Key] = []
    quotas = Quotas(lambda key, _wake: woken.append(key))
    head, behind = plan(name="head", uid="uid-1", age=MINUTE), plan(name="behind", uid="uid-2")
    for ahead, one in enumerate((head, behind)):
        quotas.settle(SCOPE, one, waits(ahead), ())
    quotas.settle(SCOPE, head, outcome, ())
    assert quotas.queue(SCOPE).probe == Ticket.of(behind)
    assert woken == [behind.key]


def test_plan_that_goes_makes_the_probe_ask_and_one_that_is_replaced_does_not() -> None:
    woken: list[Key] = []
    quotas = Quotas(lambda key, _wake: woken.append(key))
    waiting, other = plan(name="waiting", uid="uid-1"), plan(name="other", uid="uid-2")
    quotas.settle(SCOPE, waiting, waits(), ())
    quotas.settle(SCOPE, other, IN_SYNC, (DeletePlan("other"), one_creation(other)))
    assert woken == []
    quotas.settle(SCOPE, other, Gone(Reason.DELETED, ""), (DeletePlan("other"),))
    assert woken == [waiting.key]


def test_place_in_the_queue_survives_a_restart() -> None:
    quotas = Quotas(lambda _key, _wake: None)
    condition_ = condition("ResourceLimitExceeded", message="waiting for quota behind 1 plan: The limit is 3")
    for age in (1, 2, 3):
        refused = retry(4, NOON, "ResourceLimitExceeded") if age == 3 else None
        before = status(arn=None, conditions=(condition_,), retry=refused)
        quotas.resume(SCOPE, plan(name=f"plan-{age}", uid=f"uid-{age}", age=age * MINUTE, status=before))
    assert [each.uid for each in quotas.queue(SCOPE).waiting] == ["uid-3", "uid-2", "uid-1"]
    refusal = quotas.queue(SCOPE).refusal
    assert refusal is not None
    assert refusal.code == "ResourceLimitExceeded"


def test_only_who_waited_for_quota_comes_back_into_the_queue() -> None:
    quotas = Quotas(lambda _key, _wake: None)
    waited = status(arn=None, conditions=(condition("ResourceLimitExceeded"),))
    quotas.resume(SCOPE, plan(status=status(arn=None)))
    quotas.resume(SCOPE, plan(status=status(conditions=(condition("ResourceLimitExceeded", "False"),))))
    quotas.resume(SCOPE, plan(deleting=True, status=waited))
    quotas.resume(SCOPE, plan(suspend=True, status=waited))
    quotas.resume(SCOPE, plan(policy={"management": "Observe"}, status=waited))
    quotas.resume(SCOPE, plan(invalid="deviceFleetName: Required value", status=waited))
    failing = status(arn=None, conditions=(condition("ResourceLimitExceeded"),), retry=retry(1, NOON))
    quotas.resume(SCOPE, plan(status=failing))  # something else keeps it out now, though quota was the last word on it
    assert quotas.queue(SCOPE).waiting == []


def test_plan_that_another_operator_let_in_leaves_the_queue_and_those_behind_move_up() -> None:
    woken: list[Key] = []
    quotas = Quotas(lambda key, _wake: woken.append(key))
    waited = status(arn=None, conditions=(condition("ResourceLimitExceeded", message="first: The limit is 3"),))
    first, second = plan(uid="uid-1", age=MINUTE, status=waited), plan(name="second", uid="uid-2", status=waited)
    quotas.resume(SCOPE, first)
    quotas.resume(SCOPE, second)
    woken.clear()
    quotas.resume(SCOPE, plan(uid="uid-1", age=MINUTE, status=status()))
    assert [each.uid for each in quotas.queue(SCOPE).waiting] == ["uid-2"]
    assert woken == [second.key]


def test_at_most_twenty_are_told_of_their_new_place() -> None:
    woken: list[Key] = []
    quotas = Quotas(lambda key, _wake: woken.append(key))
    for number in range(100):
        one = plan(name=f"plan-{number}", uid=f"uid-{number}", age=timedelta(hours=-number))
        quotas.settle(SCOPE, one, waits(number), ())
    quotas.settle(SCOPE, plan(name="plan-0", uid="uid-0"), IN_SYNC, ())
    assert [key.name for key in woken] == [f"plan-{number}" for number in range(1, 21)]


def test_place_that_was_counted_before_others_came_is_counted_again() -> None:
    woken: list[Key] = []
    quotas = Quotas(lambda key, _wake: woken.append(key))
    older, younger = plan(name="older", uid="uid-1", age=MINUTE), plan(name="younger", uid="uid-2")
    quotas.settle(SCOPE, older, waits(), ())
    quotas.settle(SCOPE, younger, waits(0), ())  # it asked before the older one was refused
    assert woken == [younger.key]
