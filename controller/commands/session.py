"""A command's work with a cluster: connected, its errors a line each, its exit code."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import click
import yaml

from controller.cluster.access import Access, open_access
from controller.commands.options import ClusterFlags
from controller.domain.api import API_VERSION, PLURAL
from controller.domain.failures import Failure, FailureKind
from controller.domain.reasons import Reason
from controller.domain.resource import Resource, parse
from controller.domain.wording import explain
from controller.engine.ports import EdgePlanError, ObjectGone

DONE, NO, TROUBLE = 0, 1, 2
SUSPENDED = "suspended: nothing is reconciled until `edgeplan resume`"
_OWN = "this command asks AWS with your own credentials"


def with_cluster(flags: ClusterFlags, work: Callable[[Access], Awaitable[int]]) -> int:
    """Do the work, connected to the cluster; its exit code, 1 where an object is not there, 2 for trouble."""

    async def connected() -> int:
        async with open_access(flags.namespace, flags.context) as access:
            return await work(access)

    try:
        return asyncio.run(connected())
    except ObjectGone as error:
        complain(str(error))
        return NO
    except (EdgePlanError, ValueError) as error:
        complain(str(error))
        return TROUBLE


def complain(text: str) -> None:
    """Say on stderr what went wrong, in one line."""
    sys.stdout.flush()
    click.echo(f"error: {' '.join(text.split())}", err=True)


def explain_to_caller(failure: Failure) -> str:
    """What went wrong with a call that the command itself made, with its caller's own credentials."""
    if failure.kind is not FailureKind.CREDENTIALS:
        return explain(failure)
    if failure.reason is Reason.NO_CREDENTIALS:
        return f"{failure}; {_OWN}: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return f"{failure}; {_OWN}: they must be allowed {failure.iam_action}"


async def resource_of(access: Access, name: str) -> Resource:
    """The object of that name.

    Raises:
        ObjectGone: there is none.

    """
    try:
        return parse(await access.get(name))
    except ObjectGone as error:
        raise ObjectGone(f"{PLURAL} {name!r} not found in namespace {access.namespace}") from error


def write_bodies(bodies: Sequence[Mapping[str, Any]], form: str, *, single: bool) -> None:
    """Print objects as JSON or YAML, without what only the API server needs."""
    shown = [_without_managed_fields(body) for body in bodies]
    document: Any = shown[0] if single else {"apiVersion": "v1", "kind": "List", "items": shown}
    if form == "json":
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120), nl=False)


def _without_managed_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    # The items of a list do not say their kind.
    return {"apiVersion": API_VERSION, "kind": "EdgeDeploymentPlan", **body, "metadata": metadata}
