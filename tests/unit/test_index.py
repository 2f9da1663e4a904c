"""The newest version of each object, and who holds which AWS plan."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource, Scope
from controller.engine.index import Index
from tests.bench.memory import CASES, bytes_a_plan
from tests.unit.builders import KEY, MINUTE, SCOPE, condition, plan, settling, status

ELSEWHERE = Scope("default", "us-east-1")
OBSERVE = {"management": "Observe"}


def index(*plans: Resource, scope: Scope = SCOPE) -> Index:
    made = Index()
    for one in plans:
        assert made.put(one)
        made.set_scope(one, scope)
    return made


def claimant(name: str, age: int, **more: object) -> Resource:
    fields: dict[str, object] = {"edgeDeploymentPlanName": "shared"} | more
    return plan(name=name, uid=f"uid-{name}", age=age * MINUTE, **fields)  # type: ignore[arg-type]


def test_older_version_is_refused() -> None:
    known = index(plan(version=12))
    assert not known.put(plan(version=9))
    assert known.put(plan(version=12))
    assert known.put(plan(version=103, generation=2))
    found = known.get(KEY)
    assert found is not None
    assert found.generation == 2


def test_object_made_again_replaces_the_former_whatever_its_version() -> None:
    known = index(plan(version=12, uid="old"))
    assert known.put(plan(version=3, uid="new"))


def test_late_news_of_a_former_life_removes_nothing() -> None:
    known = index(plan(uid="new"))
    assert not known.remove(KEY, "old")
    assert known.remove(KEY, "new")
    assert not known.remove(KEY, "new")
    assert (len(known), known.scopes(), known.get(KEY)) == (0, set(), None)


def keys(*resources: Resource) -> set[Key]:
    return {one.key for one in resources}


def test_objects_that_name_one_plan_are_rivals() -> None:
    older, newer, other = claimant("older", 2), claimant("newer", 1), plan(name="other", uid="uid-other")
    known = index(newer, older, other)
    assert known.rivals(older, SCOPE) == (newer,)
    assert known.rivals(newer, SCOPE) == (older,)
    assert known.rivals(other, SCOPE) == ()


def test_object_that_only_observes_is_no_rival() -> None:
    older, newer = claimant("older", 2, policy=OBSERVE), claimant("newer", 1)
    known = index(newer, older)
    assert known.rivals(newer, SCOPE) == ()
    assert known.rivals(older, SCOPE) == (newer,)


def test_object_with_an_invalid_spec_is_no_rival() -> None:
    older = plan(name="shared", uid="uid-older", age=2 * MINUTE, invalid="deviceFleetName: Required value")
    newer = claimant("newer", 1)
    assert index(newer, older).rivals(newer, SCOPE) == ()


def test_same_name_in_another_region_is_another_plan() -> None:
    older, newer = claimant("older", 2), claimant("newer", 1)
    known = index(older, scope=ELSEWHERE)
    known.put(newer)
    known.set_scope(newer, SCOPE)
    assert known.rivals(newer, SCOPE) == ()
    assert known.namesakes("shared", SCOPE) == [newer.key]


def test_rival_that_goes_leaves_the_plan_to_the_others() -> None:
    plans = [claimant(f"plan-{age}", age) for age in (3, 2, 1)]
    known = index(*plans)
    known.remove(plans[0].key, plans[0].uid)
    assert known.rivals(plans[2], SCOPE) == (plans[1],)
    assert known.namesakes("shared", SCOPE) == [plans[1].key, plans[2].key]


@given(st.permutations(range(5)))
def test_rivals_are_the_same_whatever_the_order_of_the_news(order: list[int]) -> None:
    plans = [plan(name=f"plan-{number}", uid=f"uid-{number}", edgeDeploymentPlanName="shared") for number in range(5)]
    known = index(*(plans[number] for number in order))
    for one in plans:
        assert keys(*known.rivals(one, SCOPE)) == keys(*plans) - {one.key}


def test_objects_are_counted_by_where_their_plans_live() -> None:
    known = index(claimant("one", 1))
    known.put(claimant("two", 0))
    assert known.used(SCOPE)
    assert not known.used(Scope("default", "us-east-1"))
    assert known.scopes() == {SCOPE}
    assert len(list(known)) == 2


def test_object_made_again_under_another_plan_name_leaves_the_former_to_others() -> None:
    older, newer = claimant("older", 2), claimant("newer", 1)
    known = index(newer, older)
    assert known.put(plan(name="older", uid="again", version=9, edgeDeploymentPlanName="own"))
    assert known.rivals(newer, SCOPE) == ()
    assert known.namesakes("own", SCOPE) == [older.key]


def test_place_of_an_object_is_known_until_it_goes() -> None:
    known = index(plan())
    assert known.scope(KEY) == SCOPE
    known.remove(KEY, "uid-1")
    assert known.scope(KEY) is None


# -- ghosts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "last",
    [
        plan(),
        plan(has_finalizer=False, status=status()),
        plan(has_finalizer=False, status=status(arn=None, settling=settling())),
    ],
    ids=["held", "its plan is known", "a create may be under way"],
)
def test_object_that_went_unseen_leaves_a_ghost_to_be_deleted(last: Resource) -> None:
    known = index(last)
    ghost = known.lost(last)
    assert ghost is not None
    assert (ghost.deleting, ghost.has_finalizer, ghost.uid) == (True, True, last.uid)
    assert known.at(KEY) == (ghost,)
    assert known.is_ghost(ghost)
    assert known.get(KEY) is None
    assert known.scope(KEY) == SCOPE


@pytest.mark.parametrize(
    "last",
    [
        plan(has_finalizer=False),
        plan(has_finalizer=False, status=status(), policy={"deletion": "Retain"}),
        plan(status=status(), policy=OBSERVE),
    ],
    ids=["never touched", "its plan is retained", "it only observed"],
)
def test_object_that_has_nothing_to_take_along_leaves_no_ghost(last: Resource) -> None:
    known = index(last)
    assert known.lost(last) is None
    assert known.at(KEY) == ()


def test_ghost_of_what_the_last_status_says_not_of_what_was_known_before() -> None:
    known = index(plan(has_finalizer=False))
    ghost = known.lost(plan(has_finalizer=False, status=status()))
    assert ghost is not None
    assert ghost.status.has_plan


def test_ghost_of_an_object_that_was_never_known_is_kept_all_the_same() -> None:
    known = Index()
    assert known.lost(plan(status=status())) is not None


def test_ghost_asks_for_what_the_object_asked_for_last_whatever_version_a_call_was_made_for() -> None:
    kept = plan(version=2, has_finalizer=False, policy={"deletion": "Retain"})
    known = index(kept)
    known.put(plan(version=5, generation=2, has_finalizer=False))
    assert known.lost(plan(version=5, generation=2, has_finalizer=False)) is None
    ghost = known.lost(replace(kept, status=status()))
    assert ghost is not None
    assert (ghost.generation, ghost.readable_spec.deletes, ghost.status.has_plan) == (2, True, True)


def test_object_whose_last_finalizer_was_taken_off_leaves_no_ghost() -> None:
    known = Index()
    last = plan(status=status(), deleting=True)
    known.put(last)
    assert known.lost(last) is None
    assert known.ghosts() == []


def test_object_that_we_let_go_leaves_no_ghost() -> None:
    known = index(plan(status=status()))
    known.let_go(plan(status=status()))
    last = known.get(KEY)
    assert last is not None
    assert known.lost(last) is None


def test_object_that_we_let_go_holds_no_name_of_an_older_version() -> None:
    former = plan(deleting=True, edgeDeploymentPlanName="former")
    known = index(former)
    known.put(plan(deleting=True, edgeDeploymentPlanName="latter", version=9, generation=2))
    known.let_go(former)
    known.remove(KEY, "uid-1", "10")
    assert (known.namesakes("former", SCOPE), known.namesakes("latter", SCOPE)) == ([], [])


def test_ghost_is_worked_on_before_the_object_that_has_its_name_now() -> None:
    known = index(plan(uid="old", edgeDeploymentPlanName="former"))
    ghost = known.lost(plan(uid="old", edgeDeploymentPlanName="former"))
    living = plan(uid="new", edgeDeploymentPlanName="latter")
    known.put(living)
    assert known.at(KEY) == (ghost, living)


def test_two_ghosts_of_one_name_are_both_laid_to_rest() -> None:
    known = Index()
    for uid in ("first", "second"):
        known.put(plan(uid=uid))
        known.lost(plan(uid=uid))
    first, second = known.at(KEY)
    assert (first.uid, second.uid) == ("first", "second")
    known.exorcise(first)
    assert known.at(KEY) == (second,)
    assert not known.is_ghost(first)
    known.exorcise(second)
    known.exorcise(second)
    assert known.at(KEY) == ()


def test_place_of_a_ghost_is_forgotten_with_it() -> None:
    known = index(plan())
    ghost = known.lost(plan())
    assert ghost is not None
    known.set_scope(ghost, SCOPE)
    known.exorcise(ghost)
    assert known.scope(KEY) is None


def test_successor_that_wants_the_plan_of_a_ghost_takes_it_over_once_it_has_it() -> None:
    known = index(plan(uid="old"))
    ghost = known.lost(plan(uid="old"))
    assert ghost is not None
    known.put(plan(uid="new"))
    assert [each.uid for each in known.at(KEY)] == ["new"]
    assert known.is_ghost(ghost)
    known.put(plan(uid="new", version=2, status=status()))
    assert [each.uid for each in known.at(KEY)] == ["new"]
    assert not known.is_ghost(ghost)


def test_successor_that_goes_before_it_has_the_plan_leaves_both_ghosts() -> None:
    known = index(plan(uid="old"))
    known.lost(plan(uid="old"))
    known.put(plan(uid="new"))
    assert known.lost(plan(uid="new")) is not None
    assert [each.uid for each in known.at(KEY)] == ["old", "new"]


def test_late_news_of_an_object_that_is_gone_brings_it_not_back() -> None:
    known = index(plan())
    known.remove(KEY, "uid-1", "99")
    assert not known.put(plan(version=99))
    assert known.get(KEY) is None
    assert known.put(plan(version=100))  # the news was wrong


def test_only_the_latest_of_the_dead_are_remembered() -> None:
    known = Index()
    for number in range(4200):
        one = plan(name="same", uid=f"uid-{number}")
        known.put(one)
        known.remove(one.key, one.uid)
    assert not known.put(plan(name="same", uid="uid-4199"))
    assert known.put(plan(name="same", uid="uid-0"))


@pytest.mark.parametrize(
    "living",
    [
        plan(uid="new", policy=OBSERVE),
        plan(uid="new", deleting=True),
        plan(uid="new", suspend=True),
        plan(uid="new", invalid="deviceFleetName: Required value"),
        plan(uid="new", status=status(arn=None, conditions=(condition("Stalled", reason=Reason.NOT_OWNED),))),
    ],
    ids=["observes", "is deleted", "is suspended", "cannot be read", "stands back"],
)
def test_successor_that_does_not_want_the_plan_leaves_it_to_the_ghost(living: Resource) -> None:
    known = index(plan(uid="old"))
    ghost = known.lost(plan(uid="old"))
    known.put(living)
    assert known.at(KEY) == (ghost, living)


def test_news_that_the_object_is_gone_may_come_before_the_answer_that_lets_it_go() -> None:
    known = index(plan(deleting=True))
    known.remove(KEY, "uid-1", "5")
    known.let_go(plan(deleting=True))
    assert (len(known), known.at(KEY)) == (0, ())
    assert known.put(plan(uid="uid-2"))


def test_successor_that_comes_before_the_answer_that_lets_its_predecessor_go_stays() -> None:
    known = index(plan(deleting=True))
    known.remove(KEY, "uid-1", "5")
    successor = plan(uid="uid-2")
    known.put(successor)
    known.let_go(plan(deleting=True))
    assert known.get(KEY) == successor


@pytest.mark.parametrize(("stages", "alike"), CASES.values(), ids=CASES)
def test_object_takes_little_memory(stages: int, alike: bool) -> None:
    # 4,000 bytes of 10,000; of so few the values that are kept once for all weigh some hundred bytes more.
    assert bytes_a_plan(2_000, stages, alike=alike) <= 4_400
