"""What Kopf's session tells the operator of, and what it leaves to Kopf, against an HTTP server that answers as told."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller.operator import stream as module
from controller.operator.stream import listening

ALL = "/apis/edgeplan.dev/v1alpha1/edgedeploymentplans"
Heard = list[tuple[str | None, str]]
BREAK, SILENCE = object(), object()


def body(name: str, version: int) -> dict[str, Any]:
    metadata = {"name": name, "resourceVersion": str(version)}
    return {"apiVersion": "edgeplan.dev/v1alpha1", "kind": "EdgeDeploymentPlan", "metadata": metadata}


def line(kind: str, item: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def bookmark(version: int) -> dict[str, Any]:
    metadata = {"resourceVersion": str(version)}
    return {
        "type": "BOOKMARK",
        "object": {"apiVersion": "edgeplan.dev/v1alpha1", "kind": "EdgeDeploymentPlan", "metadata": metadata},
    }


def run(answer: Any, use: Callable[[aiohttp.ClientResponse], Awaitable[Any]], path: str = ALL) -> tuple[Any, Heard]:
    """What `use` makes of the answer to a GET of that path, and what was heard meanwhile.

    `answer` is a page of an API server without streams, or the parts of a watch: each is sent by itself.
    """
    server = ApiServer([answer], path)
    query = {} if isinstance(answer, web.Response) else {"watch": "true"}
    return server.ask(query, use=use)[0], server.heard


class ApiServer:
    """Answers each request by the next of its answers, and a request for a streamed list by the next of its streams.

    A stream is made of parts too; among them may be BREAK, which ends the connection, and SILENCE of a second.
    """

    def __init__(self, answers: Iterable[Any] = (), path: str = ALL, streams: Iterable[Any] = ()) -> None:
        self._answers = list(answers)
        self._streams = list(streams)
        self._path = path
        self.asked: list[dict[str, str]] = []
        self.heard: Heard = []

    def ask(
        self, *queries: Mapping[str, str], use: Callable[[aiohttp.ClientResponse], Awaitable[Any]] | None = None
    ) -> list[Any]:
        """What comes of a GET for each of the queries, by one session."""

        async def get(session: aiohttp.ClientSession, url: Any, query: Mapping[str, str]) -> Any:
            try:
                async with session.get(url, params=query) as response:
                    return await (use or as_json)(response)
            except (aiohttp.ClientError, TimeoutError) as error:
                return error

        async def life() -> list[Any]:
            application = web.Application()
            application.router.add_get(self._path, self._respond)
            async with (
                TestServer(application) as server,
                listening(aiohttp.TCPConnector(), {"X-Test": "yes"}, self._hear) as session,
            ):
                return [await get(session, server.make_url(self._path), query) for query in queries]

        return asyncio.run(life())

    def _hear(self, kind: str | None, item: Mapping[str, Any]) -> None:
        self.heard.append((kind, item["metadata"]["name"]))

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["X-Test"] == "yes"
        self.asked.append(dict(request.query))
        if "sendInitialEvents" in request.query:
            answer = self._streams.pop(0) if self._streams else web.json_response({"code": 422}, status=422)
        else:
            answer = self._answers.pop(0)
        if isinstance(answer, web.Response):
            return answer
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        await stream.prepare(request)
        for part in answer:
            if part is BREAK:
                assert request.transport
                request.transport.abort()
            elif part is SILENCE:
                await asyncio.sleep(1)
            else:
                await stream.write(part)
                await asyncio.sleep(0.05)
        return stream


async def as_json(response: aiohttp.ClientResponse) -> Any:
    return await response.json(content_type=None)


async def as_status(response: aiohttp.ClientResponse) -> int:
    return response.status


async def as_text(response: aiohttp.ClientResponse) -> str:
    return await response.text()


async def as_lines(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    found = b"".join([part async for part in response.content.iter_chunked(1024 * 1024)])
    return [json.loads(each) for each in found.splitlines()]


def page(*items: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "EdgeDeploymentPlanList",
        "metadata": {"resourceVersion": "9", "continue": "more"},
        "items": list(items),
    }


def paged(*items: dict[str, Any]) -> web.Response:
    return web.json_response(page(*items))


def seen_meanwhile(server: ApiServer) -> set[int]:
    """How many objects others find to be heard, in the turns that they have while a list is read."""
    seen = set()

    async def look() -> None:
        while True:
            seen.add(len(server.heard))
            await asyncio.sleep(0)

    async def read(response: aiohttp.ClientResponse) -> None:
        looking = asyncio.create_task(look())
        await as_json(response)
        looking.cancel()

    server.ask({}, use=read)
    return seen


@pytest.mark.parametrize("path", [ALL, "/apis/edgeplan.dev/v1alpha1/namespaces/fleet-a/edgedeploymentplans"])
def test_the_items_of_a_page_are_told_and_the_rest_of_it_is_left(path: str) -> None:
    left, heard = run(web.json_response(page(body("a", 1), body("b", 2))), as_json, path)
    assert heard == [(None, "a"), (None, "b")]
    assert left == page() | {"items": []}


def test_others_have_their_turn_while_a_page_is_told() -> None:
    server = ApiServer([paged(*(body(f"p{number}", number) for number in range(250)))])
    seen = seen_meanwhile(server)
    assert len(server.heard) == 250
    assert seen - {0, 250}


def test_a_page_may_have_null_for_no_items() -> None:
    left, heard = run(web.json_response(page() | {"items": None}), as_json)
    assert (left["items"], heard) == ([], [])


def test_the_events_of_a_watch_are_told_and_a_bookmark_of_the_last_is_left() -> None:
    parts = [line("ADDED", body("a", 1)) + line("MODIFIED", body("a", 2)), line("DELETED", body("a", 3))]
    left, heard = run(parts, as_lines)
    assert heard == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert left == [bookmark(2), bookmark(3)]


def test_an_event_that_comes_in_pieces_is_told_once() -> None:
    whole = line("ADDED", body("a" * 63, 1)) + line("ADDED", body("b", 2))
    left, heard = run([whole[:40], whole[40:90], whole[90:]], as_lines)
    assert heard == [("ADDED", "a" * 63), ("ADDED", "b")]
    assert left[-1] == bookmark(2)


def test_an_object_that_is_larger_than_a_part_is_told() -> None:
    large = body("a", 1) | {"spec": {"tags": ["x" * 300_000]}}
    left, heard = run([line("ADDED", large)], as_lines)
    assert heard == [("ADDED", "a")]
    assert left == [bookmark(1)]


def test_bookmarks_and_errors_are_left_to_kopf_as_they_came() -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410}}
    own = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}}
    parts = [line("ADDED", body("a", 7)) + json.dumps(own).encode() + b"\n" + json.dumps(gone).encode() + b"\n"]
    left, heard = run(parts, as_lines)
    assert heard == [("ADDED", "a")]
    assert left == [own, gone], "no bookmark of ours may come after theirs: it would take Kopf back"


def test_a_bookmark_comes_after_what_the_api_server_said_before_the_event() -> None:
    own = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}}
    left, heard = run([json.dumps(own).encode() + b"\n" + line("ADDED", body("a", 9))], as_lines)
    assert heard == [("ADDED", "a")]
    assert left == [own, bookmark(9)]


def test_what_is_no_list_is_left_as_it_came() -> None:
    for text in ("<html>of a proxy</html>", "[]", '{"kind": "Status"}'):
        assert run(web.Response(text=text), as_text) == (text, [])


def test_other_kinds_and_refusals_are_left_as_they_came() -> None:
    plans = page(body("a", 1))
    for answer, path in (
        (web.json_response(plans), "/api/v1/namespaces"),
        (web.json_response(plans), "/apis/edgeplan.dev/v1alpha1/namespaces/a/edgedeploymentplans/b"),
        (web.json_response(plans), "/apis/other.dev/v1alpha1/edgedeploymentplans"),
        (web.json_response(plans, status=403), ALL),
    ):
        left, heard = run(answer, as_json, path)
        assert (left["items"], heard) == ([body("a", 1)], [])


def test_an_object_that_cannot_be_read_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    odd = {"apiVersion": "edgeplan.dev/v1alpha1", "kind": "EdgeDeploymentPlan", "metadata": {"resourceVersion": "2"}}
    _, heard = run([line("ADDED", body("a", 1)) + line("ADDED", odd) + line("ADDED", body("c", 3))], as_lines)
    assert heard == [("ADDED", "a"), ("ADDED", "c")]
    assert run(web.json_response(page(odd, body("b", 2))), as_json)[1] == [(None, "b")]
    assert [record.message for record in caplog.records] == [
        "an object in a watch of the Kubernetes API cannot be read",
        "an object in a list of the Kubernetes API cannot be read",
    ]


# --- a streamed list ---

STREAM = {
    "watch": "true",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}
FIRST = {"limit": "250"}
EMPTY = {
    "apiVersion": "edgeplan.dev/v1alpha1",
    "kind": "EdgeDeploymentPlanList",
    "metadata": {"resourceVersion": "9"},
    "items": [],
}


def end(version: int) -> bytes:
    mark = bookmark(version)["object"]
    mark["metadata"]["annotations"] = {"k8s.io/initial-events-end": "true"}
    return line("BOOKMARK", mark)


@pytest.mark.parametrize("path", [ALL, "/apis/edgeplan.dev/v1alpha1/namespaces/fleet-a/edgedeploymentplans"])
def test_a_list_is_a_stream_that_is_told_as_a_list_and_ends_at_its_bookmark(path: str) -> None:
    after = line("ADDED", body("c", 10))
    server = ApiServer(path=path, streams=[[line("ADDED", body("a", 1)), line("ADDED", body("b", 2)), end(9), after]])
    assert server.ask(FIRST) == [EMPTY]
    assert server.heard == [(None, "a"), (None, "b")]
    assert server.asked == [STREAM]


def test_a_stream_asks_for_what_the_list_asked_for() -> None:
    server = ApiServer(streams=[[end(9)]])
    assert server.ask(FIRST | {"labelSelector": "team=a"}) == [EMPTY]
    assert server.asked == [STREAM | {"labelSelector": "team=a"}]


def test_what_changes_while_a_list_is_streamed_is_told_as_a_change() -> None:
    parts = [line("ADDED", body("a", 1)), line("MODIFIED", body("a", 7)), line("DELETED", body("a", 8)), end(9)]
    server = ApiServer(streams=[parts])
    assert server.ask(FIRST) == [EMPTY]
    assert server.heard == [(None, "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_a_bookmark_before_the_end_of_the_objects_ends_nothing() -> None:
    server = ApiServer(streams=[[line("BOOKMARK", bookmark(3)["object"]), line("ADDED", body("a", 4)), end(9)]])
    assert server.ask(FIRST) == [EMPTY]
    assert server.heard == [(None, "a")]


def test_objects_of_a_stream_may_come_in_pieces_and_larger_than_a_part() -> None:
    large = body("a", 1) | {"spec": {"tags": ["x" * 300_000]}}
    whole = line("ADDED", large) + line("ADDED", body("b", 2)) + end(9)
    server = ApiServer(streams=[[whole[:300_020], whole[300_020:300_100], whole[300_100:]]])
    assert server.ask(FIRST) == [EMPTY]
    assert server.heard == [(None, "a"), (None, "b")]


def test_others_have_their_turn_while_a_stream_is_told() -> None:
    server = ApiServer(streams=[[b"".join(line("ADDED", body(f"p{n}", n)) for n in range(5_000)) + end(9)]])
    seen = seen_meanwhile(server)
    assert len(server.heard) == 5_000
    assert len(seen - {0, 5_000}) >= 3


def test_an_object_of_a_stream_that_cannot_be_read_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    odd = {"metadata": {"resourceVersion": "2"}}
    server = ApiServer(
        streams=[[line("ADDED", body("a", 1)) + line("ADDED", odd) + line("ADDED", body("c", 3)), end(9)]]
    )
    assert server.ask(FIRST) == [EMPTY]
    assert server.heard == [(None, "a"), (None, "c")]
    assert [record.message for record in caplog.records] == ["an object in a list of the Kubernetes API cannot be read"]


def test_an_api_server_without_streams_is_asked_for_pages_at_once() -> None:
    server = ApiServer([paged(body("a", 1)), paged(body("b", 2))])
    assert server.ask(FIRST, FIRST | {"continue": "more"}) == [page(), page()]
    assert server.heard == [(None, "a"), (None, "b")]
    assert server.asked == [STREAM, FIRST, FIRST | {"continue": "more"}]


def test_a_refusal_of_streams_and_pages_alike_is_left_to_kopf() -> None:
    refusals = [web.json_response({"code": 401}, status=401) for _ in range(2)]
    server = ApiServer(refusals[:1], streams=refusals[1:])
    assert server.ask(FIRST, use=as_status) == [401]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param([line("ADDED", body("a", 1))], id="closed before the end"),
        pytest.param([line("ADDED", body("a", 1)), BREAK], id="connection lost"),
        pytest.param([line("ADDED", body("a", 1)) + line("ADDED", body("b", 2))[:20]], id="half a line"),
        pytest.param([line("ADDED", body("a", 1)) + line("ERROR", {"message": "too old"})], id="error"),
        pytest.param([line("ADDED", body("a", 1)) + b"<html>of a proxy</html>\n"], id="no JSON"),
        pytest.param([line("ADDED", body("a", 1)) + b"[]\n"], id="no event"),
        pytest.param([line("ADDED", body("a", 1)) + b'{"type": "BOOKMARK", "object": []}\n'], id="no bookmark"),
    ],
)
def test_a_stream_that_breaks_off_is_no_list_and_the_next_one_comes_in_pages(broken: list[Any]) -> None:
    server = ApiServer([paged(body("a", 1))], streams=[broken, [line("ADDED", body("z", 8)), end(9)]])
    failed, in_pages, streamed = server.ask(FIRST, FIRST, FIRST)
    # Kopf makes the list again after one of these, and ends the operator after most others.
    assert isinstance(failed, aiohttp.ClientPayloadError)
    assert (in_pages, streamed) == (page(), EMPTY)
    assert server.heard == [(None, "a"), (None, "a"), (None, "z")]
    assert server.asked == [STREAM, FIRST, STREAM]


@pytest.mark.parametrize("parts", [[line("ADDED", body("a", 1)), SILENCE], None], ids=["begun", "not begun"])
def test_a_stream_that_falls_silent_is_given_up(parts: list[Any] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", aiohttp.ClientTimeout(sock_read=0.2))
    server = ApiServer([paged()], streams=[Late() if parts is None else parts])
    failed, in_pages = server.ask(FIRST, FIRST)
    assert isinstance(failed, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError)
    assert in_pages == page()


class Late(web.Response):
    """What a proxy does that keeps an answer until it has all of it."""

    async def prepare(self, request: web.BaseRequest) -> Any:
        await asyncio.sleep(1)
        return await super().prepare(request)


def test_half_an_event_at_the_end_of_a_watch_is_left_out() -> None:
    left, heard = run([line("ADDED", body("a", 1)) + line("ADDED", body("b", 2))[:20]], as_lines)
    assert heard == [("ADDED", "a")]
    assert left == [bookmark(1)]
