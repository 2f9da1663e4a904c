"""Fleets and their devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, func, insert, select, update

from edge_manager.domain.listings import FLEETS as LISTING
from edge_manager.domain.numbers import Numbers
from edge_manager.domain.rules import exists, fleet_in_use
from edge_manager.errors import not_found
from edge_manager.store.caches import Caches
from edge_manager.store.queries import Rows, contains, listed, numbers, page, reports
from edge_manager.store.starts import offered
from edge_manager.store.tables import DEVICES, FLEETS, PLANS, STARTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from edge_manager.domain.scope import Scope
    from edge_manager.store.queries import AnyRow

CHUNK = 400  # names in one statement


class Registered:
    """The devices of a fleet that are registered, as numbers; the fleet's version moves with them."""

    def __init__(self, connection: Connection, caches: Caches, fleet: int, version: int) -> None:
        self._db, self._caches, self._fleet, self._version = connection, caches, fleet, version
        self._mine = (DEVICES.c.fleet_id == fleet, DEVICES.c.is_registered)

    def __len__(self) -> int:
        return len(self.all)

    @property
    def all(self) -> Numbers:
        """All of them."""
        return self._caches.registered.get(self._fleet, self._version, self._read)

    def named(self, names: Sequence[str]) -> Numbers:
        """Those of these names."""
        found: list[int] = []
        for start in range(0, len(names), CHUNK):
            query = select(DEVICES.c.id).where(*self._mine, DEVICES.c.name.in_(names[start : start + CHUNK]))
            found += self._db.execute(query).scalars()
        return Numbers.of(found)

    def containing(self, part: str) -> Numbers:
        """Those with this in their names."""
        read = lambda: self._read(contains(DEVICES.c.name, part))  # noqa: E731
        return self._caches.containing.get((self._fleet, part), self._version, read)

    def first(self, count: int, taken: Sequence[Numbers]) -> Numbers:
        """The first so many of which none was taken."""
        rest = self.all
        for each in taken:
            rest -= each
        return rest.first(count)

    def _read(self, *conditions: ColumnElement[bool]) -> Numbers:
        query = select(DEVICES.c.id.label("number")).where(*self._mine, *conditions)
        return Numbers.of(numbers(self._db, query))


class Fleets:
    """The fleets of a scope, within one transaction."""

    def __init__(self, connection: Connection, scope: Scope, caches: Caches | None = None) -> None:
        self._db, self._scope, self._caches = connection, scope, caches or Caches()
        self._mine = (FLEETS.c.account == scope.account, FLEETS.c.region == scope.region)

    def find(self, name: str) -> AnyRow:
        """A fleet by name."""
        row = self._db.execute(select(FLEETS).where(*self._mine, FLEETS.c.name == name)).one_or_none()
        if row is None:
            raise not_found("Device fleet", name)
        return row

    def create(self, name: str, details: Mapping[str, Any], tags: Mapping[str, str], now: float) -> None:
        """A fleet without devices."""
        if self._db.execute(select(FLEETS.c.id).where(*self._mine, FLEETS.c.name == name)).first():
            raise exists("Device fleet", name)
        self._db.execute(
            insert(FLEETS).values(
                account=self._scope.account,
                region=self._scope.region,
                name=name,
                arn=self._scope.arn("device-fleet", name),
                created=now,
                modified=now,
                tags=dict(tags),
                details=dict(details),
                version=0,
            )
        )

    def change(self, name: str, details: Mapping[str, Any], now: float) -> None:
        """Other details; those that are not named stay."""
        fleet = self.find(name)
        self._db.execute(
            update(FLEETS).where(FLEETS.c.id == fleet.id).values(details=fleet.details | dict(details), modified=now)
        )

    def delete(self, name: str) -> None:
        """A fleet that no plan uses, with its devices."""
        fleet = self.find(name)
        user = self._db.execute(select(PLANS.c.name).where(PLANS.c.fleet_id == fleet.id).limit(1)).scalar()
        if user is not None:
            raise fleet_in_use(name, user)
        self._db.execute(delete(DEVICES).where(DEVICES.c.fleet_id == fleet.id))
        self._db.execute(delete(FLEETS).where(FLEETS.c.id == fleet.id))

    def page(self, wanted: Mapping[str, Any]) -> tuple[Rows, str | None]:
        """A page of fleets."""
        return listed(self._db, select(FLEETS).where(*self._mine), LISTING, dict(FLEETS.c), wanted)

    def register(self, name: str, devices: Sequence[Mapping[str, Any]], now: float) -> None:
        """Add devices. One that is registered already gets the new description; one that was before is itself again."""
        fleet = self.find(name)
        wanted = {device["DeviceName"]: device for device in devices}
        known = self._known(fleet, list(wanted))
        fresh = [
            {**_described(device), "fleet_id": fleet.id, "name": each, "registered": now, "is_registered": True}
            for each, device in wanted.items()
            if each not in known
        ]
        if fresh:
            self._db.execute(insert(DEVICES), fresh)
        for each, row in known.items():
            since = row.registered if row.is_registered else now
            self._db.execute(
                update(DEVICES)
                .where(DEVICES.c.id == row.id)
                .values(**_described(wanted[each]), registered=since, is_registered=True)
            )
        self._touch(fleet, now)

    def describe_devices(self, name: str, devices: Sequence[Mapping[str, Any]], now: float) -> None:
        """Other descriptions and things of registered devices; what is not named stays."""
        fleet = self.find(name)
        wanted = {device["DeviceName"]: device for device in devices}
        known = {each: row for each, row in self._known(fleet, list(wanted)).items() if row.is_registered}
        for each, device in wanted.items():
            if each not in known:
                raise not_found("Device", each)
            values = {key: value for key, value in _described(device).items() if value is not None}
            if values:
                self._db.execute(update(DEVICES).where(DEVICES.c.id == known[each].id).values(**values))
        self._db.execute(update(FLEETS).where(FLEETS.c.id == fleet.id).values(modified=now))

    def deregister(self, name: str, devices: Sequence[str], now: float) -> None:
        """Let devices go; those of a stage that was started stay in its counts."""
        fleet = self.find(name)
        rows = [row.id for row in self._known(fleet, list(dict.fromkeys(devices))).values()]
        used = self._used(fleet)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            unused = [number for number in chunk if number not in used]
            self._db.execute(delete(DEVICES).where(DEVICES.c.id.in_(unused)))
            self._db.execute(update(DEVICES).where(DEVICES.c.id.in_(chunk)).values(is_registered=False))
        self._touch(fleet, now)

    def registered(self, fleet: int, names: Sequence[str]) -> set[str]:
        """Those of these names that a fleet has."""
        found: set[str] = set()
        for start in range(0, len(names), CHUNK):
            mine = (DEVICES.c.fleet_id == fleet, DEVICES.c.is_registered)
            query = select(DEVICES.c.name).where(*mine, DEVICES.c.name.in_(names[start : start + CHUNK]))
            found.update(self._db.execute(query).scalars())
        return found

    def device(self, fleet: str, name: str) -> AnyRow:
        """A registered device, and its fleet's name and ARN."""
        row = self._db.execute(
            _devices().where(*self._mine, FLEETS.c.name == fleet, DEVICES.c.name == name, DEVICES.c.is_registered)
        ).one_or_none()
        if row is None:
            self.find(fleet)
            raise not_found("Device", name)
        return row

    def device_page(self, wanted: Mapping[str, Any]) -> tuple[Rows, str | None]:
        """A page of the devices of one fleet or of all."""
        query = _devices().where(*self._mine, DEVICES.c.is_registered)
        if name := wanted.get("DeviceFleetName"):
            query = query.where(FLEETS.c.id == self.find(name).id)
        if (after := wanted.get("LatestHeartbeatAfter")) is not None:
            query = query.where(DEVICES.c.heartbeat > after)
        if model := wanted.get("ModelName"):
            query = query.where(reports(DEVICES.c.models, model))
        return page(self._db, query, [FLEETS.c.name, DEVICES.c.name], wanted)

    def agents(self, fleet: AnyRow, since: float) -> list[tuple[str | None, int, int]]:
        """Per agent version: devices, and how many of them were heard of since then."""
        heard = func.coalesce(func.sum(case((DEVICES.c.heartbeat >= since, 1), else_=0)), 0)
        rows = self._db.execute(
            select(DEVICES.c.agent, func.count(), heard)
            .where(DEVICES.c.fleet_id == fleet.id, DEVICES.c.is_registered)
            .group_by(DEVICES.c.agent)
            .order_by(DEVICES.c.agent)
        )
        return [(agent, total, int(connected)) for agent, total, connected in rows]

    def reported(self, fleet: AnyRow) -> Rows:
        """What devices report to run, and when."""
        return list(
            self._db.execute(
                select(DEVICES.c.models, DEVICES.c.heartbeat).where(
                    DEVICES.c.fleet_id == fleet.id, DEVICES.c.is_registered, DEVICES.c.models.is_not(None)
                )
            )
        )

    def _known(self, fleet: AnyRow, names: Sequence[str]) -> dict[str, AnyRow]:
        found: dict[str, AnyRow] = {}
        for start in range(0, len(names), CHUNK):
            query = select(DEVICES).where(
                DEVICES.c.fleet_id == fleet.id, DEVICES.c.name.in_(names[start : start + CHUNK])
            )
            found.update((row.name, row) for row in self._db.execute(query))
        return found

    def _used(self, fleet: AnyRow) -> Numbers:
        """The devices of stages that were started."""
        used = Numbers()
        query = select(STARTS.c.id).where(STARTS.c.fleet_id == fleet.id, STARTS.c.stage_id.is_not(None))
        for start in self._db.execute(query).scalars().all():
            used |= offered(self._db, self._caches, start)
        return used

    def _touch(self, fleet: AnyRow, now: float) -> None:
        self._db.execute(
            update(FLEETS).where(FLEETS.c.id == fleet.id).values(modified=now, version=FLEETS.c.version + 1)
        )


def _described(device: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": device.get("Description"), "thing": device.get("IotThingName")}


def _devices() -> Any:
    more = (FLEETS.c.name.label("fleet"), FLEETS.c.arn.label("fleet_arn"))
    return select(DEVICES, *more).join(FLEETS, FLEETS.c.id == DEVICES.c.fleet_id)
