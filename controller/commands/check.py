"""`edgeplan check`: whether all is there that the operator needs, as far as can be found out without changing anything."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import click
from rich.text import Text

from controller.aws.accounts import Accounts
from controller.aws.accounts_file import OWN_ACCOUNT
from controller.aws.tenancy import on_behalf_of
from controller.cluster.access import Access, open_access
from controller.cluster.connection import status_of
from controller.cluster.lookup import Cluster, reach
from controller.cluster.shards import shard_leases
from controller.commands.accounts import accounts_of, scopes_of
from controller.commands.get import make_console
from controller.commands.options import AwsFlags, ClusterFlags, aws_options, cluster_id_option, cluster_options
from controller.commands.session import complain
from controller.commands.view import length
from controller.domain.api import API_VERSION, GROUP, PLURAL, VERSION
from controller.domain.changes import references
from controller.domain.desired import Reference
from controller.domain.failures import UNKNOWN_OPERATION_CODES
from controller.domain.resource import Scope, parse
from controller.domain.wording import explain
from controller.engine.ports import AwsError, EdgePlanError, EdgePlans, ObjectError, ObjectGone
from controller.schema.crd import custom_resource_definition

GOOD, BAD, TROUBLE = 0, 1, 2
_FORBIDDEN = 403
_LABEL = "app.kubernetes.io/name=edgeplan"
_LEASE_FLAG, _SHARDS_FLAG = "--lease", "--shards"
_LEASES_UNTIL_OVER = 3
_UNUSED_NAME = "edgeplan-check-no-plan-of-this-name"
_WRITES = (
    "CreateEdgeDeploymentPlan, DeleteEdgeDeploymentPlan, CreateEdgeDeploymentStage, DeleteEdgeDeploymentStage, "
    "StartEdgeDeploymentStage, StopEdgeDeploymentStage, AddTags, DeleteTags"
)
Level = Literal["good", "bad", "unknown"]
_MARKS: Mapping[Level, tuple[str, str]] = {"good": ("✓", "green"), "bad": ("✗", "bold red"), "unknown": ("?", "yellow")}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, and what was found."""

    level: Level
    subject: str
    text: str


@click.command()
@click.option("--skip-cluster", is_flag=True, help="Look at AWS alone.")
@click.option("--skip-aws", is_flag=True, help="Look at the cluster alone.")
@cluster_options
@cluster_id_option
@aws_options
def check(*, skip_cluster: bool, skip_aws: bool, cluster: ClusterFlags, cluster_id: str | None, aws: AwsFlags) -> int:
    """Check what the operator needs, from here and with the rights that you have.

    In the cluster: the API server, the definition and its version, the operator's Deployment and its lease, objects that
    no operator takes up. In AWS: for the own account and each of the accounts file, whose account answers, and each call that only
    reads; where an account has session tags with the cluster's, and with `-n` as that namespace makes them. Calls that
    change something are not made: whether they are allowed shows at the first plan.

    Exit code 0: nothing is wrong (`?` is what could not be found out), 1: something is, 2: an error.
    """
    looks: list[Callable[[], AsyncIterator[Finding]]] = []
    if not skip_cluster:
        looks.append(lambda: _cluster(cluster))
    try:
        if not skip_aws:
            scopes = scopes_of(aws)
            identify = cluster_id is None and aws.accounts_file is not None and not skip_cluster
            looks.append(lambda: _aws(aws, scopes, cluster, cluster_id, identify=identify))
    except ValueError as error:
        complain(f"AWS is not looked at: {error}")
        asyncio.run(_tell(looks))
        return TROUBLE
    return asyncio.run(_tell(looks))


async def _tell(looks: Sequence[Callable[[], AsyncIterator[Finding]]]) -> int:
    console = make_console()
    code = GOOD
    for look in looks:
        async for finding in look():
            mark, style = _MARKS[finding.level]
            console.print(
                Text.assemble((f"{mark} ", style), (f"{finding.subject}: ", "bold"), finding.text), soft_wrap=True
            )
            code = BAD if finding.level == "bad" else code
    return code


# --- the cluster ---


async def _cluster(flags: ClusterFlags) -> AsyncIterator[Finding]:
    try:
        async with open_access(flags.namespace, flags.context) as access:
            version = await access.read("/version")
            yield Finding("good", "cluster", f"Kubernetes {version.get('gitVersion')} answers")
            yield await _definition(access)
            async for finding in _operator(access):
                yield finding
            yield await _objects(access)
    except ObjectError as error:
        yield Finding("bad", "cluster", str(error))


async def _definition(access: Access) -> Finding:
    name = f"{PLURAL}.{GROUP}"
    try:
        body = await access.read(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    except ObjectGone:
        return Finding("bad", "definition", f"{name} is not installed: `kubectl apply --server-side -f crds`")
    except ObjectError as error:
        if status_of(error) != _FORBIDDEN:
            raise
        return await _served(access)
    return judge_definition(body)


def judge_definition(body: Mapping[str, Any]) -> Finding:
    """Whether the definition in the cluster is the one that this version of the command knows."""
    if "deletionTimestamp" in body["metadata"]:
        return Finding("bad", "definition", "it is being deleted, and all objects with it")
    versions = {each["name"]: each for each in body["spec"]["versions"]}
    theirs = versions.get(VERSION)
    if theirs is None or not theirs["served"]:
        return Finding("bad", "definition", f"{API_VERSION} is not served: served are {', '.join(versions)}")
    (ours,) = custom_resource_definition()["spec"]["versions"]
    if theirs["schema"] != ours["schema"]:
        return Finding("bad", "definition", f"{API_VERSION} is served, but its schema is not that of this version")
    return Finding("good", "definition", f"{API_VERSION} is served, with the schema of this version")


async def _served(access: Access) -> Finding:
    try:
        await access.read(f"/apis/{API_VERSION}")
    except ObjectGone:
        return Finding("bad", "definition", f"{API_VERSION} is not served: the definition is not installed")
    return Finding("good", "definition", f"{API_VERSION} is served; you may not read its schema")


async def _operator(access: Access) -> AsyncIterator[Finding]:
    try:
        body = await access.read("/apis/apps/v1/deployments", {"labelSelector": _LABEL})
    except ObjectError as error:
        if status_of(error) != _FORBIDDEN:
            raise
        yield Finding("unknown", "operator", "you may not read Deployments of all namespaces")
        return
    deployments = body.get("items") or ()
    yield judge_operator(deployments)
    for lease in sorted({lease for each in deployments for lease in leases_of(each)}):
        yield await _leader(access, lease)


async def _leader(access: Access, lease: str) -> Finding:
    namespace, _, name = lease.partition("/")
    try:
        body = await access.read(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}")
    except ObjectGone:
        return Finding("bad", "leader", f"there is no lease {lease}: no operator has ever led")
    except ObjectError as error:
        if status_of(error) != _FORBIDDEN:
            raise
        return Finding("unknown", "leader", f"you may not read the lease {lease}")
    return judge_leader(lease, body["spec"], datetime.now(UTC))


def leases_of(deployment: Mapping[str, Any]) -> Sequence[str]:
    """The Leases by which the operators of a Deployment act: each a namespace, a slash and a name; one for each shard."""
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    arguments = [*container.get("command", ()), *container.get("args", ())]
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    lease, shards = given.get(_LEASE_FLAG), int(given.get(_SHARDS_FLAG, 1))
    if lease is None:
        return ()
    return shard_leases(lease, shards) if shards > 1 else (lease,)


def judge_leader(lease: str, spec: Mapping[str, Any], now: datetime) -> Finding:
    """Whether somebody holds the lease and renews it."""
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not holder or not renewed:
        return Finding("bad", "leader", f"nobody holds the lease {lease}")
    silent = now - datetime.fromisoformat(renewed)
    # Clocks differ: only what is long over is over.
    if silent > _LEASES_UNTIL_OVER * timedelta(seconds=spec.get("leaseDurationSeconds") or 1):
        return Finding("bad", "leader", f"{holder} holds the lease {lease} and has not renewed it for {length(silent)}")
    ago = length(max(silent, timedelta(0)))
    return Finding("good", "leader", f"{holder} holds the lease {lease}, renewed {ago} ago by this clock")


def judge_operator(deployments: Sequence[Mapping[str, Any]]) -> Finding:
    """Whether an operator that the chart installed is up."""
    if not deployments:
        return Finding("unknown", "operator", f"no Deployment with the label {_LABEL}: it may run elsewhere")
    told, up = [], False
    for each in deployments:
        ready, wanted = each.get("status", {}).get("readyReplicas", 0), each["spec"].get("replicas", 1)
        image = each["spec"]["template"]["spec"]["containers"][0]["image"]
        told.append(f"{each['metadata']['namespace']}/{each['metadata']['name']}: {ready} of {wanted} ready ({image})")
        up = up or ready > 0
    return Finding("good" if up else "bad", "operator", "; ".join(told))


async def _objects(access: Access) -> Finding:
    try:
        bodies = await access.objects(everywhere=True)
        where = "of all namespaces"
    except ObjectError as error:
        if status_of(error) != _FORBIDDEN:
            raise
        bodies = await access.objects()
        where = f"of namespace {access.namespace}"
    resources = [parse(body) for body in bodies]
    late = [resource for resource in resources if resource.edited]
    stalled = [resource for resource in resources if resource.status.is_true("Stalled")]
    names = ", ".join(str(resource.key) for resource in late[:3]) + (", ..." if late[3:] else "")
    if late:
        return Finding("unknown", "objects", f"{len(late)} of {len(resources)} {where} not taken up yet: {names}")
    return Finding("good", "objects", f"{len(resources)} {where}, all taken up, {len(stalled)} stalled")


# --- AWS ---


async def _aws(
    flags: AwsFlags, scopes: Sequence[Scope], where: ClusterFlags, cluster_id: str | None, *, identify: bool
) -> AsyncIterator[Finding]:
    cluster = await _identity(where) if identify else Cluster(None, cluster_id)
    try:
        with closing(accounts_of(flags, cluster)) as accounts:
            if accounts.tags_sessions and cluster.id is None:
                why = f" ({cluster.trouble})" if cluster.trouble else ""
                yield Finding("unknown", "AWS", f"asked without the session tag of the cluster: give --cluster-id{why}")
            for scope in scopes:
                async for finding in _scope(accounts, scope, where.namespace):
                    yield finding
    except (EdgePlanError, ValueError) as error:
        yield Finding("bad", "AWS", str(error))
        return
    yield Finding("unknown", "AWS", f"not asked, as asking is doing: {_WRITES}")


async def _identity(where: ClusterFlags) -> Cluster:
    """What the cluster is called, for the tags of sessions. Nothing more is asked of it: it has been looked at before."""
    try:
        async with reach(None, where.context) as cluster:
            return Cluster(None, cluster.id, cluster.trouble)
    except ObjectError as error:
        return Cluster(None, None, str(error))


async def _scope(accounts: Accounts, scope: Scope, namespace: str | None) -> AsyncIterator[Finding]:
    subject = f"AWS {scope.region}" if scope.account == OWN_ACCOUNT else f"AWS {scope.account}, {scope.region}"
    plans = accounts.plans(scope)
    try:
        with on_behalf_of(namespace) if namespace else nullcontext():
            account = await plans.account_id()
            allowed = await _reads(plans)
    except AwsError as error:
        yield Finding("bad", subject, explain(error.failure))
        return
    yield Finding("good", subject, f"account {account or 'unknown to this service'}; allowed: {', '.join(allowed)}")


async def _reads(plans: EdgePlans) -> list[str]:
    """The reading calls, made; those that need a plan are made on the first one, if there is any."""
    rows = await plans.list_plans()
    await plans.describe(_UNUSED_NAME, with_tags=False)
    allowed = ["ListEdgeDeploymentPlans", "DescribeEdgeDeploymentPlan"]
    if not rows:
        return allowed
    row = next(iter(rows.values()))
    plan = await plans.describe(row.name, with_tags=True)
    allowed.append("ListTags")
    if plan is None:
        return allowed
    if plan.stages:
        await plans.count_devices(plan.name, plan.stages[0].name)
        allowed.append("ListStageDevices")
    fleet, *jobs = references(plan.fleet, plan.models)
    for operation, reference in (
        ("DescribeDeviceFleet", fleet),
        *(("DescribeEdgePackagingJob", job) for job in jobs[:1]),
        ("DescribeDevice", Reference("deviceNames", _UNUSED_NAME, plan.fleet)),
    ):
        try:
            await plans.status_of(reference)
        except AwsError as error:
            if error.failure.code in UNKNOWN_OPERATION_CODES:  # a service may know no jobs
                continue
            if error.failure.code != "ResourceNotFound":  # which tells that one may ask
                raise
        allowed.append(operation)
    return allowed
