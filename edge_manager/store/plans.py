"""Plans, their stages, and one deployment per device of a stage that was started."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, func, insert, literal, or_, select, text, update

from edge_manager.domain.deployments import Deployment, State
from edge_manager.domain.listings import PLANS as LISTING
from edge_manager.domain.selection import Choice, allocate
from edge_manager.domain.stages import Counts, Heard, Life, Run
from edge_manager.store.fleets import directory
from edge_manager.store.queries import Rows, listed, page
from edge_manager.store.tables import BUNDLES, DEPLOYMENTS, DEVICES, FLEETS, PLANS, STAGES, STARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from edge_manager.domain.deployments import Model
    from edge_manager.domain.scope import Scope
    from edge_manager.store.caches import Caches, Directory
    from edge_manager.store.queries import AnyRow

PASSED = float("-inf")
# A list of numbers as one parameter: a hundred thousand rows in one statement.
NUMBERS = {
    "sqlite": "SELECT value AS number FROM json_each(:numbers)",
    "postgresql": "SELECT CAST(value AS bigint) AS number FROM json_array_elements_text(CAST(:numbers AS json))",
}


class Stage(NamedTuple):
    """A row of the table of stages."""

    id: int
    plan_id: int
    name: str
    position: int
    selection: dict[str, Any]
    policy: str
    created: float
    sequence: int | None
    started: float | None
    stopped: float | None
    total: int
    succeeded: int
    failed: int
    failure: str | None

    @property
    def life(self) -> Life:
        """What its status depends on. Nothing that the service does takes time, so every moment has passed already.

        Therefore no clock that jumps, and no replica whose clock is late, sees a stage go back to an earlier status.
        """
        if self.started is None:
            return Life(PASSED, PASSED)
        answers = Heard(self.total, self.succeeded, self.failed, PASSED)
        stopped = None if self.stopped is None else PASSED
        return Life(PASSED, PASSED, Run(PASSED, PASSED, answers, stopped, stopped))


class StageDevice(NamedTuple):
    """A device of a stage; `deployed` names the last stage of the plan that deployed to it."""

    name: str
    description: str | None
    deployment: Deployment | None
    deployed: str | None


class Plans:
    """The plans of a scope, within one transaction."""

    def __init__(self, connection: Connection, scope: Scope, caches: Caches) -> None:
        self._db, self._scope, self._caches = connection, scope, caches
        self._mine = (PLANS.c.account == scope.account, PLANS.c.region == scope.region)

    def find(self, name: str) -> AnyRow | None:
        """A plan with its fleet's name and ARN and its models, if there is one."""
        return self._db.execute(_plans().where(*self._mine, PLANS.c.name == name)).one_or_none()

    def count(self) -> int:
        """How many there are."""
        return int(self._db.execute(select(func.count()).select_from(PLANS).where(*self._mine)).scalar_one())

    def create(self, name: str, fleet: AnyRow, models: Sequence[Model], tags: Mapping[str, str], now: float) -> int:
        """A plan without stages."""
        bundle = self._db.execute(insert(BUNDLES).values(models=list(models))).inserted_primary_key
        plan = self._db.execute(
            insert(PLANS).values(
                account=self._scope.account,
                region=self._scope.region,
                name=name,
                arn=self._scope.arn("edge-deployment", name),
                created=now,
                modified=now,
                tags=dict(tags),
                fleet_id=fleet.id,
                bundle_id=bundle[0] if bundle else None,
            )
        ).inserted_primary_key
        return int(plan[0]) if plan else 0

    def append(self, plan: int, stages: Iterable[tuple[str, Mapping[str, Any], str]], now: float) -> None:
        """Add stages: name, selection and policy."""
        last = self._db.execute(select(func.max(STAGES.c.position)).where(STAGES.c.plan_id == plan)).scalar()
        first = 0 if last is None else last + 1
        rows = [
            {
                "plan_id": plan,
                "name": name,
                "position": position,
                "selection": dict(selection),
                "policy": policy,
                "created": now,
                "total": 0,
                "succeeded": 0,
                "failed": 0,
            }
            for position, (name, selection, policy) in enumerate(stages, first)
        ]
        if rows:
            self._db.execute(insert(STAGES), rows)

    def touch(self, plan: int, now: float) -> None:
        """Note a change by a call."""
        self._db.execute(update(PLANS).where(PLANS.c.id == plan).values(modified=now))

    def stages(self, plans: Sequence[int]) -> dict[int, list[Stage]]:
        """The stages of plans, in order."""
        found: dict[int, list[Stage]] = {plan: [] for plan in plans}
        query = select(STAGES).where(STAGES.c.plan_id.in_(plans)).order_by(STAGES.c.plan_id, STAGES.c.position)
        for row in self._db.execute(query):
            found[row.plan_id].append(Stage(*row))
        return found

    def lock_stage(self, plan: AnyRow, name: str) -> Stage | None:
        """A stage that is about to change, with every answer to it that was counted; None if there is none."""
        query = select(STAGES).where(STAGES.c.plan_id == plan.id, STAGES.c.name == name).with_for_update()
        row = self._db.execute(query).one_or_none()
        return None if row is None else Stage(*row)

    def page(self, wanted: Mapping[str, Any]) -> tuple[Rows, str | None]:
        """A page of plans."""
        columns = {**dict(PLANS.c), "fleet": FLEETS.c.name}
        return listed(self._db, _plans().where(*self._mine), LISTING, columns, wanted)

    def modified(self, plan: AnyRow, now: float) -> float:  # noqa: ARG002  it is written down whenever it changes
        """When a plan changed last."""
        return float(plan.modified)

    def allocated(self, plan: AnyRow, stages: Sequence[Stage]) -> list[Sequence[str]]:
        """The devices of each stage that was not started, as the fleet stands now; those of others may be left out."""
        fleet = self._directory(plan)
        chosen = [
            Choice(stage.selection, None if stage.started is None else self._taken(fleet.names, stage, stages))
            for stage in stages
        ]
        return allocate(chosen, fleet.ids)

    def counts(self, plan: AnyRow, stages: Sequence[Stage], now: float) -> list[Counts]:
        """Devices by outcome, of each stage."""
        allocated = [0] * len(stages)
        if any(stage.started is None for stage in stages):
            stamp = (plan.version, tuple((stage.id, stage.sequence) for stage in stages))
            reckon = lambda: [len(devices) for devices in self.allocated(plan, stages)]  # noqa: E731
            allocated = self._caches.allocations.get(plan.id, stamp, reckon)
        return [stage.life.counts(of, now) for stage, of in zip(stages, allocated, strict=True)]

    def start(self, plan: AnyRow, stage: Stage, stages: Sequence[Stage], now: float) -> None:
        """Offer a stage to its devices: those it has at this moment, or once more those that did not succeed."""
        sequence = self._sequence(now)
        total = stage.total
        if stage.started is None:
            fleet = self._directory(plan)
            position = [other.id for other in stages].index(stage.id)
            numbers = sorted(fleet.ids[name] for name in self.allocated(plan, stages)[position])
            total = len(numbers)
            self._db.execute(
                text(
                    "INSERT INTO deployments (stage_id, device_id, sequence, state) "  # noqa: S608  a constant
                    f"SELECT :stage, number, :sequence, :state FROM ({NUMBERS[self._db.dialect.name]}) AS chosen"
                ),
                {"stage": stage.id, "sequence": sequence, "state": State.READY, "numbers": json.dumps(numbers)},
            )
        else:
            again = (DEPLOYMENTS.c.stage_id == stage.id, DEPLOYMENTS.c.state != State.SUCCESS)
            values = {"sequence": sequence, "state": State.READY, "message": None, "superseded": None}
            self._db.execute(update(DEPLOYMENTS).where(*again).values(**values))
        values = {"sequence": sequence, "started": now, "stopped": None, "total": total, "failed": 0, "failure": None}
        self._db.execute(update(STAGES).where(STAGES.c.id == stage.id).values(**values))

    def _sequence(self, now: float) -> int:
        """A number for a start: larger than all before, and none that a store knew which was lost since its backup."""
        last = self._db.execute(select(func.max(STARTS.c.id))).scalar() or 0
        number = max(last + 1, int(now * 1000) * 1000 + secrets.randbelow(1000))
        self._db.execute(insert(STARTS).values(id=number, time=now))
        return number

    def stop(self, stage: Stage, now: float) -> None:
        """Offer a stage to no more devices."""
        self._db.execute(update(STAGES).where(STAGES.c.id == stage.id).values(stopped=now))

    def delete(self, plan: AnyRow, stages: Sequence[Stage]) -> None:
        """Remove a plan and its stages."""
        for stage in stages:
            self.delete_stage(plan, stage)
        self._db.execute(delete(PLANS).where(PLANS.c.id == plan.id))
        planned = select(PLANS.c.id).where(PLANS.c.bundle_id == BUNDLES.c.id)
        running = select(DEVICES.c.id).where(DEVICES.c.bundle_id == BUNDLES.c.id)
        self._db.execute(delete(BUNDLES).where(~planned.exists(), ~running.exists()))

    def delete_stage(self, plan: AnyRow, stage: Stage) -> None:
        """Remove a stage. What it superseded on its devices stays so: no device goes back to an older plan."""
        if stage.started is not None:
            mine = DEPLOYMENTS.alias("mine")
            devices = select(mine.c.device_id).where(mine.c.stage_id == stage.id)
            own = (
                select(mine.c.sequence)
                .where(mine.c.stage_id == stage.id, mine.c.device_id == DEPLOYMENTS.c.device_id)
                .scalar_subquery()
            )
            self._db.execute(
                update(DEPLOYMENTS)
                .where(
                    DEPLOYMENTS.c.device_id.in_(devices),
                    DEPLOYMENTS.c.sequence < own,
                    DEPLOYMENTS.c.superseded.is_(None),
                )
                .values(superseded=title(plan.name, stage.name))
            )
            self._db.execute(delete(DEPLOYMENTS).where(DEPLOYMENTS.c.stage_id == stage.id))
        self._db.execute(delete(STAGES).where(STAGES.c.id == stage.id))

    def device_page(
        self, plan: AnyRow, stage: Stage, stages: Sequence[Stage], wanted: Mapping[str, Any]
    ) -> tuple[list[StageDevice], str | None]:
        """A page of a stage's devices, in the order in which they were registered."""
        elsewhere: Any = STAGES.c.id != stage.id
        if stage.started is None:
            position = [other.id for other in stages].index(stage.id)
            fleet = self._directory(plan)
            numbers = json.dumps([fleet.ids[name] for name in self.allocated(plan, stages)[position]])
            chosen = text(NUMBERS[self._db.dialect.name]).bindparams(numbers=numbers).columns(number=DEVICES.c.id.type)
            query = select(DEVICES, literal(None).label("state")).where(
                DEVICES.c.id.in_(select(chosen.subquery("chosen").c.number))
            )
        else:
            latest = DEPLOYMENTS.alias("latest")
            newest = select(func.max(latest.c.sequence)).where(latest.c.device_id == DEVICES.c.id).scalar_subquery()
            columns = [DEPLOYMENTS.c[name] for name in ("sequence", "state", "message", "superseded")]
            query = (
                select(DEVICES, *columns, newest.label("newest"))
                .join(DEPLOYMENTS, DEPLOYMENTS.c.device_id == DEVICES.c.id)
                .where(DEPLOYMENTS.c.stage_id == stage.id)
            )
            # One that this stage deployed to after the other stage did is this stage's.
            elsewhere = and_(elsewhere, or_(DEPLOYMENTS.c.state != State.SUCCESS, STAGES.c.position > stage.position))
        if wanted.get("ExcludeDevicesDeployedInOtherStage"):
            query = query.where(~_other_successes(stage).where(elsewhere).exists())
        # Both name the device; each is the one that its query has in order already.
        key = DEVICES.c.id if stage.started is None else DEPLOYMENTS.c.device_id
        rows, token = page(self._db, query, [key], wanted)
        deployed = self._deployed(stage.plan_id, [row.id for row in rows])
        later = self._later([row for row in rows if row.state is not None and row.newest > row.sequence])
        return [self._stage_device(stage, row, deployed, later) for row in rows], token

    def _stage_device(
        self, stage: Stage, row: AnyRow, deployed: Mapping[int, str], later: Mapping[int, str]
    ) -> StageDevice:
        deployment = None
        if row.state is not None:
            superseded = later.get(row.id, row.superseded)
            deployment = Deployment(State(row.state), row.message, stage.stopped is not None, superseded)
        return StageDevice(row.name, row.description, deployment, deployed.get(row.id))

    def _taken(self, names: Mapping[int, str], stage: Stage, stages: Sequence[Stage]) -> Sequence[str]:
        """The devices of a stage that was started, if a later one needs to know them."""
        needed = any(
            other.started is None and other.selection["DeviceSubsetType"] == "PERCENTAGE"
            for other in stages
            if other.position > stage.position
        )
        if not needed:
            return ()
        numbers = self._db.execute(select(DEPLOYMENTS.c.device_id).where(DEPLOYMENTS.c.stage_id == stage.id)).scalars()
        return [names[number] for number in numbers if number in names]

    def _directory(self, plan: AnyRow) -> Directory:
        return directory(self._db, self._caches, plan.fleet_id, plan.version)

    def _deployed(self, plan: int, devices: Sequence[int]) -> dict[int, str]:
        query = (
            select(DEPLOYMENTS.c.device_id, STAGES.c.name)
            .join(STAGES, STAGES.c.id == DEPLOYMENTS.c.stage_id)
            .where(
                STAGES.c.plan_id == plan,
                DEPLOYMENTS.c.device_id.in_(devices),
                DEPLOYMENTS.c.state == State.SUCCESS,
            )
            .order_by(STAGES.c.position)
        )
        return {device: name for device, name in self._db.execute(query)}  # noqa: C416  rows are no pairs to mypy

    def _later(self, rows: Rows) -> dict[int, str]:
        """By which stage devices were superseded."""
        newest = {row.id: row.newest for row in rows}
        query = (
            select(DEPLOYMENTS.c.device_id, DEPLOYMENTS.c.sequence, PLANS.c.name, STAGES.c.name)
            .join(STAGES, STAGES.c.id == DEPLOYMENTS.c.stage_id)
            .join(PLANS, PLANS.c.id == STAGES.c.plan_id)
            .where(DEPLOYMENTS.c.device_id.in_(newest))
        )
        found = self._db.execute(query)
        return {device: title(plan, stage) for device, number, plan, stage in found if newest[device] == number}


def title(plan: str, stage: str) -> str:
    """How messages name a stage."""
    return f"stage {stage} of edge deployment plan {plan}"


def _other_successes(stage: Stage) -> Any:
    other = DEPLOYMENTS.alias("other")
    return (
        select(other.c.device_id)
        .join(STAGES, STAGES.c.id == other.c.stage_id)
        .where(STAGES.c.plan_id == stage.plan_id, other.c.device_id == DEVICES.c.id, other.c.state == State.SUCCESS)
        .correlate(DEVICES, DEPLOYMENTS)
    )


def _plans() -> Any:
    more = (FLEETS.c.name.label("fleet"), FLEETS.c.arn.label("fleet_arn"), FLEETS.c.version, BUNDLES.c.models)
    return (
        select(PLANS, *more)
        .join(FLEETS, FLEETS.c.id == PLANS.c.fleet_id)
        .join(BUNDLES, BUNDLES.c.id == PLANS.c.bundle_id)
    )
