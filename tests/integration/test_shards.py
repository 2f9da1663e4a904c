"""Several operators and several shards: each object is worked on by one of them, whoever comes and goes."""

import json
import signal
from collections import Counter, defaultdict
from pathlib import Path

from tests.integration.operators import OperatorProcess, World, condition, stage, wait_until

PLANS, SHARDS, LEASE = 60, 4, "edgeplan"
SECONDS = 120  # for what takes ten on a machine that is busy with nothing else


def holders(world: World) -> dict[str, str]:
    """Who holds each shard, by the name of its lease."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases"
    leases = world.cluster.client.request("GET", path)["items"]
    found = {lease["metadata"]["name"]: lease["spec"].get("holderIdentity") or "" for lease in leases}
    return {name: holder for name, holder in found.items() if name.removeprefix(f"{LEASE}-").isdecimal()}


def shares(world: World, *, without: frozenset[str] = frozenset()) -> list[int]:
    """How many shards each operator holds, if all are held, and none by those."""
    found = holders(world)
    counts = Counter(found.values())
    whole = len(found) == SHARDS and "" not in counts and not without & counts.keys()
    return sorted(counts.values()) if whole else []


def balanced(world: World, *wanted: int, without: frozenset[str] = frozenset()) -> frozenset[str]:
    wait_until(lambda: shares(world, without=without) == sorted(wanted), seconds=SECONDS, every=0.2)
    return frozenset(holders(world).values())


def process(world: World, folder: Path, name: str, *flags: str) -> OperatorProcess:
    shards = ("--lease", f"{world.namespace}/{LEASE}", "--shards", str(SHARDS), "--concurrency", "2")
    operator = world.process(folder / f"{name}.log", *shards, *flags)
    operator._environment["AWS_ACCESS_KEY_ID"] = name
    return operator


def create(world: World, numbers: range) -> None:
    for number in numbers:
        world.create(f"plan-{number:02}", stages=[stage("fleet")])


def creates(world: World) -> Counter[str]:
    requests = world.sandbox.requests("CreateEdgeDeploymentPlan")
    return Counter(request["name"] for request in requests if request["code"] == "OK")


def all_ready(world: World) -> bool:
    return all(condition(body, "Ready").get("status") == "True" for body in world.all())


def overlaps(world: World) -> list[tuple[str, str, str]]:
    """Calls for one plan that were under way at the same time, from two operators."""
    calls = defaultdict(list)
    for request in world.sandbox.requests():
        if request["name"]:
            calls[request["name"]].append((request["wallTime"], request["ended"], request["accessKey"]))
    found = []
    for name, each in calls.items():
        ended: dict[str, float] = {}
        for begun, end, who in sorted(each):
            found += [(name, who, other) for other, until in ended.items() if other != who and until > begun]
            ended[who] = max(end, ended.get(who, 0))
    return found


def test_nothing_is_lost_or_done_twice_when_one_is_killed_and_one_comes(world: World, tmp_path: Path) -> None:
    world.sandbox.settings(latency=0.4)
    with process(world, tmp_path, "FIRST") as first, process(world, tmp_path, "SECOND"):
        before = balanced(world, 2, 2)
        create(world, range(PLANS // 3))
        wait_until(lambda: creates(world).total() > 2, seconds=SECONDS)
        assert first.stop(signal.SIGKILL) < 0
        create(world, range(PLANS // 3, 2 * PLANS // 3))
        with process(world, tmp_path, "THIRD") as third, process(world, tmp_path, "FOURTH"):
            create(world, range(2 * PLANS // 3, PLANS))
            wait_until(lambda: all_ready(world), seconds=2 * SECONDS, every=0.5)
            after = balanced(world, 1, 1, 2)
            assert len(before & after) == 1
            assert third.stop() == 0  # whoever is told to stop hands its shards on
            balanced(world, 2, 2)
            world.create("last")
            world.wait_for("last", "Ready", seconds=SECONDS)
    plans = sorted(["last", *(f"plan-{number:02}" for number in range(PLANS))])
    assert sorted(world.sandbox.plans()) == plans
    assert creates(world) == dict.fromkeys(plans, 1)
    assert overlaps(world) == []
    assert not world.sandbox.requests("DeleteEdgeDeploymentPlan")
    callers = {request["accessKey"] for request in world.sandbox.requests("CreateEdgeDeploymentPlan")}
    assert {"FIRST", "SECOND"} < callers  # the others act, too, if they come early enough


def test_operators_of_other_numbers_of_shards_do_not_act_together(world: World) -> None:
    lease = f"{world.namespace}/{LEASE}"
    with world.operator(lease=lease, shards=2) as old:
        world.create("first")
        world.wait_for("first", "Ready", seconds=SECONDS)
        with world.operator(lease=lease, shards=3) as new:
            wait_until(lambda: new.knows() == ["first"], seconds=SECONDS)
            world.create("second")
            world.wait_for("second", "Ready", seconds=SECONDS)
            assert new.works_on() == []
            old.__exit__()
            for name in ("third", "fourth", "fifth"):
                world.create(name)
            for name in ("third", "fourth", "fifth"):
                world.wait_for(name, "Ready", seconds=SECONDS)
            wait_until(lambda: new.works_on() == [0, 1, 2], seconds=SECONDS)
    assert creates(world) == dict.fromkeys(("first", "second", "third", "fourth", "fifth"), 1)


def test_share_of_a_namespace_holds_over_all_shards_and_moves_up(world: World, tmp_path: Path) -> None:
    """Plans applied at once, so that their age tells nothing; two operators would hear of them in an order of their own.

    So one decides for all of the namespace, and operators that cut by uid do not act beside those that do not.
    """
    own = tmp_path / "own.yaml"
    own.write_text(json.dumps({"share": [{"namespaces": [world.namespace], "plans": 2}]}))
    flags = ("--own-account-file", str(own))
    with process(world, tmp_path, "FIRST", *flags), process(world, tmp_path, "SECOND", *flags):
        balanced(world, 2, 2)
        path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/{LEASE}"
        layout = world.cluster.client.request("GET", path)["spec"]["holderIdentity"]
        assert layout == f"operators of {SHARDS} shards by namespace"
        for number in range(12):
            world.create(f"plan-{number:02}")
        wait_until(lambda: len(world.sandbox.plans()) == 2, seconds=SECONDS)
        for _ in range(2):
            wait_until(lambda: all(condition(body, "Ready") for body in world.all()), seconds=SECONDS)
            held = world.sandbox.plans()
            assert len(held) == 2
            for name in held:
                world.delete(name)
                world.wait_gone(name, seconds=SECONDS)
            wait_until(lambda: len(world.sandbox.plans()) == 2, seconds=SECONDS)
    most, there = 0, 0
    for request in world.sandbox.requests():
        done = request["code"] == "OK"
        there += done and request["operation"] == "CreateEdgeDeploymentPlan"
        there -= done and request["operation"] == "DeleteEdgeDeploymentPlan"
        most = max(most, there)
    assert most == 2
    assert len({request["accessKey"] for request in world.sandbox.requests("CreateEdgeDeploymentPlan")}) == 1
