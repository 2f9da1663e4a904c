"""The lists and watches that Kopf makes, read before Kopf works on each object in them.

Kopf makes these calls, renews and resumes them, and knows where and when. What it then does with each event (a task, a
queue and a memory for the object, causes, handlers) takes ten times as long as reading it, and serves change handlers,
which we have none of. So its HTTP session hands the objects on by itself and leaves Kopf what it needs to go on: a page
of a list without its items, and a bookmark where the events of a watch were, as the API server itself sends them.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import Any

import aiohttp
from pydantic_core import from_json, to_json

from controller.domain.api import GROUP, PLURAL, VERSION
from controller.engine.turns import in_turns

Hear = Callable[[str | None, Mapping[str, Any]], None]
"""Takes one object: by which kind of event, or None where a list has it, and its body."""

logger = logging.getLogger(__name__)

_OURS = re.compile(rf"/apis/{GROUP}/{VERSION}/(namespaces/[^/]+/)?{PLURAL}")
_OBJECTS = {"ADDED", "MODIFIED", "DELETED"}
_PAUSE = 0.05  # seconds: what comes in that time is read together, which takes less CPU than to wake up for each event
# Some twenty events, and twice as many objects of a list: so the event loop has other turns in between.
_PART = 64 * 1024  # bytes
_AT_ONCE = 50


def listening(connector: aiohttp.BaseConnector, headers: Mapping[str, str], hear: Hear) -> aiohttp.ClientSession:
    """A session that tells of all objects of our kind in the answers to its lists and watches."""

    async def listen(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        response = await handler(request)
        if response.status == HTTPStatus.OK and _OURS.fullmatch(request.url.path):
            response.content = _Content(response.content, hear)  # type: ignore[assignment]
        return response

    return aiohttp.ClientSession(connector=connector, headers=headers, middlewares=(listen,))


class _Content:
    """What aiohttp and Kopf read an answer from: a list by `read`, a watch by `iter_chunked`."""

    def __init__(self, content: aiohttp.StreamReader, hear: Hear) -> None:
        self._content = content
        self._hear = hear

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
        rest = b""
        async for part in self._content.iter_chunked(_PART):
            *lines, rest = (rest + part).split(b"\n")
            heard = None
            for line in filter(None, lines):
                event = from_json(line)
                if event["type"] in _OBJECTS:
                    heard = event["object"]
                    self._tell(event["type"], heard)
                else:
                    heard = None
                    yield line + b"\n"
            if heard is not None:
                yield _bookmark(heard)
            await asyncio.sleep(_PAUSE if len(part) < _PART else 0)
        if rest:
            yield rest

    def _tell(self, kind: str | None, body: Mapping[str, Any]) -> None:
        try:
            self._hear(kind, body)
        except Exception:
            logger.exception("an object in a %s of the Kubernetes API cannot be read", "watch" if kind else "list")


def _bookmark(body: Mapping[str, Any]) -> bytes:
    version = {"resourceVersion": body["metadata"]["resourceVersion"]}
    mark = {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": version}
    return to_json({"type": "BOOKMARK", "object": mark}) + b"\n"
