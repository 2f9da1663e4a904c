"""The newest version of each object, and who holds which AWS plan."""

from hypothesis import given
from hypothesis import strategies as st

from controller.domain.resource import Resource, Scope
from controller.engine.index import Index
from tests.unit.builders import KEY, MINUTE, plan, status

SCOPE = Scope("default", "eu-west-1")
ELSEWHERE = Scope("default", "us-east-1")
OBSERVE = {"management": "Observe"}


def index(*plans: Resource, scope: Scope = SCOPE) -> Index:
    made = Index()
    for one in plans:
        assert made.put(one)
        made.place(one, scope)
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


def test_object_made_anew_replaces_the_former_whatever_its_version() -> None:
    known = index(plan(version=12, uid="old"))
    assert known.put(plan(version=3, uid="new"))


def test_late_news_of_a_former_life_removes_nothing() -> None:
    known = index(plan(uid="new"))
    assert not known.remove(KEY, "old")
    assert known.remove(KEY, "new")
    assert not known.remove(KEY, "new")
    assert (len(known), known.scopes(), known.get(KEY)) == (0, set(), None)


def test_oldest_object_holds_the_plan() -> None:
    older, newer = claimant("older", 2), claimant("newer", 1)
    known = index(newer, older)
    assert known.holder(newer) == known.holder(older) == older


def test_object_that_has_the_plan_holds_it_against_an_older_one() -> None:
    older, newer = claimant("older", 2), claimant("newer", 1, status=status())
    assert index(newer, older).holder(older) == newer


def test_object_that_only_observes_holds_nothing() -> None:
    older, newer = claimant("older", 2, policy=OBSERVE), claimant("newer", 1)
    known = index(newer, older)
    assert known.holder(newer) == newer


def test_object_with_an_invalid_spec_holds_nothing() -> None:
    older = plan(name="shared", uid="uid-older", age=2 * MINUTE, invalid="deviceFleetName: Required value")
    newer = claimant("newer", 1)
    assert index(newer, older).holder(newer) == newer


def test_same_name_in_another_region_is_another_plan() -> None:
    older, newer = claimant("older", 2), claimant("newer", 1)
    known = index(older, scope=ELSEWHERE)
    known.put(newer)
    known.place(newer, SCOPE)
    assert known.holder(newer) == newer
    assert known.namesakes("shared", SCOPE) == [newer.key]


def test_holder_that_goes_leaves_the_plan_to_the_next_oldest() -> None:
    plans = [claimant(f"plan-{age}", age) for age in (3, 2, 1)]
    known = index(*plans)
    known.remove(plans[0].key, plans[0].uid)
    assert known.holder(plans[2]) == plans[1]
    assert known.namesakes("shared", SCOPE) == [plans[1].key, plans[2].key]


@given(st.permutations(range(5)))
def test_all_agree_on_the_holder_whatever_the_order_of_the_news(order: list[int]) -> None:
    plans = [plan(name=f"plan-{number}", uid=f"uid-{number}", edgeDeploymentPlanName="shared") for number in range(5)]
    known = index(*(plans[number] for number in order))
    assert {known.holder(one).uid for one in plans} == {"uid-0"}


def test_objects_are_counted_by_where_their_plans_live() -> None:
    known = index(claimant("one", 1))
    known.put(claimant("two", 0))
    assert [one.key.name for one in known.within(SCOPE)] == ["one"]
    assert known.scopes() == {SCOPE}
    assert len(list(known)) == 2


def test_object_made_anew_under_another_plan_name_leaves_the_former_to_others() -> None:
    older, newer = claimant("older", 2), claimant("newer", 1)
    known = index(newer, older)
    assert known.put(plan(name="older", uid="again", version=9, edgeDeploymentPlanName="own"))
    assert known.holder(newer) == newer
    assert known.namesakes("own", SCOPE) == [older.key]
