"""What devices said about starts: how far each got, and the counts of stages; many devices in one transaction.

Devices are locked by then, stages are locked here, in one order: a start, a stop or another group comes before or after.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from edge_manager.domain.deployments import ANSWERED, Deployment, State
from edge_manager.store import starts
from edge_manager.store.tables import DEPLOYMENTS, DEVICES, FLEETS, PLANS, STAGES, STARTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from edge_manager.domain.deployments import Answer
    from edge_manager.domain.numbers import Numbers
    from edge_manager.store.caches import Caches
    from edge_manager.store.queries import AnyRow


class Said(NamedTuple):
    """What a device said about a start: that it learned of it, or how it went."""

    answer: Answer | None = None
    time: float = 0


class Key(NamedTuple):
    """A device in a start."""

    device: int
    start: int


@dataclass
class _Tally:
    """What a group adds to a stage."""

    succeeded: int = 0
    failed: int = 0
    answered: float = 0
    failure: str | None = None

    def count(self, answer: Answer, time: float) -> None:
        """One answer more."""
        self.answered = max(self.answered, time)
        if answer.state is State.SUCCESS:
            self.succeeded += 1
        else:
            self.failed += 1
            self.failure = answer.message


HEARD = select(DEPLOYMENTS.c.device_id, DEPLOYMENTS.c.start_id, DEPLOYMENTS.c.state).where(
    DEPLOYMENTS.c.device_id.in_(bindparam("devices", expanding=True))
)
RUNS = update(DEVICES).where(DEVICES.c.id == bindparam("device")).values(bundle_id=bindparam("bundle"))
OVER = delete(DEPLOYMENTS).where(
    DEPLOYMENTS.c.start_id == bindparam("start"), DEPLOYMENTS.c.device_id == bindparam("device")
)


def settle(caches: Caches, connection: Connection, said: Mapping[Key, Said]) -> set[Key]:
    """Move deployments on and count answers; the ones that moved."""
    if not said:
        return set()
    group = _Group(caches, connection, set(said))
    for key, each in said.items():
        group.hear(key, each)
    group.write()
    return set(group.moved)


class _Group:
    """What is known of the stages and the devices that are spoken of, and what becomes of them."""

    def __init__(self, caches: Caches, connection: Connection, keys: set[Key]) -> None:
        self._caches, self._db = caches, connection
        self._stages = _lock_stages(connection, {key.start for key in keys})
        self._starts = starts.of_stages(connection, list(self._stages))  # with each that the lock waited for
        self._stage_of = {start: self._stages[stage] for stage, its in self._starts.items() for start in its}
        rows = connection.execute(HEARD, {"devices": list({key.device for key in keys})})
        self._states = {Key(row.device_id, row.start_id): State(row.state) for row in rows}
        self._tallies: defaultdict[int, _Tally] = defaultdict(_Tally)
        self._over: list[dict[str, int]] = []
        self._runs: dict[int, dict[str, int]] = {}
        self.moved: dict[Key, dict[str, Any]] = {}

    def hear(self, key: Key, said: Said) -> None:
        """Take down what one device said, if it is news."""
        stage, state = self._stage_of.get(key.start), self._states.get(key, State.READY)
        if stage is None or state in ANSWERED:
            return
        its = [start for start in self._starts[stage.id] if key.device in self._offered(start)]
        if not its or its[-1] != key.start:  # of another device, or of an attempt that is over
            return
        if said.answer is None and not self._is_offered(key, state, stage):
            return
        values: dict[str, Any] = {"start": key.start, "device": key.device, "state": State.FETCHED, "message": None}
        if said.answer is not None:
            values |= {"state": said.answer.state, "message": said.answer.message}
            self._tallies[stage.id].count(said.answer, said.time)
            if said.answer.state is State.SUCCESS and not self._is_outdone(key, stage):
                self._runs[key.device] = {"device": key.device, "bundle": stage.bundle_id}
        self.moved[key], self._states[key] = values, values["state"]
        earlier = (Key(key.device, start) for start in its[:-1])
        self._over += [{"start": each.start, "device": each.device} for each in earlier if each in self._states]

    def write(self) -> None:
        """Write it down."""
        if self._runs:
            self._db.execute(RUNS, [self._runs[device] for device in sorted(self._runs)])
        if self._over:
            self._db.execute(OVER, self._over)
        if self.moved:
            self._db.execute(_move(self._db), [self.moved[key] for key in sorted(self.moved)])
        for number in sorted(self._tallies):
            _add(self._db, number, self._tallies[number])

    def _offered(self, start: int) -> Numbers:
        return starts.offered(self._db, self._caches, start)

    def _is_offered(self, key: Key, state: State, stage: AnyRow) -> bool:
        latest = next(starts.on_device(self._db, self._caches, stage.fleet_id, stage.latest, key.device))
        superseded = "a later start" if latest > key.start else None
        return Deployment(state, None, stage.stopped is not None, superseded).is_offered

    def _is_outdone(self, key: Key, stage: AnyRow) -> bool:
        """Whether a device runs something later by now: it said so, or what it ran is gone."""
        for later in starts.on_device(self._db, self._caches, stage.fleet_id, stage.latest, key.device):
            if later <= key.start:
                return False
            if self._states.get(Key(key.device, later)) is State.SUCCESS or starts.is_gone(self._db, later):
                return True
        return False


def _lock_stages(connection: Connection, numbers: set[int]) -> dict[int, AnyRow]:
    """The stages of starts."""
    query = select(STARTS.c.stage_id).where(STARTS.c.id.in_(numbers), STARTS.c.stage_id.is_not(None))
    wanted = set(connection.execute(query).scalars())
    if not wanted:
        return {}
    columns = (STAGES.c.id, STAGES.c.stopped, PLANS.c.bundle_id, PLANS.c.fleet_id, FLEETS.c.latest)
    rows = connection.execute(
        select(*columns)
        .join(PLANS, PLANS.c.id == STAGES.c.plan_id)
        .join(FLEETS, FLEETS.c.id == PLANS.c.fleet_id)
        .where(STAGES.c.id.in_(wanted))
        .order_by(STAGES.c.id)
        .with_for_update(of=STAGES)
    )
    return {row.id: row for row in rows}


def _move(connection: Connection) -> Any:
    """The statement that writes down how far a device got."""
    names = {"start_id": "start", "device_id": "device", "state": "state", "message": "message"}
    values: dict[str, Any] = {column: bindparam(name) for column, name in names.items()}
    keys, said = ["start_id", "device_id"], ("state", "message")
    if connection.dialect.name == "sqlite":
        lite = sqlite.insert(DEPLOYMENTS).values(values)
        return lite.on_conflict_do_update(index_elements=keys, set_={each: lite.excluded[each] for each in said})
    statement = postgresql.insert(DEPLOYMENTS).values(values)
    return statement.on_conflict_do_update(index_elements=keys, set_={each: statement.excluded[each] for each in said})


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
