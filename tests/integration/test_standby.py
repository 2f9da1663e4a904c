"""Two operators and one Lease: one acts, the other stands by with a warm index and takes over."""

import signal
from collections import Counter
from pathlib import Path

from tests.integration.operators import World, condition, stage, wait_until

PLANS = 30
LEASE = "edgeplan"


def holder(world: World) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases"
    leases = world.cluster.client.request("GET", path)["items"]
    return next((lease["spec"].get("holderIdentity") or "" for lease in leases), "")


def held(world: World, *, but: str = "") -> str:
    return wait_until(lambda: holder(world).removeprefix(but), seconds=60, every=0.2)


def creates(world: World) -> Counter[str]:
    return Counter(request["name"] for request in world.sandbox.requests("CreateEdgeDeploymentPlan"))


def all_ready(world: World) -> bool:
    return all(condition(body, "Ready").get("status") == "True" for body in world.all())


def test_one_acts_and_the_other_takes_over_at_once_when_it_stops(world: World) -> None:
    lease = f"{world.namespace}/{LEASE}"
    with world.operator(lease=lease) as first:
        before = held(world)
        with world.operator(lease=lease) as second:
            world.create("first")
            world.wait_for("first", "Ready")
            wait_until(lambda: second.knows() == ["first"])
            assert world.creates() == 1
            first.__exit__()
            held(world, but=before)
            world.create("second")
            world.wait_for("second", "Ready", seconds=60)
            world.delete("first")
            world.wait_gone("first", seconds=60)
    assert holder(world) == ""
    assert creates(world) == {"first": 1, "second": 1}
    assert world.sandbox.plans() == ["second"]


def test_who_takes_over_looks_for_nothing_that_the_other_let_go(world: World) -> None:
    lease = f"{world.namespace}/{LEASE}"
    with world.operator(lease=lease) as first:
        before = held(world)
        with world.operator(lease=lease) as second:
            for number in range(PLANS):
                world.create(f"plan-{number:02}")
            wait_until(lambda: all_ready(world) and len(second.knows()) == PLANS, seconds=60)
            for number in range(PLANS):
                world.delete(f"plan-{number:02}")
            wait_until(lambda: not world.all() and not second.knows(), seconds=60)
            world.sandbox.reset_counts()
            first.__exit__()
            held(world, but=before)
            world.create("last")
            world.wait_for("last", "Ready", seconds=60)
            assert not {"DescribeEdgeDeploymentPlan", "ListTags"} & set(world.sandbox.counts())


def test_operator_that_was_frozen_makes_no_call_once_another_leads(world: World, tmp_path: Path) -> None:
    flags = ("--lease", f"{world.namespace}/{LEASE}", "--concurrency", "1", "--settle", "2s")
    world.sandbox.settings(latency=0.3)
    frozen_log, other_log = tmp_path / "frozen.log", tmp_path / "other.log"
    with world.process(frozen_log, *flags) as frozen:
        before = held(world)
        with world.process(other_log, *flags) as other:
            wait_until(lambda: "standing by" in other_log.read_text(), seconds=60)
            for number in range(PLANS):
                world.create(f"plan-{number:02}", stages=[stage("fleet")])
            wait_until(lambda: len(creates(world)) > 2, seconds=60)
            assert frozen.process is not None
            frozen.process.send_signal(signal.SIGSTOP)
            after = held(world, but=before)
            made = creates(world)
            wait_until(lambda: creates(world).total() > made.total(), seconds=60)
            frozen.process.send_signal(signal.SIGCONT)
            wait_until(lambda: all_ready(world), seconds=90)
            assert "does not lead any more" in frozen_log.read_text()
            # What was under way when it froze is the one thing that both can have asked for.
            assert sum(count - 1 for count in creates(world).values()) <= 1
            assert other.stop(signal.SIGKILL) < 0
        held(world, but=after)
        world.create("last")
        world.wait_for("last", "Ready", seconds=60)
    assert sorted(world.sandbox.plans()) == sorted(["last", *(f"plan-{number:02}" for number in range(PLANS))])
    assert not world.sandbox.requests("DeleteEdgeDeploymentPlan")
