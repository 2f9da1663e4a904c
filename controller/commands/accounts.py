"""The accounts and regions that are open, from the flags that several commands share with the operator."""

import os

import boto3

from controller.aws.accounts import Accounts
from controller.aws.accounts_file import OWN_ACCOUNT, read_accounts, read_own_account
from controller.cluster.lookup import Cluster
from controller.commands.options import AwsFlags
from controller.domain.resource import Scope

_THREADS = 8
_TIMEOUT = 30.0


def accounts_of(flags: AwsFlags, cluster: Cluster | None = None) -> Accounts:
    """The accounts and regions that the flags open; `cluster` tells its identity and the labels of its namespaces.

    Raises:
        ValueError: the accounts file is not of the form.

    """
    region = flags.region or os.environ.get("AWS_REGION") or boto3.Session().region_name
    # Whoever may call AWS from here is not bound to what the operator's own account has open, unless they say so.
    bounded = flags.own_account_file is not None or bool(flags.regions)
    own = read_own_account(
        flags.own_account_file,
        regions=flags.regions,
        region=flags.region if bounded else None,
        extra_regions=flags.extra_regions,
    )
    return Accounts(
        region=region,
        accounts=read_accounts(flags.accounts_file, flags.extra_regions),
        extra_regions=flags.extra_regions,
        threads=_THREADS,
        timeout=_TIMEOUT,
        endpoint_url=flags.endpoint_url,
        own=own,
        cluster=(cluster.id if cluster is not None else None) or "",
        labels_of=cluster.labels if cluster is not None else lambda _namespace: {},
    )


def scopes_of(flags: AwsFlags) -> list[Scope]:
    """All accounts and regions that the flags open, the operator's own first unless it is closed.

    Raises:
        ValueError: a file is not of the form, or no region of the own account is known.

    """
    extra = flags.extra_regions
    own = read_own_account(flags.own_account_file, regions=flags.regions, region=None, extra_regions=extra)
    region = flags.region or os.environ.get("AWS_REGION") or boto3.Session().region_name
    regions = dict.fromkeys([*([region] if region else []), *(own.regions or ())] if own.enabled else [])
    accounts = read_accounts(flags.accounts_file, extra)
    if own.enabled and not regions and not accounts:
        raise ValueError("no AWS region: give --aws-region, or set AWS_REGION")
    return [
        *(Scope(OWN_ACCOUNT, each) for each in regions),
        *(Scope(name, each) for name, account in accounts.items() for each in account.regions),
    ]


def place_of(scope: Scope) -> str:
    """Where that is, in words; the own account goes without saying."""
    return scope.region if scope.account == OWN_ACCOUNT else f"account {scope.account}, {scope.region}"
