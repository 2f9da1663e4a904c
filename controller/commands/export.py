"""`edgeplan export NAME...`: the manifest of a plan that exists in AWS, ready to be adopted as it is."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import click
import yaml
from pydantic import ValidationError

from controller.commands.accounts import accounts_of, place_of
from controller.commands.options import AwsFlags, aws_options
from controller.commands.session import explain_to_caller
from controller.domain.api import API_VERSION, KIND, OWNED_TAG_PREFIX, OWNER_TAG
from controller.domain.observed import ObservedPlan, ObservedStage
from controller.domain.resource import describe
from controller.domain.spec import EdgeDeploymentPlanSpec, Target
from controller.engine.ports import AwsError, EdgePlans, TargetRefused

DONE, MISSING, TROUBLE = 0, 1, 2
_AWS_TAGS = "aws:"


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="All plans of the account and region.")
@click.option("-n", "--namespace", help="metadata.namespace of the manifests (default: none).")
@click.option("--account", help="Account of the accounts file to look in; becomes spec.target.account.")
@aws_options
def export(names: Sequence[str], *, everything: bool, namespace: str | None, account: str | None, aws: AwsFlags) -> int:
    """Write the manifests of plans that exist in AWS, ready to be adopted without a change to them.

    NAME is the name of a plan in AWS. Exit code 0: all written, 1: a plan is not there or cannot be adopted as it is,
    2: an error.
    """
    if bool(names) == everything:
        raise click.UsageError("either names of plans or --all")
    try:
        accounts = accounts_of(aws)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return TROUBLE
    try:
        target = Target(account=account) if account else None
        source = accounts.plans(accounts.scope(namespace or "default", target))
        plans, missing = asyncio.run(_fetch(source, names, everything=everything))
    except TargetRefused as refusal:
        sys.stderr.write(f"error: {refusal}\n")
        return TROUBLE
    except AwsError as error:
        sys.stderr.write(f"error: {explain_to_caller(error.failure)}\n")
        return TROUBLE
    finally:
        accounts.close()
    for name in missing:
        sys.stderr.write(f"error: there is no edge deployment plan {name} in {place_of(source.scope)}\n")
    called = object_names([plan.name for plan in plans])
    # An explicit region is part of where the plan is: applied elsewhere, the manifest must not create another.
    where = {"account": account, "region": aws.region}
    documents, doubts = [], []
    for plan in plans:
        body = manifest(plan, called[plan.name], namespace=namespace, target=where)
        documents.append(yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120))
        doubts += _doubts(plan, body["spec"])
    sys.stdout.write("---\n".join(documents))
    sys.stderr.writelines(f"error: {doubt}\n" for doubt in doubts)
    for plan in plans:
        if OWNER_TAG in (plan.tags or {}):
            sys.stderr.write(
                f"note: {plan.name} belongs to {(plan.tags or {})[OWNER_TAG]}, which keeps it while it lives\n"
            )
    return MISSING if missing or doubts else DONE


async def _fetch(source: EdgePlans, names: Sequence[str], *, everything: bool) -> tuple[list[ObservedPlan], list[str]]:
    wanted = sorted(await source.list_plans()) if everything else list(dict.fromkeys(names))
    found = [await source.describe(name, with_tags=True) for name in wanted]
    missing = [name for name, plan in zip(wanted, found, strict=True) if plan is None]
    return [plan for plan in found if plan is not None], [] if everything else missing


def object_names(plans: Sequence[str]) -> Mapping[str, str]:
    """A valid object name for each plan: the plan's in lowercase; plans that differ in nothing else get a hash."""
    names: dict[str, str] = {}
    for plan in sorted(plans, key=lambda name: (name != name.lower(), name)):
        name = plan.lower()
        names[plan] = f"{name}-{sha256(plan.encode()).hexdigest()[:8]}" if name in names.values() else name
    return names


def manifest(
    plan: ObservedPlan, name: str, *, namespace: str | None, target: Mapping[str, str | None]
) -> dict[str, Any]:
    """The manifest that describes the plan as it is, with nothing in it that would change it."""
    spec: dict[str, Any] = {}
    if plan.name != name:
        spec["edgeDeploymentPlanName"] = plan.name
    spec["modelConfigs"] = [model.wire() for model in plan.models]
    spec["deviceFleetName"] = plan.fleet
    if plan.stages:
        spec["stages"] = [_stage(stage) for stage in plan.stages]
    tags = [
        {"key": key, "value": value}
        for key, value in sorted((plan.tags or {}).items())
        if not key.startswith((_AWS_TAGS, OWNED_TAG_PREFIX))
    ]
    if tags:
        spec["tags"] = tags
    spec["policy"] = {"adoption": "Adopt"}
    chosen = {key: value for key, value in target.items() if value}
    if chosen:
        spec["target"] = chosen
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def _stage(stage: ObservedStage) -> dict[str, Any]:
    body: dict[str, Any] = {"stageName": stage.name, "deviceSelectionConfig": stage.selection.wire()}
    if stage.deployment is not None:
        body["deploymentConfig"] = stage.deployment.wire()
    return body


def _doubts(plan: ObservedPlan, spec: Mapping[str, Any]) -> list[str]:
    """Why the manifest would be refused, if so: AWS may hold what cannot be managed, 50 tags for one."""
    try:
        EdgeDeploymentPlanSpec.model_validate(spec)
    except ValidationError as error:
        return [f"{plan.name} cannot be adopted as it is: {describe(error)}"]
    return []
