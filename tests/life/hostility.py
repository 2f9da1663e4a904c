"""What the world does to the operators: people in AWS, failing calls, a failing API server, death, and time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from controller.domain.resource import Key
from tests.life.aws import READS, REGIONS
from tests.life.machine import World
from tests.life.people import ACTS
from tests.life.shapes import FLEETS_AND_JOBS, KEYS, NAMES, SPECS, STAGE_NAMES
from tests.life.troubles import Trouble, troubled

WRITES = (
    "CreateEdgeDeploymentPlan",
    "DeleteEdgeDeploymentPlan",
    "CreateEdgeDeploymentStage",
    "DeleteEdgeDeploymentStage",
    "StartEdgeDeploymentStage",
    "StopEdgeDeploymentStage",
    "AddTags",
    "DeleteTags",
)
OPERATIONS = st.sampled_from(["*", "*", "DescribeEdgeDeploymentPlan", "ListTags", WRITES[0], WRITES[0], *WRITES])
TROUBLE = st.sampled_from(
    [
        {"error": "ThrottlingException"},
        {"error": "InternalFailure"},
        {"error": "ServiceUnavailable"},
        {"error": "AccessDeniedException"},
        {"error": "ExpiredTokenException"},
        {"error": "SomethingNew", "status": 400},
        {"mode": "drop_before"},
        {"mode": "drop_after"},
        {"mode": "drop_after"},
    ]
)
GATEWAYS = st.sampled_from(
    [
        {"body": "html"},
        {"body": "empty"},
        {"body": "half"},
        {"body": "html", "status": 302},
        {"body": "html", "status": 403},
        {"body": "html", "status": 407},
    ]
)
WHICH = st.integers(0, 1)
PLACES = st.tuples(st.sampled_from(NAMES), st.sampled_from([REGIONS[0], REGIONS[0], REGIONS[1]]))

# Operations whose answers have members that must be there.
HAVE_MEMBERS = READS | {"CreateEdgeDeploymentPlan"}


class Hostility(World):
    """Everything that goes wrong."""

    # -- people in AWS ----------------------------------------------------------------------------------------------

    @rule(act=st.sampled_from(ACTS), place=PLACES)
    def somebody_changes_aws(self, act: str, place: tuple[str, str]) -> None:
        if self.people.act(act, *place):
            self.count("changed in AWS")

    @rule(act=st.sampled_from(ACTS), place=PLACES, calls=st.integers(1, 5))
    def somebody_changes_aws_between_two_calls(self, act: str, place: tuple[str, str], calls: int) -> None:
        self.count("changed in AWS between two calls")
        self.aws.intruder = (self.aws.calls + calls, lambda: self.people.act(act, *place))
        self.run()

    @precondition(lambda _: troubled(Trouble.MISSING_REFERENCES))
    @rule(
        what=st.sampled_from(FLEETS_AND_JOBS),
        region=st.sampled_from(REGIONS),
        seconds=st.sampled_from([0.0, 5.0, 90.0]),
    )
    def somebody_provides(self, what: str, region: str, seconds: float) -> None:
        self.count("provided")
        self.people.provide(what, region, seconds)
        self.run()

    @precondition(lambda _: troubled(Trouble.CLOSED_REGIONS))
    @rule(closed=st.sets(st.sampled_from(REGIONS)))
    def administrator_closes_or_opens_regions(self, closed: set[str]) -> None:
        self.count("regions closed or opened")
        self.configure(closed)
        self.run()

    # -- AWS --------------------------------------------------------------------------------------------------------

    @rule(
        operation=OPERATIONS, troubles=st.lists(TROUBLE, min_size=1, max_size=3), times=st.sampled_from([1, 1, 2, None])
    )
    def aws_makes_trouble(self, operation: str, troubles: list[dict[str, Any]], times: int | None) -> None:
        self.count("trouble")
        for trouble in troubles:
            self.aws.fault(operation, **trouble, times=times)

    @rule(calls=st.integers(1, 3))
    def network_refuses(self, calls: int) -> None:
        self.count("refused connections")
        self.aws.refused_connections = calls

    @rule()
    def trouble_ends(self) -> None:
        self.count("trouble ends")
        self.aws.calm()

    @rule(quota=st.sampled_from([0, 1, 2, 3, None]))
    def quota_changes(self, quota: int | None) -> None:
        self.count("quota changed")
        self.aws.settings(quota=quota)

    @rule(stage=STAGE_NAMES, percent=st.sampled_from([0, 20, 50]))
    def devices_fail(self, stage: str, percent: int) -> None:
        self.count("devices fail")
        self.aws.fail_devices(stage, percent)

    @precondition(lambda _: troubled(Trouble.LATE_WRITES))
    @rule(operation=OPERATIONS, seconds=st.sampled_from([1.0, 8.0, 20.0]), times=st.integers(1, 2))
    def answers_are_lost_and_the_work_is_done_late(self, operation: str, seconds: float, times: int) -> None:
        self.count("late work")
        self.aws.fault(operation, mode="late", seconds=seconds, times=times)
        self.run(1)

    @precondition(lambda _: troubled(Trouble.HANGING_ACCOUNT))
    @rule(region=st.sampled_from(REGIONS), operation=OPERATIONS, times=st.sampled_from([1, 3, None]))
    def region_hangs(self, region: str, operation: str, times: int | None) -> None:
        self.count("a region hangs")
        self.aws.fault(operation, mode="hang", seconds=30, region=region, times=times)
        self.run(1)

    @precondition(lambda _: troubled(Trouble.RUBBISH))
    @rule(operation=OPERATIONS, gateway=GATEWAYS, times=st.sampled_from([1, 2, None]))
    def gateway_answers(self, operation: str, gateway: dict[str, Any], times: int | None) -> None:
        if gateway.get("body") == "empty" and operation not in HAVE_MEMBERS:
            return  # `{}` is what AWS answers there too
        self.count("rubbish")
        self.aws.fault(operation, mode="rubbish", **gateway, times=times)
        self.run(1)

    # -- the API server ---------------------------------------------------------------------------------------------

    @rule(failing=st.lists(st.booleans(), min_size=1, max_size=3))
    def api_server_fails(self, failing: list[bool]) -> None:
        self.count("API server fails")
        self.forgetful = True
        self.cluster.failing = failing

    @rule(which=WHICH)
    def watch_falls_silent_or_comes_back(self, which: int) -> None:
        self.count("watch falls silent or comes back")
        watch = self.process(which).watch
        if watch.silent:
            watch.speak()
        else:
            watch.silent = True

    @precondition(lambda _: troubled(Trouble.API_SERVER_RESTARTS))
    @rule(
        going=st.lists(KEYS, max_size=3, unique=True),
        coming=st.none() | st.tuples(KEYS, SPECS),
        seconds=st.sampled_from([0.0, 1.0, 60.0]),
    )
    def api_server_restarts(
        self, going: list[Key], coming: tuple[Key, dict[str, Any] | None] | None, seconds: float
    ) -> None:
        self.count("API server restarts")
        for process in self.processes:
            process.watch.drop()
        for key in going:
            if self.there(key):
                self.cluster.delete(key)
        if coming is not None and coming[1] is not None and not self.there(coming[0]):
            self.cluster.create(coming[0], coming[1])
        self.run(seconds)
        for process in self.processes:
            process.watch.drop()
            process.watch.begin()

    @precondition(lambda _: troubled(Trouble.LATE_WATCH))
    @rule(which=WHICH, lag=st.sampled_from([0.0, 0.3, 5.0]))
    def watch_is_late(self, which: int, lag: float) -> None:
        self.count("watch is late")
        self.process(which).watch.lag = lag

    @precondition(lambda _: troubled(Trouble.LATE_LEASE))
    @rule(which=WHICH, seconds=st.sampled_from([0.0, 1.0, 30.0]))
    def lease_is_renewed_late(self, which: int, seconds: float) -> None:
        self.count("lease is renewed late")
        process = self.process(which)
        process.leads = False
        self.run(seconds)
        process.leads = True

    # -- processes --------------------------------------------------------------------------------------------------

    @rule(which=WHICH)
    def process_is_killed(self, which: int) -> None:
        self.count("killed")
        self.forgetful = True
        self.kill(self.process(which))

    @rule(calls=st.integers(1, 6), after=st.booleans(), which=WHICH)
    def process_is_killed_at_a_call(self, calls: int, which: int, *, after: bool) -> None:
        self.count("killed at a call")
        self.forgetful = True
        self.process(which).mortality.schedule(calls, after=after)
        self.run()

    @precondition(lambda self: troubled(Trouble.TWO_OPERATORS) and len(self.processes) == 1)
    @rule()
    def second_operator_comes(self) -> None:
        self.count("a second operator")
        self.start()

    @precondition(lambda _: troubled(Trouble.CLOCK_JUMPS))
    @rule(which=WHICH, hours=st.sampled_from([-26, -1, 0, 1, 26]))
    def clock_jumps(self, which: int, hours: int) -> None:
        self.count("clock jumps")
        self.process(which).clock_error = timedelta(hours=hours)

    # -- time and work ----------------------------------------------------------------------------------------------

    @rule()
    def operator_works(self) -> None:
        self.count("worked")
        self.run()

    @rule(seconds=st.sampled_from([0.2, 1, 5, 45, 600, 7200]))
    def time_goes_on(self, seconds: float) -> None:
        self.count("time")
        self.run(seconds)

    @rule(seconds=st.sampled_from([5, 600]))
    def operator_sleeps(self, seconds: float) -> None:
        self.count("slept")
        self.aws.advance(seconds)

    @rule(audit=st.booleans(), full=st.booleans())
    def operator_sweeps(self, *, audit: bool, full: bool) -> None:
        self.count("swept")
        self.sweep(audit=audit, full=full)

    @rule()
    def all_settles(self) -> None:
        self.count("settled")
        self.settle()
