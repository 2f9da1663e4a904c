"""The CustomResourceDefinition comes, goes and comes back while the operator runs. Each test has a cluster of its own."""

import logging

import pytest

from edge_manager.sandbox.server import Sandbox
from playground.cluster import LocalCluster
from tests.integration.operators import World, install, wait_until

NAME = "crd/edgedeploymentplans.edgeplan.dev"


def test_deletion_of_the_crd_keeps_what_is_in_aws_and_its_return_is_noticed(
    own: LocalCluster, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(own, "default", sandbox)

    def said(level: int) -> list[str]:
        """What the log says of the definition."""
        return [
            record.getMessage()
            for record in [*caplog.records]
            if record.name == "controller.operator.definition" and record.levelno == level
        ]

    caplog.set_level(logging.INFO, "controller.operator.definition")
    with world.operator():  # started before there is a definition
        (missing,) = wait_until(lambda: said(logging.WARNING), seconds=60)
        assert "CustomResourceDefinition edgedeploymentplans.edgeplan.dev is missing" in missing
        assert "edgeplan crd | kubectl apply --server-side -f -" in missing
        install(own)
        (there,) = wait_until(lambda: said(logging.INFO), seconds=60)
        assert there == "the CustomResourceDefinition edgedeploymentplans.edgeplan.dev is there now"
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
