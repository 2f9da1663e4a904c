"""`edgeplan retry NAME`: another try now, where something failed."""

from datetime import timedelta

import click

from controller.cluster.access import Access
from controller.commands.options import ClusterFlags, cluster_options
from controller.commands.reconcile import request, request_options
from controller.commands.session import NO, complain, resource_of, with_cluster
from controller.commands.view import state
from controller.domain.resource import Resource


@click.command()
@click.argument("name")
@request_options
@cluster_options
def retry(name: str, *, wait: bool, timeout: timedelta, cluster: ClusterFlags) -> int:
    """Try the plan NAME again now: it is stalled, or waits for its next try.

    Exit code 0: asked, and with --wait carried out; 1: nothing of it failed, or with --wait it failed again.
    """

    async def work(access: Access) -> int:
        resource = await resource_of(access, name)
        if not failed(resource):
            complain(f"{resource.key}: there is nothing to try again: {state(resource).word}")
            return NO
        return await request(access, name, wait=wait, timeout=timeout)

    return with_cluster(cluster, work)


def failed(resource: Resource) -> bool:
    """Whether something is there to be tried again."""
    return resource.status.is_true("Stalled") or resource.status.retry is not None
