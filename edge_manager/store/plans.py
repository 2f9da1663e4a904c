"""Plans, their stages, and the deployments of stages that were started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, func, insert, select, update

from edge_manager.domain.deployments import Deployment, State
from edge_manager.domain.listings import PLANS as LISTING
from edge_manager.domain.numbers import Numbers
from edge_manager.domain.selection import Choice, allocate
from edge_manager.domain.stages import Counts, Heard, Life, Run
from edge_manager.store import starts
from edge_manager.store.fleets import Registered
from edge_manager.store.queries import Rows, listed, page_of_numbers
from edge_manager.store.starts import Start
from edge_manager.store.tables import BUNDLES, DEPLOYMENTS, DEVICES, FLEETS, PLANS, STAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from edge_manager.domain.deployments import Model
    from edge_manager.domain.scope import Scope
    from edge_manager.store.caches import Caches
    from edge_manager.store.queries import AnyRow

PASSED = float("-inf")


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

    def allocated(self, plan: AnyRow, stages: Sequence[Stage]) -> list[Numbers]:
        """The devices of each stage: as it was started, else as the fleet stands now."""
        begun = starts.of_stages(self._db, [stage.id for stage in stages if stage.started is not None])
        chosen = [
            Choice(stage.selection, self._offered(begun[stage.id][0]) if stage.id in begun else None)
            for stage in stages
        ]
        return allocate(chosen, self._registered(plan))

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
        if stage.started is None:
            offered = self.allocated(plan, stages)[[other.id for other in stages].index(stage.id)]
            total = len(offered)
        else:
            before = starts.of_stages(self._db, [stage.id])[stage.id]
            offered = self._offered(before[-1]) - starts.succeeded(self._db, before)
            total = stage.total
        name = f"stage {stage.name} of edge deployment plan {plan.name}"
        sequence = starts.record(self._db, now, Start(plan.fleet_id, stage.id, name, offered))
        values = {"sequence": sequence, "started": now, "stopped": None, "total": total, "failed": 0, "failure": None}
        self._db.execute(update(STAGES).where(STAGES.c.id == stage.id).values(**values))

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
            starts.forget(self._db, plan.fleet_id, starts.of_stages(self._db, [stage.id])[stage.id])
        self._db.execute(delete(STAGES).where(STAGES.c.id == stage.id))

    def device_page(
        self, plan: AnyRow, stage: Stage, stages: Sequence[Stage], wanted: Mapping[str, Any]
    ) -> tuple[list[StageDevice], str | None]:
        """A page of a stage's devices, in the order in which they were registered."""
        begun = starts.of_stages(self._db, [each.id for each in stages])
        chosen = self.allocated(plan, stages)[[other.id for other in stages].index(stage.id)]
        if wanted.get("ExcludeDevicesDeployedInOtherStage"):
            chosen -= self._deployed_elsewhere(stage, stages, begun)
        numbers, token = page_of_numbers(chosen.after, wanted)
        rows = {row.id: row for row in self._db.execute(select(DEVICES).where(DEVICES.c.id.in_(numbers)))}
        heard = self._heard(numbers)
        deployments = self._deployments(plan, stage, begun[stage.id], heard)
        return [
            StageDevice(
                rows[number].name,
                rows[number].description,
                deployments.get(number),
                self._deployed(stages, begun, heard[number]),
            )
            for number in numbers
        ], token

    def _deployments(
        self, plan: AnyRow, stage: Stage, begun: Sequence[int], heard: Mapping[int, Mapping[int, AnyRow]]
    ) -> dict[int, Deployment]:
        """The latest one of a stage on each of some devices."""
        own = {device: start for start in begun for device in heard if device in self._offered(start)}
        latest = {
            device: next(starts.on_device(self._db, self._caches, plan.fleet_id, plan.latest, device)) for device in own
        }
        titles = starts.titles(self._db, {latest[device] for device in own if latest[device] > own[device]})
        found: dict[int, Deployment] = {}
        for device, start in own.items():
            known = heard[device].get(start)
            state, message = (State.READY, None) if known is None else (State(known.state), known.message)
            superseded = titles.get(latest[device]) if latest[device] > start else None
            found[device] = Deployment(state, message, stage.stopped is not None, superseded)
        return found

    def _deployed_elsewhere(self, stage: Stage, stages: Sequence[Stage], begun: Mapping[int, Sequence[int]]) -> Numbers:
        """The devices that other stages deployed to. One that this stage deployed to after them is this stage's."""
        before = after = Numbers()
        for other in stages:
            if other.position < stage.position:
                before |= starts.succeeded(self._db, begun[other.id])
            elif other.position > stage.position:
                after |= starts.succeeded(self._db, begun[other.id])
        return after | (before - starts.succeeded(self._db, begun[stage.id]))

    def _heard(self, devices: Sequence[int]) -> dict[int, dict[int, AnyRow]]:
        """What devices said, by start."""
        found: dict[int, dict[int, AnyRow]] = {device: {} for device in devices}
        for row in self._db.execute(select(DEPLOYMENTS).where(DEPLOYMENTS.c.device_id.in_(devices))):
            found[row.device_id][row.start_id] = row
        return found

    def _deployed(
        self, stages: Sequence[Stage], begun: Mapping[int, Sequence[int]], heard: Mapping[int, AnyRow]
    ) -> str | None:
        """The last stage that deployed to a device."""
        done = {start for start, row in heard.items() if row.state == State.SUCCESS}
        return next((stage.name for stage in reversed(stages) if not done.isdisjoint(begun[stage.id])), None)

    def _offered(self, start: int) -> Numbers:
        return starts.offered(self._db, self._caches, start)

    def _registered(self, plan: AnyRow) -> Registered:
        return Registered(self._db, self._caches, plan.fleet_id, plan.version)


def _plans() -> Any:
    names = ("version", "latest")
    more = (FLEETS.c.name.label("fleet"), FLEETS.c.arn.label("fleet_arn"), *(FLEETS.c[name] for name in names))
    return (
        select(PLANS, *more, BUNDLES.c.models)
        .join(FLEETS, FLEETS.c.id == PLANS.c.fleet_id)
        .join(BUNDLES, BUNDLES.c.id == PLANS.c.bundle_id)
    )
