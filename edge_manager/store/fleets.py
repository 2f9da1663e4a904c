"""Fleets and their devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, delete, func, insert, select, update

from edge_manager.domain.listings import FLEETS as LISTING
from edge_manager.domain.rules import exists, fleet_in_use
from edge_manager.errors import not_found
from edge_manager.store.caches import Directory
from edge_manager.store.queries import Rows, listed, page, reports
from edge_manager.store.tables import DEPLOYMENTS, DEVICES, FLEETS, PLANS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from edge_manager.domain.scope import Scope
    from edge_manager.store.caches import Caches
    from edge_manager.store.queries import AnyRow

CHUNK = 400  # names in one statement


def directory(connection: Connection, caches: Caches, fleet: int, version: int) -> Directory:
    """The devices of a fleet; its version moves with them."""

    def read() -> Directory:
        columns = (DEVICES.c.name, DEVICES.c.id)
        query = select(*columns).where(DEVICES.c.fleet_id == fleet, DEVICES.c.is_registered).order_by(DEVICES.c.id)
        ids = {row[0]: row[1] for row in connection.execute(query)}
        return Directory(ids, {number: name for name, number in ids.items()})

    return caches.directories.get(fleet, version, read)


class Fleets:
    """The fleets of a scope, within one transaction."""

    def __init__(self, connection: Connection, scope: Scope) -> None:
        self._db, self._scope = connection, scope
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
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            used = select(DEPLOYMENTS.c.device_id).where(DEPLOYMENTS.c.device_id.in_(chunk))
            self._db.execute(delete(DEVICES).where(DEVICES.c.id.in_(chunk), DEVICES.c.id.not_in(used)))
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

    def _touch(self, fleet: AnyRow, now: float) -> None:
        self._db.execute(
            update(FLEETS).where(FLEETS.c.id == fleet.id).values(modified=now, version=FLEETS.c.version + 1)
        )


def _described(device: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": device.get("Description"), "thing": device.get("IotThingName")}


def _devices() -> Any:
    more = (FLEETS.c.name.label("fleet"), FLEETS.c.arn.label("fleet_arn"))
    return select(DEVICES, *more).join(FLEETS, FLEETS.c.id == DEVICES.c.fleet_id)
