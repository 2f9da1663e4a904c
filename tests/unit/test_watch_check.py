"""When the watch's word is doubted: the order of what is asked of the API server, and what is made of the answers."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from controller.cluster.listing import Glimpse, Item, Listing
from controller.domain.resource import Key, Resource
from controller.engine.index import Index
from controller.engine.ports import ObjectError, ObjectGone
from controller.operator import watch
from controller.operator.watch import WatchCheck
from tests.unit.builders import plan

A, B = plan(name="a", uid="uid-a", version=5), plan(name="b", uid="uid-b", version=7)


class Server:
    """An API server with these objects, which notes what it is asked; its troubles come first, one per question."""

    def __init__(self, *objects: Resource, version: int = 10) -> None:
        self.objects = objects
        self.version = version
        self.asked: list[str] = []
        self.troubles: list[ObjectError] = []
        self.next_news: Callable[[], object] = lambda: None
        """What the watch brings right after a glimpse."""

    async def listed(self, namespaces: Collection[str] | Collection[None]) -> Listing:
        self._note(f"list {sorted(map(str, namespaces))}")
        living = {(each.key, each.uid) for each in self.objects}
        return Listing(frozenset(namespaces), self.version, frozenset(living))

    async def glimpse(self, namespace: str | None) -> Glimpse:
        self._note(f"glimpse {namespace}")
        asyncio.get_running_loop().call_soon(self.next_news)
        there = [each for each in self.objects if namespace in (None, each.key.namespace)]
        if not there:
            return Glimpse(0)
        first = Item(there[0].key, there[0].uid, int(there[0].resource_version))
        return Glimpse(len(there), first)

    def _note(self, question: str) -> None:
        self.asked.append(question)
        if self.troubles:
            raise self.troubles.pop(0)


class Watched:
    """A watch check beside an index and a server, and what it came to."""

    def __init__(self, server: Server, *known: Resource, namespaces: Collection[str] = ()) -> None:
        self.index = Index()
        for each in known:
            self.index.put(each)
        self.gone: list[str] = []
        self.deaf = asyncio.Event()
        self.check = WatchCheck(
            objects=server, index=self.index, gone=self._forget, deaf=self.deaf, namespaces=namespaces
        )

    def _forget(self, resource: Resource) -> None:
        self.gone.append(resource.key.name)
        self.index.remove(resource.key, resource.uid)

    async def until(self, enough: Callable[[], bool]) -> None:
        running = asyncio.create_task(self.check.run())
        async with asyncio.timeout(10):
            while not enough() and not running.done():  # noqa: ASYNC110 - the condition is any test's own
                await asyncio.sleep(0.001)
        running.cancel()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_CHECK", timedelta(milliseconds=20))
    monkeypatch.setattr(watch, "_BREATH", timedelta(milliseconds=2))


def play(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def test_nothing_but_glimpses_where_watch_and_server_agree() -> None:
    async def story() -> None:
        server = Server(A, B)
        watched = Watched(server, A, B)
        await watched.until(lambda: len(server.asked) >= 4)
        assert set(server.asked) == {"glimpse None"}
        assert (watched.gone, watched.deaf.is_set()) == ([], False)

    play(story)


def test_fewer_objects_than_known_are_a_reason_to_list() -> None:
    async def story() -> None:
        server = Server(B)
        watched = Watched(server, A, B)
        await watched.until(lambda: bool(watched.gone))
        assert server.asked == ["glimpse None", "list ['None']"]
        assert watched.gone == ["a"]

    play(story)


def test_objects_of_which_the_watch_tells_a_moment_later_are_no_reason_to_list() -> None:
    async def story() -> None:
        server = Server(B)
        watched = Watched(server, A, B)
        server.next_news = lambda: watched.index.remove(A.key, A.uid)
        await watched.until(lambda: len(server.asked) >= 4)
        assert set(server.asked) == {"glimpse None"}

    play(story)


def test_gap_in_the_watch_is_a_reason_to_list() -> None:
    async def story() -> None:
        successor = plan(name="a", uid="uid-2", version=8)
        server = Server(successor, B)
        watched = Watched(server, A, B)
        watched.check.take_stock()
        await watched.until(lambda: bool(watched.gone))
        assert server.asked == ["list ['None']"]
        assert watched.gone == ["a"]

    play(story)


def test_unreachable_server_is_a_reason_to_list_once_it_answers() -> None:
    async def story() -> None:
        server = Server(B)
        server.troubles = [ObjectError("away"), ObjectError("still away")]
        watched = Watched(server, A, B)
        await watched.until(lambda: bool(watched.gone))
        assert server.asked == ["glimpse None", "list ['None']", "list ['None']"]

    play(story)


def test_kind_that_is_not_served_is_no_reason_to_list() -> None:
    async def story() -> None:
        server = Server(A)
        server.troubles = [ObjectGone("404"), ObjectGone("404")]
        watched = Watched(server, A)
        await watched.until(lambda: len(server.asked) >= 4)
        assert set(server.asked) == {"glimpse None"}

    play(story)


def test_list_is_made_now_and_then_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_STOCK", timedelta(milliseconds=60))

    async def story() -> None:
        replaced = plan(name="c", uid="uid-c", version=9)
        server = Server(B, replaced)  # as many as are known, but others
        watched = Watched(server, A, B)
        await watched.until(lambda: bool(watched.gone))
        assert server.asked[-1] == "list ['None']"
        assert "glimpse None" in server.asked

    play(story)


def test_object_newer_than_the_list_is_not_judged_by_it() -> None:
    async def story() -> None:
        server = Server(B, version=4)
        watched = Watched(server, A, B)
        watched.check.take_stock()
        await watched.until(lambda: len(server.asked) >= 4)
        assert watched.gone == []

    play(story)


def test_watched_namespaces_are_looked_at_in_turn_and_globs_through_their_objects() -> None:
    async def story() -> None:
        server = Server(A)
        watched = Watched(server, A, namespaces=("kiosk", "ret*"))
        await watched.until(lambda: len(server.asked) >= 4)
        assert set(server.asked) == {"glimpse kiosk", "glimpse retail"}
        watched.check.take_stock()
        await watched.until(lambda: server.asked[-1].startswith("list"))
        assert server.asked[-1] == "list ['retail']"

    play(story)


@pytest.mark.parametrize("known", [(), (plan(name="a", uid="uid-a", version=4),)])
def test_watch_that_tells_nothing_of_an_object_for_two_checks_is_deaf(known: tuple[Resource, ...]) -> None:
    async def story() -> None:
        server = Server(A, B)
        watched = Watched(server, *known)
        await watched.until(watched.deaf.is_set)
        assert watched.deaf.is_set()
        assert server.asked == ["glimpse None", "glimpse None"]

    play(story)


def test_object_that_came_and_went_between_two_checks_is_no_deafness() -> None:
    async def story() -> None:
        server = Server(A)
        watched = Watched(server)
        await watched.until(lambda: len(server.asked) == 1)
        server.objects = ()
        await watched.until(lambda: len(server.asked) >= 4)
        assert not watched.deaf.is_set()
        assert watched.index.get(Key("retail", "a")) is None

    play(story)
