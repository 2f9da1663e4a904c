"""What devices ask and say: the current deployment of one, and the heartbeats and fetches of many in one transaction."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, case, func, select, update

from edge_manager.domain.deployments import ANSWERED, Deployment, State, definitions, name_of
from edge_manager.errors import not_found
from edge_manager.store.tables import BUNDLES, DEPLOYMENTS, DEVICES, FLEETS, PLANS, STAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from edge_manager.domain.deployments import Answer
    from edge_manager.domain.scope import Scope
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


@dataclass
class _Tally:
    """What a group adds to a stage."""

    succeeded: int = 0
    failed: int = 0
    answered: float = 0
    failure: str | None = None


class _Newest(NamedTuple):
    """The latest start on a device, and the latest one that it deployed with success."""

    start: int
    success: int


# What every device asks and says all the time: built once.
FIND = (
    select(DEVICES.c.id, DEVICES.c.name, DEVICES.c.bundle_id)
    .join(FLEETS, FLEETS.c.id == DEVICES.c.fleet_id)
    .where(
        FLEETS.c.account == bindparam("account"),
        FLEETS.c.region == bindparam("region"),
        FLEETS.c.name == bindparam("fleet"),
        DEVICES.c.name.in_(bindparam("names", expanding=True)),
        DEVICES.c.is_registered,
    )
)
LATEST = (
    select(
        DEPLOYMENTS.c.sequence,
        DEPLOYMENTS.c.state,
        DEPLOYMENTS.c.superseded,
        STAGES.c.name.label("stage"),
        STAGES.c.stopped,
        STAGES.c.policy,
        PLANS.c.name.label("plan"),
        BUNDLES.c.models,
    )
    .join(STAGES, STAGES.c.id == DEPLOYMENTS.c.stage_id)
    .join(PLANS, PLANS.c.id == STAGES.c.plan_id)
    .join(BUNDLES, BUNDLES.c.id == PLANS.c.bundle_id)
    .where(DEPLOYMENTS.c.device_id == bindparam("device"))
    .order_by(DEPLOYMENTS.c.sequence.desc())
    .limit(1)
)
BEAT = (
    update(DEVICES)
    .where(DEVICES.c.id == bindparam("number"))
    .values(heartbeat=bindparam("time"), agent=bindparam("version"), models=bindparam("reported"))
)


def find(connection: Connection, device: Device) -> AnyRow:
    """A registered device."""
    row = _find(connection, [device]).get(device)
    if row is None:
        raise not_found("Device", device.name)
    return row


def offered(connection: Connection, device: Device) -> Offer | None:
    """What a device has to run now."""
    known = find(connection, device)
    row = connection.execute(LATEST, {"device": known.id}).one_or_none()
    if row is None:
        return None
    deployment = Deployment(State(row.state), None, row.stopped is not None, row.superseded)
    if not deployment.is_offered:
        return None
    running = []
    if known.bundle_id is not None:
        running = connection.execute(select(BUNDLES.c.models).where(BUNDLES.c.id == known.bundle_id)).scalar_one()
    answer = {
        "DeploymentName": name_of(row.plan, row.stage, row.sequence),
        "Type": "Model",
        "FailureHandlingPolicy": row.policy,
        "Definitions": definitions(row.models, running),
    }
    return Offer(row.sequence, deployment.state is State.READY, answer)


def apply(connection: Connection, items: Sequence[Beat | Fetch]) -> list[bool | Exception]:
    """Write what devices said. True where it was news: a fetch of what is on offer, an answer that counts."""
    known = _find(connection, [item.device for item in items])
    heard: dict[int, dict[str, Any]] = {}
    asked: dict[tuple[int, int], int] = {}  # device and sequence, and the item that says so first
    for position, item in enumerate(items):
        if (row := known.get(item.device)) is None:
            continue
        if isinstance(item, Beat):
            heard[row.id] = {"number": row.id, "time": item.time, "version": item.agent, "reported": item.models}
        about = item if isinstance(item, Fetch) else item.answer
        if about is not None:
            first = asked.setdefault((row.id, about.sequence), position)
            if isinstance(items[first], Fetch):  # an answer says more
                asked[row.id, about.sequence] = position
    news = _settle(connection, {key: items[position] for key, position in asked.items()})
    if heard:
        connection.execute(BEAT, [heard[number] for number in sorted(heard)])
    told = {asked[key] for key in news}
    return [
        position in told if item.device in known else not_found("Device", item.device.name)
        for position, item in enumerate(items)
    ]


def _find(connection: Connection, devices: Sequence[Device]) -> dict[Device, AnyRow]:
    """The registered ones of these devices."""
    names: defaultdict[tuple[Scope, str], set[str]] = defaultdict(set)
    for device in devices:
        names[device.scope, device.fleet].add(device.name)
    found: dict[Device, AnyRow] = {}
    for (scope, fleet), wanted in names.items():
        mine = {"account": scope.account, "region": scope.region, "fleet": fleet, "names": list(wanted)}
        for row in connection.execute(FIND, mine):
            found[Device(scope, fleet, row.name)] = row
    return found


def _settle(connection: Connection, asked: Mapping[tuple[int, int], Beat | Fetch]) -> set[tuple[int, int]]:
    """Move deployments on and count answers; the ones that moved.

    Stages are locked first, in one order, then deployments: a start, a stop or another group comes before or after.
    """
    if not asked:
        return set()
    chosen = (
        DEPLOYMENTS.c.device_id.in_({device for device, _ in asked}),
        DEPLOYMENTS.c.sequence.in_({sequence for _, sequence in asked}),
    )
    numbers = set(connection.execute(select(DEPLOYMENTS.c.stage_id).where(*chosen)).scalars())
    stages = {
        row.id: row
        for row in connection.execute(
            select(STAGES.c.id, STAGES.c.stopped, STAGES.c.plan_id, PLANS.c.bundle_id)
            .join(PLANS, PLANS.c.id == STAGES.c.plan_id)
            .where(STAGES.c.id.in_(numbers))
            .order_by(STAGES.c.id)
            .with_for_update(of=STAGES)
        )
    }
    query = select(DEPLOYMENTS).where(*chosen).order_by(DEPLOYMENTS.c.device_id, DEPLOYMENTS.c.sequence)
    rows = [row for row in connection.execute(query.with_for_update()) if row.stage_id in stages]
    newest = _newest(connection, {device for device, _ in asked})
    tallies: defaultdict[int, _Tally] = defaultdict(_Tally)
    moved: set[tuple[int, int]] = set()
    for row in rows:
        item = asked.get((row.device_id, row.sequence))
        if item is None or row.state in ANSWERED:
            continue
        stage = stages[row.stage_id]
        values: dict[str, Any] = {"state": State.FETCHED}
        if isinstance(item, Fetch) or item.answer is None:
            is_older = newest[row.device_id].start > row.sequence
            superseded = row.superseded or ("a later start" if is_older else None)
            deployment = Deployment(State(row.state), None, stage.stopped is not None, superseded)
            if not deployment.is_offered:
                continue
        else:
            values = {"state": item.answer.state, "message": item.answer.message}
            tally = tallies[row.stage_id]
            tally.answered = max(tally.answered, item.time)
            if item.answer.state is State.SUCCESS:
                tally.succeeded += 1
                if row.superseded is None and newest[row.device_id].success < row.sequence:
                    _runs(connection, row.device_id, stage.bundle_id)
            else:
                tally.failed += 1
                tally.failure = item.answer.message
        connection.execute(
            update(DEPLOYMENTS).where(DEPLOYMENTS.c.stage_id == row.stage_id, DEPLOYMENTS.c.device_id == row.device_id),
            values,
        )
        moved.add((row.device_id, row.sequence))
    for number in sorted(tallies):
        _add(connection, number, tallies[number])
    return moved


def _newest(connection: Connection, devices: set[int]) -> dict[int, _Newest]:
    success = func.coalesce(func.max(case((DEPLOYMENTS.c.state == State.SUCCESS, DEPLOYMENTS.c.sequence))), 0)
    query = (
        select(DEPLOYMENTS.c.device_id, func.max(DEPLOYMENTS.c.sequence), success)
        .where(DEPLOYMENTS.c.device_id.in_(devices))
        .group_by(DEPLOYMENTS.c.device_id)
    )
    return {device: _Newest(start, last) for device, start, last in connection.execute(query)}


def _runs(connection: Connection, device: int, bundle: int) -> None:
    connection.execute(update(DEVICES).where(DEVICES.c.id == device), {"bundle_id": bundle})


def _add(connection: Connection, stage: int, tally: _Tally) -> None:
    """Count answers of a stage; with the last one the stage's status changes, and so the plan's LastModifiedTime."""
    values: dict[str, Any] = {
        "succeeded": STAGES.c.succeeded + tally.succeeded,
        "failed": STAGES.c.failed + tally.failed,
    }
    if tally.failed:
        values["failure"] = tally.failure
    connection.execute(update(STAGES).where(STAGES.c.id == stage).values(**values))
    ended = select(STAGES.c.plan_id).where(STAGES.c.id == stage, STAGES.c.succeeded + STAGES.c.failed == STAGES.c.total)
    connection.execute(update(PLANS).where(PLANS.c.id.in_(ended)).values(modified=tally.answered))
