"""What Kopf's session tells the operator of, and what it leaves to Kopf, against an HTTP server that answers as told."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from controller.operator.stream import listening

ALL = "/apis/edgeplan.dev/v1alpha1/edgedeploymentplans"
Heard = list[tuple[str | None, str]]


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


def run(
    answer: Any, use: Callable[[aiohttp.ClientResponse], Awaitable[Any]], path: str = ALL, heard: Heard | None = None
) -> tuple[Any, Heard]:
    """What `use` makes of the answer to a GET of that path, and what was heard meanwhile.

    `answer` is a page, or the parts of a watch: each is sent by itself.
    """
    heard = [] if heard is None else heard

    def hear(kind: str | None, item: Mapping[str, Any]) -> None:
        heard.append((kind, item["metadata"]["name"]))

    async def respond(request: web.Request) -> web.StreamResponse:
        if isinstance(answer, web.Response):
            return answer
        stream = web.StreamResponse()
        await stream.prepare(request)
        for part in answer:
            await stream.write(part)
            await asyncio.sleep(0.05)
        return stream

    async def life() -> Any:
        application = web.Application()
        application.router.add_get(path, respond)
        async with (
            TestServer(application) as server,
            listening(aiohttp.TCPConnector(), {"X-Test": "yes"}, hear) as session,
            session.get(server.make_url(path)) as response,
        ):
            return await use(response)

    return asyncio.run(life()), heard


async def as_json(response: aiohttp.ClientResponse) -> Any:
    return await response.json(content_type=None)


async def as_text(response: aiohttp.ClientResponse) -> str:
    return await response.text()


async def as_lines(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    found = b"".join([part async for part in response.content.iter_chunked(1024 * 1024)])
    return [json.loads(each) for each in found.splitlines()]


def page(*items: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "EdgeDeploymentPlanList", "metadata": {"resourceVersion": "9", "continue": "more"}, "items": items}


@pytest.mark.parametrize("path", [ALL, "/apis/edgeplan.dev/v1alpha1/namespaces/fleet-a/edgedeploymentplans"])
def test_the_items_of_a_page_are_told_and_the_rest_of_it_is_left(path: str) -> None:
    left, heard = run(web.json_response(page(body("a", 1), body("b", 2))), as_json, path)
    assert heard == [(None, "a"), (None, "b")]
    assert left == page() | {"items": []}


def test_others_have_their_turn_while_a_page_is_told() -> None:
    heard: Heard = []
    seen = set()

    async def look() -> None:
        while True:
            seen.add(len(heard))
            await asyncio.sleep(0)

    async def read(response: aiohttp.ClientResponse) -> None:
        looking = asyncio.create_task(look())
        await as_json(response)
        looking.cancel()

    run(web.json_response(page(*(body(f"p{number}", number) for number in range(250)))), read, heard=heard)
    assert len(heard) == 250
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
