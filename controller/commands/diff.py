"""`edgeplan diff FILE...`: what the controller would do to AWS for each manifest, in the order it would do it."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from controller.aws.accounts import Accounts
from controller.aws.tenancy import on_behalf_of
from controller.cluster.lookup import Cluster, reach
from controller.commands.accounts import accounts_of
from controller.commands.difference import Difference
from controller.commands.options import AwsFlags, aws_options, cluster_id_option, files_argument, output_option
from controller.commands.session import explain_to_caller
from controller.domain.circumstances import Circumstances
from controller.domain.desired import Desired
from controller.domain.forecast import End, differs, forecast
from controller.domain.observed import ObservedPlan
from controller.domain.outcomes import Stalled
from controller.domain.ownership import Owner, Rights, tagged_owner
from controller.domain.reasons import Reason
from controller.domain.resource import Key, Resource, Scope
from controller.domain.spec import EdgeDeploymentPlanSpec
from controller.domain.status import EdgeDeploymentPlanStatus
from controller.engine.ports import AwsError, EdgePlanError, EdgePlans
from controller.schema.manifests import Manifest, Problem, check_one, read

SAME, DIFFERENT, TROUBLE = 0, 1, 2  # as kubectl diff
_AT_A_TIME = 8
_Asked = tuple[Key, Manifest]


@click.command()
@files_argument
@click.option("-n", "--namespace", default="default", help="Namespace of manifests without one (default: default).")
@click.option("--context", help="Context of the kubeconfig (default: the current one).")
@cluster_id_option
@output_option("json")
@aws_options
def diff(
    files: Sequence[Path],
    *,
    namespace: str,
    context: str | None,
    cluster_id: str | None,
    output: str | None,
    aws: AwsFlags,
) -> int:
    """Show what the controller would do to AWS for each manifest, in the order it would do it. Writes nothing.

    FILE is a manifest, a folder of them, or - for standard input. Exit code 0: no difference, 1: a difference or a
    refusal, 2: an error.
    """
    from controller.commands.show import as_json, show, totals  # noqa: PLC0415 - not needed to refuse a bad manifest

    asked, problems = _read(files, namespace)
    if problems:
        click.echo("\n".join(str(problem) for problem in problems), err=output is not None)
        return TROUBLE
    try:
        results = asyncio.run(_compare(asked, aws, cluster_id, context))
    except (EdgePlanError, ValueError) as error:
        _complain(str(error))
        return TROUBLE
    except Exception as error:  # noqa: BLE001 - Python's own exit code, 1, would say that there is a difference
        _complain(f"{type(error).__name__}: {error}")
        return TROUBLE
    found: list[tuple[Key, str, Difference]] = []
    for (key, manifest), result in zip(asked, results, strict=True):
        source = f"{manifest.file}:{manifest.line([])}"
        if isinstance(result, Difference):
            found.append((key, source, result))
            if output is None:
                show(key, source, result)
        else:
            text = explain_to_caller(result.failure) if isinstance(result, AwsError) else str(result)
            sys.stdout.flush()
            _complain(f"{key} ({source}): {text}")
    if output is not None:
        click.echo(as_json(found))
    elif len(asked) > 1:
        click.echo(totals([result for *_, result in found], failed=len(asked) - len(found)))
    if len(found) < len(asked):
        return TROUBLE
    return DIFFERENT if any(differs(result.steps) for *_, result in found) else SAME


def _complain(text: str) -> None:
    """One line, whatever the server said."""
    sys.stderr.write(f"error: {' '.join(text.split())}\n")


def _read(files: Sequence[Path], namespace: str) -> tuple[list[_Asked], list[Problem]]:
    asked: list[_Asked] = []
    problems: list[Problem] = []
    for path in files:
        for found in read(path):
            if isinstance(found, Problem):
                problems.append(found)
                continue
            problems += (wrong := check_one(found))
            if not wrong:
                metadata = found.body["metadata"]
                asked.append((Key(metadata.get("namespace") or namespace, metadata["name"]), found))
    return asked, problems


async def _compare(
    asked: list[_Asked], aws: AwsFlags, cluster_id: str | None, context: str | None
) -> list[Difference | EdgePlanError]:
    async with reach(cluster_id, context) as cluster:
        if cluster.trouble:
            sys.stderr.write(
                f"note: {cluster.trouble}\nnote: so a plan tagged for the same namespace and name counts as this "
                "object's, and tags that the controller set earlier are not known\n"
            )
        with closing(accounts_of(aws, cluster)) as accounts:
            if accounts.selects_namespaces and (why := await cluster.learn({key.namespace for key, _ in asked})):
                sys.stderr.write(f"note: what is open by the labels of namespaces counts as closed: {why}\n")
            return await _compare_all(asked, accounts, cluster)


async def _compare_all(asked: list[_Asked], accounts: Accounts, cluster: Cluster) -> list[Difference | EdgePlanError]:
    turns = asyncio.Semaphore(_AT_A_TIME)
    holders: dict[tuple[Scope, str], Key] = {}

    async def one(key: Key, manifest: Manifest) -> Difference | EdgePlanError:
        spec = manifest.spec
        try:
            plans = accounts.plans(accounts.scope(key.namespace, spec.target))
            name = spec.edge_deployment_plan_name or key.name
            holder = holders.setdefault((plans.scope, name), key) if spec.manages else key
            rights = accounts.rights(key.namespace, plans.scope)
            async with turns:
                with on_behalf_of(key.namespace):
                    return await _difference(key, spec, plans, cluster, holder, rights=rights)
        except EdgePlanError as error:
            return error

    return list(await asyncio.gather(*(one(*each) for each in asked)))


async def _difference(
    key: Key, spec: EdgeDeploymentPlanSpec, plans: EdgePlans, cluster: Cluster, holder: Key, *, rights: Rights
) -> Difference:
    live = await cluster.find(key)
    name = spec.edge_deployment_plan_name or key.name
    observed = await plans.describe(name, with_tags=True)
    desired = Desired(name, spec, _owner(key, live, cluster, observed))
    if holder != key:
        conflict = Stalled(Reason.NAME_CONFLICT, f"the AWS plan {name} is that of {holder} too, in the same files")
        return Difference(plans.scope, desired, observed, (End(conflict),))
    other = tagged_owner(observed)
    status = live.status if live else EdgeDeploymentPlanStatus()
    given = Circumstances(
        status=status,
        applied_tag_keys=frozenset(status.applied_tag_keys or ()),
        now=datetime.now(UTC),
        rights=rights,
        asked=live is not None and live.asked,
        edited=live is None or live.spec != spec or live.generation != live.status.observed_generation,
        other_owner_lives=other is None or await cluster.lives(other),
    )
    steps = forecast(desired, observed, given)
    devices = await _count_devices(plans, observed) if observed and differs(steps) else {}
    return Difference(plans.scope, desired, observed, steps, devices)


def _owner(key: Key, live: Resource | None, cluster: Cluster, observed: ObservedPlan | None) -> Owner:
    """The owner that the controller would tag the plan with, as far as it can be known from here.

    What is not known is taken from a tag that names the same namespace and name: it is then ours. So is, whatever the
    cluster is called there, a tag with the uid of the object in the cluster.
    """
    tagged = tagged_owner(observed)
    same = tagged if tagged and Owner(tagged.cluster, *key, tagged.uid).same_object(tagged) else None
    cluster_id = cluster.id or (same.cluster if same else "<cluster>")
    if same is not None and same.cluster != cluster_id:
        certain = live is not None and live.uid == same.uid
        _advise(key, same, certain=certain)
        if certain and not cluster.told:
            cluster_id = same.cluster
    uid = live.uid if live else same.uid if same and not cluster.reached else "<uid>"
    return Owner(cluster_id, key.namespace, key.name, uid)


def _advise(key: Key, same: Owner, *, certain: bool) -> None:
    """Tell of a tag that names this object under another identity of the cluster."""
    flag = f"--cluster-id {same.cluster}"
    text = f"the operator runs with {flag}: give it to diff too" if certain else f"if the operator has it, give {flag}"
    whose = "this very object" if certain else "an object of this namespace and name"
    sys.stderr.write(f"note: {key}: the tag of the AWS plan names {whose} in cluster {same.cluster}: {text}\n")


async def _count_devices(plans: EdgePlans, observed: ObservedPlan) -> dict[str, str]:
    """The devices that each stage selects, `?` where AWS does not say: nothing depends on them."""
    devices = {}
    for stage in observed.stages:
        try:
            devices[stage.name] = str(await plans.count_devices(observed.name, stage.name))
        except AwsError as error:
            sys.stderr.write(
                f"note: devices of stage {stage.name} of {observed.name}: {explain_to_caller(error.failure)}\n"
            )
            devices[stage.name] = "?"
    return devices
