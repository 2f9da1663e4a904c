"""`edgeplan reconcile` and what it has in common with `edgeplan retry`: asking by annotation, and waiting for the answer."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from controller.cluster.access import Access
from controller.commands.documents import point
from controller.commands.options import LENGTH, ClusterFlags, cluster_options
from controller.commands.session import DONE, NO, SUSPENDED, complain, resource_of, with_cluster
from controller.commands.view import length, state
from controller.domain.api import RECONCILE_ANNOTATION
from controller.domain.resource import Resource, parse


def request_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--wait` and `--timeout`."""
    wait = click.option(
        "--wait", is_flag=True, help="Wait until it was done, and fail when the plan is stalled or suspended then."
    )
    timeout = click.option("--timeout", type=LENGTH, default="5m", show_default=True, help="How long, with --wait.")
    return wait(timeout(command))


@click.command()
@click.argument("name")
@request_options
@cluster_options
def reconcile(name: str, *, wait: bool, timeout: timedelta, cluster: ClusterFlags) -> int:
    """Ask for a reconcile of the plan NAME now, by its annotation; a stalled one is tried again too.

    Exit code 0: asked, and with --wait carried out; 1: with --wait, not in time, or the plan is stalled after it.
    """

    async def work(access: Access) -> int:
        await resource_of(access, name)
        return await request(access, name, wait=wait, timeout=timeout)

    return with_cluster(cluster, work)


async def request(access: Access, name: str, *, wait: bool, timeout: timedelta) -> int:  # noqa: ASYNC109
    """Ask, and with `wait` follow it to its end."""
    token = datetime.now(UTC).isoformat()
    await access.patch(name, {"metadata": {"annotations": {RECONCILE_ANNOTATION: token}}})
    if not wait:
        click.echo(f"{access.namespace}/{name}: asked for a reconcile")
        return DONE
    resource: Resource | None = None
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            async for bodies in access.follow(name):
                resource = parse(bodies[0]) if bodies else None
                if resource is None:
                    complain(f"{access.namespace}/{name}: it is gone")
                    return NO
                if is_carried_out(resource, token):
                    return _tell(resource)
    except TimeoutError:
        how = f"not taken up after {length(timeout)}: is an operator running?"
        if resource is not None and resource.status.last_handled_reconcile_at == token:
            shown = state(resource)
            how = f"taken up, and not at its end after {length(timeout)}: {shown.word}: {shown.message}"
        complain(f"{access.namespace}/{name}: {how}")
        point(resource)
    return NO


def is_carried_out(resource: Resource, token: str) -> bool:
    """Whether that request was taken up and led to an end: no edit or request is owed any more, nothing is under way."""
    status = resource.status
    taken_up = status.last_handled_reconcile_at == token and not status.owed and not resource.edited
    return taken_up and not status.is_true("Reconciling")


def _tell(resource: Resource) -> int:
    if resource.readable_spec.suspend:
        complain(f"{resource.key}: {SUSPENDED}")
        return NO
    shown = state(resource)
    text = f"{resource.key}: {shown.word}: {shown.message}"
    if resource.status.is_true("Stalled"):
        complain(text)
        return NO
    click.echo(text)
    return DONE
