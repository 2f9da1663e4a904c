"""What devices ask and say: the current deployment of one, and the heartbeats and fetches of many in one transaction."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, select, update

from edge_manager.domain.deployments import Deployment, State, definitions, name_of
from edge_manager.errors import not_found
from edge_manager.store import starts
from edge_manager.store.answers import Key, Said, settle
from edge_manager.store.tables import BUNDLES, DEPLOYMENTS, DEVICES, FLEETS, PLANS, STAGES, STARTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Select

    from edge_manager.domain.deployments import Answer
    from edge_manager.domain.scope import Scope
    from edge_manager.store.caches import Caches
    from edge_manager.store.queries import AnyRow


class Device(NamedTuple):
    """The name that a device goes by."""

    scope: Scope
    fleet: str
    name: str


@dataclass(frozen=True)
class Beat:
    """A heartbeat."""

    device: Device
    time: float
    agent: str
    models: list[dict[str, Any]]
    answer: Answer | None


@dataclass(frozen=True)
class Fetch:
    """A device learns of a deployment that was READY."""

    device: Device
    sequence: int


@dataclass(frozen=True)
class Offer:
    """What a device has to run now: the answer to GetDeployments, and whether that is news to it."""

    sequence: int
    is_first: bool
    answer: dict[str, Any]


# What every device asks and says all the time: built once.
FIND = (
    select(DEVICES.c.id, DEVICES.c.name, DEVICES.c.bundle_id, DEVICES.c.fleet_id, FLEETS.c.latest)
    .join(FLEETS, FLEETS.c.id == DEVICES.c.fleet_id)
    .where(
        FLEETS.c.account == bindparam("account"),
        FLEETS.c.region == bindparam("region"),
        FLEETS.c.name == bindparam("fleet"),
        DEVICES.c.name.in_(bindparam("names", expanding=True)),
        DEVICES.c.is_registered,
    )
)
LOCK = FIND.order_by(DEVICES.c.id).with_for_update(of=DEVICES)
OFFER = (
    select(
        DEPLOYMENTS.c.state,
        STAGES.c.name.label("stage"),
        STAGES.c.stopped,
        STAGES.c.policy,
        PLANS.c.name.label("plan"),
        BUNDLES.c.models,
    )
    .select_from(STARTS)
    .join(STAGES, STAGES.c.id == STARTS.c.stage_id)
    .join(PLANS, PLANS.c.id == STAGES.c.plan_id)
    .join(BUNDLES, BUNDLES.c.id == PLANS.c.bundle_id)
    .outerjoin(DEPLOYMENTS, (DEPLOYMENTS.c.start_id == STARTS.c.id) & (DEPLOYMENTS.c.device_id == bindparam("device")))
    .where(STARTS.c.id == bindparam("start"))
)
BEAT = (
    update(DEVICES)
    .where(DEVICES.c.id == bindparam("number"))
    .values(heartbeat=bindparam("time"), agent=bindparam("version"), models=bindparam("reported"))
)


def find(connection: Connection, device: Device) -> AnyRow:
    """A registered device."""
    row = _find(connection, [device], FIND).get(device)
    if row is None:
        raise not_found("Device", device.name)
    return row


def offered(connection: Connection, caches: Caches, device: Device) -> Offer | None:
    """What a device has to run now."""
    known = find(connection, device)
    start = next(starts.on_device(connection, caches, known.fleet_id, known.latest, known.id), None)
    if start is None:
        return None
    row = connection.execute(OFFER, {"device": known.id, "start": start}).one_or_none()
    if row is None:  # the latest stage on it is gone, and does not give way to an older one
        return None
    deployment = Deployment(State(row.state or State.READY), None, row.stopped is not None)
    if not deployment.is_offered:
        return None
    running = []
    if known.bundle_id is not None:
        running = connection.execute(select(BUNDLES.c.models).where(BUNDLES.c.id == known.bundle_id)).scalar_one()
    answer = {
        "DeploymentName": name_of(row.plan, row.stage, start),
        "Type": "Model",
        "FailureHandlingPolicy": row.policy,
        "Definitions": definitions(row.models, running),
    }
    return Offer(start, deployment.state is State.READY, answer)


def apply(caches: Caches, connection: Connection, items: Sequence[Beat | Fetch]) -> list[bool | Exception]:
    """Write what devices said. True where it was news: a fetch of what is on offer, an answer that counts."""
    known = _find(connection, [item.device for item in items], LOCK)
    heard: dict[int, dict[str, Any]] = {}
    asked: dict[Key, int] = {}  # and the item that says so first
    for position, item in enumerate(items):
        if (row := known.get(item.device)) is None:
            continue
        if isinstance(item, Beat):
            heard[row.id] = {"number": row.id, "time": item.time, "version": item.agent, "reported": item.models}
        about = item if isinstance(item, Fetch) else item.answer
        if about is not None:
            key = Key(row.id, about.sequence)
            if isinstance(items[asked.setdefault(key, position)], Fetch):  # an answer says more
                asked[key] = position
    news = settle(caches, connection, {key: _said(items[position]) for key, position in asked.items()})
    if heard:
        connection.execute(BEAT, [heard[number] for number in sorted(heard)])
    told = {asked[key] for key in news}
    return [
        position in told if item.device in known else not_found("Device", item.device.name)
        for position, item in enumerate(items)
    ]


def _find(connection: Connection, devices: Sequence[Device], query: Select[Any]) -> dict[Device, AnyRow]:
    """The registered ones of these devices."""
    names: defaultdict[tuple[Scope, str], set[str]] = defaultdict(set)
    for device in devices:
        names[device.scope, device.fleet].add(device.name)
    found: dict[Device, AnyRow] = {}
    for scope, fleet in sorted(names):  # whoever locks, locks in one order
        mine = {"account": scope.account, "region": scope.region, "fleet": fleet, "names": list(names[scope, fleet])}
        for row in connection.execute(query, mine):
            found[Device(scope, fleet, row.name)] = row
    return found


def _said(item: Beat | Fetch) -> Said:
    return Said(item.answer, item.time) if isinstance(item, Beat) else Said()
