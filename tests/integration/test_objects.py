"""Status and finalizer on the real API server: what is written beside other people's edits, deletions and successors."""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from controller.cluster.listing import Glimpse, Item
from controller.cluster.objects import KubernetesObjects
from controller.domain.api import FINALIZER, GROUP
from controller.domain.resource import Key, Resource, parse
from controller.domain.status import EdgeDeploymentPlanStatus, LastError, Retry
from controller.engine.ports import ObjectChanged, ObjectError, ObjectGone
from tests.integration.client import connected
from tests.integration.operators import World
from tests.unit.builders import condition

T = TypeVar("T")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
DONE = EdgeDeploymentPlanStatus(observed_generation=1, edge_deployment_plan_arn="arn:of-the-first")
OTHERS = f"other.{GROUP}/finalizer"


def ask(call: Callable[[KubernetesObjects], Awaitable[T]]) -> T:
    """What the call comes to, on a client of its own."""

    async def asked() -> T:
        async with connected() as api:
            return await call(KubernetesObjects(api, lambda: NOW, "test", patience=20))

    return asyncio.run(asked())


def replace_by_force(world: World, name: str) -> Resource:
    """`kubectl replace --force`: another object under the same name."""
    world.delete(name)
    return parse(world.create(name))


def finalizers(world: World, name: str) -> list[str]:
    body: dict[str, Any] = world.get(name) or {}
    return list(body["metadata"].get("finalizers", ()))


def set_finalizers(world: World, name: str, *names: str) -> Resource:
    return parse(world._patch(name, {"metadata": {"finalizers": list(names)}}))


def test_a_deletion_counts_the_generation_on_by_one_and_an_edit_after_it_again(world: World) -> None:
    world.create("plan")
    before = set_finalizers(world, "plan", OTHERS)
    world.delete("plan")
    marked = parse(world.get("plan"), before)
    assert (marked.deleting, marked.generation, marked.spec is before.spec) == (True, before.generation + 1, True)
    body = world.edit("plan", tags=[{"key": "team", "value": "x"}])
    assert (parse(body, before), parse(body, marked)) == (parse(body), parse(body))
    assert parse(body).generation == before.generation + 2
    set_finalizers(world, "plan")


@pytest.mark.parametrize("write", [KubernetesObjects.write_status, KubernetesObjects.claim])
def test_successor_never_gets_the_dead_objects_status(world: World, write: Any) -> None:
    dead = parse(world.create("plan"))
    successor = replace_by_force(world, "plan")
    with pytest.raises(ObjectGone):
        ask(lambda objects: write(objects, dead, DONE))
    assert parse(world.get("plan")) == successor


@pytest.mark.parametrize("write", [KubernetesObjects.write_status, KubernetesObjects.claim])
def test_status_of_an_object_that_went_is_nobodys(world: World, write: Any) -> None:
    dead = parse(world.create("plan"))
    world.delete("plan")
    with pytest.raises(ObjectGone):
        ask(lambda objects: write(objects, dead, DONE))
    assert world.get("plan") is None


def test_objects_replaced_by_force_while_their_status_is_written_start_from_nothing(world: World) -> None:
    """A race: of every status that was accepted, the object that it names is the one that got it."""
    dice, over = random.Random(3), threading.Event()  # noqa: S311 - a test's dice
    bodies = [world.create("plan")]

    def replace_on_and_on() -> None:
        while not over.is_set():
            world.delete("plan")
            bodies.append(world.create("plan"))
            over.wait(dice.uniform(0, 0.02))

    async def write_on_and_on(objects: KubernetesObjects) -> int:
        written = 0
        for _ in range(150):
            known = parse(bodies[-1])
            named = DONE.model_copy(update={"edge_deployment_plan_arn": known.uid})
            try:
                now = await objects.write_status(known, named)
            except (ObjectGone, ObjectChanged):
                continue
            assert (now.uid, now.status.edge_deployment_plan_arn) == (known.uid, known.uid)
            written += 1
            found = await objects.find(known.key)
            assert found is None or found.status.edge_deployment_plan_arn in (None, found.uid)
        return written

    replacing = threading.Thread(target=replace_on_and_on)
    replacing.start()
    try:
        assert ask(write_on_and_on) > 0
    finally:
        over.set()
        replacing.join()
    assert len(bodies) > 10


def test_edit_of_spec_or_metadata_is_no_obstacle_to_the_status(world: World) -> None:
    known = parse(world.create("plan"))
    world.edit("plan", deviceFleetName="other")
    world.ask("plan", "now")
    after = ask(lambda objects: objects.write_status(known, DONE))
    assert (after.status, after.generation, after.reconcile_requested_at) == (DONE, 2, "now")
    assert parse(world.get("plan")) == after


def test_another_status_is_an_obstacle_and_is_told(world: World) -> None:
    known = parse(world.create("plan"))
    first = ask(lambda objects: objects.write_status(known, DONE))
    late = EdgeDeploymentPlanStatus(observed_generation=1, edge_deployment_plan_arn="arn:of-the-second")
    with pytest.raises(ObjectChanged, match="somebody else wrote its status") as caught:
        ask(lambda objects: objects.write_status(known, late))
    assert caught.value.now == first == parse(world.get("plan"))


def test_of_two_writers_at_once_one_wins_and_the_other_is_told(world: World) -> None:
    known = parse(world.create("plan"))
    offers = [
        EdgeDeploymentPlanStatus(observed_generation=1, edge_deployment_plan_arn=f"arn:{number}") for number in range(8)
    ]

    async def race(objects: KubernetesObjects) -> list[Resource | BaseException]:
        return await asyncio.gather(*(objects.write_status(known, offer) for offer in offers), return_exceptions=True)

    ends = ask(race)
    (winner,) = [end for end in ends if isinstance(end, Resource)]
    losers = [end.now for end in ends if isinstance(end, ObjectChanged)]
    assert losers == [winner] * 7
    assert parse(world.get("plan")) == winner


def test_claim_takes_no_change_at_all(world: World) -> None:
    known = parse(world.create("plan"))
    assert ask(lambda objects: objects.claim(known, DONE)).status == DONE
    known = parse(world.get("plan"))
    edited = parse(world.ask("plan", "now"))
    with pytest.raises(ObjectChanged) as caught:
        ask(lambda objects: objects.claim(known, EdgeDeploymentPlanStatus()))
    assert caught.value.now == edited == parse(world.get("plan"))


def test_what_a_status_no_longer_says_goes_at_every_depth(world: World) -> None:
    known = parse(world.create("plan"))
    error = LastError(code="Refused", message="no", request_id="request-1")
    retry = Retry(attempts=1, next_attempt_time=NOW, last_error=error)
    failed = DONE.model_copy(update={"retry": retry})
    known = ask(lambda objects: objects.write_status(known, failed))
    assert known.status == failed
    silent = Retry(attempts=2, next_attempt_time=NOW, last_error=LastError(code="Timeout", message="no answer"))
    waiting = DONE.model_copy(update={"retry": silent})
    known = ask(lambda objects: objects.write_status(known, waiting))
    assert known.status == waiting
    known = ask(lambda objects: objects.write_status(known, EdgeDeploymentPlanStatus(observed_generation=1)))
    assert world.status("plan") == {"observedGeneration": 1, "conditions": []}


def test_finalizers_of_others_stay_whoever_comes_between(world: World) -> None:
    known = parse(world.create("plan"))
    set_finalizers(world, "plan", OTHERS)
    held = ask(lambda objects: objects.hold(known))
    assert finalizers(world, "plan") == [OTHERS, FINALIZER]
    set_finalizers(world, "plan", FINALIZER)
    set_finalizers(world, "plan", FINALIZER, f"third.{GROUP}/finalizer")
    released = ask(lambda objects: objects.release(held))
    assert finalizers(world, "plan") == [f"third.{GROUP}/finalizer"]
    assert released == parse(world.get("plan"))


def test_finalizer_that_somebody_else_put_on_is_told_and_one_that_is_off_already_is_fine(world: World) -> None:
    known = parse(world.create("plan"))
    held = ask(lambda objects: objects.hold(known))
    with pytest.raises(ObjectChanged) as changed:
        ask(lambda objects: objects.hold(known))
    assert changed.value.now == held
    bare = ask(lambda objects: objects.release(held))
    assert ask(lambda objects: objects.release(held)) == bare == parse(world.get("plan"))


@pytest.mark.parametrize("replaced", [True, False])
def test_finalizer_of_an_object_that_went_is_nobodys(world: World, replaced: bool) -> None:
    dead = parse(world.create("plan"))
    if replaced:
        replace_by_force(world, "plan")
    else:
        world.delete("plan")
    before = world.get("plan")
    with pytest.raises(ObjectGone):
        ask(lambda objects: objects.hold(dead))
    assert ask(lambda objects: objects.release(dead)) is None
    assert world.get("plan") == before


def test_object_that_is_being_deleted_takes_no_finalizer_and_is_told(world: World) -> None:
    known = parse(world.create("plan"))
    set_finalizers(world, "plan", OTHERS)
    world.delete("plan")
    dying = parse(world.get("plan"))
    assert dying.deleting
    for version in (known, dying):
        with pytest.raises(ObjectChanged, match=r"is being deleted: .*no new finalizers can be added") as caught:
            ask(lambda objects, version=version: objects.hold(version))  # type: ignore[misc]
        assert caught.value.now == dying
    assert finalizers(world, "plan") == [OTHERS]


def test_last_finalizer_taken_off_a_deleted_object_lets_it_go(world: World) -> None:
    held = ask(lambda objects: objects.hold(parse(world.create("plan"))))
    world.delete("plan")
    assert ask(lambda objects: objects.release(held)) is None
    assert world.get("plan") is None


def test_status_that_the_definition_refuses_is_an_error_and_no_absence(world: World) -> None:
    known = parse(world.create("plan"))
    endless = condition("Ready").model_copy(update={"message": "x" * 32769})
    wrong = DONE.model_copy(update={"conditions": (endless,)})
    with pytest.raises(ObjectError, match="422") as caught:
        ask(lambda objects: objects.write_status(known, wrong))
    assert type(caught.value) is ObjectError


def test_listing_knows_every_page_and_what_is_newer_than_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.cluster.connection._PAGE", 2)
    made = [parse(world.create(f"plan-{number}")) for number in range(5)]
    world.delete("plan-3")
    listing = ask(lambda objects: objects.listed([world.namespace]))
    later = parse(world.create("later"))
    assert listing.living == {(each.key, each.uid) for each in made if each.key.name != "plan-3"}
    assert [each.key.name for each in [*made, later] if listing.misses(each)] == ["plan-3"]
    successor = replace_by_force(world, "plan-0")
    listing = ask(lambda objects: objects.listed([None]))
    assert [listing.misses(each) for each in (made[0], successor, later)] == [True, False, False]


def test_listing_of_other_namespaces_says_nothing(world: World) -> None:
    made = parse(world.create("plan"))
    world.delete("plan")
    assert not ask(lambda objects: objects.listed(["elsewhere"])).misses(made)
    assert not ask(lambda objects: objects.listed([])).misses(made)


def test_glimpse_counts_all_for_the_price_of_one(world: World) -> None:
    assert ask(lambda objects: objects.glimpse(world.namespace)).count == 0
    made = [parse(world.create(f"plan-{number}")) for number in range(3)]
    seen = ask(lambda objects: objects.glimpse(world.namespace))
    first = Item(Key(world.namespace, "plan-0"), made[0].uid, int(made[0].resource_version))
    assert seen == Glimpse(3, first)
