"""Events are published beside the work: in order, bounded, and whatever becomes of one, the next has its turn.

The calls are faked at the process edge; that the API server takes them is tested where it is (tests/integration).
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from pytest_mock import MockerFixture

from controller.cluster import events
from controller.cluster.events import EventRecorder
from controller.domain.events import Event
from controller.engine.ports import ObjectError
from tests.unit.builders import plan

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = timedelta(seconds=5)


class ApiServer:
    """Takes calls as `call` makes them; `trouble` is raised by the next one, `held` holds all up."""

    def __init__(self, mocker: MockerFixture) -> None:
        self.calls: list[tuple[str, str]] = []
        self.trouble: Exception | None = None
        self.held: asyncio.Event | None = None
        mocker.patch.object(events, "call", self._call)

    async def _call(self, _api: object, method: str, _path: str, body: Mapping[str, Any], **_: Any) -> Any:
        if self.held is not None:
            await self.held.wait()
        trouble, self.trouble = self.trouble, None
        if trouble is not None:
            raise trouble
        note = body.get("note") or f"times {body['series']['count']}"
        self.calls.append((method, str(note)))
        return {"metadata": {"name": "event-1"}}


@pytest.fixture
def server(mocker: MockerFixture) -> ApiServer:
    return ApiServer(mocker)


def recorder() -> EventRecorder:
    return EventRecorder(cast("Any", None), lambda: NOW, "reporter")


def said(note: str) -> Event:
    return Event("Normal", "Created", "Creating", note)


def play(*notes: str) -> None:
    async def run() -> None:
        one = recorder()
        for note in notes:
            one.publish(plan(), said(note))
        await one.drain(SOON)

    asyncio.run(run())


def test_events_are_published_in_order_and_a_repetition_is_counted(server: ApiServer) -> None:
    play("first", "second", "first")
    assert server.calls == [("POST", "first"), ("POST", "second"), ("PATCH", "times 2")]


def test_an_event_that_fails_is_told_and_the_next_is_published(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.trouble = ObjectError("no room")
    play("first", "second")
    assert server.calls == [("POST", "second")]
    assert "no room" in caplog.text


def test_a_fault_that_nobody_foresaw_does_not_end_the_publishing(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.trouble = RuntimeError("odd")
    play("first", "second")
    assert server.calls == [("POST", "second")]
    assert "odd" in caplog.text


def test_what_is_too_much_is_dropped_and_counted(
    server: ApiServer, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    mocker.patch.object(events, "_MOST_WAITING", 2)
    play("first", "second", "third", "fourth")
    assert server.calls == [("POST", "first"), ("POST", "second")]
    assert "2 events were not published" in caplog.text


def test_a_stop_waits_for_events_no_longer_than_it_is_told(server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        server.held = asyncio.Event()
        one = recorder()
        one.publish(plan(), said("first"))
        one.publish(plan(), said("second"))
        await asyncio.sleep(0)
        await one.drain(timedelta(milliseconds=10))

    caplog.set_level(logging.INFO)
    asyncio.run(run())
    assert server.calls == []
    assert "2 events were not published any more" in caplog.text
