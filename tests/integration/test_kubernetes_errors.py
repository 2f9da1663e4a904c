"""Whatever a call to the Kubernetes API can end in comes out as an ObjectError that says what failed."""

import asyncio
from datetime import UTC, datetime

import pytest
from kubernetes.aio import client

from controller.cluster.connection import connect
from controller.cluster.objects import KubernetesObjects
from controller.domain.resource import Key
from controller.engine.ports import ObjectError


async def _ask_a_server_that_hangs_up() -> list[str]:
    """What each reading call says when the API server takes the request and closes the connection."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    api = connect(client.Configuration(host=f"http://127.0.0.1:{port}"), 1)
    objects = KubernetesObjects(api, lambda: datetime.now(UTC), "test")
    said = []
    try:
        for call in (objects.glimpse(None), objects.exists(Key("retail", "plan"), "uid"), objects.definition_going()):
            with pytest.raises(ObjectError) as caught:
                await call
            said.append(str(caught.value))
    finally:
        await api.close()  # type: ignore[no-untyped-call]
        server.close()
        await server.wait_closed()
    return said


def test_connection_that_is_closed_without_an_answer_is_an_object_error() -> None:
    said = asyncio.run(_ask_a_server_that_hangs_up())
    assert [text.partition(": ")[0] for text in said] == [
        "cannot list edgedeploymentplans",
        "cannot read retail/plan",
        "cannot read the CustomResourceDefinition",
    ]
    assert all("the Kubernetes API cannot be reached: Server disconnected" in text for text in said)
