"""The lists and watches that Kopf makes, read before Kopf works on each object in them.

Kopf makes these calls, renews and resumes them, and knows where and when. What it then does with each event (a task, a
queue and a memory for the object, causes, handlers) takes ten times as long as reading it, and serves change handlers,
which we have none of. So its HTTP session hands the objects on by itself and leaves Kopf what it needs to go on: a page
of a list without its items, and a bookmark where the events of a watch were, as the API server itself sends them.

A list is asked for as a stream first: a watch that begins with all objects and says where they end, which the API
server answers from its memory. https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists
Kopf's own `watching.initial_streaming` is for all kinds at once, ends the operator where an API server has no streams,
and resumes a stream that broke off at the last object's version, as if all had come. So ours is read here, and the list
that follows one that was refused or broke off comes in pages.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
from pydantic_core import from_json, to_json

from controller.domain.api import API_VERSION, GROUP, KIND, PLURAL, VERSION
from controller.engine.turns import in_turns

Hear = Callable[[str | None, Mapping[str, Any]], None]
"""Takes one object: by which kind of event, or None where a list has it, and its body."""

logger = logging.getLogger(__name__)

_OURS = re.compile(rf"/apis/{GROUP}/{VERSION}/(namespaces/[^/]+/)?{PLURAL}")
_OBJECTS = {"ADDED", "MODIFIED", "DELETED"}
# An API server without streams, or one that knows nothing of them, refuses the second or the third of these.
_STREAM = {
    "watch": "true",
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_PATIENCE = aiohttp.ClientTimeout(total=300, sock_read=30)  # seconds; 50,000 objects take ten to twenty
_PAUSE = 0.05  # seconds: what comes in that time is read together, which takes less CPU than to wake up for each event
# Some twenty events, and twice as many objects of a list: so the event loop has other turns in between.
_PART = 64 * 1024  # bytes
_AT_ONCE = 50


def listening(connector: aiohttp.BaseConnector, headers: Mapping[str, str], hear: Hear) -> aiohttp.ClientSession:
    """A session that tells of all objects of our kind in the answers to its lists and watches."""
    return aiohttp.ClientSession(connector=connector, headers=headers, middlewares=(_Listener(hear).listen,))


class _Listener:
    """What the session does with each request and answer of Kopf's."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._broken: set[str] = set()  # the paths of lists whose last stream broke off: the next comes in pages

    async def listen(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Make the request, as a stream where it is for a list that can come as one; aiohttp calls this."""
        path = request.url.path
        if not _OURS.fullmatch(path):
            return await handler(request)
        begins_list = not {"watch", "continue"} & request.url.query.keys()
        if begins_list and path not in self._broken:
            response = await self._stream(request)
            if response is not None:
                return response
        response = await handler(request)
        if response.status == HTTPStatus.OK:
            response.content = _Content(response.content, self._tell)  # type: ignore[assignment]
            if begins_list:
                self._broken.discard(path)
        return response

    async def _stream(self, request: aiohttp.ClientRequest) -> aiohttp.ClientResponse | None:
        """The list that is asked for as a stream; None where the API server makes none."""
        path, url = request.url.path, request.url.without_query_params("limit").update_query(_STREAM)
        try:
            response = await request.session.get(url, timeout=_PATIENCE, middlewares=())
        except TimeoutError:  # something in between keeps an answer until it is whole, and a watch never is
            self._broken.add(path)
            raise
        if response.status != HTTPStatus.OK:
            response.release()
            return None
        content = _Stream(response.content, self._tell, lambda: self._broken.add(path))
        response.content = content  # type: ignore[assignment]
        return response

    def _tell(self, kind: str | None, body: Mapping[str, Any]) -> None:
        try:
            self._hear(kind, body)
        except Exception:
            logger.exception("an object in a %s of the Kubernetes API cannot be read", "watch" if kind else "list")


class _Content:
    """What aiohttp and Kopf read an answer from: a list by `read`, a watch by `iter_chunked`."""

    def __init__(self, content: aiohttp.StreamReader, tell: Hear) -> None:
        self._content = content
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def read(self) -> bytes:
        """The page without its items; as it came, where it is none."""
        text = await self._content.read()
        try:
            page = from_json(text)
            items = page["items"] or ()
        except (ValueError, TypeError, KeyError):  # a proxy's, say: Kopf has the words for it
            return text
        async for some in in_turns(items, _AT_ONCE):
            for item in some:
                self._tell(None, item)
        return to_json({**page, "items": []})

    async def iter_chunked(self, _size: int) -> AsyncIterator[bytes]:
        """The lines that are no events of objects, and up to which resourceVersion there were any."""
        async for lines, is_full in self._parts():
            heard = None
            for line in lines:
                event = from_json(line)
                if event["type"] in _OBJECTS:
                    heard = event["object"]
                    self._tell(event["type"], heard)
                else:
                    heard = None
                    yield line + b"\n"
            if heard is not None:
                yield _bookmark(heard)
            await asyncio.sleep(0 if is_full else _PAUSE)

    async def _parts(self) -> AsyncIterator[tuple[list[bytes], bool]]:
        """The whole lines of each part, and whether more waits behind it. Half a line at the end broke off there."""
        rest = b""
        async for part in self._content.iter_chunked(_PART):
            *lines, rest = (rest + part).split(b"\n")
            yield [line for line in lines if line], len(part) == _PART


class _Stream(_Content):
    """A list that comes as a watch, read as if it were one page."""

    def __init__(self, content: aiohttp.StreamReader, tell: Hear, broke_off: Callable[[], None]) -> None:
        super().__init__(content, tell)
        self._broke_off = broke_off

    async def read(self) -> bytes:
        """A page without items, once all objects are told.

        Raises:
            aiohttp.ClientPayloadError: the stream broke off, or was none; Kopf makes the list again.

        """
        try:
            version = await self._end()
        except Exception as error:
            self._broke_off()
            raise aiohttp.ClientPayloadError(f"a streamed list broke off: {error!r}") from error
        metadata = {"resourceVersion": version}
        return to_json({"apiVersion": API_VERSION, "kind": f"{KIND}List", "metadata": metadata, "items": []})

    async def _end(self) -> str:
        """The resourceVersion at which all objects are told."""
        async for lines, _ in self._parts():
            for line in lines:
                event = from_json(line)
                kind, body = event["type"], event["object"]
                if kind in _OBJECTS:
                    self._tell(None if kind == "ADDED" else kind, body)
                elif kind == "BOOKMARK" and _INITIAL_EVENTS_END in body["metadata"].get("annotations", ()):
                    return str(body["metadata"]["resourceVersion"])
                elif kind == "ERROR":
                    raise ValueError(body.get("message"))
            await asyncio.sleep(0)
        raise EOFError


def _bookmark(body: Mapping[str, Any]) -> bytes:
    version = {"resourceVersion": body["metadata"]["resourceVersion"]}
    mark = {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": version}
    return to_json({"type": "BOOKMARK", "object": mark}) + b"\n"
