"""The CustomResourceDefinition comes, goes and comes back while the operator runs. Each test has a cluster of its own."""

from edge_manager.sandbox.server import Sandbox
from playground.cluster import LocalCluster
from tests.integration.operators import World, install

NAME = "crd/edgedeploymentplans.edgeplan.dev"


def test_deletion_of_the_crd_keeps_what_is_in_aws_and_its_return_is_noticed(
    own: LocalCluster, sandbox: Sandbox
) -> None:
    world = World(own, "default", sandbox)
    with world.operator():  # started before there is a definition
        install(own)
        for number in range(3):
            world.create(f"plan-{number}")
        for number in range(3):
            world.wait_for(f"plan-{number}", "Ready", seconds=60)
        own.kubectl("delete", NAME, "--timeout=30s")
        assert len(sandbox.plans()) == 3

        install(own)
        world.create("plan-0")
        world.wait_for("plan-0", "Ready", seconds=60)  # its former life's plan, taken up again
        assert sandbox.counts()["DescribeEdgeDeploymentPlan"] == 1
    assert len(sandbox.plans()) == 3
