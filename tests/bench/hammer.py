"""As many heartbeats as a service takes: connections that send the next one as soon as the last is answered.

The requests are signed beforehand and sent over and over, so that the client costs little beside the service; a signature
holds for five minutes.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_manager.simulate.figures import quantile
from edge_manager.simulate.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_manager.store.keys import Key

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass
class Hits:
    """What came back."""

    count: int
    seconds: float
    p50_ms: float
    p99_ms: float


class Connection(asyncio.Protocol):
    """One after the other."""

    def __init__(self, requests: Iterator[bytes], took: list[float]) -> None:
        self._requests, self._took, self._buffer, self._sent = requests, took, b"", 0.0
        self.trouble: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not found or length is None or len(rest) < int(length[1]):
            return
        if not head.startswith(b"HTTP/1.1 200 "):
            self.trouble = RuntimeError(self._buffer.decode(errors="replace"))
            self._transport.close()
            return
        self._buffer = rest[int(length[1]) :]
        self._took.append(time.perf_counter() - self._sent)
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))


def hammer(ports: Sequence[int], fleet: str, keys: Sequence[Key], seconds: float, connections: int = 32) -> Hits:
    """Heartbeats of these devices for so many seconds, spread over processes that listen there."""
    return asyncio.run(_hammer(ports, fleet, keys, seconds, connections))


async def _hammer(ports: Sequence[int], fleet: str, keys: Sequence[Key], seconds: float, connections: int) -> Hits:
    loop, took = asyncio.get_running_loop(), list[float]()
    made: list[tuple[asyncio.Transport, Connection]] = []
    for number in range(connections):
        port = ports[number % len(ports)]
        requests = itertools.cycle([_request(port, fleet, key) for key in keys[number::connections]])
        made.append(
            await loop.create_connection(lambda of=requests: Connection(of, took), "127.0.0.1", port)  # type: ignore[misc]
        )
    await asyncio.sleep(seconds / 10)  # connections and caches are warm by now
    before, began = len(took), time.perf_counter()
    await asyncio.sleep(seconds)
    lately, spent = took[before:], time.perf_counter() - began
    for transport, connection in made:
        transport.close()
        if connection.trouble is not None:
            raise connection.trouble
    p50, p99 = (round(quantile(lately, share) * 1000, 1) for share in (0.5, 0.99))
    return Hits(len(lately), round(spent, 2), p50, p99)


def _request(port: int, fleet: str, key: Key) -> bytes:
    device = {"DeviceFleetName": fleet, "DeviceName": key.principal.device}
    body = json.dumps(
        {"AgentVersion": "1.0", "Models": [{"ModelName": "counter", "ModelVersion": "1"}], **device}
    ).encode()
    region = key.principal.region or ""
    headers = Signer(key.principal.access_key, key.secret, region, f"127.0.0.1:{port}").headers("/SendHeartbeat", body)
    lines = [f"{name}: {value}\r\n" for name, value in {**headers, "content-length": str(len(body))}.items()]
    return b"POST /SendHeartbeat HTTP/1.1\r\n" + "".join(lines).encode() + b"\r\n" + body
