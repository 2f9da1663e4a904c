"""`edgeplan wait NAME`: until a plan is ready, a stage is deployed or the object is gone; a stalled one ends it at once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from controller.cluster.access import Access
from controller.commands.documents import point
from controller.commands.options import LENGTH, ClusterFlags, Parsed, cluster_options
from controller.commands.session import DONE, NO, SUSPENDED, complain, resource_of, with_cluster
from controller.commands.view import length, state
from controller.domain.resource import Resource, parse

_STAGE = "stage="


@dataclass(frozen=True)
class Verdict:
    """How waiting ends."""

    good: bool
    text: str


def _goal(text: str) -> str:
    if text.lower() in {"ready", "delete"}:
        return text.lower()
    if text.startswith(_STAGE) and len(text) > len(_STAGE):
        return text
    raise ValueError(f"{text!r} is none of ready, delete and stage=NAME")


@click.command()
@click.argument("name")
@click.option(
    "--for",
    "goal",
    type=Parsed("goal", _goal),
    default="ready",
    show_default=True,
    metavar="ready|delete|stage=NAME",
    help="What to wait for: AWS is as the spec says, the object is gone, or that stage is DEPLOYED.",
)
@click.option("--timeout", type=LENGTH, default="10m", show_default=True, help="How long to wait, such as 90s or 2h.")
@cluster_options
def wait(name: str, *, goal: str, timeout: timedelta, cluster: ClusterFlags) -> int:
    """Wait until the plan NAME is ready; fail at once, with its message, when it is stalled or suspended.

    Exit code 0: it came to that, 1: it will not, or not in time, 2: an error.
    """

    async def work(access: Access) -> int:
        return await wait_for(access, name, goal, timeout)

    return with_cluster(cluster, work)


async def wait_for(access: Access, name: str, goal: str, timeout: timedelta) -> int:  # noqa: ASYNC109 - it says what for
    """Wait, and print how it ended; the exit code."""
    last: Resource | None = None
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            if goal != "delete":
                await resource_of(access, name)
            async for bodies in access.follow(name):
                resource = _only(bodies)
                ended = verdict(resource, goal)
                if ended is not None:
                    if ended.good:
                        click.echo(f"{access.namespace}/{name}: {ended.text}")
                        return DONE
                    complain(f"{access.namespace}/{name}: {ended.text}")
                    point(resource)
                    return NO
                _tell_trouble(last, resource)
                last = resource
    except TimeoutError:
        shown = state(last) if last else None
        words = f": {shown.word}: {shown.message}" if shown else ""
        complain(f"{access.namespace}/{name}: not {_words(goal)} after {length(timeout)}{words}")
        point(last)
    return NO


def _tell_trouble(before: Resource | None, now: Resource | None) -> None:
    """Say on stderr what fails meanwhile, once for each kind."""
    if now is None or now.status.retry is None:
        return
    shown = state(now)
    if before is None or before.status.retry is None or state(before).word != shown.word:
        click.echo(f"{now.key}: waiting: {shown.word}: {shown.message}", err=True)


def verdict(resource: Resource | None, goal: str) -> Verdict | None:
    """How waiting for that ends by now, or None if it goes on."""
    if resource is None:
        return Verdict(good=True, text="gone") if goal == "delete" else Verdict(good=False, text="it is gone")
    shown = state(resource)
    status = resource.status
    # What is said of an earlier spec, or before a reconcile that was asked for, does not count.
    settled = not resource.edited and not resource.asked
    if settled and status.is_true("Stalled"):
        return Verdict(good=False, text=f"{shown.word}: {shown.message}")
    if goal == "delete":
        return None
    if settled and resource.readable_spec.suspend:
        return Verdict(good=False, text=SUSPENDED)
    if goal.startswith(_STAGE):
        name = goal.removeprefix(_STAGE)
        stage, names = status.stage(name), [each.stage_name for each in resource.readable_spec.stages or ()]
        if settled and stage is None and name not in names:
            return Verdict(good=False, text=f"there is no stage {name!r}; spec.stages has {', '.join(names) or 'none'}")
        deployed = settled and stage is not None and stage.status == "DEPLOYED"
        return Verdict(good=True, text=f"stage {stage.stage_name} is DEPLOYED") if deployed and stage else None
    ready = settled and status.is_true("Ready") and not status.is_true("Reconciling") and not resource.deleting
    return Verdict(good=True, text=f"{shown.word}: {shown.message}") if ready else None


def _words(goal: str) -> str:
    return {"ready": "ready", "delete": "gone"}.get(goal, f"DEPLOYED in {goal.removeprefix(_STAGE)}")


def _only(bodies: Sequence[Mapping[str, Any]]) -> Resource | None:
    return parse(bodies[0]) if bodies else None
