"""What the watch tells, and what a fresh list does not show: who is woken, and what is left of who went."""

import pytest

from controller.domain.agenda import Wake
from controller.domain.outcomes import Queued
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource
from controller.engine.index import Index
from controller.engine.news import News
from controller.engine.quotas import Quotas
from tests.unit.builders import (
    KEY,
    MINUTE,
    NAME,
    REFUSED_FOR_QUOTA,
    SCOPE,
    condition,
    fresh,
    plan,
    settling,
    status,
)
from tests.unit.ports import MemoryAccounts

OBSERVE = {"management": "Observe"}
CONFLICT = (condition("Ready", "False"), condition("Stalled", reason=Reason.NAME_CONFLICT))


class Ears:
    """News into an index and quota queues, and who was woken by them."""

    def __init__(self, *resources: Resource) -> None:
        self.woken: list[tuple[str, tuple[Wake, ...]]] = []
        self.index = Index()
        self.quotas = Quotas(self.wake)
        self.news = News(index=self.index, accounts=MemoryAccounts(), quotas=self.quotas, wake=self.wake)
        for one in resources:
            self.news.seen(one)
        self.woken.clear()

    def wake(self, key: Key, *wakes: Wake) -> None:
        self.woken.append((key.name, wakes))

    def seen(self, resource: Resource) -> list[tuple[str, tuple[Wake, ...]]]:
        self.woken.clear()
        self.news.seen(resource)
        return self.woken

    def gone(self, resource: Resource) -> list[tuple[str, tuple[Wake, ...]]]:
        self.woken.clear()
        self.news.gone(resource)
        return self.woken


def namesake(name: str, **fields: object) -> Resource:
    return plan(name=name, uid=f"uid-{name}", edgeDeploymentPlanName="shared", **fields)  # type: ignore[arg-type]


# -- seen -------------------------------------------------------------------------------------------------------------


def test_new_object_is_woken_and_its_place_is_known() -> None:
    ears = Ears()
    assert ears.seen(fresh()) == [(NAME, ())]
    assert ears.index.scope(KEY) == SCOPE


def test_version_that_is_old_wakes_nobody() -> None:
    ears = Ears(fresh(version=5))
    assert ears.seen(fresh(version=4)) == []


def test_object_whose_target_is_refused_is_woken_to_be_told() -> None:
    ears = Ears()
    assert ears.seen(fresh(target={"region": "us-east-1"})) == [(NAME, ())]
    assert ears.index.scope(KEY) is None


def test_object_that_waited_for_quota_takes_its_place_again() -> None:
    quota = condition("ResourceLimitExceeded", reason=Reason.WAITING_FOR_QUOTA, message="first: The limit is 3")
    ears = Ears(plan(status=status(arn=None, conditions=(quota,))))
    assert KEY in ears.quotas.queue(SCOPE)


def test_holder_that_only_observes_from_now_on_wakes_those_that_it_kept_out() -> None:
    ears = Ears(namesake("holder"), namesake("kept-out", status=status(arn=None, conditions=CONFLICT)))
    ears.news.seen(namesake("ready", status=status()))
    assert ears.seen(namesake("holder", version=2, generation=2, policy=OBSERVE)) == [
        ("kept-out", (Wake.NAME,)),
        ("holder", ()),
    ]


def test_holder_whose_status_knows_no_plan_any_more_wakes_those_that_it_kept_out() -> None:
    """Another operator wrote that status."""
    ears = Ears(namesake("holder", status=status()), namesake("kept-out", status=status(arn=None, conditions=CONFLICT)))
    assert ears.seen(namesake("holder", version=2, status=status(arn=None))) == [
        ("kept-out", (Wake.NAME,)),
        ("holder", ()),
    ]


def test_successor_of_one_key_is_news_of_both() -> None:
    """Replaced by force while the watch was away: no DELETED came."""
    ears = Ears(plan(status=status(), edgeDeploymentPlanName="former"))
    woken = ears.seen(fresh(uid="uid-2", edgeDeploymentPlanName="latter"))
    assert woken == [(NAME, ()), (NAME, ())]
    assert [each.uid for each in ears.index.at(KEY)] == ["uid-1", "uid-2"]


# -- gone -------------------------------------------------------------------------------------------------------------


def test_object_that_a_fresh_list_does_not_show_leaves_a_ghost_its_name_and_its_place_in_the_queue() -> None:
    ears = Ears(plan(status=status(arn=None, settling=settling())), plan(name="behind", uid="uid-2", age=-MINUTE))
    for key in (KEY, Key("retail", "behind")):
        one = ears.index.get(key)
        assert one is not None
        ears.quotas.settle(SCOPE, one, Queued(0, MINUTE, 1, REFUSED_FOR_QUOTA), ())
    last = ears.index.get(KEY)
    assert last is not None
    assert ears.gone(last) == [(NAME, ()), ("behind", (Wake.QUOTA,))]
    assert KEY not in ears.quotas.queue(SCOPE)
    assert [each.deleting for each in ears.index.at(KEY)] == [True]


def test_object_that_had_nothing_goes_without_a_trace() -> None:
    ears = Ears(fresh())
    assert ears.gone(fresh()) == []
    assert ears.index.at(KEY) == ()


def test_name_of_an_object_that_went_is_free_for_those_behind() -> None:
    ears = Ears(namesake("holder", has_finalizer=False), namesake("next"), namesake("last"))
    assert ears.gone(namesake("holder")) == [("next", (Wake.NAME,)), ("last", (Wake.NAME,))]
    assert ears.index.rivals(namesake("next"), SCOPE) == (namesake("last"),)


def test_name_of_a_retained_plans_object_is_free_too() -> None:
    ears = Ears(
        namesake("holder", policy={"deletion": "Retain"}, status=status(), has_finalizer=False), namesake("next")
    )
    assert ears.gone(namesake("holder")) == [("next", (Wake.NAME,))]


@pytest.mark.parametrize("last", [True, False], ids=["the last one", "before those of others"])
def test_finalizer_that_somebody_took_off_a_deleted_object_leaves_the_plan_alone(last: bool) -> None:
    """DELETED tells of the object as it was before: with the finalizer, if that was the last."""
    ears = Ears(plan(deleting=True, status=status()))
    assert ears.gone(plan(deleting=True, has_finalizer=last, status=status())) == []
    assert ears.index.at(KEY) == ()
    assert ears.index.lost(plan(deleting=True, status=status())) is None  # an attempt that was under way


def test_object_that_another_operator_let_go_leaves_no_ghost_to_the_one_that_stands_by() -> None:
    ears = Ears(plan(status=status()))
    ears.news.seen(plan(version=2, deleting=True, status=status()))
    assert ears.gone(plan(version=3, deleting=True, status=status())) == []
    assert ears.index.ghosts() == []


def test_finalizer_that_was_taken_off_before_the_deletion_does_not() -> None:
    ears = Ears(plan(has_finalizer=False, status=status()))
    assert ears.gone(plan(has_finalizer=False, status=status())) == [(NAME, ())]
    assert [each.deleting for each in ears.index.at(KEY)] == [True]


def test_late_news_of_a_former_life_changes_nothing() -> None:
    ears = Ears(plan(uid="new", status=status()))
    assert ears.gone(plan(uid="old")) == []
    assert ears.gone(plan(name="never-seen")) == []
    assert [each.uid for each in ears.index.at(KEY)] == ["new"]


def test_object_that_we_let_go_wakes_only_those_behind_its_name() -> None:
    ears = Ears(namesake("holder", deleting=True, status=status()), namesake("next"))
    last = ears.index.get(Key("retail", "holder"))
    assert last is not None
    ears.index.let_go(last)
    assert ears.gone(namesake("holder", deleting=True)) == [("next", (Wake.NAME,))]
    assert ears.index.at(Key("retail", "holder")) == ()
