"""A fleet of agents: registered where it is missing, then played until somebody says that it is over."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

from edge_manager.simulate.agent import Agent, Habits
from edge_manager.simulate.api import Api, CallError
from edge_manager.simulate.figures import Figures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

BATCH = 1000  # devices in one RegisterDevices
CONNECTIONS = 100
PATIENCE = 60  # seconds that an agent waits for an answer


class Credentials(NamedTuple):
    """An access key."""

    access_key: str
    secret: str
    token: str | None = None


@dataclass(frozen=True)
class Wanted:
    """What is to be played. Agents without a key of their own use that of the caller, who must be an admin then."""

    url: str
    region: str
    fleet: str
    devices: int
    habits: Habits
    caller: Credentials | None
    keys: Mapping[str, Credentials] = field(default_factory=dict)


def read_keys(file: Path, fleet: str) -> dict[str, Credentials]:
    """The keys of a fleet's devices, as `edge-manager keys create` prints them."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {
        line["Device"]: Credentials(line["AccessKeyId"], line["SecretAccessKey"])
        for line in lines
        if line.get("Fleet") == fleet
    }


class Simulation:
    """A fleet, from the first call to the last."""

    def __init__(self, wanted: Wanted, api: Api, figures: Figures) -> None:
        self.figures = figures
        self._wanted, self._api = wanted, api
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def of(cls, wanted: Wanted) -> AsyncIterator[Simulation]:
        """Connect; at the end all agents fall silent."""
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        figures = Figures()
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            simulation = cls(wanted, Api(session, wanted.url, wanted.region, figures), figures)
            try:
                yield simulation
            finally:
                for task in simulation._tasks:
                    task.cancel()
                await asyncio.gather(*simulation._tasks, return_exceptions=True)

    async def begin(self) -> int:
        """Register what is missing and let the agents live; how many there are."""
        names = await self._names()
        for name in names:
            key = self._wanted.keys.get(name) or self._caller
            agent = Agent(self._wanted.fleet, name, self._api.signer(*key), self._wanted.habits)
            self._tasks.append(asyncio.create_task(agent.live(self._api, self.figures)))
        self.figures.reset()
        return len(names)

    @property
    def _caller(self) -> Credentials:
        if self._wanted.caller is None:
            raise CallError("NoCredentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give a profile")
        return self._wanted.caller

    async def _names(self) -> list[str]:
        """The devices to play: those with keys, else those of the fleet, and new ones where it has too few."""
        wanted = self._wanted
        if wanted.caller is None and wanted.keys:  # the agents have keys, and nobody may register
            return list(wanted.keys)[: wanted.devices]
        present = await self._present()
        if wanted.keys:
            names = list(wanted.keys)[: wanted.devices]
            missing = [name for name in names if name not in present]
        else:
            fresh = (name for name in (f"simulated-{number:06d}" for number in range(10**6)) if name not in present)
            missing = [next(fresh) for _ in range(wanted.devices - len(present))]
            names = [*present, *missing][: wanted.devices]
        for start in range(0, len(missing), BATCH):
            devices = [{"DeviceName": name} for name in missing[start : start + BATCH]]
            await self._control("RegisterDevices", DeviceFleetName=wanted.fleet, Devices=devices)
        return names

    async def _present(self) -> dict[str, None]:
        """The devices of the fleet, which is made if there is none."""
        fleet = {"DeviceFleetName": self._wanted.fleet}
        try:
            await self._control("DescribeDeviceFleet", **fleet)
        except CallError as error:
            if error.code != "ResourceNotFound":
                raise
            output = {"S3OutputLocation": "s3://simulated/captures"}
            await self._control("CreateDeviceFleet", **fleet, OutputConfig=output)
        found: dict[str, None] = {}
        token: dict[str, str] = {}
        while True:
            page = await self._control("ListDevices", **fleet, MaxResults=100, **token)
            found.update((device["DeviceName"], None) for device in page["DeviceSummaries"])
            if "NextToken" not in page:
                return found
            token = {"NextToken": page["NextToken"]}

    async def _control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        return await self._api.control(self._api.signer(*self._caller), operation, **parameters)
