"""A world of users, people, trouble and operators, how a step of it is made, and how it comes to rest."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from controller.domain.resource import Key, Resource
from controller.domain.schedule import BACKOFF_CAP
from controller.domain.status import EdgeDeploymentPlanStatus
from tests.life.aws import REGIONS, Aws
from tests.life.bounds import Bounds
from tests.life.cluster import Cluster
from tests.life.crash import Crash
from tests.life.driver import Process
from tests.life.people import People
from tests.life.shapes import FLEETS_AND_JOBS, KEYS, SLOWNESS, SPECS, TROUBLED_WORLDS, TROUBLES, WORLDS, legal
from tests.life.troubles import Check, Trouble, checked, meet, troubled
from tests.life.truth import region_of, spec_of
from tests.life.verdict import Verdict
from tests.life.witness import Witness

if TYPE_CHECKING:
    from edge_manager.sandbox.service import Request

# How long a life may take to settle, in rounds.
PATIENCE = 2000
# Troubles that only a sweep can tell of.
UNTOLD = (
    Trouble.LAGGING_READS,
    Trouble.LATE_WRITES,
    Trouble.API_SERVER_RESTARTS,
    Trouble.FINALIZER_RACES,
    Trouble.FORCED_REPLACEMENTS,
    Trouble.TWO_OPERATORS,
)
A_WHILE = (BACKOFF_CAP + timedelta(seconds=1)).total_seconds()
_PARTS = 10

AWS = Aws()


class World(RuleBasedStateMachine):
    """Without rules: those are in `users.py` and `hostility.py`."""

    steps: ClassVar[Counter[str]] = Counter()
    endings: ClassVar[Counter[str]] = Counter()

    @initialize(
        troubles=TROUBLES,
        data=st.data(),
        world=WORLDS,
        seed=st.integers(0, 1000),
        specs=st.lists(st.tuples(KEYS, SPECS), min_size=1, max_size=4),
    )
    def begin(
        self,
        troubles: set[Trouble],
        data: st.DataObject,
        world: dict[str, Any],
        seed: int,
        specs: list[tuple[Key, dict[str, Any] | None]],
    ) -> None:
        meet(troubles)
        for trouble, part in TROUBLED_WORLDS.items():
            if troubled(trouble):
                world = {**world, **data.draw(part)}
        AWS.reset(**world)
        self.aws = AWS
        self.dice = self.aws.dice = random.Random(seed)  # noqa: S311 - jitter
        self.aws.slowness = data.draw(SLOWNESS) if troubled(Trouble.SLOW_CALLS) else 0.0
        self.cluster = Cluster(self.aws.now, self.dice if troubled(Trouble.NAMESAKES) else None)
        self.cluster.finalizer_policy = data.draw(st.booleans())
        self.witness = Witness(self.aws, self.cluster)
        self.people = People(self.aws)
        for region in REGIONS if troubled(Trouble.MISSING_REFERENCES) else ():
            # One plan can be made from the start: only what was made can be replaced.
            for each in sorted({"cameras", "counter-v1"} | data.draw(st.sets(st.sampled_from(FLEETS_AND_JOBS)))):
                self.people.provide(each, region)
        self.processes: list[Process] = []
        self.start()
        self.forgetful = False
        for key, spec in specs:
            if spec is not None and not self.there(key):
                self.count("created")
                self.cluster.create(key, spec)
                if not troubled(Trouble.NAMESAKES):
                    self.aws.advance(1)

    def count(self, name: str) -> None:
        self.steps[name] += 1

    def there(self, key: Key) -> bool:
        return key in self.cluster.all_keys()

    def apply(self, key: Key, **change: Any) -> None:
        """An edit that the API server lets through, if this one is."""
        spec = legal(self.cluster.spec(key) | change)
        if spec is not None:
            self.cluster.edit(key, spec)

    # -- processes --------------------------------------------------------------------------------------------------

    def process(self, number: int = 0) -> Process:
        """One of those that run."""
        return self.processes[number % len(self.processes)]

    def start(self) -> None:
        """One more process, which knows only what is stored."""
        self.forgetful = True
        self.processes.append(Process(self.cluster, self.aws, self.witness, self.dice))

    def kill(self, process: Process) -> None:
        """End a process, and start another if it was the only one."""
        self.processes.remove(process)
        process.end()
        if not self.processes:
            self.start()

    def configure(self, closed: set[str]) -> None:
        """Another configuration, which every operator has read once it is restarted."""
        if self.aws.closed != closed:
            self.aws.closed = closed
            for _ in tuple(self.processes):
                self.kill(self.processes[0])

    def run(self, seconds: float = 0.0) -> None:
        """Let so much time go by; with none at all, do what is to be done at this moment."""
        self.aws.loop.run_for(seconds)
        self.look()

    def sweep(self, *, audit: bool, full: bool = True) -> None:
        """Each process sweeps."""
        for process in tuple(self.processes):
            try:
                process.sweep(audit=audit, full=full)
            except Crash:
                break
        self.look()

    def look(self) -> None:
        """See who died in the last step, and whether all that was done was right."""
        for process in tuple(self.processes):
            try:
                process.check()
            except Crash:
                self.count("died")
                self.kill(process)

    # -- the truth --------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if hasattr(self, "processes"):
            self.settle()

    def settle(self) -> None:
        """No more trouble, and time enough: everything comes to rest, and every status is true.

        Sweeps may only be needed for what nobody told the operator, for what other objects did to a plan that is
        observed, or where the plan of a former life takes the place that its heir waits for behind others; audits only
        for tags: all else comes about without.
        """
        self.aws.calm()
        if troubled(Trouble.MISSING_REFERENCES):
            self.people.provide_all()
        self.configure(closed=set())
        self.cluster.failing.clear()
        self.cluster.racing.clear()
        for process in self.processes:
            process.mortality.spare()
            process.watch.speak()
        observed = any(not spec_of(plan).manages for plan in self.cluster.plans())
        swept = self.people.plans_changed or observed or any(map(troubled, UNTOLD))
        quiet, bounds = 0, Bounds(self.aws, self.cluster)
        for _ in range(PATIENCE):
            before = self.picture()
            self.run()
            bounds.look()
            moment = self.next_moment()
            if moment is not None:
                self.run(moment - self.aws.loop.time())
                continue
            self.wait(bounds)
            if swept or any(map(self.waits_for_what_is_there, self.cluster.plans())):
                self.sweep(audit=self.people.tags_changed)
            self.run()
            quiet = quiet + 1 if self.picture() == before else 0
            if quiet == 2:
                break
        else:
            raise AssertionError(f"does not settle at {self.aws.loop.time()}: {self.unrest()}, {self.picture()}")
        self.people.rest()
        for plan in self.cluster.plans():
            for condition in plan.status.conditions:
                self.endings[f"{condition.type} {condition.reason}"] += condition.status == "True"
        told = {uid for process in self.processes for uid in process.watch.told}
        Verdict(
            self.aws,
            self.cluster,
            self.people.tags,
            made_for=self.witness.made_for,
            told=told,
            forgetful=self.forgetful,
            swept=swept,
        ).judge()
        if checked(Check.NO_WRITES_AT_REST):
            self.rest()

    def wait(self, bounds: Bounds) -> None:
        """For so long that who waits for quota asks once more."""
        for _ in range(_PARTS):
            self.run(A_WHILE / _PARTS)
            bounds.look()

    def rest(self) -> None:
        """Nobody asks AWS for a change, but the first of those whom quota alone keeps out."""
        before = len(self.witness.writes)
        for _ in range(2):
            self.sweep(audit=True)
            self.run(A_WHILE)
        restless = [request for request in self.witness.writes[before:] if not self.asks_for_quota(request)]
        assert not restless, f"calls at rest: {[(each.operation, each.name) for each in restless]}"

    def asks_for_quota(self, request: Request) -> bool:
        """Whether it is the create of an object that waits for quota."""
        return request.operation == "CreateEdgeDeploymentPlan" and any(
            plan.status.is_true("ResourceLimitExceeded")
            and (plan.plan_name, region_of(plan)) == (request.name, request.caller.scope.region)
            for plan in self.cluster.plans()
        )

    def next_moment(self) -> float | None:
        """When something is due next that is more than that somebody asks for quota again."""
        starts = [process.queue._start for process in self.processes]
        moments = [self.aws.loop.next_moment(lambda timer: timer._callback not in starts)]  # type: ignore[attr-defined]
        for process in self.processes:
            moments += [due for key, (due, _) in process.queue._line._timers.items() if not self.asks_again(key)]
        return min((moment for moment in moments if moment is not None), default=None)

    def unrest(self) -> list[Any]:
        """What is still to come."""
        timers: list[Any] = [(timer.when(), timer) for timer in self.aws.loop.timers()]
        return timers + [(due, key) for each in self.processes for key, (due, _) in each.queue._line._timers.items()]

    def asks_again(self, key: Key) -> bool:
        """Whether an object waits for quota."""
        return self.there(key) and self.cluster.plan(key).status.is_true("ResourceLimitExceeded")

    def waits_for_what_is_there(self, plan: Resource) -> bool:
        """Whether an object waits for quota although its plan is in AWS."""
        there = self.aws.plan(plan.plan_name, region_of(plan)) is not None
        return there and plan.status.is_true("ResourceLimitExceeded") and not plan.status.has_plan

    def picture(self) -> dict[Key, Any]:
        """The statuses, without what moves while a plan waits for quota."""

        def still(status: EdgeDeploymentPlanStatus) -> Any:
            if not status.is_true("ResourceLimitExceeded"):
                return status
            return [(each.type, each.status, each.reason) for each in status.conditions]

        return {plan.key: (plan.uid, plan.generation, still(plan.status)) for plan in self.cluster.plans()}
