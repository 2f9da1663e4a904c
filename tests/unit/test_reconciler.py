"""The loop around the attempt: what comes in between, who goes meanwhile, and what is written down."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from controller.domain.agenda import Wake
from controller.domain.api import FINALIZER, OWNER_TAG
from controller.domain.failures import FailureKind
from controller.domain.ownership import Owner
from controller.domain.quota import Ticket
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource
from controller.domain.schedule import DOUBT_POLL, STAGE_POLL
from controller.domain.status import Claim, Condition, EdgeDeploymentPlanStatus
from controller.engine.index import Index
from controller.engine.news import News
from controller.engine.ports import ObjectChanged, ObjectGone
from controller.engine.quotas import Quotas
from controller.engine.reconciler import Reconciler
from tests.unit.builders import (
    ARN,
    KEY,
    MINUTE,
    NAME,
    NOON,
    OWNER,
    PROCESS,
    REFUSED_FOR_QUOTA,
    SCOPE,
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
from tests.unit.ports import MemoryAccounts, MemoryObjects, MemoryPlans

SECOND = timedelta(seconds=1)
SETTLE = timedelta(seconds=60)
CREATE = "CreateEdgeDeploymentPlan"
DRIFT = frozenset({Wake.DRIFT})
NOBODY = frozenset[Wake]()
SOON = timedelta(0)
SETTLE = timedelta(seconds=60)
READY = (condition("Ready"),)


class _Clocked(asyncio.SelectorEventLoop):
    """An event loop whose clock is told."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        super().__init__()

    def time(self) -> float:
        """Seconds of the clock that does not jump."""
        return self._clock()


class Loop:
    """A reconciler over a cluster and an AWS in memory."""

    def __init__(self, *resources: Resource) -> None:
        self.now: datetime = NOON
        self.running = 10.0  # by the event loop's clock, which nobody sets
        self.index, self.objects, self.aws = Index(), MemoryObjects(*resources), MemoryPlans()
        self.woken: list[tuple[Key, Wake]] = []
        self.quotas = Quotas(self.wake)
        self.news = News(index=self.index, accounts=MemoryAccounts(self.aws), quotas=self.quotas, wake=self.wake)
        self.process = self.begin()
        for one in resources:
            self.index.put(one)

    def begin(self) -> Reconciler:
        """A process with no memory of those before."""
        return Reconciler(
            objects=self.objects,
            accounts=MemoryAccounts(self.aws),
            index=self.index,
            news=self.news,
            quotas=self.quotas,
            cluster=OWNER.cluster,
            process=PROCESS,
            settle=SETTLE,
            clock=lambda: self.now,
            dice=lambda: 0.5,
        )

    def wake(self, key: Key, *wakes: Wake) -> None:
        self.woken.extend((key, wake) for wake in wakes)

    def reconcile(self, key: Key = KEY, wakes: frozenset[Wake] = NOBODY) -> timedelta | None:
        """One turn of the loop; calls are counted from here."""
        self.aws.calls.clear()
        self.objects.calls.clear()
        with asyncio.Runner(loop_factory=lambda: _Clocked(lambda: self.running)) as runner:
            return runner.run(self.process.reconcile(key, wakes))

    def wait(self, span: timedelta) -> None:
        """Let time go by."""
        self.now += span
        self.running += span.total_seconds()

    def watch(self) -> None:
        """The watch brings what is in the cluster."""
        for one in self.objects.there.values():
            self.index.put(one)
        for one in self.index:
            if one.key not in self.objects.there:
                self.news.gone(one)

    def status(self, key: Key = KEY) -> EdgeDeploymentPlanStatus:
        return self.objects.there[key].status

    def ready(self, key: Key = KEY) -> Condition:
        found = self.status(key).condition("Ready")
        assert found is not None
        return found

    def reasons(self) -> list[str]:
        return [event.reason for _, event in self.objects.events]

    def meanwhile(self, call: str, work: Callable[[], object]) -> None:
        """Have that done just before the next call of that name, to the cluster or AWS."""
        done = list[str]()

        def before(name: str) -> None:
            if name.startswith(call) and not done:
                done.append(name)
                work()

        self.objects.before = self.aws.before = before


def known(**fields: object) -> Resource:
    """An object whose plan is in AWS and known."""
    before = status(conditions=READY, last_modified_time=NOON)
    return plan("canary", **{"status": before} | fields)  # type: ignore[arg-type]


# -- the ordinary case ------------------------------------------------------------------------------------------------


def test_new_object_costs_one_call_to_aws_and_two_to_the_cluster() -> None:
    loop = Loop(fresh())
    assert loop.reconcile() == STAGE_POLL  # the early look at the stages
    assert loop.aws.calls == [f"CreatePlan({NAME} on fleet {NAME}: canary)"]
    assert loop.objects.calls == ["hold", "write"]
    assert (loop.ready().status, loop.status().edge_deployment_plan_arn) == ("True", ARN)
    assert loop.reasons() == ["Created"]


def test_what_a_create_made_is_looked_at_once_soon_after() -> None:
    loop = Loop(fresh())
    loop.reconcile()
    loop.wait(SECOND)
    assert loop.reconcile() == SECOND
    assert loop.aws.calls == []
    loop.wait(SECOND)
    assert loop.reconcile() is None
    assert loop.aws.calls == ["describe"]
    assert loop.reconcile() is None
    assert loop.aws.calls == []


def test_object_in_step_makes_no_call_at_all() -> None:
    loop = Loop(known())
    assert loop.reconcile() is None
    assert (loop.aws.calls, loop.objects.calls) == ([], [])


def test_status_that_says_the_same_is_not_written() -> None:
    loop = Loop(known())
    loop.aws.plans[NAME] = observed("canary")
    loop.reconcile(wakes=DRIFT)
    loop.reconcile(wakes=DRIFT)
    assert loop.aws.calls == ["describe"]
    assert loop.objects.calls == []


def test_key_without_an_object_is_nothing_to_do() -> None:
    assert Loop().reconcile() is None


def test_status_after_a_failed_call_says_when_the_next_try_is() -> None:
    loop = Loop(known())
    loop.aws.failures["describe"] = [failure()]
    assert loop.reconcile(wakes=DRIFT) == SECOND / 2
    waiting = loop.status().retry
    assert waiting is not None
    assert (waiting.attempts, waiting.next_attempt_time) == (1, NOON + SECOND / 2)
    assert loop.reconcile() == SECOND / 2
    assert loop.aws.calls == []


def test_first_failure_of_a_new_object_is_in_its_status() -> None:
    loop = Loop(fresh())
    loop.aws.failures["CreatePlan"] = [failure(FailureKind.UNKNOWN, "BadAnswer", message="AWS answered with HTML")]
    loop.reconcile()
    assert loop.status().observed_generation == 1
    assert (loop.ready().status, loop.ready().reason) == ("False", Reason.PROGRESSING_WITH_RETRY)
    assert "AWS answered with HTML" in loop.ready().message


def test_failure_of_an_unknown_kind_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    loop = Loop(known())
    loop.aws.failures["describe"] = [failure(FailureKind.UNKNOWN, "JSONDecodeError")]
    loop.reconcile(wakes=DRIFT)
    (error,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert error.exc_info is not None
    assert loop.ready().reason == Reason.IN_SYNC  # no answer is no news


def test_throttled_call_after_an_announcement_keeps_the_count_of_real_failures() -> None:
    before = status(conditions=(condition("Ready", "False"), condition("Reconciling")), retry=retry(3, NOON))
    loop = Loop(known(rollout=rollout(), status=before))
    loop.aws.plans[NAME] = observed("canary")
    loop.aws.failures["StartStage"] = [failure(FailureKind.THROTTLED, "ThrottlingException", harmless=True)]
    loop.reconcile()
    waiting = loop.status().retry
    assert waiting is not None
    assert waiting.attempts == 3


def test_target_that_is_not_open_is_told_and_costs_no_call() -> None:
    loop = Loop(fresh(target={"region": "us-east-1"}))
    assert loop.reconcile() is None
    assert loop.aws.calls == []
    assert loop.ready().reason == Reason.TARGET_REFUSED
    assert "region us-east-1 is not open to namespace retail" in loop.ready().message


def refused_from_the_first(begun: timedelta) -> Loop:
    """An object that comes with the finalizer so long after the process began to work, and may not have its target."""
    loop = Loop(replace(fresh(target={"region": "us-east-1"}), finalizers=(FINALIZER,)))
    loop.process.began = loop.running - begun.total_seconds()
    with asyncio.Runner(loop_factory=lambda: _Clocked(lambda: loop.running)) as runner:
        runner.run(_told(loop.process, loop.objects.there[KEY]))
    loop.reconcile()
    assert loop.ready().reason == Reason.TARGET_REFUSED
    return loop


async def _told(process: Reconciler, resource: Resource) -> None:
    process.born(resource)


def test_object_that_never_had_a_plan_goes_although_its_target_is_refused() -> None:
    loop = refused_from_the_first(begun=SETTLE)
    assert not loop.objects.there[KEY].has_finalizer
    loop = refused_from_the_first(begun=SETTLE)
    loop.objects.change(replace(loop.objects.there[KEY], deleting=True, generation=2, finalizers=(FINALIZER,)))
    loop.watch()  # somebody put it on again
    loop.reconcile()
    assert (loop.objects.there, loop.aws.calls) == ({}, [])


def test_object_that_a_former_process_may_have_made_a_plan_for_waits_where_its_target_is_refused() -> None:
    loop = refused_from_the_first(begun=SETTLE - SECOND)
    assert loop.objects.there[KEY].has_finalizer
    loop.objects.change(replace(loop.objects.there[KEY], deleting=True, generation=2))
    loop.watch()
    loop.reconcile()
    assert "waits until it can be told" in loop.ready().message


def test_plan_of_another_operator_is_not_taken_for_nothing() -> None:
    """Two that act by mistake: the one told that the object is new, the other had made its plan by then."""
    loop = refused_from_the_first(begun=SETTLE)
    now = loop.objects.there[KEY]
    loop.objects.change(replace(now, deleting=True, generation=2, finalizers=(FINALIZER,), status=status()))
    loop.watch()
    loop.reconcile()
    assert loop.ready().reason == Reason.TARGET_REFUSED


def test_wait_of_an_attempt_that_had_too_much_to_do_is_no_hot_loop() -> None:
    loop = Loop(known(rollout=rollout()))
    loop.aws.plans[NAME] = observed().at("canary", "CREATING")
    assert loop.reconcile(wakes=DRIFT) == STAGE_POLL


# -- what comes in between --------------------------------------------------------------------------------------------


def test_edit_before_the_first_call_ends_the_attempt_and_the_new_spec_is_created() -> None:
    loop = Loop(fresh())
    edited = replace(fresh("canary", "fleet"), generation=2)
    loop.meanwhile("hold", lambda: loop.objects.change(edited))
    assert loop.reconcile() == SOON
    assert loop.aws.calls == []
    loop.reconcile()
    assert loop.aws.calls == [f"CreatePlan({NAME} on fleet {NAME}: canary, fleet)"]


def test_edit_before_an_announcement_ends_the_attempt_before_the_call() -> None:
    one = known(rollout=rollout())
    loop = Loop(one)
    loop.aws.plans[NAME] = observed("canary")
    held_back = replace(one, spec=known(rollout=rollout(), suspend=True).spec, generation=2)
    loop.meanwhile("claim", lambda: loop.objects.change(held_back))
    assert loop.reconcile(wakes=DRIFT) == SOON
    assert "StartStage(canary)" not in loop.aws.calls
    loop.reconcile()
    assert loop.aws.calls == []
    assert loop.ready().reason == Reason.SUSPENDED


def test_edit_during_a_call_is_carried_out_in_the_next_attempt() -> None:
    loop = Loop(fresh())
    edited = replace(fresh(tags={"team": "retail"}), generation=2, finalizers=known().finalizers)
    loop.meanwhile("CreatePlan", lambda: loop.objects.change(edited))
    loop.reconcile()
    assert loop.status().observed_generation == 1
    loop.watch()
    loop.wait(2 * SECOND)
    loop.reconcile()
    assert "AddTags(team=retail)" in loop.aws.calls


def test_change_that_tells_nothing_of_the_object_is_waited_for() -> None:
    loop = Loop(known(rollout=rollout()))
    loop.aws.plans[NAME] = observed("canary")

    def refuse() -> None:
        raise ObjectChanged("a conflict")

    loop.meanwhile("claim", refuse)
    assert loop.reconcile(wakes=DRIFT) == SOON
    assert "StartStage(canary)" not in loop.aws.calls


def test_start_that_another_process_has_claimed_is_left_to_it() -> None:
    before = status(conditions=READY, claim=Claim(by="process-2", until=NOON + MINUTE))
    loop = Loop(known(rollout=rollout(), status=before))
    loop.aws.plans[NAME] = observed("canary")
    assert loop.reconcile(wakes=DRIFT) == MINUTE
    assert loop.aws.calls == []
    loop.wait(MINUTE)
    loop.reconcile(wakes=DRIFT)
    assert loop.aws.calls[-1] == "StartStage(canary)"


def test_claim_of_this_process_is_taken_up_after_a_crash() -> None:
    before = status(conditions=READY, claim=Claim(by=PROCESS, until=NOON + MINUTE))
    loop = Loop(known(rollout=rollout(), status=before))
    loop.aws.plans[NAME] = observed("canary")
    loop.reconcile()
    assert loop.aws.calls[-1] == "StartStage(canary)"
    assert loop.status().claim is None


def test_second_operator_that_announces_later_stands_back() -> None:
    loop = Loop(known(rollout=rollout()))
    loop.aws.plans[NAME] = observed("canary")
    claimed = known(
        rollout=rollout(), status=status(conditions=READY, claim=Claim(by="process-2", until=NOON + MINUTE))
    )
    loop.meanwhile("claim", lambda: loop.objects.change(claimed))
    assert loop.reconcile(wakes=DRIFT) == SOON
    assert "StartStage(canary)" not in loop.aws.calls
    assert loop.reconcile() == MINUTE


def test_object_that_another_operator_holds_already_is_no_failure() -> None:
    loop = Loop(fresh())

    def held() -> None:
        raise ObjectChanged("somebody else has put it on", loop.objects.change(plan("canary")))

    loop.meanwhile("hold", held)
    assert loop.reconcile() == SOON
    loop.reconcile()
    assert loop.aws.calls == [f"CreatePlan({NAME} on fleet {NAME}: canary)"]


# -- who goes meanwhile -----------------------------------------------------------------------------------------------


def goes(loop: Loop) -> Callable[[], object]:
    return lambda: loop.objects.there.pop(KEY)


def test_object_that_goes_before_its_finalizer_leaves_nothing() -> None:
    loop = Loop(fresh())
    loop.meanwhile("hold", goes(loop))
    assert loop.reconcile() == SETTLE
    loop.watch()
    assert loop.reconcile() is None
    assert (loop.aws.calls, loop.index.at(KEY)) == ([], ())


def test_object_that_goes_between_finalizer_and_create_takes_its_plan_along() -> None:
    """The API server accepts a DELETE and the patch that adds the first finalizer, both."""
    loop = Loop(fresh())
    loop.meanwhile("CreatePlan", goes(loop))
    assert loop.reconcile() == SETTLE
    assert NAME in loop.aws.plans
    loop.watch()
    (ghost,) = loop.index.at(KEY)
    assert (ghost.deleting, ghost.status.edge_deployment_plan_arn) == (True, ARN)
    assert loop.reconcile() is None
    assert loop.aws.calls == ["describe", f"DeletePlan({NAME})"]
    assert (loop.aws.plans, loop.index.at(KEY)) == ({}, ())
    assert loop.objects.calls == []


def test_create_whose_answer_got_lost_is_remembered_beyond_the_next_one() -> None:
    loop = Loop(fresh())
    loop.aws.failures["CreatePlan"] = [failure(operation=CREATE)]
    loop.reconcile()
    loop.wait(SECOND)
    loop.reconcile()
    assert loop.ready().status == "True"
    loop.objects.there[KEY] = loop.objects.change(replace(loop.objects.there[KEY], deleting=True, generation=2))
    loop.watch()
    assert loop.reconcile() == DOUBT_POLL
    assert loop.aws.calls[-1] == f"DeletePlan({NAME})"
    assert KEY in loop.objects.there
    loop.wait(MINUTE)
    assert loop.reconcile() is None
    assert KEY not in loop.objects.there


def test_ghost_that_is_laid_to_rest_lets_its_namesake_look() -> None:
    """The other may have looked while the plan was there still, and taken it for somebody else's."""
    younger = fresh(name="younger", uid="uid-2", edgeDeploymentPlanName=NAME)
    loop = Loop(fresh(), younger)
    loop.index.set_scope(younger, SCOPE)
    loop.meanwhile("CreatePlan", goes(loop))
    loop.reconcile()
    loop.watch()
    loop.woken.clear()
    assert loop.reconcile() is None
    assert loop.woken == [(younger.key, Wake.NAME)]


def test_object_that_goes_while_its_create_is_unanswered_is_looked_for_until_it_cannot_come_any_more() -> None:
    loop = Loop(fresh())
    loop.aws.failures["CreatePlan"] = [failure(operation=CREATE)]
    loop.meanwhile("CreatePlan", goes(loop))
    assert loop.reconcile() == SETTLE
    loop.watch()
    assert loop.reconcile() == SECOND / 2
    loop.wait(SECOND)
    assert loop.reconcile() == DOUBT_POLL
    assert loop.aws.calls == ["describe"]
    loop.wait(30 * SECOND)
    loop.aws.plans[NAME] = observed("canary")
    loop.reconcile()
    assert loop.aws.plans == {}
    loop.wait(2 * MINUTE)
    assert loop.reconcile() is None
    assert loop.index.at(KEY) == ()


def test_ghost_that_finds_nothing_is_laid_to_rest_after_the_settling_time() -> None:
    loop = Loop()
    loop.index.lost(plan("canary", status=status(arn=None, settling=settling())))
    waits = []
    for _ in range(40):
        wait = loop.reconcile()
        waits.append(wait)
        if wait is None:
            break
        loop.wait(wait)
    assert waits == [DOUBT_POLL] * 6 + [None]
    assert loop.index.at(KEY) == ()


def test_ghost_that_retries_keeps_its_count_without_an_object_to_write_it_to() -> None:
    loop = Loop()
    loop.index.lost(plan("canary", status=status()))
    loop.wait(MINUTE)
    for attempts in (1, 2, 3):
        loop.aws.failures["describe"] = [failure()]
        wait = loop.reconcile()
        assert wait == SECOND / 2 * 2 ** (attempts - 1)
        (ghost,) = loop.index.at(KEY)
        assert ghost.status.retry is not None
        assert ghost.status.retry.attempts == attempts
        loop.wait(wait)
    assert loop.objects.calls == []


def test_status_of_a_dead_object_never_lands_on_its_successor() -> None:
    """`kubectl replace --force` while a call is under way."""
    loop = Loop(fresh())
    successor = fresh("canary", "tenth", "fleet", uid="uid-2")
    loop.meanwhile("CreatePlan", lambda: loop.objects.change(successor))
    loop.reconcile()
    assert loop.objects.there[KEY].uid == "uid-2"
    assert loop.status() == EdgeDeploymentPlanStatus()
    loop.watch()
    loop.aws.failures["CreatePlan"] = [failure(code="ResourceInUse", operation=CREATE, harmless=True)]
    loop.wait(2 * SECOND)
    loop.reconcile()
    tags = Owner(OWNER.cluster, "retail", NAME, "uid-2").tag_value
    assert loop.aws.calls == [
        f"CreatePlan({NAME} on fleet {NAME}: canary, tenth, fleet)",
        "describe",
        f"AddTags({OWNER_TAG}={tags})",
        "CreateStages(tenth, fleet)",
        "describe",
    ]
    assert not any(call.startswith("DeletePlan") for call in loop.aws.calls)


def test_ghost_and_its_successor_under_another_plan_name_are_both_worked_on() -> None:
    loop = Loop()
    loop.index.lost(known(uid="uid-0", edgeDeploymentPlanName="former"))
    successor = fresh(edgeDeploymentPlanName="latter")
    loop.objects.there[KEY] = successor
    loop.index.put(successor)
    former = Owner(OWNER.cluster, "retail", NAME, "uid-0")
    loop.aws.plans["former"] = observed("canary").but(name="former").tagged({OWNER_TAG: former.tag_value})
    loop.wait(MINUTE)
    assert loop.reconcile() == STAGE_POLL
    assert set(loop.aws.plans) == {"latter"}
    assert loop.index.at(KEY) == (loop.objects.there[KEY],)


def test_finalizer_that_somebody_took_off_comes_back() -> None:
    loop = Loop(known(has_finalizer=False))
    loop.aws.plans[NAME] = observed("canary")
    loop.reconcile()
    assert loop.objects.there[KEY].has_finalizer
    assert loop.objects.calls == ["hold", "write"]


def test_object_that_goes_while_its_finalizer_is_taken_off_leaves_its_plan() -> None:
    loop = Loop(known(policy={"deletion": "Retain"}))
    loop.meanwhile("release", goes(loop))
    assert loop.reconcile() == SETTLE
    loop.watch()
    assert (loop.aws.calls, loop.index.at(KEY)) == ([], ())


def test_object_of_which_the_watch_says_that_it_is_gone_is_not_held_nor_created() -> None:
    loop = Loop(fresh())
    loop.meanwhile("hold", lambda: loop.index.remove(KEY, "uid-1", "999"))
    assert loop.reconcile() == SOON
    assert (loop.aws.calls, loop.index.at(KEY)) == ([], ())


def test_object_of_which_the_watch_says_that_it_is_deleted_is_not_created() -> None:
    loop = Loop(fresh())
    deleting = plan("canary", deleting=True, generation=2, version=99)
    loop.meanwhile("hold", lambda: loop.index.put(deleting))
    assert loop.reconcile() == SOON
    assert loop.aws.calls == []
    assert loop.index.get(KEY) == deleting


def test_object_that_goes_while_aws_is_looked_at_is_not_created() -> None:
    stalled = status(arn=None, conditions=(condition("Stalled", reason=Reason.NOT_OWNED),))
    loop = Loop(plan("canary", status=stalled))
    loop.meanwhile("describe", lambda: loop.index.remove(KEY, "uid-1", "999"))
    assert loop.reconcile(wakes=DRIFT) == SOON
    assert loop.aws.calls == ["describe"]


def test_object_that_is_deleted_while_aws_is_looked_at_is_not_created() -> None:
    stalled = status(arn=None, conditions=(condition("Stalled", reason=Reason.NOT_OWNED),))
    loop = Loop(plan("canary", status=stalled))
    deleting = plan("canary", deleting=True, generation=2, version=99)
    loop.meanwhile("describe", lambda: loop.index.put(deleting))
    assert loop.reconcile(wakes=DRIFT) == SOON
    assert loop.aws.calls == ["describe"]


def test_owner_that_a_tag_names_is_asked_for_at_the_api_server() -> None:
    stalled = status(arn=None, conditions=(condition("Stalled", reason=Reason.NOT_OWNED),))
    loop = Loop(plan("canary", status=stalled, policy={"adoption": "Adopt"}))
    other = Owner(OWNER.cluster, "retail", "other", "uid-7")
    loop.aws.plans[NAME] = observed("canary").tagged({OWNER_TAG: other.tag_value})
    loop.reconcile(wakes=DRIFT)
    assert loop.objects.calls[0] == "exists retail/other"
    assert loop.ready().status == "True"


def test_plan_that_went_is_created_again_if_the_account_is_the_same() -> None:
    loop = Loop(known())
    loop.reconcile(wakes=DRIFT)
    assert loop.aws.calls == ["describe", "account", f"CreatePlan({NAME} on fleet {NAME}: canary)"]


# -- letting go -------------------------------------------------------------------------------------------------------


def test_deleted_object_is_released_once_its_plan_is_gone_and_leaves_no_ghost() -> None:
    loop = Loop(known(deleting=True, generation=2))
    loop.aws.plans[NAME] = observed("canary")
    loop.wait(MINUTE)
    assert loop.reconcile() is None
    assert (loop.aws.plans, loop.objects.there) == ({}, {})
    assert loop.reasons() == ["Deleted"]
    last = loop.index.get(KEY)
    assert last is not None
    assert loop.index.lost(last) is None


def test_deleted_object_with_a_finalizer_of_others_stays_and_is_not_worked_on_again() -> None:
    one = known(deleting=True, generation=2)
    loop = Loop(replace(one, finalizers=(*one.finalizers, "others")))
    loop.aws.plans[NAME] = observed("canary")
    loop.reconcile()
    assert loop.objects.there[KEY].finalizers == ("others",)
    assert loop.reconcile() is None
    assert loop.aws.calls == []


def test_plan_that_went_makes_the_first_of_the_quota_queue_ask() -> None:
    loop = Loop(known(deleting=True, generation=2))
    loop.aws.plans[NAME] = observed("canary")
    waiting = plan(name="waiting", uid="uid-7")
    loop.quotas.resume(SCOPE, replace(waiting, status=status(arn=None, conditions=(_quota(),))))
    loop.reconcile()
    assert loop.woken == [(waiting.key, Wake.QUOTA)]


def _quota() -> Condition:
    return condition("ResourceLimitExceeded", reason=Reason.WAITING_FOR_QUOTA, message="first: The limit is 3")


# -- quota ------------------------------------------------------------------------------------------------------------


def test_refused_for_quota_and_let_in_when_asked_again() -> None:
    loop = Loop(fresh())
    loop.aws.failures["CreatePlan"] = [REFUSED_FOR_QUOTA]
    assert loop.reconcile() == SECOND / 2
    assert loop.aws.calls == [f"CreatePlan({NAME} on fleet {NAME}: canary)"]
    assert loop.quotas.queue(SCOPE).probe == Ticket.of(loop.objects.there[KEY])
    assert loop.status().is_true("ResourceLimitExceeded")
    loop.reconcile(wakes=frozenset({Wake.QUOTA}))
    assert loop.ready().status == "True"
    assert loop.quotas.queue(SCOPE).probe is None
    assert not loop.status().is_true("ResourceLimitExceeded")


def test_second_object_waits_behind_the_first_without_a_call() -> None:
    older, younger = fresh(age=MINUTE), fresh(name="younger", uid="uid-2")
    loop = Loop(older, younger)
    loop.aws.failures["CreatePlan"] = [REFUSED_FOR_QUOTA]
    loop.reconcile()
    assert loop.reconcile(younger.key) == 45 * SECOND
    assert loop.aws.calls == []
    assert "2nd of 2 waiting for quota" in loop.ready(younger.key).message
    loop.reconcile(wakes=frozenset({Wake.QUOTA}))
    assert loop.woken == [(younger.key, Wake.QUOTA)]


def test_object_whose_stages_are_refused_for_quota_holds_up_no_new_plan() -> None:
    older, younger = known(age=MINUTE, generation=2, has_finalizer=True), fresh(name="younger", uid="uid-2")
    loop = Loop(older, younger)
    loop.aws.plans[NAME] = observed()
    loop.aws.failures["CreateStages"] = [REFUSED_FOR_QUOTA] * 2
    loop.reconcile()
    loop.reconcile(younger.key)
    assert loop.ready(younger.key).status == "True"


@pytest.mark.parametrize("policy", [{}, {"deletion": "Retain"}], ids=["with a ghost", "without"])
def test_object_that_goes_while_it_is_refused_for_quota_frees_its_place(policy: dict[str, str]) -> None:
    older, younger = fresh(age=MINUTE, policy=policy), fresh(name="younger", uid="uid-2")
    loop = Loop(older, younger)
    loop.aws.failures["CreatePlan"] = [REFUSED_FOR_QUOTA]
    loop.meanwhile("CreatePlan", goes(loop))
    loop.reconcile()
    loop.news.gone(older)
    loop.wait(2 * MINUTE)
    loop.reconcile()
    assert KEY not in loop.quotas.queue(SCOPE)
    loop.reconcile(younger.key)
    assert loop.ready(younger.key).status == "True"


@pytest.mark.parametrize("policy", [{}, {"deletion": "Retain"}], ids=["with a ghost", "without"])
def test_object_whose_refusal_for_quota_comes_after_the_news_that_it_is_gone_stands_in_no_queue(
    policy: dict[str, str],
) -> None:
    loop = Loop(fresh(policy=policy))
    loop.aws.failures["CreatePlan"] = [REFUSED_FOR_QUOTA]
    loop.meanwhile("CreatePlan", lambda: loop.news.gone(loop.objects.there.pop(KEY)))
    loop.reconcile()
    loop.wait(2 * MINUTE)
    loop.reconcile()
    assert loop.index.at(KEY) == ()
    assert loop.quotas.queue(SCOPE).probe is None


def test_ghost_takes_nothing_of_its_successors_place_in_the_queue() -> None:
    loop = Loop(fresh(edgeDeploymentPlanName="former"))
    successor = fresh(uid="uid-2")
    loop.aws.failures["CreatePlan"] = [REFUSED_FOR_QUOTA] * 2

    def replaced() -> None:
        loop.objects.there[KEY] = successor
        loop.news.seen(successor)

    loop.meanwhile("CreatePlan", replaced)
    loop.reconcile()
    loop.reconcile()
    assert loop.quotas.queue(SCOPE).probe == Ticket.of(loop.objects.there[KEY])


def test_object_that_goes_while_it_is_reconciled_frees_its_name() -> None:
    holder = known(policy={"deletion": "Retain"}, has_finalizer=False, status=status(conditions=()))
    conflict = (condition("Ready", "False"), condition("Stalled", reason=Reason.NAME_CONFLICT))
    behind = fresh(
        name="behind", uid="uid-2", edgeDeploymentPlanName=NAME, status=status(arn=None, conditions=conflict)
    )
    loop = Loop(holder, behind)
    for one in (holder, behind):
        loop.index.set_scope(one, SCOPE)
    loop.aws.plans[NAME] = observed("canary")
    loop.meanwhile("write", goes(loop))
    loop.reconcile(wakes=DRIFT)
    loop.news.gone(holder)
    assert (behind.key, Wake.NAME) in loop.woken


def test_object_whose_plan_went_and_that_quota_keeps_out_lets_its_namesake_look() -> None:
    """One made the plan, the other only observed it before; each knows it, and each says that the other goes first."""
    conflict = (condition("Ready", "False"), condition("Stalled", reason=Reason.NAME_CONFLICT))
    older = known(status=status(conditions=()))
    younger = known(name="younger", uid="uid-2", edgeDeploymentPlanName=NAME, status=status(conditions=conflict))
    loop = Loop(older, younger)
    for one in (older, younger):
        loop.index.set_scope(one, SCOPE)
    loop.aws.failures["CreatePlan"] = [REFUSED_FOR_QUOTA]
    loop.reconcile(wakes=DRIFT)
    assert (younger.key, Wake.NAME) in loop.woken


def test_object_that_is_let_in_while_somebody_labels_it_does_not_stand_in_the_queue_again() -> None:
    loop = Loop(fresh())
    loop.aws.failures["CreatePlan"] = [REFUSED_FOR_QUOTA]
    loop.reconcile()
    loop.meanwhile("write", lambda: loop.news.seen(loop.objects.change(loop.objects.there[KEY])))
    loop.reconcile(wakes=frozenset({Wake.QUOTA}))
    assert loop.ready().status == "True"
    loop.reconcile()
    assert loop.quotas.queue(SCOPE).probe is None


# -- what is remembered -----------------------------------------------------------------------------------------------


def test_object_whose_every_create_was_refused_is_deleted_without_a_call() -> None:
    loop = Loop(fresh())
    loop.aws.failures["CreatePlan"] = [REFUSED_FOR_QUOTA, failure(FailureKind.CREDENTIALS, "Denied", harmless=True)]
    loop.reconcile()
    loop.wait(SECOND)
    loop.reconcile()
    loop.objects.change(replace(loop.objects.there[KEY], deleting=True, generation=2))
    loop.watch()
    loop.reconcile()
    assert loop.aws.calls == []
    assert loop.objects.there == {}


def test_object_whose_create_was_lost_once_is_looked_for_however_often_it_was_refused_since() -> None:
    loop = Loop(fresh())
    loop.aws.failures["CreatePlan"] = [failure(operation=CREATE), REFUSED_FOR_QUOTA]
    loop.reconcile()
    loop.wait(SECOND)
    loop.reconcile()
    assert "describe" in loop.aws.calls
    loop.objects.change(replace(loop.objects.there[KEY], deleting=True, generation=2))
    loop.watch()
    assert loop.reconcile() == DOUBT_POLL
    assert loop.aws.calls == ["describe"]


def test_memory_of_what_was_never_created_dies_with_the_process() -> None:
    loop = Loop(fresh())
    loop.aws.failures["CreatePlan"] = [REFUSED_FOR_QUOTA]
    loop.reconcile()
    loop.process = loop.begin()
    loop.objects.change(replace(loop.objects.there[KEY], deleting=True, generation=2))
    loop.watch()
    assert loop.reconcile() == DOUBT_POLL
    assert loop.aws.calls == ["describe"]
    loop.wait(SETTLE)
    loop.reconcile()
    assert loop.objects.there == {}


def test_attempt_that_the_cluster_cut_short_forgets_that_nothing_was_created() -> None:
    loop = Loop(fresh())
    loop.aws.failures["CreatePlan"] = [REFUSED_FOR_QUOTA]
    loop.reconcile()

    def fail() -> None:
        raise ConnectionError("the API server is away")

    loop.meanwhile("write", fail)
    with pytest.raises(ConnectionError):
        loop.reconcile(wakes=frozenset({Wake.QUOTA}))
    assert NAME in loop.aws.plans
    loop.objects.change(replace(loop.objects.there[KEY], deleting=True, generation=2))
    loop.watch()
    loop.wait(MINUTE)
    loop.reconcile()
    assert loop.aws.plans == {}


# -- the clock --------------------------------------------------------------------------------------------------------


def test_retry_that_is_a_day_away_is_due_at_once() -> None:
    """The clock jumped: no wait is longer than the longest backoff."""
    loop = Loop(known(status=status(conditions=(condition("Reconciling"),), retry=retry(1, NOON + 1440 * MINUTE))))
    loop.aws.plans[NAME] = observed("canary")
    loop.reconcile()
    assert loop.aws.calls == ["describe"]


@pytest.mark.parametrize("jump", [60 * MINUTE, -60 * MINUTE], ids=["ahead", "back"])
def test_clock_that_jumps_makes_no_second_plan(jump: timedelta) -> None:
    loop = Loop(fresh())
    loop.reconcile()
    loop.now += jump
    hidden = loop.aws.plans.pop(NAME)  # AWS's reads lag
    assert loop.reconcile(wakes=DRIFT) == STAGE_POLL
    assert loop.aws.calls == ["describe"]
    assert loop.ready().reason == Reason.SETTLING
    loop.aws.plans[NAME] = hidden.with_tags(hidden.tags or {})
    loop.wait(2 * SECOND)
    loop.reconcile(wakes=DRIFT)
    assert not any(call.startswith("CreatePlan") for call in loop.aws.calls)


def test_clock_that_jumps_makes_no_deletion_early() -> None:
    loop = Loop(fresh())
    loop.aws.failures["CreatePlan"] = [failure(operation=CREATE)]
    loop.reconcile()
    loop.now += 60 * MINUTE
    loop.objects.change(replace(loop.objects.there[KEY], deleting=True, generation=2))
    loop.watch()
    assert loop.reconcile() == DOUBT_POLL
    loop.wait(SETTLE)
    loop.reconcile()
    assert loop.objects.there == {}


def test_object_gone_is_told_from_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    loop = Loop(known(status=status(conditions=())))
    loop.aws.plans[NAME] = observed("canary")

    def gone() -> None:
        raise ObjectGone(f"{KEY} is gone")

    loop.meanwhile("write", gone)
    assert loop.reconcile(wakes=DRIFT) == SETTLE
    assert "the object went while it was reconciled" in caplog.text
    assert not loop.index.is_ghost(known())  # the watch will tell what it asked for last
    loop.news.gone(known())
    assert loop.index.is_ghost(known())


def test_object_that_went_when_it_had_just_been_edited_to_retain_keeps_its_plan() -> None:
    """Its finalizer was off, so nothing held it; the write's answer comes before the news of both."""
    loop = Loop(known(status=status(conditions=())))
    loop.aws.plans[NAME] = observed("canary")
    loop.meanwhile("write", goes(loop))
    assert loop.reconcile(wakes=DRIFT) == SETTLE
    loop.news.seen(known(version=7, generation=2, policy={"deletion": "Retain"}, status=status(conditions=())))
    loop.watch()
    loop.reconcile()
    assert NAME in loop.aws.plans
    assert loop.index.at(KEY) == ()
