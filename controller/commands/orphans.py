"""`edgeplan orphans`: plans in AWS that carry this cluster's tag and whose object is gone."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import click

from controller.aws.accounts import Accounts
from controller.cluster.lookup import Cluster, reach
from controller.commands.accounts import accounts_of, place_of, scopes_of
from controller.commands.options import AwsFlags, aws_options, cluster_id_option, output_option
from controller.commands.session import complain, explain_to_caller
from controller.domain.api import OWNER_TAG
from controller.domain.ownership import Owner
from controller.domain.resource import Scope
from controller.engine.ports import AwsError, EdgePlanError

NONE, SOME, TROUBLE = 0, 1, 2
_AT_A_TIME = 8


@dataclass(frozen=True)
class Orphan:
    """A plan that was left behind."""

    scope: Scope
    name: str
    arn: str
    owner: Owner

    def __str__(self) -> str:
        return f"{self.name} ({place_of(self.scope)}): left by {self.owner.key}, uid {self.owner.uid}; {self.arn}"


@click.command()
@click.option("--context", help="Context of the kubeconfig (default: the current one).")
@cluster_id_option
@output_option("json")
@aws_options
def orphans(*, context: str | None, cluster_id: str | None, output: str | None, aws: AwsFlags) -> int:
    """List plans in AWS whose tag names an object of this cluster that is gone; what becomes of them is yours to say.

    Looks in the own account, in --aws-region and --aws-regions, and in all accounts and regions of --accounts-file.
    An object that is created again in its namespace under its name takes such a plan over.

    Exit code 0: there are none, 1: there are some, 2: an error.
    """
    try:
        scopes = scopes_of(aws)
        found, refused = asyncio.run(_find(aws, scopes, cluster_id, context))
    except (EdgePlanError, ValueError) as error:
        complain(str(error))
        return TROUBLE
    if output is None:
        for orphan in found:
            click.echo(orphan)
        click.echo(f"{len(found)} {'orphan' if len(found) == 1 else 'orphans'}", err=True)
    else:
        click.echo(json.dumps([_as_json(orphan) for orphan in found], indent=2))
    for scope, refusal in refused.items():
        complain(f"{place_of(scope)}: {explain_to_caller(refusal.failure)}")
    return TROUBLE if refused else SOME if found else NONE


async def _find(
    aws: AwsFlags, scopes: Sequence[Scope], cluster_id: str | None, context: str | None
) -> tuple[list[Orphan], Mapping[Scope, AwsError]]:
    """The orphans, and where AWS could not be asked."""
    found: list[Orphan] = []
    refused: dict[Scope, AwsError] = {}
    async with reach(cluster_id, context) as cluster:
        if not cluster.reached or cluster.id is None:
            raise ValueError(cluster.trouble or "the cluster's identity is not known: give --cluster-id")
        with closing(accounts_of(aws, cluster)) as accounts:
            for scope in scopes:
                try:
                    found += [orphan async for orphan in _within(accounts, scope, cluster)]
                except AwsError as error:
                    refused[scope] = error
    return found, refused


async def _within(accounts: Accounts, scope: Scope, cluster: Cluster) -> AsyncIterator[Orphan]:
    plans = accounts.plans(scope)
    turns = asyncio.Semaphore(_AT_A_TIME)
    others: Counter[str] = Counter()

    async def owner(arn: str) -> Owner | None:
        async with turns:
            tagged = Owner.parse((await plans.tags(arn)).get(OWNER_TAG, ""))
            if tagged is None:
                return None
            if tagged.cluster != cluster.id:
                others[tagged.cluster] += 1
                return None
            if tagged.shortened:
                sys.stderr.write(f"note: {arn}: the tag has only a part of the object's name, so it is not judged\n")
                return None
            return None if await cluster.lives(tagged) else tagged

    rows = (await plans.list_plans()).values()
    owners = await asyncio.gather(*(owner(row.arn) for row in rows))
    for other, count in sorted(others.items()):
        said = "1 plan carries the tag" if count == 1 else f"{count} plans carry the tag"
        sys.stderr.write(f"note: {place_of(scope)}: {said} of cluster {other}, this is {cluster.id} (--cluster-id)\n")
    for row, gone in zip(rows, owners, strict=True):
        if gone is not None:
            yield Orphan(scope, row.name, row.arn, gone)


def _as_json(orphan: Orphan) -> dict[str, str]:
    return {
        "name": orphan.name,
        "arn": orphan.arn,
        "account": orphan.scope.account,
        "region": orphan.scope.region,
        "objectNamespace": orphan.owner.namespace,
        "objectName": orphan.owner.name,
        "objectUid": orphan.owner.uid,
    }
