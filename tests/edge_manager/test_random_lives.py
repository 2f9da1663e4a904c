"""Random lives of plans and devices against the documented rules, with services that are killed at any instant, and clocks that jump."""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest
from hypothesis import seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, initialize, precondition, rule
from sqlalchemy import insert

from edge_manager.domain.access import Principal, Role
from edge_manager.domain.scope import Scope
from edge_manager.store import keys
from edge_manager.store.engine import Store
from edge_manager.store.fleets import Fleets
from edge_manager.store.keys import Seal
from edge_manager.store.tables import PACKAGING_JOBS
from tests.edge_manager.lean import Lean, Refused
from tests.edge_manager.model import DEVICES, World
from tests.edge_manager.processes import REGION
from tests.edge_manager.zygote import Zygote, free_port

ACCOUNTS = itertools.count(200_000_000_000)
SHIFTS = itertools.cycle([0, 200, -200, 60, -3])
LONGER = int(os.environ.get("EDGE_MANAGER_LIVES", "1"))  # times as many lives as CI has time for: `make lives`
REFUSALS = ("ValidationException", "ResourceNotFound", "ResourceInUse")
PLANS, STAGES = ("a", "b", "c"), ("one", "two")
SELECTIONS = st.one_of(
    st.sampled_from(["till", "canary", "1", "n"]).map(
        lambda part: {"DeviceSubsetType": "NAMECONTAINS", "DeviceNameContains": part}
    ),
    st.sampled_from([20, 50, 100]).map(lambda share: {"DeviceSubsetType": "PERCENTAGE", "Percentage": share}),
)
plans, devices, statuses = (st.sampled_from(each) for each in (PLANS, DEVICES, ("SUCCESS", "SUCCESS", "FAIL")))
replica, picks, rarely = st.integers(0, 9), st.integers(0, 99), st.sampled_from([False, False, True])
deaths, SAFE = st.integers(0, 40), 40  # it dies if that is less than four, so many times 4 ms after the call began


class Replicas:
    """Services on one store, each of which can be killed and is back at the same address."""

    def __init__(self, zygote: Zygote, store: str, count: int) -> None:
        self.secret_key = Seal.new_key()
        self.store, self.seal = Store(store), Seal(self.secret_key)
        self.options: dict[str, Any] = {"store": store, "secret_key": self.secret_key, "rate": None}
        self.zygote = zygote
        self.ports = [free_port() for _ in range(count)]
        self.numbers = [self.zygote.start(port, **self.options) for port in self.ports]

    def kill(self, replica: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.numbers[replica], signal.SIGKILL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                os.kill(self.numbers[replica], 0)
            except ProcessLookupError:
                return
            time.sleep(0.002)
        raise AssertionError("it lives")

    def start(self, replica: int) -> None:
        """Start it, with a clock that jumped within what signatures bear."""
        shift = next(SHIFTS)
        self.numbers[replica] = self.zygote.start(self.ports[replica], shift=shift, **self.options)

    def shop(self) -> list[Lean]:
        """A client at each replica, in a new account with a fleet and a package."""
        account = str(next(ACCOUNTS))
        scope = Scope(account, REGION)

        def work(db: Any) -> keys.Key:
            fleets = Fleets(db, scope)
            fleets.create("shops", {"OutputConfig": {"S3OutputLocation": "s3://b/k"}}, {}, 1.0)
            fleets.register("shops", [{"DeviceName": device} for device in DEVICES], 1.0)
            job = {
                "account": account, "region": REGION, "name": "counter", "arn": scope.arn("edge-packaging-job", "counter"),
                "created": 1.0, "modified": 1.0, "tags": {}, "details": {}, "model": "counter", "version": "1",
                "status": "COMPLETED", "artifact": "s3://b/counter.tar.gz", "sha1": "0" * 40, "claimed": 0.0,
            }  # fmt: skip
            db.execute(insert(PACKAGING_JOBS).values(**job))
            return keys.create(db, self.seal, 1.0, Principal("", account, "", Role.ADMIN))

        key = self.store.write(work)
        return [Lean(port, key) for port in self.ports]

    def close(self) -> None:
        for replica in range(len(self.ports)):
            self.kill(replica)
        self.store.close()


class Lives(RuleBasedStateMachine):
    """Every call has the answer that the rules give it; a kill loses nothing that was answered and doubles nothing."""

    replicas: ClassVar[Replicas]
    steps: ClassVar[int] = 0
    kills: ClassVar[int] = 0
    counted: ClassVar[int] = 0
    repeated: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.clients = self.replicas.shop()
        self.names: dict[str, int] = {}  # of deployments, and the start that they belong to
        for plan in PLANS[:2]:
            self.make(plan, {stage: {"DeviceSubsetType": "PERCENTAGE", "Percentage": 60} for stage in STAGES}, 0, SAFE)
            self.begin_stage(plan, "one", 0, SAFE)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.look(0)
            for client in self.clients:
                client.close()

    @rule(plan=plans, chosen=st.lists(SELECTIONS, min_size=1, max_size=2), at=replica, dying=deaths)
    def create(self, plan: str, chosen: list[dict[str, Any]], at: int, dying: int) -> None:
        self.make(plan, dict(zip(STAGES, chosen, strict=False)), at, dying)

    @rule(plan=plans, at=replica, dying=deaths, sure=rarely)
    def delete(self, plan: str, at: int, dying: int, sure: bool) -> None:
        """Stop what is under way, as a person would, and delete."""
        if sure:
            for stage, its in list(self.world.plans.get(plan, {}).items()):
                if its.status == "INPROGRESS":
                    self.end_stage(plan, stage, at, dying)
            self.call(
                lambda world: world.delete(plan),
                lambda client: client.control("DeleteEdgeDeploymentPlan", EdgeDeploymentPlanName=plan),
                at,
                dying,
            )

    @rule(pick=picks, at=replica, dying=deaths, sure=rarely)
    def delete_stage(self, pick: int, at: int, dying: int, sure: bool) -> None:
        plan, stage = self.pick(pick)
        if sure:
            self.call(
                lambda world: world.delete_stage(plan, stage),
                lambda client: client.control(
                    "DeleteEdgeDeploymentStage", EdgeDeploymentPlanName=plan, StageName=stage
                ),
                at,
                dying,
            )

    @rule(pick=picks, at=replica, dying=deaths)
    def start(self, pick: int, at: int, dying: int) -> None:
        self.begin_stage(*self.pick(pick), at, dying)

    @rule(pick=picks, at=replica, dying=deaths)
    def start_another(self, pick: int, at: int, dying: int) -> None:
        """As often again: without starts nothing happens."""
        self.begin_stage(*self.pick(pick), at, dying)

    @rule(pick=picks, at=replica, dying=deaths)
    def stop(self, pick: int, at: int, dying: int) -> None:
        self.end_stage(*self.pick(pick), at, dying)

    @rule(device=devices, at=replica, dying=deaths)
    def ask(self, device: str, at: int, dying: int) -> None:
        self.hear(device, at, dying)

    @rule(pick=picks, status=statuses, at=replica, dying=deaths, times=st.integers(1, 2))
    def live(self, *, pick: int, status: str, at: int, dying: int, times: int) -> None:
        """A device that has work asks, and answers what it is offered; the replica may die within each call."""
        open_ = [each for each in DEVICES if (offer := self.world.offer(each)) and offer.state != "SUCCESS"]
        device = (open_ or DEVICES)[pick % len(open_ or DEVICES)]
        name = self.hear(device, at, dying)
        for _ in range(times):
            if name is not None:
                self.answer(device, name, status, at + 1, dying)

    @precondition(lambda self: self.names)
    @rule(device=devices, pick=picks, status=statuses, at=replica, dying=deaths)
    def tell(self, *, device: str, pick: int, status: str, at: int, dying: int) -> None:
        """Any deployment that was ever heard of: late, repeated, of a plan that is gone, of another device."""
        names = sorted(self.names)
        self.answer(device, names[pick % len(names)], status, at, dying)

    def hear(self, device: str, at: int, dying: int) -> str | None:
        """The name of what a device is offered."""
        answer = self.call(
            lambda world: world.ask(device),
            lambda client: client.edge("GetDeployments", DeviceName=device, DeviceFleetName="shops"),
            at,
            dying,
        )
        if answer is None:
            return None
        expected = self.world.offer(device)
        found = [str(deployment["DeploymentName"]) for deployment in answer["Deployments"]]
        assert len(found) == (expected is not None)
        if expected is None:
            return None
        assert self.names.setdefault(found[0], expected.start) == expected.start
        return found[0]

    @rule(at=replica)
    def look(self, at: int) -> None:
        assert self.see(at) == self.world.seen()

    def make(self, plan: str, wanted: dict[str, dict[str, Any]], at: int, dying: int) -> None:
        self.call(
            lambda world: world.create(plan, wanted),
            lambda client: client.control(
                "CreateEdgeDeploymentPlan",
                EdgeDeploymentPlanName=plan,
                DeviceFleetName="shops",
                ModelConfigs=[{"ModelHandle": "counter", "EdgePackagingJobName": "counter"}],
                Stages=[{"StageName": name, "DeviceSelectionConfig": each} for name, each in wanted.items()],
            ),
            at,
            dying,
        )

    def begin_stage(self, plan: str, stage: str, at: int, dying: int) -> None:
        self.call(
            lambda world: world.start(plan, stage),
            lambda client: client.control("StartEdgeDeploymentStage", EdgeDeploymentPlanName=plan, StageName=stage),
            at,
            dying,
        )

    def end_stage(self, plan: str, stage: str, at: int, dying: int) -> None:
        self.call(
            lambda world: world.stop(plan, stage),
            lambda client: client.control("StopEdgeDeploymentStage", EdgeDeploymentPlanName=plan, StageName=stage),
            at,
            dying,
        )

    def pick(self, number: int) -> tuple[str, str]:
        """A stage that there is, or one of nine times one that may not be there."""
        there = [(plan, stage) for plan, its in sorted(self.world.plans.items()) for stage in its]
        return there[number % len(there)] if there and number % 9 else (PLANS[number % 3], STAGES[number % 2])

    def answer(self, device: str, name: str, status: str, at: int, dying: int) -> None:
        before = self.world.seen()
        self.call(
            lambda world: world.tell(device, self.names[name], status),
            lambda client: client.edge(
                "SendHeartbeat",
                AgentVersion="1.0",
                DeviceName=device,
                DeviceFleetName="shops",
                DeploymentResult={"DeploymentName": name, "DeploymentStatus": status},
            ),
            at,
            dying,
        )
        type(self).counted += before != self.world.seen()
        type(self).repeated += before == self.world.seen()

    def call(
        self, expect: Callable[[World], bool], call: Callable[[Lean], dict[str, Any]], at: int, dying: int
    ) -> dict[str, Any] | None:
        """Make a call at a replica, which in one of ten calls dies within it; its answer, None if there was none."""
        replica = at % len(self.replicas.ports)
        after = copy.deepcopy(self.world)
        allowed = expect(after)
        type(self).steps += 1
        type(self).kills += dying < 4
        if dying < 4:
            timer = threading.Timer(dying * 0.004, self.replicas.kill, [replica])
            timer.start()
        answer: dict[str, Any] | None = None
        refused = lost = False
        try:
            answer = call(self.clients[replica])
        except Refused as error:
            if error.code not in REFUSALS:
                raise
            refused = True
        except ConnectionError:
            lost = True
        if dying < 4:
            timer.join()
            self.replicas.start(replica)
        assert not lost or dying < 4
        if lost:  # it was done, or not at all
            seen = self.see(replica)
            assert seen in (self.world.seen(), after.seen())
            self.world = after if seen == after.seen() else self.world
            return None
        assert refused != allowed
        self.world = after if allowed else self.world
        if dying < 4:
            self.look(replica)
        return answer

    def see(self, at: int) -> dict[str, Any]:
        client = self.clients[at % len(self.clients)]
        found: dict[str, Any] = {}
        for plan in client.control("ListEdgeDeploymentPlans")["EdgeDeploymentPlanSummaries"]:
            name = plan["EdgeDeploymentPlanName"]
            described = client.control("DescribeEdgeDeploymentPlan", EdgeDeploymentPlanName=name)
            found[name] = {stage["StageName"]: self.stage(client, name, stage) for stage in described["Stages"]}
            totals = [plan[f"EdgeDeployment{outcome}"] for outcome in ("Success", "Pending", "Failed")]
            assert totals == [sum(stage[place] for stage in found[name].values()) for place in (1, 2, 3)]
        return found

    def stage(self, client: Lean, plan: str, stage: dict[str, Any]) -> tuple[Any, ...]:
        told = stage["DeploymentStatus"]
        listed = client.control("ListStageDevices", EdgeDeploymentPlanName=plan, StageName=stage["StageName"])
        return (
            told["StageStatus"],
            *(told[f"EdgeDeployment{outcome}InStage"] for outcome in ("Success", "Pending", "Failed")),
            {each["DeviceName"]: each["DeviceDeploymentStatus"] for each in listed["DeviceDeploymentSummaries"]},
        )


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    running = Zygote(dict(os.environ))
    yield running
    running.close()


@pytest.fixture
def replicas(request: pytest.FixtureRequest, zygote: Zygote, database: str) -> Iterator[Replicas]:
    running = Replicas(zygote, database, getattr(request, "param", 1 if database.startswith("sqlite") else 2))
    yield running
    running.close()


@pytest.mark.timeout(900 * LONGER)
def test_random_lives_are_as_the_rules_have_them_whoever_is_killed(replicas: Replicas) -> None:
    """SQLite with one process, PostgreSQL with two."""
    Lives.replicas = replicas
    Lives.steps = Lives.kills = Lives.counted = Lives.repeated = 0
    least = [LONGER * each for each in ((1400, 70, 40, 70) if replicas.store.is_sqlite else (700, 35, 15, 35))]
    first = 0 if replicas.store.is_sqlite else 10**6  # each database sees lives of its own
    for number in range(first, first + 40 * LONGER):
        lives = get_state_machine_test(Lives, settings=settings(max_examples=10, stateful_step_count=50))
        seed(number)(lives)()
        done = (Lives.steps, Lives.kills, Lives.counted, Lives.repeated)
        if all(map(int.__ge__, done, least)):
            return
    raise AssertionError(f"steps, kills, answers that counted, answers that did not: {done}")


def test_a_killed_service_has_lost_nothing_that_it_answered(replicas: Replicas) -> None:
    """Many devices at once, a kill in their midst; each asks and answers until it is answered."""
    clients = replicas.shop()
    names = [f"extra-{number}" for number in range(60)]
    clients[0].control("RegisterDevices", DeviceFleetName="shops", Devices=[{"DeviceName": name} for name in names])
    selection = {"DeviceSubsetType": "NAMECONTAINS", "DeviceNameContains": "extra"}
    clients[0].control(
        "CreateEdgeDeploymentPlan",
        EdgeDeploymentPlanName="a",
        DeviceFleetName="shops",
        ModelConfigs=[{"ModelHandle": "counter", "EdgePackagingJobName": "counter"}],
        Stages=[{"StageName": "one", "DeviceSelectionConfig": selection}],
    )
    clients[0].control("StartEdgeDeploymentStage", EdgeDeploymentPlanName="a", StageName="one")
    answered: dict[str, str] = {}

    def live(number: int) -> None:
        device, replica = names[number], number % len(clients)
        status = "FAIL" if number % 5 == 0 else "SUCCESS"
        client = Lean(replicas.ports[replica], clients[0].key)
        with contextlib.closing(client):
            if carry_on(client, device, status):
                answered[device] = status

    with ThreadPoolExecutor(12) as pool:
        lives = [pool.submit(live, number) for number in range(len(names))]
        for round_ in range(5):
            time.sleep(0.15)
            replica = round_ % len(clients)
            replicas.kill(replica)
            known = dict(answered)
            replicas.start(replica)
            listed = listing(clients[replica])
            expected = {"SUCCESS": "DEPLOYED", "FAIL": "FAILED"}
            assert {device: listed[device] for device in known} == {
                device: expected[status] for device, status in known.items()
            }
        for each in lives:
            each.result()
    [stage] = clients[0].control("DescribeEdgeDeploymentPlan", EdgeDeploymentPlanName="a")["Stages"]
    told = stage["DeploymentStatus"]
    counts = [told[f"EdgeDeployment{outcome}InStage"] for outcome in ("Success", "Pending", "Failed")]
    assert (told["StageStatus"], counts) == ("FAILED", [48, 0, 12])
    for client in clients:
        client.close()


def carry_on(client: Lean, device: str, status: str) -> bool:
    """Ask and answer until the answer was heard; False if it was and the device was not told."""
    for _ in range(400):
        try:
            offers = client.edge("GetDeployments", DeviceName=device, DeviceFleetName="shops")["Deployments"]
            if not offers:
                return False  # it failed and its answer was counted
            client.edge(
                "SendHeartbeat",
                AgentVersion="1.0",
                DeviceName=device,
                DeviceFleetName="shops",
                DeploymentResult={"DeploymentName": offers[0]["DeploymentName"], "DeploymentStatus": status},
            )
        except ConnectionError:
            time.sleep(0.02)
        else:
            return True
    raise AssertionError("it was never heard")


def listing(client: Lean) -> dict[str, str]:
    """The status of each device of the stage."""
    found: dict[str, str] = {}
    token: dict[str, str] = {}
    while True:
        page = client.control("ListStageDevices", EdgeDeploymentPlanName="a", StageName="one", **token)
        found |= {each["DeviceName"]: each["DeviceDeploymentStatus"] for each in page["DeviceDeploymentSummaries"]}
        if "NextToken" not in page:
            return found
        token = {"NextToken": page["NextToken"]}
