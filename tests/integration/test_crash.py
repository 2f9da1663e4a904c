"""The operator is killed at random moments, with faults on: each plan exists exactly once and every status is true."""

import random
import signal
import time
from pathlib import Path

from tests.integration.operators import World, condition, stage, wait_until

PLANS = 50
KILLS = 6
# A deletion waits for as long as a create of the last run may be under way; these creates take 0.05 s.
SETTLE = ("--settle", "5s")


def test_killed_at_random_moments_it_makes_each_plan_exactly_once(world: World, tmp_path: Path) -> None:
    dice = random.Random(7)  # noqa: S311 - a test's dice
    world.sandbox.settings(latency=0.05)
    world.sandbox.fault("CreateEdgeDeploymentPlan", mode="drop_after", probability=0.15)
    world.sandbox.fault("CreateEdgeDeploymentPlan", error="InternalFailure", status=500, probability=0.15)
    world.sandbox.fault("*", error="ThrottlingException", probability=0.05)
    for number in range(PLANS):
        world.create(f"plan-{number:02}", stages=[stage("fleet")], tags=[{"key": "n", "value": str(number)}])
    doomed = [f"plan-{number:02}" for number in range(0, PLANS, 10)]

    for turn in range(KILLS):
        with world.process(tmp_path / "operator.log", "--concurrency", "8", *SETTLE) as operator:
            _wait_for_a_call(world)
            time.sleep(dice.uniform(0.0, 0.4))
            if turn == KILLS // 2:
                for name in doomed:
                    world.delete(name)
            operator.stop(signal.SIGKILL)

    world.sandbox.clear_faults()
    with world.process(tmp_path / "operator.log", *SETTLE):
        for body in world.all():
            world.ask(body["metadata"]["name"], "settle")
        wait_until(lambda: all(condition(body, "Ready").get("status") == "True" for body in world.all()), seconds=60)

    living = {body["metadata"]["name"]: body for body in world.all()}
    assert sorted(living) == [f"plan-{number:02}" for number in range(PLANS) if f"plan-{number:02}" not in doomed]
    assert sorted(world.sandbox.plans()) == sorted(living)
    for name, body in living.items():
        plan, status = world.sandbox.plan(name), body["status"]
        assert status["edgeDeploymentPlanArn"] == plan["EdgeDeploymentPlanArn"]
        assert plan["Tags"]["edgeplan.dev/owner"].endswith(body["metadata"]["uid"])
        assert status["observedGeneration"] == body["metadata"]["generation"]
        assert "retry" not in status
    # AWS holds one plan of a name at a time, so a second create that worked would need a delete before it.
    deleted = {request["name"] for request in world.sandbox.requests("DeleteEdgeDeploymentPlan")}
    assert deleted <= set(doomed)


def _wait_for_a_call(world: World) -> None:
    before = sum(world.sandbox.counts().values())
    wait_until(lambda: sum(world.sandbox.counts().values()) > before, seconds=30)
